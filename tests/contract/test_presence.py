"""IPresence: at most one session for each (uid, client_type)."""

import itertools
from collections.abc import Mapping, Sequence

from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from imd.ports.presence import Entry, IPresence, Location

HERE, THERE = Location("imd1", "s1"), Location("imd2", "s2")
LAST = 999
"""Who comes last, so that what was told before is all there is."""


class Changes:
    """Who has changed, as presence tells it, be it at once or from another node."""

    def __init__(self, presence: IPresence) -> None:
        self._presence = presence
        self._uids: list[int] = []
        self._complete: Deferred[None] = Deferred()
        self._client_types = itertools.count()
        presence.on_change(self._changed)

    async def told(self) -> list[int]:
        """Return what has been told since this was last asked."""
        await self._presence.login(LAST, next(self._client_types), THERE)  # the last that is told from that node
        await self._complete
        self._complete, uids, self._uids = Deferred(), self._uids, []
        return uids

    def _changed(self, uid: int) -> None:
        if uid == LAST:
            self._complete.callback(None)
        else:
            self._uids.append(uid)


def test_the_implementation_provides_the_port(presence: IPresence) -> None:
    assert verifyObject(IPresence, presence)


@ensureDeferred
async def test_who_has_not_logged_in_is_nowhere(presence: IPresence) -> None:
    assert await presence.locations(1) == {}


@ensureDeferred
async def test_the_first_login_replaces_nobody(presence: IPresence) -> None:
    assert await presence.login(1, 11, HERE) is None
    assert await presence.locations(1) == {11: HERE}


@ensureDeferred
async def test_a_newer_login_of_the_same_kind_replaces_the_older_and_names_it(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    assert await presence.login(1, 11, THERE) == HERE
    assert await presence.locations(1) == {11: THERE}


@ensureDeferred
async def test_devices_of_other_kinds_and_other_users_stand_beside_it(presence: IPresence) -> None:
    assert await presence.login(1, 11, HERE) is None
    assert await presence.login(1, 20, THERE) is None
    assert await presence.login(2, 11, THERE) is None
    assert await presence.locations(1) == {11: HERE, 20: THERE}
    assert await presence.locations(2) == {11: THERE}


@ensureDeferred
async def test_a_logout_frees_the_place(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    await presence.login(1, 20, THERE)
    await presence.logout(1, 11, HERE)
    assert await presence.locations(1) == {20: THERE}
    await presence.logout(1, 20, THERE)
    assert await presence.locations(1) == {}
    assert await presence.login(1, 11, THERE) is None


@ensureDeferred
async def test_the_logout_of_a_replaced_session_leaves_the_newer_one(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    await presence.login(1, 11, THERE)
    await presence.logout(1, 11, HERE)
    assert await presence.locations(1) == {11: THERE}


@ensureDeferred
async def test_a_logout_of_who_is_not_here_does_nothing(presence: IPresence) -> None:
    await presence.logout(1, 11, HERE)
    await presence.login(1, 11, HERE)
    await presence.logout(1, 20, HERE)
    await presence.logout(2, 11, HERE)
    assert await presence.locations(1) == {11: HERE}


@ensureDeferred
async def test_what_was_returned_does_not_change_afterwards(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    before = await presence.locations(1)
    await presence.login(1, 20, THERE)
    assert dict(before) == {11: HERE}


@ensureDeferred
async def test_client_types_are_told_ascending_for_each_user_asked_for(presence: IPresence) -> None:
    await presence.login(1, 20, HERE)
    await presence.login(1, 11, THERE)
    await presence.login(1, 0, HERE)
    await presence.login(2, 30, HERE)
    await presence.login(4, 11, HERE)
    found = await presence.client_types([2, 3, 1])
    assert {uid: list(kinds) for uid, kinds in found.items()} == {1: [0, 11, 20], 2: [30], 3: []}


@ensureDeferred
async def test_who_has_logged_out_has_no_client_types(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    await presence.logout(1, 11, HERE)
    assert [list(kinds) for kinds in (await presence.client_types([1])).values()] == [[]]


@ensureDeferred
async def test_nobody_asked_for_is_nobody_told(presence: IPresence) -> None:
    assert dict(await presence.client_types([])) == {}


@ensureDeferred
async def test_the_nodes_are_told_of_those_who_are_online(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    await presence.login(1, 20, THERE)
    await presence.login(2, 11, THERE)
    await presence.login(3, 11, HERE)
    await presence.login(3, 20, HERE)
    await presence.login(4, 11, HERE)
    await presence.logout(4, 11, HERE)
    found = await presence.nodes([1, 2, 3, 4, 5])
    assert {uid: set(nodes) for uid, nodes in found.items()} == {1: {"imd1", "imd2"}, 2: {"imd2"}, 3: {"imd1"}}


@ensureDeferred
async def test_of_nobody_asked_for_there_are_no_nodes(presence: IPresence) -> None:
    assert dict(await presence.nodes([])) == {}


@ensureDeferred
async def test_presence_can_be_used(presence: IPresence) -> None:
    assert presence.is_connected


@ensureDeferred
async def test_who_is_registered_anew_has_lost_nothing(presence: IPresence) -> None:
    await presence.login(1, 11, HERE)
    assert list(await presence.register([Entry(1, 11, HERE.session_id)])) == []
    assert await presence.locations(1) == {11: HERE}
    assert list(await presence.check()) == []


@ensureDeferred
async def test_every_new_client_type_is_a_change_and_every_one_that_goes(presence: IPresence) -> None:
    changes = Changes(presence)
    await presence.login(1, 11, HERE)
    assert await changes.told() == [1]
    await presence.login(2, 11, HERE)
    await presence.login(1, 20, THERE)
    assert sorted(await changes.told()) == [1, 2]
    await presence.logout(2, 11, HERE)
    assert await changes.told() == [2]
    await presence.logout(1, 11, HERE)
    assert await changes.told() == [1]
    await presence.logout(1, 20, THERE)
    assert await changes.told() == [1]


@ensureDeferred
async def test_a_login_that_replaces_one_of_the_same_kind_is_no_change(presence: IPresence) -> None:
    changes = Changes(presence)
    await presence.login(1, 11, HERE)
    assert await changes.told() == [1]
    await presence.login(1, 11, THERE)
    assert await changes.told() == []


@ensureDeferred
async def test_a_logout_that_takes_nobody_out_is_no_change(presence: IPresence) -> None:
    changes = Changes(presence)
    await presence.login(1, 11, HERE)
    await presence.login(1, 11, THERE)
    assert await changes.told() == [1]
    await presence.logout(1, 11, HERE)
    await presence.logout(1, 20, THERE)
    await presence.logout(2, 11, THERE)
    assert await changes.told() == []


@ensureDeferred
async def test_who_asks_when_told_of_a_change_finds_it(presence: IPresence) -> None:
    asking: list[Deferred[Mapping[int, Sequence[int]]]] = [Deferred(), Deferred()]
    waiting = iter(asking)

    def changed(uid: int) -> None:
        Deferred.fromCoroutine(presence.client_types([uid])).chainDeferred(next(waiting))

    presence.on_change(changed)
    await presence.login(1, 11, HERE)
    assert await asking[0] == {1: [11]}
    await presence.logout(1, 11, HERE)
    assert await asking[1] == {1: []}
