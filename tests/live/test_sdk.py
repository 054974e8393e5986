"""The SDK against a real daemon: what one process, one store and one user can expect."""

import resource
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred

from imd.client import Client
from imd.client.database import Database
from imd.client.errors import AuthFailedError, NotInGroupError, StoreError
from imd.client.messages import insert_received, tombstone
from imd.client.values import Kick, Message, State
from imd.wire.commands import Command
from imd.wire.enums import MsgStatus, MsgType, Status

from .conftest import LogIn, NewUid, StartDaemon
from .daemon import Daemon
from .device import message, until

Open = Callable[..., Any]


@pytest_twisted.async_yield_fixture
async def open_client(daemon: Daemon) -> AsyncIterator[Open]:
    """Makes clients, and stops them after the test."""
    clients: list[Client] = []

    def open_client(uid: int, store: Path | None = None, **options: Any) -> Client:
        arguments: dict[str, Any] = {"token": lambda: daemon.token(uid)} | options
        clients.append(Client(f"tcp:127.0.0.1:{daemon.port}", uid, store=store, **arguments))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.stop()


def heard_by(client: Client) -> list[Message]:
    heard: list[Message] = []
    client.on_message(heard.append)
    return heard


@ensureDeferred
async def test_what_one_says_the_other_hears(open_client: Open, new_uid: NewUid) -> None:
    alice, bob = open_client(new_uid()), open_client(new_uid())
    heard, statuses = heard_by(bob), []
    alice.on_status(statuses.append)
    await alice.start()
    await bob.start()
    sent = await alice.send_text(to=bob.uid, text="hello")
    assert sent.status == Status.SENDING
    await until(lambda: bool(heard and statuses))
    assert (heard[0].msg_id, heard[0].msg_body, heard[0].seq_id) == (sent.msg_id, "hello", 1)
    assert (statuses[0].msg_id, statuses[0].status, statuses[0].seq_id) == (sent.msg_id, Status.SUCCESS, 1)


@ensureDeferred
async def test_what_was_shown_is_acked(daemon: Daemon, open_client: Open, log_in: LogIn, new_uid: NewUid) -> None:
    sender, bob = await log_in(daemon, new_uid()), open_client(new_uid())
    await bob.start()
    for number in range(20):
        await sender.say(str(number), to=bob.uid)
    await until(lambda: daemon.inbox(bob.uid) == [])


@ensureDeferred
async def test_a_restart_shows_nothing_again_and_everything_missed(
    daemon: Daemon, open_client: Open, log_in: LogIn, new_uid: NewUid, tmp_path: Path
) -> None:
    sender, uid, store = await log_in(daemon, new_uid()), new_uid(), tmp_path / "bob.sqlite"
    for number in range(3):
        bob = open_client(uid, store)
        heard = heard_by(bob)
        await bob.start()
        if number:
            await until(lambda heard=heard: len(heard) == 30)  # type: ignore[misc]
            assert [each.msg_body for each in heard] == [f"{number - 1} {n}" for n in range(30)]
        await bob.stop()
        for n in range(30):
            await sender.say(f"{number} {n}", to=uid)


@ensureDeferred
async def test_a_message_taken_back_or_deleted_is_so_in_the_store(open_client: Open, new_uid: NewUid) -> None:
    alice, bob = open_client(new_uid()), open_client(new_uid())
    heard = heard_by(bob)
    await alice.start()
    await bob.start()
    first = await alice.send_text(to=bob.uid, text="wrong")
    await alice.send_text(to=bob.uid, text="right")
    await until(lambda: len(heard) == 2)
    await alice.conversations.revoke(first.group_id, first.msg_id)
    await until(lambda: len(heard) == 3)
    await bob.conversations.delete(first.group_id, [2])
    page = await bob.history(first.group_id)
    assert [(each.msg_status, each.msg_body) for each in page[:2]] == [(MsgStatus.REVOKED, ""), (MsgStatus.DELETED, "")]
    assert page[2].msg_type == MsgType.CONTROL


@ensureDeferred
async def test_two_clients_on_one_store_are_told_so(open_client: Open, new_uid: NewUid, tmp_path: Path) -> None:
    uid = new_uid()
    await open_client(uid, tmp_path / "store").start()
    with pytest.raises(StoreError, match="in use by another client"):
        await open_client(uid, tmp_path / "store").start()


@ensureDeferred
async def test_a_second_login_ends_the_first_for_good(open_client: Open, new_uid: NewUid) -> None:
    uid = new_uid()
    first = open_client(uid)
    kicks: list[Kick] = []
    first.on_kicked(kicks.append)
    await first.start()
    await open_client(uid).start()
    await until(lambda: bool(kicks))
    assert first.state is State.STOPPED


@ensureDeferred
async def test_refusals_have_names(open_client: Open, new_uid: NewUid) -> None:
    client = open_client(new_uid())
    await client.start()
    with pytest.raises(NotInGroupError):
        await client.groups.members("nowhere")
    with pytest.raises(AuthFailedError):
        await open_client(new_uid(), token="nonsense").start()


# Bounds.


def resident_kib() -> int:
    """Return how much of this process is in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def fill(path: Path, uid: int, count: int) -> None:
    """Make a store with so many messages of one conversation."""
    database = Database(path, uid)
    database.open()
    stored = tombstone("1_2", 1)._replace(msg_status=0, msg_type=1, sender_id=2, msg_body="x" * 50, group_type=1)
    for start in range(1, count + 1, 50_000):
        with database.transaction():
            end = min(start + 50_000, count + 1)
            insert_received(database, [stored._replace(seq_id=n, msg_id=f"{n:032}") for n in range(start, end)])
    with database.transaction():
        database.run(
            "INSERT INTO x_conversation (group_id, group_type, max_seq, shown_seq) VALUES ('1_2', 1, ?, ?)",
            count,
            count,
        )
    database.close()


@pytest.mark.parametrize("count", [50_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
@ensureDeferred
async def test_history_pages_in_less_than_twenty_milliseconds(open_client: Open, tmp_path: Path, count: int) -> None:
    fill(tmp_path / "store", 1, count)
    client = open_client(1, tmp_path / "store")
    await client.start()
    took = []
    for before in (0, *range(1_000, count, count // 20)):
        begun = time.perf_counter()
        page = await client.history("1_2", before=before, limit=100)
        took.append(time.perf_counter() - begun)
        assert len(page) == 100
    assert sorted(took)[len(took) // 2] < 0.02, took


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.soak)])
@ensureDeferred
async def test_a_long_absence_costs_no_memory(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, count: int
) -> None:
    daemon = start_daemon(IMD_GATEWAY_PACKETS_PER_SECOND=1_000_000)
    sender, uid = await log_in(daemon, new_uid()), new_uid()
    for start in range(0, count, 500):
        said = [message(str(start + number), to=uid) for number in range(500)]
        for acked in [sender.connection.request(Command.IM_SEND_MSG, each) for each in said]:
            await acked
    bob = Client(f"tcp:127.0.0.1:{daemon.port}", uid, lambda: daemon.token(uid))
    heard = heard_by(bob)
    before = resident_kib()
    await bob.start()
    await until(lambda: len(heard) == 20)
    assert [int(each.msg_body) for each in heard] == list(range(count - 20, count))
    assert resident_kib() - before < 10_000
    group_id = heard[0].group_id
    assert len(await bob.history(group_id, before=heard[0].seq_id, limit=100)) == 100
    assert len(heard) == 20
    await bob.stop()
