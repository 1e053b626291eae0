"""HTDemucs music source separation as a reproducible, verified Core ML package."""

import logging

__version__ = "0.1.0"

# On import coremltools warns that Linux lacks its native predictor and that it was tested with an older PyTorch.
# Neither is news to a user: packages are run by the project's interpreter here, and the pins are tested together.
logging.getLogger("coremltools").setLevel(logging.ERROR)
