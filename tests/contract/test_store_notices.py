"""INoticeStore: a notice waits for each recipient until a device of theirs acknowledges it or it expires."""

from typing import cast

import pytest
from pytest_twisted import ensureDeferred
from sqlalchemy import Connection, text
from twisted.internet.defer import Deferred

from imd.errors import BadRequestError
from imd.ports.notices import Addressed, Kept, NoticeAck
from imd.storage.notices import REPEAT_MS
from imd.wire.bodies import NoticeMsg, UserData

from .subject import START, Subject

LATER = START + 10 * REPEAT_MS
"""When notices here expire, unless a test says otherwise."""

LARGE = bytes(60_000)


async def know(subject: Subject, *uids: int) -> None:
    """Let users log in for the first time."""
    for uid in uids:
        await subject.store.remember_user(uid, "")


def notice(notice_id: str, *, payload: bytes = b"", expire_time: int = LATER) -> NoticeMsg:
    return NoticeMsg(notice_id=notice_id, notice_type=7, payload=payload, sender="shop", expire_time=expire_time)


async def keep(subject: Subject, notice_id: str, *uids: int, payload: bytes = b"", expire_time: int = LATER) -> Kept:
    """Keep a notice for users."""
    wanted = Addressed(notice(notice_id, payload=payload, expire_time=expire_time), uids)
    [kept] = await subject.store.keep_notices([wanted])
    return cast(Kept, kept)


async def page(subject: Subject, uid: int, cursor: str = "", page_size: int = 100) -> UserData:
    """Return a page of what waits for a user now."""
    found: UserData = await subject.store.notices(uid, cursor, page_size, subject.time.ms)
    return found


async def waiting(subject: Subject, uid: int) -> list[str]:
    """Return the ids of all that waits for a user now."""
    return ids(await page(subject, uid))


async def acknowledge(subject: Subject, uid: int, *notice_ids: str) -> None:
    await subject.store.acknowledge_notices([NoticeAck(uid, notice_id) for notice_id in notice_ids])


async def rows(subject: Subject) -> list[tuple[int, str, bytes]]:
    """Return what no port shows: every row, those of acknowledged notices too."""

    def query(connection: Connection) -> list[tuple[int, str, bytes]]:
        found = connection.execute(text("SELECT uid, notice_id, payload FROM x_notice ORDER BY uid, notice_id"))
        return [(uid, notice_id, payload) for uid, notice_id, payload in found]

    found: list[tuple[int, str, bytes]] = await subject.store._read(query)
    return found


def ids(found: UserData) -> list[str]:
    return [notice.notice_id for notice in found.notices]


def receivers(kept: Kept) -> list[int]:
    """Return for whom a notice waits."""
    return sorted(uid for _, uids in kept.waiting for uid in uids)


class TestKeeping:
    @ensureDeferred
    async def test_a_notice_waits_whole_for_each_with_the_time_of_the_commit(self, subject: Subject) -> None:
        await know(subject, 1, 2**63 - 1)
        subject.time.ms += 5000
        asked = notice("a", payload=b"\0\xff")
        [kept] = await subject.store.keep_notices([Addressed(asked, [2**63 - 1, 1])])
        expected = NoticeMsg(
            notice_id="a",
            notice_type=7,
            payload=b"\0\xff",
            sender="shop",
            send_time=START + 5000,
            expire_time=LATER,
        )
        assert [found for found, _ in kept.waiting] == [expected]
        assert receivers(kept) == [1, 2**63 - 1]
        assert asked.send_time == 0
        for uid in (1, 2**63 - 1):
            assert list((await page(subject, uid)).notices) == [expected]

    @ensureDeferred
    async def test_it_is_there_after_a_restart(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1)
        await subject.reopen()
        assert await waiting(subject, 1) == ["a"]

    @ensureDeferred
    async def test_who_never_logged_in_gets_none(self, subject: Subject) -> None:
        await know(subject, 1)
        kept = await keep(subject, "a", 8, 1, 9)
        assert (receivers(kept), list(kept.acknowledged), list(kept.unknown)) == ([1], [], [8, 9])
        await know(subject, 8)
        assert await waiting(subject, 8) == []

    @ensureDeferred
    async def test_a_notice_for_unknown_users_alone_is_kept_for_nobody(self, subject: Subject) -> None:
        assert await keep(subject, "a", 8) == Kept([], [], [8])

    @ensureDeferred
    async def test_nobody_sees_the_notices_of_others(self, subject: Subject) -> None:
        await know(subject, 1, 2)
        await keep(subject, "a", 1)
        await keep(subject, "b", 2)
        assert (await waiting(subject, 1), await waiting(subject, 2)) == (["a"], ["b"])


class TestRepeating:
    """The same notice_id for the same user again."""

    @ensureDeferred
    async def test_who_has_it_keeps_the_first_one(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1, payload=b"first")
        before = (await page(subject, 1)).notices
        subject.time.ms += 1000
        again = await keep(subject, "a", 1, payload=b"again", expire_time=LATER + 1)
        assert again == Kept([(before[0], [1])], [], [])
        assert (await page(subject, 1)).notices == before

    @ensureDeferred
    async def test_others_get_it_as_it_is_now(self, subject: Subject) -> None:
        await know(subject, 1, 2, 3)
        await keep(subject, "a", 1, 2, payload=b"first")
        subject.time.ms += 1000
        again = await keep(subject, "a", 1, 2, 3, 9, payload=b"again")
        assert {found.payload: (found.send_time, sorted(uids)) for found, uids in again.waiting} == {
            b"first": (START, [1, 2]),
            b"again": (START + 1000, [3]),
        }
        assert again.unknown == [9]

    @ensureDeferred
    async def test_two_requests_in_one_commit_keep_one(self, subject: Subject) -> None:
        await know(subject, 1)
        both = [Deferred.fromCoroutine(keep(subject, "a", 1, payload=payload)) for payload in (b"first", b"again")]
        outcomes = [await kept for kept in both]
        assert [[found.payload for found, _ in kept.waiting] for kept in outcomes] == [[b"first"]] * 2
        assert await waiting(subject, 1) == ["a"]

    @ensureDeferred
    async def test_once_acknowledged_it_does_not_come_again(self, subject: Subject) -> None:
        await know(subject, 1, 2)
        await keep(subject, "a", 1, 2)
        await acknowledge(subject, 1, "a")
        again = await keep(subject, "a", 1, 2)
        assert (receivers(again), again.acknowledged, again.unknown) == ([2], [1], [])
        assert await waiting(subject, 1) == []

    @ensureDeferred
    async def test_long_after_the_ack_it_is_a_new_one(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1)
        await acknowledge(subject, 1, "a")
        subject.time.ms += REPEAT_MS - 1
        assert (await keep(subject, "a", 1)).acknowledged == [1]
        subject.time.ms += 1
        again = await keep(subject, "a", 1, payload=b"again")
        assert receivers(again) == [1]
        assert list((await page(subject, 1)).notices) == [again.waiting[0][0]]

    @ensureDeferred
    async def test_a_second_ack_does_not_put_that_off(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1)
        await acknowledge(subject, 1, "a")
        subject.time.ms += REPEAT_MS - 1
        await acknowledge(subject, 1, "a")
        subject.time.ms += 1
        assert receivers(await keep(subject, "a", 1)) == [1]

    @ensureDeferred
    async def test_one_that_has_expired_is_replaced(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1, payload=b"first", expire_time=START + 1000)
        subject.time.ms += 1000
        again = await keep(subject, "a", 1, payload=b"again")
        assert list((await page(subject, 1)).notices) == [again.waiting[0][0]]
        assert (again.waiting[0][0].payload, again.waiting[0][0].send_time) == (b"again", START + 1000)


class TestAcknowledging:
    @ensureDeferred
    async def test_what_is_acknowledged_waits_no_more(self, subject: Subject) -> None:
        await know(subject, 1, 2)
        for notice_id in "abc":
            await keep(subject, notice_id, 1, 2)
        await acknowledge(subject, 1, "a", "c")
        assert (await waiting(subject, 1), await waiting(subject, 2)) == (["b"], ["a", "b", "c"])

    @ensureDeferred
    async def test_what_is_not_there_is_no_error(self, subject: Subject) -> None:
        await know(subject, 1, 2)
        await keep(subject, "a", 1)
        await acknowledge(subject, 2, "a")
        for _ in range(2):
            await acknowledge(subject, 1, "a", "nowhere", "a")
        assert await waiting(subject, 1) == []

    @ensureDeferred
    async def test_its_content_is_gone(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1, payload=b"secret")
        await acknowledge(subject, 1, "a")
        assert await rows(subject) == [(1, "a", b"")]


class TestPulling:
    @ensureDeferred
    async def test_pages_are_all_of_them_the_oldest_first(self, subject: Subject) -> None:
        await know(subject, 1)
        for notice_id in ("z", "y", "x", "w", "v"):
            await keep(subject, notice_id, 1)
            subject.time.ms += 1
        found: list[list[str]] = []
        cursor, has_more = "", True
        while has_more:
            part = await page(subject, 1, cursor, 2)
            found.append(ids(part))
            cursor, has_more = part.cursor, part.has_more
            assert bool(cursor) == has_more
        assert found == [["z", "y"], ["x", "w"], ["v"]]

    @ensureDeferred
    async def test_a_page_that_holds_the_last_says_so(self, subject: Subject) -> None:
        await know(subject, 1)
        for notice_id in "ab":
            await keep(subject, notice_id, 1)
        last = await page(subject, 1, "", 2)
        assert (ids(last), last.has_more, last.cursor) == (["a", "b"], False, "")

    @ensureDeferred
    async def test_none_is_missed_or_doubled_where_many_have_one_time(self, subject: Subject) -> None:
        await know(subject, 1)
        for notice_id in "dbaec":
            await keep(subject, notice_id, 1)
        first = await page(subject, 1, "", 2)
        second = await page(subject, 1, first.cursor, 2)
        third = await page(subject, 1, second.cursor, 2)
        assert ids(first) + ids(second) + ids(third) == list("abcde")

    @ensureDeferred
    async def test_acks_between_two_pages_move_nothing(self, subject: Subject) -> None:
        await know(subject, 1)
        for notice_id in "abcde":
            await keep(subject, notice_id, 1)
        first = await page(subject, 1, "", 2)
        await acknowledge(subject, 1, "a", "b", "d")
        assert ids(await page(subject, 1, first.cursor, 2)) == ["c", "e"]

    @ensureDeferred
    async def test_what_comes_between_two_pages_is_at_their_end(self, subject: Subject) -> None:
        await know(subject, 1)
        for notice_id in "xyz":
            await keep(subject, notice_id, 1)
        first = await page(subject, 1, "", 2)
        subject.time.ms += 1
        await keep(subject, "a", 1)
        assert ids(await page(subject, 1, first.cursor, 2)) == ["z", "a"]

    @ensureDeferred
    async def test_an_id_may_hold_what_parts_a_cursor(self, subject: Subject) -> None:
        await know(subject, 1)
        for notice_id in ("1:2", "a:", "é:☕", "é:☕:"):
            await keep(subject, notice_id, 1)
        found = []
        cursor = ""
        for _ in range(4):
            part = await page(subject, 1, cursor, 1)
            found += ids(part)
            cursor = part.cursor
        assert found == ["1:2", "a:", "é:☕", "é:☕:"]

    @ensureDeferred
    async def test_a_page_that_would_be_too_large_stops_early(self, subject: Subject) -> None:
        await subject.reopen(max_body=150_000)
        await know(subject, 1)
        for notice_id in "abc":
            await keep(subject, notice_id, 1, payload=LARGE)
        first = await page(subject, 1)
        assert (ids(first), first.has_more) == (["a", "b"], True)
        last = await page(subject, 1, first.cursor)
        assert (ids(last), last.has_more) == (["c"], False)

    @ensureDeferred
    async def test_one_that_is_too_large_for_a_page_comes_alone(self, subject: Subject) -> None:
        await subject.reopen(max_body=50_000)
        await know(subject, 1)
        for notice_id in "ab":
            await keep(subject, notice_id, 1, payload=LARGE)
        assert ids(await page(subject, 1)) == ["a"]

    @ensureDeferred
    async def test_a_cursor_that_no_page_made_is_a_bad_request(self, subject: Subject) -> None:
        await know(subject, 1)
        for cursor in ("x", ":", "1", "9:", ":a", "-1:a", "0:a", "1.5:a", "٣:a", f"{2**63}:a", f"{'9' * 9999}:a"):
            with pytest.raises(BadRequestError, match="cursor"):
                await page(subject, 1, cursor)


class TestExpiring:
    @ensureDeferred
    async def test_what_has_expired_is_not_pulled(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1, expire_time=START + 1000)
        await keep(subject, "b", 1)
        subject.time.ms += 999
        assert await waiting(subject, 1) == ["a", "b"]
        subject.time.ms += 1
        assert await waiting(subject, 1) == ["b"]

    @ensureDeferred
    async def test_it_is_deleted_so_many_at_a_time(self, subject: Subject) -> None:
        await know(subject, 1, 2)
        for number, notice_id in enumerate("edcba"):
            await keep(subject, notice_id, 1, 2, expire_time=START + 1000 + number)
        deleted = [await subject.store.expire_notices(START + 1003, limit) for limit in (6, 6, 6)]
        assert deleted == [6, 2, 0]
        assert [(uid, notice_id) for uid, notice_id, _ in await rows(subject)] == [(1, "a"), (2, "a")]

    @ensureDeferred
    async def test_what_goes_first_is_what_expired_first(self, subject: Subject) -> None:
        await know(subject, 1)
        for number, notice_id in enumerate("bca"):
            await keep(subject, notice_id, 1, expire_time=START + 1000 + number)
        assert await subject.store.expire_notices(START + 2000, 2) == 2
        assert [notice_id for _, notice_id, _ in await rows(subject)] == ["a"]

    @ensureDeferred
    async def test_an_acknowledged_one_is_deleted_once_it_can_not_be_repeated(self, subject: Subject) -> None:
        await know(subject, 1, 2)
        await keep(subject, "long", 1)
        await keep(subject, "short", 1, expire_time=START + 1000)
        await acknowledge(subject, 1, "long", "short")
        for time, left in ((START + 1000, ["long"]), (START + REPEAT_MS - 1, ["long"]), (START + REPEAT_MS, [])):
            await subject.store.expire_notices(time, 10)
            assert [notice_id for _, notice_id, _ in await rows(subject)] == left

    @ensureDeferred
    async def test_where_nothing_has_expired_nothing_is_committed(self, subject: Subject) -> None:
        await know(subject, 1)
        await keep(subject, "a", 1)
        subject.batches.clear()
        assert await subject.store.expire_notices(LATER - 1, 10) == 0
        assert subject.batches == []


@ensureDeferred
async def test_notices_of_one_call_are_kept_each_for_its_users_and_told_in_their_order(subject: Subject) -> None:
    await know(subject, 1, 2)
    await keep(subject, "b", 1)
    wanted = [Addressed(notice("c"), [1, 9]), Addressed(notice("b"), [2, 1]), Addressed(notice("a"), [2])]
    kept = await subject.store.keep_notices(wanted)
    told = [{(each.notice_id, uid) for each, uids in of.waiting for uid in uids} for of in kept]
    assert told == [{("c", 1)}, {("b", 1), ("b", 2)}, {("a", 2)}]
    assert [list(of.unknown) for of in kept] == [[9], [], []]
    assert (sorted(await waiting(subject, 1)), sorted(await waiting(subject, 2))) == (["b", "c"], ["a", "b"])


@ensureDeferred
async def test_of_two_notices_of_one_id_in_one_call_the_first_one_holds(subject: Subject) -> None:
    await know(subject, 1)
    wanted = [Addressed(notice("a", payload=payload), [1]) for payload in (b"first", b"second")]
    kept = await subject.store.keep_notices(wanted)
    assert [[(each.payload, list(uids)) for each, uids in of.waiting] for of in kept] == [[(b"first", [1])]] * 2
    assert [each.payload for each in (await page(subject, 1)).notices] == [b"first"]
