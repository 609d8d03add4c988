"""The errors of FedRetina, named by what the receiver of one does next, and how errors of other libraries become ours."""

from collections.abc import Iterator
from contextlib import contextmanager


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


@contextmanager
def translate_errors(kind: type[FedRetinaError], found: str, remedy: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into one of our errors; ours pass as they are.

    A list of exceptions to expect is never complete: scipy alone raises a dozen kinds. Their texts are not passed on: they
    name no file, and some advise to turn a safety off. They stay the error's cause.

    Parameters
    ----------
    kind : type
        The error to raise.
    found, remedy : str
        What was found, with the file's name; what to do about it. Between them stands the reason, in brackets.

    Examples
    --------
    >>> with translate_errors(Corrupt, "model.npz cannot be read", "copy it again"):
    ...     int("x")
    Traceback (most recent call last):
    fedretina.errors.Corrupt: model.npz cannot be read (ValueError): copy it again
    """
    try:
        yield
    except FedRetinaError:
        raise
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise kind(f"{found} ({reason}): {remedy}") from error
