"""What processes use, as it is told from outside."""

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.bench.server import Usage, family_cpu_seconds
from imd.cli.bench.wire import LoadError

BUSY = "import time\nwhile time.process_time() < 0.1: pass\n"


class FamilyTests(SynchronousTestCase):
    def test_children_are_counted_while_they_live_and_after(self) -> None:
        before = family_cpu_seconds(os.getpid())
        child = subprocess.Popen(
            [sys.executable, "-Sc", f"{BUSY}print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        living = family_cpu_seconds(os.getpid())
        child.communicate(b"\n")
        assert living - before >= 0.1
        assert family_cpu_seconds(os.getpid()) >= living - 0.02  # ended ones are counted in ticks of 10 ms

    def test_who_is_gone_is_missed(self) -> None:
        child = subprocess.Popen([sys.executable, "-Sc", ""])
        child.wait()
        self.assertRaises(LoadError, family_cpu_seconds, child.pid)


class UsageTests(SynchronousTestCase):
    def test_each_is_told_by_itself(self) -> None:
        used = Usage(9.0, 5.0, 3.0, {"redis": 2.0}).since(Usage(1.0, 1.0, 1.0, {"redis": 0.5}))
        assert used == Usage(8.0, 4.0, 2.0, {"redis": 1.5})
