"""Why audio could not be read or written."""

from htdemucs_coreml.errors import HTDemucsCoreMLError


class AudioError(HTDemucsCoreMLError):
    """A file is missing, is no audio, is damaged, or holds or is to hold what it cannot."""
