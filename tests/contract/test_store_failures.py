"""IMessageStore: full, away, stopped. Nothing queues without end, and what works again needs no restart."""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from imd.errors import UnavailableError
from imd.ports.messages import OverdueCursor, Stored

from .subject import Place, Subject, seqs

LARGE = "x" * 60_000


class TestBounds:
    @ensureDeferred
    async def test_past_so_many_waiting_items_the_next_is_refused_at_once(self, subject: Subject) -> None:
        await subject.reopen(max_pending=5)
        waiting = [subject.put(subject.message(1, to=2)) for _ in range(5)]
        with pytest.raises(UnavailableError):
            subject.put(subject.message(1, to=2))
        with pytest.raises(UnavailableError):
            await subject.ack(2, "1_2", (1, 1))
        with pytest.raises(UnavailableError):
            await subject.settle()
        with pytest.raises(UnavailableError):
            await subject.create(1, 2)
        assert seqs([await outcome for outcome in waiting]) == [1, 2, 3, 4, 5]
        assert (await subject.send(1, to=2)).message.seq_id == 6

    @ensureDeferred
    async def test_past_so_many_waiting_bytes_the_next_message_is_refused_at_once(self, subject: Subject) -> None:
        await subject.reopen(max_pending_bytes=150_000)
        waiting = [subject.put(subject.message(1, to=2, text=LARGE)) for _ in range(2)]
        with pytest.raises(UnavailableError):
            subject.put(subject.message(1, to=2, text=LARGE))
        small = subject.put(subject.message(1, to=2))
        assert seqs([await outcome for outcome in (*waiting, small)]) == [1, 2, 3]
        for _ in range(5):
            await subject.send(1, to=2, text=LARGE)

    @ensureDeferred
    async def test_bytes_count_only_while_they_wait(self, subject: Subject) -> None:
        await subject.reopen(max_pending_bytes=150_000)
        subject.fill()
        for _ in range(3):
            outcomes = await subject.put_all(*(subject.message(1, to=2, text=LARGE) for _ in range(2)))
            assert seqs(outcomes) == [UnavailableError] * 2
        subject.empty()
        for _ in range(3):
            outcomes = await subject.put_all(
                subject.message(1, to=2, text=LARGE), subject.message(9, group="nowhere", text=LARGE)
            )
            assert [isinstance(outcome, Stored) for outcome in outcomes] == [True, False]


class TestFullDisk:
    @ensureDeferred
    async def test_senders_are_told_and_it_works_again_with_no_restart_when_there_is_room(
        self, subject: Subject
    ) -> None:
        await subject.send(1, to=2, msg_id="first")
        subject.fill()
        for _ in range(3):
            outcomes = await subject.put_all(*(subject.message(1, to=2, text=LARGE) for _ in range(4)))
            assert seqs(outcomes) == [UnavailableError] * 4
        with pytest.raises(UnavailableError):
            await subject.create(1, 2, extra=LARGE)
        assert await subject.pulled(2, "1_2") == [1]
        subject.empty()
        outcomes = await subject.put_all(*(subject.message(1, to=2, text=LARGE) for _ in range(4)))
        assert seqs(outcomes) == [2, 3, 4, 5]
        assert await subject.pulled(2, "1_2") == await subject.inbox_of(2, "1_2") == [1, 2, 3, 4, 5]

    @ensureDeferred
    async def test_nothing_of_a_batch_that_failed_is_stored(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.fill()
        small = subject.put(subject.message(1, group=group, msg_id="m"))
        joined = subject.invite(group, 1, 3)
        large = [subject.put(subject.message(1, group=group, text=LARGE)) for _ in range(4)]
        assert seqs([await outcome for outcome in (small, *large)]) == [UnavailableError] * 5
        with pytest.raises(UnavailableError):
            await joined
        subject.empty()
        assert (await subject.view(1, group)).max_seq == 1
        again = await subject.send(1, group=group, msg_id="m")
        assert (again.message.seq_id, again.repeated) == (2, False)
        assert list(again.receivers) == [2]

    @ensureDeferred
    async def test_what_was_stored_before_can_be_read_while_it_is_full(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        subject.fill()
        await subject.put_all(*(subject.message(1, to=2, text=LARGE) for _ in range(4)))
        assert await subject.pulled(2, "1_2") == [1]
        assert [group.group_id for group in (await subject.store.conversations(2, "", 10, 0)).groups] == ["1_2"]

    @ensureDeferred
    async def test_an_ack_that_could_not_be_stored_costs_a_repeated_push_and_no_more(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        subject.fill()
        acked = Deferred.fromCoroutine(subject.ack(2, "1_2", (1, 1)))
        large = [subject.put(subject.message(1, to=2, text=LARGE)) for _ in range(4)]
        assert seqs([await outcome for outcome in large]) == [UnavailableError] * 4
        with pytest.raises(UnavailableError):
            await acked
        assert await subject.inbox(2) == [("1_2", 1)]
        subject.empty()
        await subject.ack(2, "1_2", (1, 1))
        assert await subject.inbox(2) == []


class TestStopping:
    @ensureDeferred
    async def test_what_waits_is_stored_and_told_before_the_stop_is_done(self, subject: Subject) -> None:
        waiting = [subject.put(subject.message(1, to=2)) for _ in range(3)]
        group = Deferred.fromCoroutine(subject.create(1, 2))
        await subject.close()
        assert seqs([outcome.result for outcome in waiting]) == [1, 2, 3]
        assert group.called
        subject.open()
        assert await subject.pulled(2, "1_2") == [1, 2, 3]
        assert await subject.pulled(2, (await group).group_id) == [1]

    @ensureDeferred
    async def test_while_it_stops_nothing_new_is_taken(self, subject: Subject) -> None:
        store = subject.store
        waiting = subject.put(subject.message(1, to=2))
        closed = Deferred.fromCoroutine(subject.close())
        with pytest.raises(UnavailableError):
            store.append(subject.message(1, to=2))
        await closed
        assert isinstance(await waiting, Stored)

    @ensureDeferred
    async def test_a_reopened_store_keeps_everything(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, group_name="Tea", extra="e")
        await subject.send(1, group=group, text="hello", at_uids=[2])
        await subject.quit(group, 3)
        await subject.send(1, to=2)
        await subject.ack(2, group, (0, 2))

        async def everything() -> list[object]:
            return [
                *[await subject.store.conversations(uid, "", 10, 0) for uid in (1, 2, 3)],
                *[await subject.pull(uid, group) for uid in (1, 2, 3)],
                *[await subject.inbox(uid) for uid in (1, 2, 3)],
                await subject.store.members(1, group, "", 10),
            ]

        before = await everything()
        await subject.reopen()
        assert await everything() == before


@ensureDeferred
async def test_a_second_reader_sees_what_is_committed_at_once(subject: Subject, place: Place) -> None:
    other = Subject(place)
    other.open()
    try:
        for seq_id in range(1, 6):
            await subject.send(1, to=2)
            assert await other.pulled(2, "1_2") == list(range(1, seq_id + 1))
    finally:
        await other.close()


@ensureDeferred
async def test_two_nodes_that_write_into_one_group_leave_no_gap_and_no_double(subject: Subject, place: Place) -> None:
    group = await subject.group(1, 2)
    other = Subject(place)
    other.open()
    try:
        outcomes = []
        for number in range(10):
            turn = [
                node.put(node.message(1, group=group, msg_id=f"{name}{number}"))
                for name, node in (("a", subject), ("b", other))
            ]
            if number == 5:
                turn.append(subject.put(subject.message(1, group=group, msg_id="b0")))
            outcomes += [await outcome for outcome in turn]
        fresh = [o.message.seq_id for o in outcomes if isinstance(o, Stored) and not o.repeated]
        assert sorted(fresh) == list(range(2, 22))
        assert len(outcomes) == 21
        assert await other.pulled(2, group) == list(range(1, 22))
    finally:
        await other.close()


@ensureDeferred
async def test_a_reader_that_asks_for_nobody_gets_nothing(subject: Subject) -> None:
    assert list(await subject.store.overdue([], 0)) == []
    assert list(await subject.store.overdue([OverdueCursor(5)], 0)) == []
