"""The errors of FedRetina; each one is named by what its receiver has to do."""


class FedRetinaError(Exception):
    """Any error that FedRetina raises on purpose."""


class BadArgument(FedRetinaError, ValueError):
    """The caller gave a value that cannot be used: correct the call."""


class UnknownBase(FedRetinaError):
    """The payload builds on a version that is not held here: ask for other payloads that lead to the newest version."""


class Corrupt(FedRetinaError):
    """The payload is damaged or malformed: drop it and count it; the previous version stays in force."""


class Truncated(Corrupt):
    """The payload ends before it is complete: drop it and count it."""


class TooNew(FedRetinaError):
    """The payload or message has a format that this release does not know: upgrade fedretina."""


class Untrusted(FedRetinaError):
    """The sender may not do this, or cannot prove who it is: refuse the message."""
