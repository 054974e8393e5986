"""IApiKeyStore, and the keys as `imctl apikey` makes and revokes them."""

from typing import Any

from pytest_twisted import ensureDeferred
from sqlalchemy import Connection

from imd.ports.apikeys import ApiKey
from imd.storage import apikeys

from .subject import START, Subject

KEY = ApiKey("00ff", "ab" * 32, "shop ☕", ("notices", "users:read"), 5, START, START + 1000)
OTHER = ApiKey("11ff", "cd" * 32, "ops", ("tokens",), 0, START - 1)


async def work(subject: Subject, change: Any) -> Any:
    """Do what imctl does beside the nodes."""

    def run(connection: Connection) -> Any:
        found = change(connection)
        connection.commit()
        return found

    return await subject.store._read(run)


@ensureDeferred
async def test_a_key_is_found_as_it_was_made(subject: Subject) -> None:
    for key in (KEY, OTHER):
        await work(subject, lambda connection, key=key: apikeys.add(connection, key))
    assert list(await subject.store.api_keys(["00ff", "22ff"])) == [KEY]
    assert await work(subject, apikeys.listed) == [OTHER, KEY]


@ensureDeferred
async def test_a_key_is_revoked_once_and_stays_so(subject: Subject) -> None:
    await work(subject, lambda connection: apikeys.add(connection, KEY))
    for now in (START + 5, START + 9):
        assert await work(subject, lambda connection, now=now: apikeys.revoke(connection, "00ff", now))
        assert list(await subject.store.api_keys(["00ff"])) == [KEY._replace(revoked=START + 5)]
    assert not await work(subject, lambda connection: apikeys.revoke(connection, "22ff", START))
