"""The SDK over a network that fails, and over a daemon that is killed: nothing lost, doubled or misplaced."""

from pathlib import Path
from random import Random

import pytest
from pytest_twisted import ensureDeferred

from .conftest import NewUid, StartDaemon
from .exchange import SERVER, Exchange

SEEDS = [pytest.param(seed, marks=[] if seed == 1 else pytest.mark.soak) for seed in range(1, 21)]


@pytest.mark.parametrize("seed", SEEDS)
@ensureDeferred
async def test_two_thousand_messages_over_fifty_faults_of_the_network(
    start_daemon: StartDaemon, new_uid: NewUid, tmp_path: Path, seed: int
) -> None:
    exchange = Exchange(start_daemon(**SERVER), (new_uid(), new_uid()), tmp_path, count=1000)
    await exchange.run(Random(seed), faults=50)


@pytest.mark.parametrize("seed", SEEDS)
@ensureDeferred
async def test_two_thousand_messages_while_the_daemon_is_killed_too(
    start_daemon: StartDaemon, new_uid: NewUid, tmp_path: Path, seed: int
) -> None:
    exchange = Exchange(start_daemon(**SERVER), (new_uid(), new_uid()), tmp_path, count=1000)
    await exchange.run(Random(1000 + seed), faults=50, kills=8)
