"""What can go wrong when reproduction is tried, beside bytes that differ."""

from htdemucs_coreml.errors import HTDemucsCoreMLError


class ReproductionError(HTDemucsCoreMLError):
    """Nothing can be said about bytes: the variations are malformed, or the reference itself cannot be made."""
