"""IConversationStore: what a user sets of a conversation."""

import pytest
from pytest_twisted import ensureDeferred

from imd.errors import NotInGroupError

from .subject import Subject


@ensureDeferred
async def test_what_is_set_is_shown_to_who_has_set_it(subject: Subject) -> None:
    await subject.send(1, to=2)
    await subject.store.set_conversation(2, "1_2", {"is_shield": 1, "is_top": 1})
    mine, theirs = await subject.view(2, "1_2"), await subject.view(1, "1_2")
    assert (mine.is_shield, mine.is_top, theirs.is_shield, theirs.is_top) == (1, 1, 0, 0)


@ensureDeferred
async def test_what_is_not_named_stays(subject: Subject) -> None:
    await subject.send(1, to=2)
    await subject.store.set_conversation(2, "1_2", {"is_shield": 1})
    for settings, is_shield, is_top in (({"is_top": 1}, 1, 1), ({"is_shield": 0}, 0, 1), ({"is_shield": 1}, 1, 1)):
        await subject.store.set_conversation(2, "1_2", settings)
        view = await subject.view(2, "1_2")
        assert (view.is_shield, view.is_top) == (is_shield, is_top)


@ensureDeferred
async def test_the_answer_is_the_conversation_where_something_changed(subject: Subject) -> None:
    await subject.send(1, to=2)
    changed = await subject.store.set_conversation(2, "1_2", {"is_top": 1, "is_shield": 0})
    assert (list(changed.groups), list(changed.messages)) == ([await subject.view(2, "1_2")], [])
    assert await subject.store.set_conversation(2, "1_2", {"is_top": 1}) is None
    assert await subject.store.set_conversation(2, "1_2", {"is_top": 1, "is_shield": 1}) is not None


@ensureDeferred
async def test_who_has_left_may_set_what_they_keep(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.quit(group, 2)
    await subject.store.set_conversation(2, group, {"is_shield": 1})
    view = await subject.view(2, group)
    assert (view.is_shield, view.is_quit) == (1, 1)


@ensureDeferred
async def test_what_is_set_stays_when_one_leaves_and_comes_back(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.store.set_conversation(2, group, {"is_top": 1})
    await subject.quit(group, 2)
    await subject.invite(group, 1, 2)
    assert (await subject.view(2, group)).is_top == 1


@ensureDeferred
async def test_the_broadcast_stream_can_be_set_as_any(subject: Subject) -> None:
    await subject.store.remember_user(2, "")
    await subject.store.set_conversation(2, "system", {"is_shield": 1})
    assert (await subject.view(2, "system")).is_shield == 1


@ensureDeferred
async def test_who_was_never_there_is_refused(subject: Subject) -> None:
    group = await subject.group(1, 2)
    for uid, group_id in ((9, group), (1, "nowhere"), (1, "1_2"), (9, "system")):
        with pytest.raises(NotInGroupError):
            await subject.store.set_conversation(uid, group_id, {"is_top": 1})
