"""The errors of FedRetina, named by what the receiver of one does next."""


class FedRetinaError(Exception):
    """Any error that FedRetina raises on purpose."""


class BadArgument(FedRetinaError, ValueError):
    """The caller gave something that cannot be used: correct the call."""


class UnknownBase(FedRetinaError):
    """The payload builds on a version that is not held here: ask for another route to the newest one."""


class Corrupt(FedRetinaError):
    """The payload is damaged or malformed: drop it and count it; the previous version stays in force."""


class Truncated(Corrupt):
    """The payload ends before it is complete: drop it and count it."""


class TooNew(FedRetinaError):
    """The payload has a format that this release does not know: upgrade fedretina."""


class Untrusted(FedRetinaError):
    """The sender cannot be believed: refuse it."""
