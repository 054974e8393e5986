"""Paths for unit tests, which leave nothing behind."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase


def new_path(case: SynchronousTestCase) -> str:
    """Return a path at which nothing is, in a folder that is gone after the test."""
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return str(Path(folder.name) / "new")
