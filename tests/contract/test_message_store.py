"""IMessageStore: storing messages. Seqs without a gap, repeats, refusals that stay alone, and order (rules 2 to 5)."""

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults
from zope.interface import Interface
from zope.interface.verify import verifyObject

from imd.errors import ConflictError, NotInGroupError, RefusedError, UnavailableError
from imd.ports.conversations import IConversationStore
from imd.ports.groups import GroupChange, IGroupStore
from imd.ports.messages import IMessageStore, Members, Stored
from imd.ports.notices import INoticeStore
from imd.ports.retention import IRetentionStore
from imd.ports.users import IUserStore
from imd.wire.bodies import ImMsg

from .subject import START, Subject, seqs


@pytest.mark.parametrize(
    "port", [IMessageStore, IGroupStore, IConversationStore, INoticeStore, IUserStore, IRetentionStore]
)
@ensureDeferred
async def test_the_implementation_provides_the_port(subject: Subject, port: type[Interface]) -> None:
    assert verifyObject(port, subject.store)


@ensureDeferred
async def test_seqs_count_from_one_without_a_gap_in_each_group(subject: Subject) -> None:
    group = await subject.group(1, 2)
    for seq_id in range(1, 4):
        assert (await subject.send(1, to=2)).message.seq_id == seq_id
        assert (await subject.send(2, group=group)).message.seq_id == seq_id + 1  # after the control message
        assert (await subject.send(1, to=3)).message.seq_id == seq_id


@ensureDeferred
async def test_both_sides_of_a_single_chat_count_together(subject: Subject) -> None:
    assert [(await subject.send(a, to=b)).message.seq_id for a, b in ((1, 2), (2, 1), (1, 2))] == [1, 2, 3]


@ensureDeferred
async def test_what_is_stored_is_what_was_sent_and_what_the_store_fills(subject: Subject) -> None:
    given: dict[str, Any] = {
        "msg_id": "m1",
        "msg_type": 4,
        "msg_body": "你好 👋",
        "sender_name": "Ann",
        "sender_remark": "r",
        "extra": '{"a": 1}',
        "attach_id": 2**63 - 1,
        "attach_type": 6,
        "attach_name": "n",
        "attach_url": "u",
        "attach_size": 2**40,
        "whether_non_count": 1,
        "at_uids": [0, 2**63 - 1],
    }
    submission = subject.message(1, to=2, text="", msg_id="m1")
    submission.message.MergeFrom(ImMsg(**given))
    outcome = await subject.put(submission)
    assert isinstance(outcome, Stored)
    assert outcome.receivers == (2,)
    filled = {
        "sender_id": 1,
        "group_id": "1_2",
        "group_type": 1,
        "receiver_id": 2,
        "seq_id": 1,
        "send_time": START,
    }
    (pulled,) = (await subject.pull(1, "1_2")).messages
    assert outcome.message == pulled == ImMsg(**given, **filled)


@ensureDeferred
async def test_a_message_of_a_group_carries_the_groups_name(subject: Subject) -> None:
    group = await subject.group(1, 2, group_name="Tea")
    stored = await subject.send(1, group=group)
    assert (stored.message.group_name, stored.message.receiver_id) == ("Tea", 0)
    (pulled,) = (await subject.pull(2, group, after=1)).messages
    assert (pulled.group_name, pulled.receiver_id) == ("Tea", 0)


@ensureDeferred
async def test_an_empty_text_and_the_longest_are_kept(subject: Subject) -> None:
    for text in ("", "x" * 65_536, "é" * 30_000):
        await subject.send(1, to=2, text=text)
    assert [m.msg_body for m in (await subject.pull(2, "1_2")).messages] == ["", "x" * 65_536, "é" * 30_000]


@ensureDeferred
async def test_the_largest_uids_can_talk(subject: Subject) -> None:
    stored = await subject.send(2**63 - 1, to=2**63 - 2)
    assert stored.receivers == (2**63 - 2,)
    assert await subject.inbox(2**63 - 2) == [(stored.message.group_id, 1)]


@ensureDeferred
async def test_a_chat_with_oneself_has_no_receivers(subject: Subject) -> None:
    assert tuple((await subject.send(5, to=5)).receivers) == ()
    assert await subject.pulled(5, "5_5") == [1]
    assert await subject.inbox(5) == []
    assert (await subject.view(5, "5_5")).unread == 0


@ensureDeferred
async def test_send_time_never_falls_even_if_the_clock_does(subject: Subject) -> None:
    first = await subject.send(1, to=2)
    subject.time.ms -= 5000
    second = await subject.send(1, to=2)
    subject.time.ms += 6000
    third = await subject.send(1, to=2)
    times = [stored.message.send_time for stored in (first, second, third)]
    assert times == sorted(times)
    assert times[2] == START + 1000


@ensureDeferred
async def test_all_of_one_turn_is_one_batch_and_keeps_its_order(subject: Subject) -> None:
    group = await subject.group(1, 2)
    subject.batches.clear()
    messages = [
        subject.message(uid, text=str(number), **where)
        for number, (uid, where) in enumerate([(1, {"to": 2}), (2, {"group": group}), (1, {"group": group})] * 5)
    ]
    await subject.put_all(*messages)
    (batch,) = subject.batches
    assert [committed.submission for committed in batch] == messages
    texts = [message.msg_body for message in (await subject.pull(1, group, after=1)).messages]
    assert texts == [str(number) for number in range(15) if number % 3]


@ensureDeferred
async def test_a_batch_is_told_in_the_order_of_its_commit_before_changes_are_answered(subject: Subject) -> None:
    group = await subject.group(1, 2)
    told: list[str] = []
    messages = [subject.put(subject.message(1, group=group)) for _ in range(2)]
    change = subject.invite(group, 1, 3)
    later = subject.put(subject.message(1, group=group))
    for number, outcome in enumerate([*messages, later]):
        outcome.addCallback(lambda outcome, number=number: told.append(f"message {number}") or outcome)
    change.addCallback(lambda _: told.append("change"))
    await gatherResults([*messages, later, change])
    assert told == ["message 0", "message 1", "message 2", "change"]
    kinds = [outcome.message.msg_type for _, outcome in subject.batches[-1] if isinstance(outcome, Stored)]
    assert kinds == [1, 1, 100, 1]


class TestRepeats:
    """Rule 3."""

    @ensureDeferred
    async def test_the_same_again_returns_the_first_seq_and_time_and_stores_nothing(self, subject: Subject) -> None:
        first = await subject.send(1, to=2, msg_id="m")
        subject.time.ms += 60_000
        again = await subject.send(1, to=2, msg_id="m")
        assert again.repeated
        assert not first.repeated
        assert (again.message.seq_id, again.message.send_time) == (1, START)
        assert again.message.msg_body == "hi"
        assert await subject.pulled(1, "1_2") == [1]
        assert (await subject.send(1, to=2)).message.seq_id == 2

    @ensureDeferred
    async def test_it_is_for_the_receivers_whose_inbox_still_holds_it(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3, 4)
        await subject.send(1, group=group, msg_id="m")
        await subject.ack(3, group, (2, 2))
        assert sorted((await subject.send(1, group=group, msg_id="m")).receivers) == [2, 4]
        for uid in (2, 4):
            await subject.ack(uid, group, (0, 2))
        assert list((await subject.send(1, group=group, msg_id="m")).receivers) == []

    @ensureDeferred
    async def test_other_content_is_a_conflict(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        with pytest.raises(ConflictError):
            await subject.send(1, to=2, msg_id="m", text="ho")
        assert await subject.pulled(1, "1_2") == [1]

    @ensureDeferred
    async def test_another_sender_is_a_conflict(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="m")
        with pytest.raises(ConflictError):
            await subject.send(2, group=group, msg_id="m")

    @ensureDeferred
    async def test_a_control_message_can_not_be_repeated_by_a_client(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        (control,) = (await subject.pull(1, group)).messages
        for uid in (1, 2):
            with pytest.raises(ConflictError):
                await subject.send(uid, group=group, msg_id=control.msg_id, text=control.msg_body)

    @ensureDeferred
    async def test_in_another_group_the_id_is_free(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        assert not (await subject.send(1, to=3, msg_id="m", text="ho")).repeated

    @ensureDeferred
    async def test_it_holds_within_one_batch(self, subject: Subject) -> None:
        outcomes = await subject.put_all(
            subject.message(1, to=2, msg_id="a"),
            subject.message(1, to=2, msg_id="b"),
            subject.message(1, to=2, msg_id="a"),
            subject.message(1, to=2, msg_id="b", text="other"),
            subject.message(1, to=2, msg_id="c"),
        )
        assert seqs(outcomes) == [1, 2, 1, ConflictError, 3]
        assert [outcome.repeated for outcome in outcomes if isinstance(outcome, Stored)] == [False, False, True, False]
        assert await subject.pulled(2, "1_2") == [1, 2, 3]
        assert await subject.inbox_of(2, "1_2") == [1, 2, 3]

    @ensureDeferred
    async def test_it_holds_across_a_restart(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        await subject.reopen()
        assert (await subject.send(1, to=2, msg_id="m")).repeated
        with pytest.raises(ConflictError):
            await subject.send(1, to=2, msg_id="m", text="ho")

    @ensureDeferred
    async def test_a_repeat_after_leaving_is_still_answered_with_the_first(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(2, group=group, msg_id="m")
        await subject.quit(group, 2)
        assert (await subject.send(2, group=group, msg_id="m")).message.seq_id == 2


class TestRefusals:
    """A message that can't be stored fails alone."""

    @ensureDeferred
    async def test_who_is_not_in_the_group_is_refused(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        with pytest.raises(NotInGroupError):
            await subject.send(9, group=group)

    @ensureDeferred
    async def test_a_group_that_is_not_there_is_refused_in_the_same_way(self, subject: Subject) -> None:
        for group_id in ("nowhere", "g\0x", "é", '"', "g' OR '1'='1"):
            with pytest.raises(NotInGroupError):
                await subject.send(1, group=group_id)

    @ensureDeferred
    async def test_an_id_that_begins_as_a_groups_does_is_not_that_group(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        other = f"{group}\0x"
        for turn in ([other], [other, other, group], [group, other, other]):
            outcomes = await subject.put_all(*(subject.message(1, group=group_id) for group_id in turn))
            refused = [isinstance(outcome, NotInGroupError) for outcome in outcomes]
            assert refused == [group_id == other for group_id in turn]
        with pytest.raises(NotInGroupError):
            await subject.send(1, group=other, msg_type=99)
        assert (await subject.view(1, group)).max_seq == 3
        assert await subject.pulled(2, group) == [1, 2, 3]

    @ensureDeferred
    async def test_refusals_in_the_middle_of_a_batch_leave_no_gap_and_harm_nobody(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, group=group, msg_id="taken")
        outcomes = await subject.put_all(
            subject.message(1, group=group),
            subject.message(9, group=group),
            subject.message(2, group=group),
            subject.message(1, group=group, msg_id="taken", text="other"),
            subject.message(1, group="nowhere"),
            subject.message(2, group=group),
            subject.message(1, to=2),
        )
        assert seqs(outcomes) == [3, NotInGroupError, 4, ConflictError, NotInGroupError, 5, 1]
        assert (await subject.view(1, group)).max_seq == 5
        assert await subject.pulled(1, group) == [1, 2, 3, 4, 5]
        assert (await subject.send(1, group=group)).message.seq_id == 6

    @ensureDeferred
    async def test_refusals_alone_leave_no_gap_either(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        outcomes = await subject.put_all(*(subject.message(9, group=group) for _ in range(3)))
        assert seqs(outcomes) == [NotInGroupError] * 3
        assert (await subject.send(1, group=group)).message.seq_id == 2

    @ensureDeferred
    async def test_who_is_refused_does_not_move_the_group_in_its_members_lists(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.time.ms += 60_000
        await subject.send(1, to=2)
        subject.time.ms += 60_000
        for _ in range(2):
            with pytest.raises(NotInGroupError):
                await subject.send(9, group=group)
        page = await subject.store.conversations(1, "", 10, 0)
        assert [view.group_id for view in page.groups] == ["1_2", group]
        assert (await subject.store.conversations(1, "", 10, subject.time.ms)).groups == []

    @ensureDeferred
    async def test_a_refusal_beside_a_message_that_is_stored_counts_as_its_time(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        subject.time.ms += 60_000
        await subject.put_all(subject.message(9, group=group), subject.message(1, group=group))
        (view,) = (await subject.store.conversations(1, "", 10, subject.time.ms)).groups
        assert view.last_message.send_time == subject.time.ms

    @ensureDeferred
    async def test_an_error_that_nobody_foresaw_is_told_to_its_sender_alone(self, subject: Subject) -> None:
        bad = subject.message(1, to=2)
        bad = bad._replace(digest=object())  # type: ignore[arg-type]
        outcomes = await subject.put_all(subject.message(1, to=2), bad, subject.message(1, to=2))
        assert seqs(outcomes) == [1, RefusedError, 2]
        assert "log" in str(outcomes[1])
        assert await subject.pulled(2, "1_2") == [1, 2]


class TestMembership:
    """Rule 9: checked against the database's version, not a stale cache."""

    @ensureDeferred
    async def test_what_the_cache_did_not_hold_is_told(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        members = (await subject.send(1, group=group)).members
        assert members is not None
        assert dict(members.roles) == {1: 1, 2: 3, 3: 3}

    @ensureDeferred
    async def test_a_cache_that_is_right_is_believed_and_not_reloaded(self, subject: Subject) -> None:
        group = await subject.group(1, 2, 3)
        members = (await subject.send(1, group=group)).members
        stored = await subject.send(1, group=group, members=members)
        assert stored.members is None
        assert sorted(stored.receivers) == [2, 3]

    @ensureDeferred
    async def test_a_stale_cache_is_noticed_by_its_version_and_reloaded(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        stale = (await subject.send(1, group=group)).members
        await subject.invite(group, 1, 3)
        stored = await subject.send(1, group=group, members=stale)
        assert sorted(stored.receivers) == [2, 3]
        assert stored.members is not None
        assert sorted(stored.members.roles) == [1, 2, 3]

    @ensureDeferred
    async def test_who_has_left_is_refused_whatever_the_cache_says(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        stale = (await subject.send(1, group=group)).members
        await subject.quit(group, 2)
        with pytest.raises(NotInGroupError):
            await subject.send(2, group=group, members=stale)
        assert list((await subject.send(1, group=group, members=stale)).receivers) == []

    @ensureDeferred
    async def test_a_cache_of_another_version_is_never_believed(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        with pytest.raises(NotInGroupError):
            await subject.send(9, group=group, members=Members(0, {9: 3}, {}, 0))
        with pytest.raises(NotInGroupError):
            await subject.send(9, group=group, members=Members(10**6, {9: 3}, {}, 0))

    @ensureDeferred
    async def test_a_quit_between_two_sends_of_one_batch_is_between_them(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        cached = (await subject.send(1, group=group)).members
        before = subject.put(subject.message(2, group=group, members=cached))
        left = subject.quit(group, 2)
        after = subject.put(subject.message(2, group=group, members=cached))
        others = subject.put(subject.message(1, group=group, members=cached))
        outcomes = [await outcome for outcome in (before, after, others)]
        assert (await left).max_seq == 4
        assert seqs(outcomes) == [3, NotInGroupError, 5]
        assert await subject.inbox_of(2, group) == [1, 2]
        assert await subject.pulled(2, group) == [1, 2, 3, 4]

    @ensureDeferred
    async def test_a_join_between_two_sends_of_one_batch_is_between_them(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        before = subject.put(subject.message(1, group=group))
        subject.change(group, 3, GroupChange(op="join", uids=(3,), join=(3,)))
        after = subject.put(subject.message(3, group=group))
        assert seqs([await before, await after]) == [2, 4]
        assert await subject.pulled(3, group) == [3, 4]
        assert await subject.inbox_of(3, group) == []
        assert await subject.inbox_of(2, group) == [1, 2, 3, 4]


@ensureDeferred
async def test_what_waits_is_bounded_in_bytes_and_let_go_by_its_commit(subject: Subject) -> None:
    await subject.reopen(max_pending_bytes=100_000)
    large = [subject.message(1, to=2, text="x" * 60_000)._replace(size=60_000) for _ in range(3)]
    waiting = subject.put(large[0])
    with pytest.raises(UnavailableError):
        subject.put(large[1])
    assert isinstance(await waiting, Stored)
    assert isinstance(await subject.put(large[2]), Stored)
