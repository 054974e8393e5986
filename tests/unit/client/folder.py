"""A file of the test's own: trial's mktemp would leave it where pytest was started."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase


def new_path(test: SynchronousTestCase) -> str:
    """Return a path where nothing is yet; it is gone after the test."""
    folder = TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return str(Path(folder.name) / "store")
