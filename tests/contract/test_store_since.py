"""IConversationStore: LIST_GROUP with since. What counts as a change of a conversation, and for whom."""

from collections.abc import Awaitable, Callable

import pytest
from pytest_twisted import ensureDeferred

from imd.ports.groups import GroupChange
from imd.wire.bodies import ImGroup

from .subject import Subject

MINUTE = 60_000


async def changed_by(subject: Subject, change: Callable[[], Awaitable[object]], *uids: int) -> list[list[str]]:
    """Return what has changed for each of ``uids`` by this."""
    subject.time.ms += MINUTE
    for uid in uids:
        assert await subject.changed(uid) == []
    await change()
    return [await subject.changed(uid) for uid in uids]


class TestMessages:
    @ensureDeferred
    async def test_a_message_is_a_change_for_everybody_in_the_conversation(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        await subject.send(1, to=2)
        assert await changed_by(subject, lambda: subject.send(1, group=group), 1, 2) == [[group], [group]]

    @ensureDeferred
    async def test_a_message_that_is_taken_back_is_too(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        assert await changed_by(subject, lambda: subject.revoke("1_2", "m", 1), 1, 2) == [["1_2"], ["1_2"]]

    @ensureDeferred
    async def test_a_repeat_is_none(self, subject: Subject) -> None:
        await subject.send(1, to=2, msg_id="m")
        assert await changed_by(subject, lambda: subject.send(1, to=2, msg_id="m"), 1, 2) == [[], []]

    @pytest.mark.parametrize("what", ["hide", "clear"])
    @ensureDeferred
    async def test_a_deletion_is_a_change_for_who_deletes(self, subject: Subject, what: str) -> None:
        group = await subject.group(1, 2)
        await subject.ack(2, group, (1, 1))
        seqs = {"hide": [1], "clear": 1}[what]
        changed = await changed_by(subject, lambda: getattr(subject.store, what)(2, group, seqs), 1, 2)
        assert changed == [[], [group]]

    @pytest.mark.parametrize("what", ["hide", "clear"])
    @ensureDeferred
    async def test_a_deletion_by_which_a_message_has_reached_the_peer_is_one_for_both(
        self, subject: Subject, what: str
    ) -> None:
        await subject.send_many(2, 1, to=2)
        seqs = {"hide": [1], "clear": 1}[what]
        changed = await changed_by(subject, lambda: getattr(subject.store, what)(2, "1_2", seqs), 1, 2)
        assert changed == [["1_2"], ["1_2"]]
        assert (await subject.view(1, "1_2")).peer_receive_seq == 1


class TestWatermarks:
    @ensureDeferred
    async def test_an_ack_in_a_single_chat_is_a_change_for_both(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.send(1, to=3)
        assert await changed_by(subject, lambda: subject.ack(2, "1_2", (1, 1)), 1, 2, 3) == [["1_2"], ["1_2"], []]

    @ensureDeferred
    async def test_a_read_mark_in_a_single_chat_is_one_for_both(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        await subject.ack(2, "1_2", (1, 1))
        assert await changed_by(subject, lambda: subject.read(2, "1_2", 1), 1, 2) == [["1_2"], ["1_2"]]

    @ensureDeferred
    async def test_in_a_group_it_is_one_for_its_user_alone(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        assert await changed_by(subject, lambda: subject.ack(2, group, (1, 1)), 1, 2) == [[], [group]]
        assert await changed_by(subject, lambda: subject.read(2, group, 1), 1, 2) == [[], [group]]


class TestSettings:
    @ensureDeferred
    async def test_a_setting_is_a_change_for_who_sets_it(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        changed = await changed_by(subject, lambda: subject.store.set_conversation(2, "1_2", {"is_top": 1}), 1, 2)
        assert changed == [[], ["1_2"]]

    @ensureDeferred
    async def test_what_is_set_already_is_none(self, subject: Subject) -> None:
        await subject.send(1, to=2)
        changed = await changed_by(subject, lambda: subject.store.set_conversation(2, "1_2", {"is_top": 0}), 2)
        assert changed == [[]]


class TestMembership:
    @ensureDeferred
    async def test_leaving_is_a_change_and_what_comes_afterwards_is_none(self, subject: Subject) -> None:
        group = await subject.group(1, 2)
        assert await changed_by(subject, lambda: subject.quit(group, 2), 1, 2) == [[group], [group]]
        (view,) = (await subject.store.conversations(2, "", 10, subject.time.ms)).groups
        assert view.is_quit == 1
        assert await changed_by(subject, lambda: subject.send(1, group=group), 1, 2) == [[group], []]

    @ensureDeferred
    async def test_coming_in_is_a_change(self, subject: Subject) -> None:
        group = await subject.group(1)
        assert await changed_by(subject, lambda: subject.invite(group, 1, 2), 1, 2) == [[group], [group]]

    @pytest.mark.parametrize(
        "change",
        [
            GroupChange(op="mute", uids=(2,), mutes={2: 2**62}),
            GroupChange(op="role", uids=(2,), roles={2: 2}),
            GroupChange(op="update", value="group_name", fields={"group_name": "Coffee"}),
            GroupChange(op="mute", fields={"mute_until": 2**62}),
        ],
        ids=["a mute", "a role", "a name", "a mute of all"],
    )
    @ensureDeferred
    async def test_what_changes_in_a_group_is_a_change_for_all_its_members(
        self, subject: Subject, change: GroupChange
    ) -> None:
        group = await subject.group(1, 2, 3)
        await subject.quit(group, 3)

        async def apply() -> ImGroup:
            return await subject.change(group, 1, change)

        assert await changed_by(subject, apply, 1, 2, 3) == [[group], [group], []]
