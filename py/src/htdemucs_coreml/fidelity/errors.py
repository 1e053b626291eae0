"""What goes wrong when fidelity is measured."""

from htdemucs_coreml.errors import HTDemucsCoreMLError


class FidelityError(HTDemucsCoreMLError):
    """Packages that are measured do not fit, or the data of earlier measurements are malformed."""
