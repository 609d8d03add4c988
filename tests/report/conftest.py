"""The fixtures of a made-up run, and those that change its summary."""

from sample_run import edit, edit_results, edit_target, make_run, run

__all__ = ["edit", "edit_results", "edit_target", "make_run", "run"]
