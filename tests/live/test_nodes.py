"""`imctl nodes` over a real Redis and real nodes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from imd.node import version

from .conftest import LogIn, NewUid
from .daemon import clean_environment
from .device import ANDROID, LINUX, MAC, eventually
from .redis_nodes import LEASE, RedisNodes, let_in
from .test_imctl import IMCTL, WITHIN

AWAY = 75


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNodes]:
    """A Redis, to which nodes come in these tests."""
    with RedisNodes(tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes


def imctl_nodes(nodes: RedisNodes, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run it, where it is not patient with a Redis that is away."""
    return subprocess.run(
        [sys.executable, "-c", f"import imd.cli.nodes; imd.cli.nodes.WITHIN = 1; {IMCTL[-1]}", "nodes", *options],
        env=clean_environment() | nodes.variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


def listed(nodes: RedisNodes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(imctl_nodes(nodes, "--json").stdout)
    return found


async def sessions(nodes: RedisNodes, *counts: int) -> bool:
    """Whether so many sessions are told of each node, which is done every few seconds."""
    return tuple(node["sessions"] for node in listed(nodes)) == counts


@ensureDeferred
async def test_nodes_are_listed_with_their_users_and_are_gone_when_they_are(
    nodes: RedisNodes, log_in: LogIn, new_uid: NewUid
) -> None:
    one, two = nodes.start("gate1", "gate2")
    uid = new_uid()
    for node, who, kind in ((one, uid, LINUX), (one, uid, MAC), (one, new_uid(), LINUX), (two, uid, ANDROID)):
        await let_in(log_in, node, who, kind)
    first, second = listed(nodes)
    assert (first["node"], first["users"], first["state"], first["version"]) == ("gate1", 2, "runs", version())
    await eventually(lambda: sessions(nodes, 3, 1))
    assert (second["node"], second["users"], second["state"], second["version"]) == ("gate2", 1, "runs", version())
    assert first["run"] != second["run"]
    for node in (first, second):
        assert 0 <= node["lag"] <= LEASE
        assert node["lag"] + node["lease_left"] == pytest.approx(LEASE)
    head, *rows = (line.split() for line in imctl_nodes(nodes).stdout.splitlines())
    assert head == ["node", "run", "state", "version", "users", "sessions", "lag", "lease", "left"]
    assert [row[:3] for row in rows] == [["gate1", first["run"], "runs"], ["gate2", second["run"], "runs"]]

    two.terminate()
    assert two.wait() == 0
    one.kill()
    time.sleep(LEASE)  # which is how long it counts
    left = {node["run"]: node for node in listed(nodes)}
    assert [node for node in left.values() if node["state"] == "runs"] == []
    dead = left[first["run"]]
    assert (dead["state"], dead["users"]) == ("dead", 2)
    assert dead["lag"] > LEASE


def test_without_redis_it_leaves_with_75_and_one_sentence(nodes: RedisNodes) -> None:
    nodes.redis.kill()
    try:
        shown = imctl_nodes(nodes, "--json")
    finally:
        nodes.redis.start()
    assert (shown.returncode, shown.stdout) == (AWAY, "")
    assert f"Redis at {nodes.redis.url}/1 can't be reached, or does not let us in" in shown.stderr
    assert "Traceback" not in shown.stderr
