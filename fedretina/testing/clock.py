"""A clock for tests: time passes only when somebody sleeps."""


class FakeClock:
    """Takes the place of the module `time` where a grid waits, so that a slow machine loses no replies.

    Attributes
    ----------
    now : float
        Seconds that have passed.

    Examples
    --------
    In a test with pytest: ``monkeypatch.setattr("fedretina.flower.grid.time", FakeClock())``.

    >>> clock = FakeClock()
    >>> clock.sleep(1.5)
    >>> clock.monotonic()
    1.5
    """

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the seconds pass, and return at once."""
        self.now += seconds
