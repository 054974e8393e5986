"""IUserStore: first logins and names, bans and void tokens, block lists, the badge of offline pushes."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from sqlalchemy import text
from twisted.internet.defer import Deferred, gatherResults

from imd.errors import TooLargeError
from imd.ports.users import Account

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


class TestAccounts:
    @ensureDeferred
    async def test_nothing_is_known_before_the_first_login(self, subject: Subject) -> None:
        assert await subject.store.account(2) == Account(2)
        await subject.store.remember_user(2, "Ann")
        assert await subject.store.account(2) == Account(2, "Ann", START)

    @ensureDeferred
    async def test_many_are_looked_up_at_once(self, subject: Subject) -> None:
        for uid in range(1, 5):
            await subject.store.remember_user(uid, f"n{uid}")
        asked = [Deferred.fromCoroutine(subject.store.account(uid)) for uid in [*range(1, 1200), 1, 2**63 - 1]]
        names = [account.name for account in await gatherResults(asked)]
        assert names == ["n1", "n2", "n3", "n4", *[""] * 1195, "n1", ""]

    @ensureDeferred
    async def test_a_ban_holds_until_it_is_taken_back(self, subject: Subject) -> None:
        await subject.store.remember_user(2, "Ann")
        for is_banned in (True, True, False, False):
            subject.time.ms += 1000
            await subject.store.set_banned(2, is_banned)
            assert await subject.store.account(2) == Account(2, "Ann", START, is_banned, 0, subject.time.ms)

    @ensureDeferred
    async def test_the_time_before_which_tokens_are_void_never_falls(self, subject: Subject) -> None:
        for before, holds in ((500, 500), (400, 500), (700, 700)):
            await subject.store.void_tokens(2, before)
            assert (await subject.store.account(2)).void_before == holds

    @ensureDeferred
    async def test_who_was_banned_before_the_first_login_has_one_all_the_same(self, subject: Subject) -> None:
        await subject.store.set_banned(2, True)
        await subject.store.void_tokens(2, 5)
        assert await subject.store.account(2) == Account(2, "", 0, True, 5, START)
        subject.time.ms += 1000
        await subject.store.remember_user(2, "Ann")
        assert await subject.store.account(2) == Account(2, "Ann", START + 1000, True, 5, START)
        assert (await subject.view(2, "system")).group_id == "system"

    @ensureDeferred
    async def test_what_was_set_is_found_in_the_order_of_its_time_page_by_page(self, subject: Subject) -> None:
        for uid in range(1, 9):
            await subject.store.remember_user(uid, "")
        for uid in (5, 3, 4):
            await subject.store.set_banned(uid, True)
        subject.time.ms += 1000
        await subject.store.void_tokens(1, 7)
        await subject.store.set_banned(3, False)

        async def changed(time: int, uid: int, limit: int) -> list[tuple[int, bool, int]]:
            found = await subject.store.changed_accounts(time, uid, limit)
            return [(account.uid, account.is_banned, account.account_time - START) for account in found]

        assert await changed(0, 0, 10) == [(4, True, 0), (5, True, 0), (1, False, 1000), (3, False, 1000)]
        assert await changed(0, 0, 1) == [(4, True, 0)]
        assert await changed(START, 4, 2) == [(5, True, 0), (1, False, 1000)]
        assert await changed(START + 1000, 3, 10) == []


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
