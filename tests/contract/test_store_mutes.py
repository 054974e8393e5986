"""IGroupStore: who is muted, and until when."""

from pytest_twisted import ensureDeferred

from imd.ports.groups import Group, GroupChange

from .subject import START, Subject


def mute(uid: int, until: int) -> GroupChange:
    return GroupChange(op="mute", uids=(uid,), value=str(until), mutes={uid: until})


def mute_all(until: int) -> GroupChange:
    return GroupChange(op="mute", value=str(until), fields={"mute_until": until})


async def shown(subject: Subject, uid: int, group: str) -> list[int]:
    """Return until when a member is muted, as it is shown to them, to who asks by id, and among the members."""
    (listed,) = (g for g in (await subject.store.conversations(uid, "", 50, 0)).groups if g.group_id == group)
    (member,) = (m for m in (await subject.store.members(1, group, "", 50)).members if m.uid == uid)
    return [listed.mute_until, (await subject.view(uid, group)).mute_until, member.mute_until]


@ensureDeferred
async def test_a_mute_is_shown_while_it_holds(subject: Subject) -> None:
    group = await subject.group(1, 2, 3)
    await subject.change(group, 1, mute(2, START + 1000))
    subject.time.ms += 999
    assert await shown(subject, 2, group) == [START + 1000] * 3
    assert await shown(subject, 3, group) == [0] * 3
    subject.time.ms += 1
    assert await shown(subject, 2, group) == [0] * 3


@ensureDeferred
async def test_a_mute_can_be_lifted(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.change(group, 1, mute(2, START + 1000))
    await subject.change(group, 1, mute(2, 0))
    assert await shown(subject, 2, group) == [0] * 3


@ensureDeferred
async def test_a_mute_of_everybody_is_shown_while_it_holds(subject: Subject) -> None:
    group = await subject.group(1, 2)
    assert (await subject.view(2, group)).mute_all == 0
    changed = await subject.change(group, 1, mute_all(START + 1000))
    assert (changed.mute_all, (await subject.view(2, group)).mute_all) == (1, 1)
    subject.time.ms += 999
    assert (await subject.store.conversations(2, "", 50, 0)).groups[0].mute_all == 1
    subject.time.ms += 1
    assert (await subject.store.conversations(2, "", 50, 0)).groups[0].mute_all == 0
    assert (await subject.view(2, group)).mute_all == 0


@ensureDeferred
async def test_who_decides_sees_every_mute_and_the_time(subject: Subject) -> None:
    group = await subject.group(1, 2, 3)
    await subject.change(group, 1, mute(2, START + 1000))
    await subject.change(group, 1, mute_all(START + 2000))
    subject.time.ms += 5000
    seen: list[Group] = []
    await subject.change(group, 1, lambda found: seen.append(found))
    assert [(found.mute_until, found.now) for found in seen] == [(START + 2000, START + 5000)]
    assert [member.mute_until for member in seen[0].members.values()] == [0, START + 1000, 0]


@ensureDeferred
async def test_who_leaves_and_comes_back_stays_muted(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.change(group, 1, mute(2, START + 1000))
    await subject.quit(group, 2)
    await subject.invite(group, 1, 2)
    assert await shown(subject, 2, group) == [START + 1000] * 3
    members = (await subject.send(1, group=group)).members
    assert members is not None
    assert dict(members.mutes) == {2: START + 1000}


@ensureDeferred
async def test_who_is_out_is_among_the_muted_no_longer(subject: Subject) -> None:
    group = await subject.group(1, 2)
    await subject.change(group, 1, mute(2, START + 1000))
    await subject.quit(group, 2)
    members = (await subject.send(1, group=group)).members
    assert members is not None
    assert dict(members.mutes) == {}
