"""IUserStore: first logins and names, block lists, the badge of offline pushes."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from sqlalchemy import text

from imd.errors import TooLargeError

from .subject import START, Subject


def row(subject: Subject, uid: int) -> Any:
    """Return what no port shows: when a user was first seen, and from when on their badge counts."""
    with subject.store._database.engine.connect() as connection:
        query = text("SELECT first_seen, badge_from FROM x_user WHERE uid = :uid")
        return connection.execute(query, {"uid": uid}).one_or_none()


class TestRemembering:
    @ensureDeferred
    async def test_the_first_login_is_noted_with_its_time(self, subject: Subject) -> None:
        assert row(subject, 2) is None
        await subject.store.remember_user(2, "")
        subject.time.ms += 60_000
        await subject.store.remember_user(2, "")
        assert tuple(row(subject, 2)) == (START, 0)

    @ensureDeferred
    async def test_the_names_that_the_sso_gives_are_told_of_members(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)

        async def names() -> list[str]:
            return [member.name for member in (await subject.store.members(1, group, "", 10)).members]

        assert await names() == ["", "", ""]
        await subject.store.remember_user(2, "Ann")
        await subject.store.remember_user(3, "")
        assert await names() == ["", "Ann", ""]
        await subject.store.remember_user(2, "Anna ☕")
        await subject.store.remember_user(3, "Ben")
        assert await names() == ["", "Anna ☕", "Ben"]

    @ensureDeferred
    async def test_a_token_without_a_name_leaves_the_name_as_it_is(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.store.remember_user(2, "Ann")
        await subject.store.remember_user(2, "")
        assert (await subject.store.members(1, group, "", 10)).members[1].name == "Ann"


class TestBlocking:
    @ensureDeferred
    async def test_the_list_is_ascending_and_ones_own(self, subject: Subject) -> None:
        await subject.store.block(1, [30, 2**63 - 1, 4], 10)
        await subject.store.block(1, [5], 10)
        await subject.store.block(2, [1], 10)
        assert list(await subject.store.blocked(1)) == [4, 5, 30, 2**63 - 1]
        assert list(await subject.store.blocked(2)) == [1]
        assert list(await subject.store.blocked(3)) == []

    @ensureDeferred
    async def test_to_block_and_to_unblock_can_be_repeated(self, subject: Subject) -> None:
        for _ in range(2):
            await subject.store.block(1, [2, 3, 2], 10)
        assert list(await subject.store.blocked(1)) == [2, 3]
        for _ in range(2):
            await subject.store.unblock(1, [2, 9])
        assert list(await subject.store.blocked(1)) == [3]

    @ensureDeferred
    async def test_a_list_that_would_be_too_long_is_refused_whole(self, subject: Subject) -> None:
        await subject.store.block(1, [2, 3], 3)
        with pytest.raises(TooLargeError):
            await subject.store.block(1, [4, 5], 3)
        assert list(await subject.store.blocked(1)) == [2, 3]
        await subject.store.block(1, [2, 4, 3], 3)
        assert list(await subject.store.blocked(1)) == [2, 3, 4]

    @ensureDeferred
    async def test_a_list_of_a_thousand_is_one_change(self, subject: Subject) -> None:
        everybody = list(range(2, 1002))
        await subject.store.block(1, everybody, 1000)
        assert list(await subject.store.blocked(1)) == everybody
        await subject.store.unblock(1, everybody)
        assert list(await subject.store.blocked(1)) == []

    @ensureDeferred
    async def test_blockers_are_those_who_have_blocked_the_user(self, subject: Subject) -> None:
        for uid, blocked in ((2, 1), (3, 1), (4, 2), (1, 5)):
            await subject.store.block(uid, [blocked], 10)
        assert await subject.store.blockers(1, [2, 4, 5, 9]) == {2}
        assert await subject.store.blockers(1, {2, 3}) == {2, 3}
        assert await subject.store.blockers(1, []) == frozenset()


@ensureDeferred
async def test_the_badge_counts_from_when_it_was_cleared(subject: Subject) -> None:
    await subject.store.remember_user(2, "")
    subject.time.ms += 5000
    await subject.store.clear_badge(2)
    assert tuple(row(subject, 2)) == (START, START + 5000)


@ensureDeferred
async def test_to_clear_the_badge_of_who_is_not_known_is_no_error(subject: Subject) -> None:
    await subject.store.clear_badge(9)
    assert row(subject, 9) is None
