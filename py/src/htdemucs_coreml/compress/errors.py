"""What compression refuses."""

from htdemucs_coreml.errors import HTDemucsCoreMLError


class CompressionError(HTDemucsCoreMLError):
    """A tensor cannot be compressed as asked."""
