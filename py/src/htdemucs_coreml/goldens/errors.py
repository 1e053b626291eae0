"""What can be wrong with a folder of goldens."""

from htdemucs_coreml.errors import HTDemucsCoreMLError


class GoldenError(HTDemucsCoreMLError):
    """A folder of goldens, or one golden in it, is not what it should be."""


class GoldenManifestError(GoldenError):
    """The manifest cannot be read, is malformed, or contradicts itself."""


class GoldenNameError(GoldenError):
    """No golden has this name, or it cannot be one."""


class GoldenPathError(GoldenError):
    """A golden's file leaves the folder, is a link, is missing, or is nothing that can be read."""


class GoldenSizeError(GoldenError):
    """A golden's file does not have the declared number of bytes."""


class GoldenDigestError(GoldenError):
    """A golden's file does not have the declared sha256."""


class GoldenShapeError(GoldenError):
    """A golden does not have the shape that is asked for, or its own declarations of it disagree."""


class GoldenTypeError(GoldenError):
    """A golden does not have the type that is asked for, or the format has no such type."""


class GoldenValueError(GoldenError):
    """A value cannot be written: it is not finite, or it lies too near to where rounding would change it."""
