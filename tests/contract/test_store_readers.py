"""IMessageStore: who has read a message, and who has sent what was read."""

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import NotFoundError, NotInGroupError
from imd.ports.messages import Span

from .subject import Subject


async def readers(subject: Subject, uid: int, group_id: str, seq_id: int) -> tuple[list[int], list[int]]:
    answer = await subject.store.readers(uid, group_id, seq_id)
    return list(answer.readers), list(answer.unreaders)


class TestReaders:
    @ensureDeferred
    async def test_who_has_read_up_to_it_or_past_it_is_a_reader(self, subject: Subject) -> None:
        group = await subject.group(1, 4, 3, 2)
        await subject.send_many(3, 1, group=group)
        for uid, read_seq in ((2, 3), (3, 4), (4, 2)):
            await subject.read(uid, group, read_seq)
        for uid in (1, 2):
            assert await readers(subject, uid, group, 3) == ([2, 3], [4])
        assert await readers(subject, 1, group, 4) == ([3], [2, 4])

    @ensureDeferred
    async def test_the_sender_and_who_can_not_see_it_are_left_out(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 4, 5)
        await subject.send(2, group=group)
        await subject.quit(group, 3)
        await subject.invite(group, 1, 6)
        await subject.store.clear(5, group, 2)
        assert await readers(subject, 1, group, 2) == ([], [1, 4])
        assert await readers(subject, 1, group, 4) == ([], [2, 4, 5, 6])

    @ensureDeferred
    async def test_in_a_single_chat_it_is_the_other_one(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        assert await readers(subject, 1, "1_2", 1) == ([], [2])
        await subject.read(2, "1_2", 1)
        assert await readers(subject, 1, "1_2", 1) == await readers(subject, 2, "1_2", 1) == ([2], [])

    @ensureDeferred
    async def test_what_is_outside_of_what_one_sees_is_not_found(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group)
        await subject.invite(group, 1, 3)
        await subject.store.clear(2, group, 1)
        for uid, seq_id in ((1, 0), (1, -1), (1, 4), (2, 1), (3, 2)):
            with pytest.raises(NotFoundError):
                await readers(subject, uid, group, seq_id)

    @ensureDeferred
    async def test_who_has_left_and_who_was_never_there_are_refused(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.quit(group, 2)
        for uid, group_id in ((2, group), (9, group), (1, "nowhere"), (1, "1_2")):
            with pytest.raises(NotInGroupError):
                await readers(subject, uid, group_id, 1)


@ensureDeferred
async def test_the_senders_of_a_span_are_those_after_its_begin_up_to_its_end(subject: Subject) -> None:
    group = await subject.group(1, 2, 3, 4)
    for sender in (2, 3, 3, 4):
        await subject.send(sender, group=group)
    await subject.send(2, to=1)
    spans = [Span(1, group, after, upto) for after, upto in ((0, 1), (1, 4), (2, 5), (5, 9), (3, 3))]
    found = await subject.store.senders([*spans, Span(1, "1_2", 0, 9), Span(1, "nowhere", 0, 9)])
    assert [set(senders) for senders in found] == [{1}, {2, 3}, {3, 4}, set(), set(), {2}, set()]
    assert list(await subject.store.senders([])) == []
