"""A clock that only waiting moves."""


class Clock:
    """Stand in for the module `time` where a grid waits: a slow machine then loses no replies.

    Attributes
    ----------
    now : float
        Seconds since the clock was made.

    Examples
    --------
    In a test with pytest: ``monkeypatch.setattr("fedretina.flower.grid.time", Clock())``.

    >>> clock = Clock()
    >>> clock.sleep(1.5)
    >>> clock.monotonic()
    1.5
    """

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds that were waited for."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock on, and return at once."""
        self.now += seconds
