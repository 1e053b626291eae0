"""The root of every error that this package raises on purpose."""


class HTDemucsCoreMLError(Exception):
    """Something that an input, a file or an option can cause.

    The message is one clear sentence: what happened, to which input, and what to do. Command-line tools print it
    without a traceback and exit with 1. Each module derives its own family from this class.
    """
