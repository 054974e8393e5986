"""IPresence: at most one session for each (uid, client_type)."""

from pytest_twisted import ensureDeferred
from zope.interface.verify import verifyObject

from imd.ports import IPresence, Location

HERE, THERE = Location("imd1", "s1"), Location("imd2", "s2")


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
