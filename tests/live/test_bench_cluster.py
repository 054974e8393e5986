"""`imctl bench --cluster`: what it starts, what it tells, and that nothing of it is left."""

import json
import re
import subprocess
from pathlib import Path

from .daemon import clean_environment
from .test_imctl import IMCTL

WITHIN = 100.0


def test_two_nodes_are_started_measured_and_gone() -> None:
    done = subprocess.run(
        [*IMCTL, "bench", "--cluster", "--seconds", "0.5", "--json"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    works = json.loads(done.stdout)["works"]
    assert [work["unit"] for work in works] == ["message", "delivery"]
    for work in works:
        assert work["nodes"] == 2
        assert work["count"] > 0
        assert work["breaches"] == []
        assert work["p50_ms"] <= work["p99_ms"]
        # Whoever takes part in each message has used CPU for it: both nodes reach each other through Redis.
        assert min(work[f"{who}_us"] for who in ("server", "postgresql", "redis")) > 0
    assert works[0]["asked"] == {"server_us": 60, "postgresql_us": 35, "redis_us": 10}
    assert works[0]["also"]["receipts"] > 0
    for started in ("PostgreSQL", "Redis", "node n1", "node n2", "fsync on", "synchronous_commit on"):
        assert started in done.stderr
    pids = re.findall(r"pid (\d+)", done.stderr)
    assert len(pids) == 4
    assert not [pid for pid in pids if Path("/proc", pid).exists()]
    folders = re.findall(r"data in (/\S+)", done.stderr)
    assert len(folders) == 2
    assert not [folder for folder in folders if Path(folder).exists()]
