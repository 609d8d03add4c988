"""The errors of FedRetina, each named by what its receiver has to do; and how errors of other libraries become ours."""

from collections.abc import Iterator
from contextlib import contextmanager


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


@contextmanager
def translate_errors(kind: type[FedRetinaError], found: str, remedy: str) -> Iterator[None]:
    """Turn any error of a library into an error of ours; errors of ours pass unchanged.

    A library may raise many kinds of errors on a damaged file; a list of them is never complete. Their texts are left out:
    they do not name the file, and some advise to turn off a protection. The library's error is the cause of ours.

    Parameters
    ----------
    kind : type
        The error to raise.
    found, remedy : str
        What was found, with the file's name; and what to do. The message has the reason between them, in brackets.

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
