"""IMessageStore: pulls in all their corners (rule 7)."""

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import NotInGroupError

from .subject import Subject


@ensureDeferred
async def test_a_pull_returns_the_newest_in_ascending_order(subject: Subject) -> None:
    await subject.send_many(10, 1, to=2)
    page = await subject.pull(2, "1_2", page_size=4)
    assert [message.seq_id for message in page.messages] == [7, 8, 9, 10]
    assert page.has_more


@ensureDeferred
async def test_page_after_page_returns_every_seq_once(subject: Subject) -> None:
    await subject.send_many(10, 1, to=2)
    before, found = 0, []
    while True:
        page = await subject.pull(2, "1_2", before=before, page_size=3)
        found = [message.seq_id for message in page.messages] + found
        if not page.has_more:
            break
        before = found[0]
    assert found == list(range(1, 11))


@ensureDeferred
async def test_both_ends_are_left_out(subject: Subject) -> None:
    await subject.send_many(10, 1, to=2)
    assert await subject.pulled(2, "1_2", after=3, before=7) == [4, 5, 6]
    assert await subject.pulled(2, "1_2", after=3, before=5) == [4]
    for after, before in ((3, 4), (3, 3), (5, 2), (10, 0), (11, 0), (0, 1), (2**63 - 1, 0)):
        page = await subject.pull(2, "1_2", after, before)
        assert (list(page.messages), page.has_more) == ([], False), (after, before)


@ensureDeferred
async def test_an_end_past_the_newest_means_the_newest(subject: Subject) -> None:
    await subject.send_many(3, 1, to=2)
    for before in (0, 4, 5, 2**63 - 1):
        assert await subject.pulled(2, "1_2", before=before) == [1, 2, 3]


@ensureDeferred
async def test_has_more_is_said_exactly_when_older_ones_remain_in_the_range(subject: Subject) -> None:
    await subject.send_many(10, 1, to=2)
    cases = {
        (0, 0, 10): False,
        (0, 0, 9): True,
        (0, 0, 11): False,
        (4, 9, 4): False,
        (4, 9, 3): True,
        (9, 0, 1): False,
        (8, 0, 1): True,
    }
    for (after, before, page_size), has_more in cases.items():
        assert (await subject.pull(2, "1_2", after, before, page_size)).has_more == has_more, (after, before, page_size)


@ensureDeferred
async def test_nothing_before_ones_own_time_in_the_group_is_returned(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.send_many(5, 1, group=group)
    await subject.invite(group, 1, 3)
    await subject.send_many(2, 1, group=group)
    view = await subject.view(3, group)
    assert view.init_seq == 6
    page = await subject.pull(3, group)
    assert [message.seq_id for message in page.messages] == [7, 8, 9]
    assert not page.has_more
    assert await subject.pulled(3, group, before=7) == []


@ensureDeferred
async def test_who_has_left_pulls_up_to_the_leaving_message_inclusive(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.send_many(3, 1, group=group)
    await subject.quit(group, 2)
    await subject.send_many(3, 1, group=group)
    assert await subject.pulled(2, group) == [1, 2, 3, 4, 5]
    assert await subject.pulled(2, group, after=3, before=100) == [4, 5]
    assert await subject.pulled(2, group, after=5) == []
    assert await subject.pulled(1, group) == list(range(1, 9))


@ensureDeferred
async def test_who_was_never_in_the_group_is_refused(subject: Subject) -> None:
    group = await subject.group(1, 2)
    for uid, group_id in ((9, group), (1, "nowhere"), (1, "1_2"), (9, "1_2"), (1, ""), (1, "g\0")):
        with pytest.raises(NotInGroupError):
            await subject.pull(uid, group_id)


@ensureDeferred
async def test_a_receiver_can_pull_before_they_have_said_a_word(subject: Subject) -> None:
    await subject.send(1, to=2)
    assert await subject.pulled(2, "1_2") == await subject.pulled(1, "1_2") == [1]


@ensureDeferred
async def test_the_status_says_whether_it_is_mine(subject: Subject) -> None:
    await subject.send(1, to=2)
    await subject.send(2, to=1)
    assert [message.status for message in (await subject.pull(1, "1_2")).messages] == [0, -4]
    assert [message.status for message in (await subject.pull(2, "1_2")).messages] == [-4, 0]


@ensureDeferred
async def test_a_page_that_would_pass_an_answer_stops_early_with_has_more(subject: Subject) -> None:
    await subject.reopen(max_body=200_000)
    await subject.send_many(8, 1, to=2, text="x" * 60_000)
    found: list[int] = []
    before = 0
    while True:
        page = await subject.pull(2, "1_2", before=before)
        assert page.ByteSize() <= 200_000
        assert page.messages
        found = [message.seq_id for message in page.messages] + found
        if not page.has_more:
            break
        before = found[0]
    assert found == list(range(1, 9))


@ensureDeferred
async def test_the_largest_message_fits_the_smallest_answer(subject: Subject) -> None:
    await subject.reopen(max_body=71_680)
    await subject.send_many(2, 1, to=2, text="x" * 69_000)
    page = await subject.pull(2, "1_2")
    assert [message.seq_id for message in page.messages] == [2]
    assert page.has_more
    assert page.ByteSize() <= 71_680


@ensureDeferred
async def test_history_is_there_after_a_restart(subject: Subject) -> None:
    await subject.send_many(3, 1, to=2)
    before = await subject.pull(2, "1_2")
    await subject.reopen()
    assert await subject.pull(2, "1_2") == before
    assert await subject.send_many(1, 1, to=2) == [4]
