"""Why there is no page."""

from htdemucs_coreml.errors import HTDemucsCoreMLError


class ListeningError(HTDemucsCoreMLError):
    """Folders, files or options from which no page can be made."""
