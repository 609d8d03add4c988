"""The fixtures `run` and `edit`: a made-up run, and a way to change its summary."""

from sample_run import edit, run

__all__ = ["edit", "run"]
