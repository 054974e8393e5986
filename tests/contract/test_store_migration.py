"""The SQL store: a database of the first release goes on as if it had always been one of this."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from pytest_twisted import async_yield_fixture, ensureDeferred
from sqlalchemy import URL, Connection, create_engine, text

from imd import storage
from imd.ports.users import Account
from imd.storage.postgresql import address, upgrade

from .conftest import PostgresPlace, SqlitePlace
from .postgres_server import PostgresServer
from .subject import START, Subject

GROUP = "g1"
"""Of 1, who owns it, 2 and 3; 4 has left it and 5 came last."""

CONTROL = {"msg_type": 100, "whether_non_count": 1}

MESSAGES: list[dict[str, Any]] = [
    {"sender_id": 1, **CONTROL},
    {"sender_id": 1},
    {"sender_id": 2},
    {"sender_id": 1, "msg_status": 2},
    {"sender_id": 1, "whether_non_count": 1},
    {"sender_id": 4, **CONTROL},
    {"sender_id": 1, **CONTROL},
    {"sender_id": 3},
    {"sender_id": 1},
]
"""What was said in it."""

CONVERSATIONS: list[dict[str, Any]] = [
    {"uid": 1, "role": 1},
    {"uid": 2, "role": 3, "read_seq": 2, "receive_seq": 5},
    {"uid": 3, "role": 3},
    {"uid": 4, "is_quit": 1, "max_seq": 6},
    {"uid": 5, "role": 3, "init_seq": 6, "receive_seq": 9},
]


def insert(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)


def insert_messages(connection: Connection, group_id: str, group_type: int, messages: list[dict[str, Any]]) -> None:
    for seq_id, message in enumerate(messages, 1):
        row = {
            "msg_type": 1,
            "msg_id": f"m{seq_id}",
            "msg_body": "hi",
            "digest": b"",
            "send_time": START - 300,
            **message,
        }
        insert(connection, "x_message", group_id=group_id, group_type=group_type, seq_id=seq_id, **row)


def fill(connection: Connection) -> None:
    """Put in what the first release would have stored."""
    for group_id, group_type, max_seq, time in ((GROUP, 2, 9, 50), ("1_2", 1, 2, 100), ("1_4", 1, 1, 250)):
        row = {"group_id": group_id, "group_type": group_type, "max_seq": max_seq, "update_time": START - time}
        insert(connection, "x_group", **row)
    connection.execute(
        text("UPDATE x_group SET owner_id = 1, member_count = 4, member_version = 3 WHERE group_type = 2")
    )
    insert_messages(connection, GROUP, 2, MESSAGES)
    insert_messages(connection, "1_2", 1, [{"sender_id": 1}, {"sender_id": 1}])
    insert_messages(connection, "1_4", 1, [{"sender_id": 4}])
    for row in CONVERSATIONS:
        insert(connection, "x_conversation", group_id=GROUP, group_type=2, update_time=START - 200, **row)
    for row in ({"uid": 1}, {"uid": 2, "read_seq": 1, "receive_seq": 1}):
        insert(connection, "x_conversation", group_id="1_2", group_type=1, update_time=START - 200, **row)
    for uid in (1, 4):
        insert(connection, "x_conversation", group_id="1_4", group_type=1, update_time=START - 250, uid=uid)
    insert(connection, "x_inbox", uid=2, group_id="1_2", seq_id=2)
    for uid in (1, 2):
        insert(connection, "x_user", uid=uid, first_seen=START - 1000 * uid)


def make_first(url: str | URL) -> None:
    """Make a database of the first release."""
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        fill(connection)
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a database of the first release lies."""
    make_first(f"sqlite:///{tmp_path / 'imd.sqlite'}")
    return tmp_path


@async_yield_fixture
async def upgraded(folder: Path) -> AsyncIterator[Subject]:
    """A store over it."""
    subject = Subject(SqlitePlace(folder))
    subject.open()
    yield subject
    await subject.close()


async def unread(subject: Subject, *uids: int) -> list[int]:
    return [(await subject.view(uid, GROUP)).unread for uid in uids]


@ensureDeferred
async def test_what_is_unread_is_counted_right(upgraded: Subject) -> None:
    assert await unread(upgraded, 1, 2, 3, 4, 5) == [2, 2, 3, 0, 2]
    assert (await upgraded.view(2, "1_2")).unread == 1
    assert [(await upgraded.store.unread(uid, [])).total for uid in (1, 2, 3, 4)] == [3, 3, 3, 0]


@ensureDeferred
async def test_it_stays_right_with_what_comes_then(upgraded: Subject) -> None:
    await upgraded.send(2, group=GROUP)
    assert await unread(upgraded, 1, 2, 3, 4, 5) == [3, 2, 4, 0, 3]
    await upgraded.read(3, GROUP, 2)
    await upgraded.read(1, GROUP, 8)
    assert await unread(upgraded, 1, 3) == [1, 3]
    await upgraded.revoke(GROUP, "m9", 1)
    assert await unread(upgraded, 1, 2, 3, 4, 5) == [1, 1, 2, 0, 2]
    await upgraded.store.hide(5, GROUP, [8])
    await upgraded.store.clear(2, GROUP, 8)
    await upgraded.invite(GROUP, 1, 4)
    await upgraded.send(1, group=GROUP)
    assert await unread(upgraded, 1, 2, 3, 4, 5) == [1, 1, 3, 1, 2]


@ensureDeferred
async def test_lists_keep_their_order_and_what_changed_when(upgraded: Subject) -> None:
    async def listed(uid: int, since: int = 0) -> list[str]:
        return [group.group_id for group in (await upgraded.store.conversations(uid, "", 10, since)).groups]

    assert await listed(1) == [GROUP, "1_2", "1_4", "system"]
    assert await listed(4) == [GROUP, "1_4"]
    assert await listed(1, START - 80) == [GROUP]
    await upgraded.send(1, to=2)
    assert await listed(1) == ["1_2", GROUP, "1_4", "system"]


@ensureDeferred
async def test_who_has_logged_in_has_the_broadcast_stream(upgraded: Subject) -> None:
    assert (await upgraded.send(7, group="system")).message.seq_id == 1
    for uid in (1, 2):
        assert await upgraded.pulled(uid, "system") == [1]
        assert (await upgraded.view(uid, "system")).unread == 1
    assert (await upgraded.store.conversations_by_id(3, ["system"])).groups == []
    await upgraded.store.remember_user(3, "Cleo")
    assert await upgraded.pulled(3, "system") == []
    await upgraded.store.remember_user(1, "Ann")
    names = {member.uid: member.name for member in (await upgraded.store.members(1, GROUP, "", 10)).members}
    assert names == {1: "Ann", 2: "", 3: "Cleo", 5: ""}


@ensureDeferred
async def test_nobody_is_banned_and_everybody_can_be(upgraded: Subject) -> None:
    assert await upgraded.store.account(1) == Account(1, "", START - 1000)
    assert await upgraded.store.changed_accounts(0, 0, 10) == []
    await upgraded.store.set_banned(1, True)
    assert [account.uid for account in await upgraded.store.changed_accounts(0, 0, 10)] == [1]


@ensureDeferred
async def test_watermarks_and_inboxes_are_as_they_were(upgraded: Subject) -> None:
    view = await upgraded.view(2, GROUP)
    assert (view.max_seq, view.read_seq, view.receive_seq, view.member_count) == (9, 2, 5, 4)
    view = await upgraded.view(4, GROUP)
    assert (view.max_seq, view.is_quit, view.mute_all) == (6, 1, 0)
    assert await upgraded.inbox(2) == [("1_2", 2)]
    assert await upgraded.pulled(5, GROUP) == [7, 8, 9]


@ensureDeferred
async def test_a_second_start_changes_nothing(upgraded: Subject) -> None:
    before = [await upgraded.store.conversations(uid, "", 10, 0) for uid in (1, 2, 3, 4, 5)]
    await upgraded.reopen()
    assert [await upgraded.store.conversations(uid, "", 10, 0) for uid in (1, 2, 3, 4, 5)] == before


@ensureDeferred
async def test_a_postgresql_goes_on_as_well(postgres: PostgresServer) -> None:
    postgres.ask("CREATE DATABASE older")
    url = address(postgres.url("older"), "")
    make_first(url)
    assert upgrade(url)[0] == "0001"
    subject = Subject(PostgresPlace(postgres, "older"))
    subject.open()
    assert await unread(subject, 1, 2, 3, 4, 5) == [2, 2, 3, 0, 2]
    assert await subject.store.account(2) == Account(2, "", START - 2000)
    await subject.store.set_banned(2, True)
    assert [account.uid for account in await subject.store.changed_accounts(0, 0, 10)] == [2]
    await subject.close()
