"""Users on two devices each."""

from itertools import chain
from typing import NamedTuple

from imd.wire.bodies import GroupCreate

from .device import Device


class User(NamedTuple):
    """A user's two devices."""

    phone: Device
    desk: Device

    @property
    def uid(self) -> int:
        """Who it is."""
        return self.phone.uid


Three = tuple[User, User, User]


async def make_group(owner: User, *others: User, join_policy: int = 0, uids: tuple[int, ...] = ()) -> str:
    """Make a group of these and of ``uids``, who never log in; every device has heard of it, and nothing else waits."""
    member_ids = [*(other.uid for other in others), *uids]
    request = GroupCreate(group_name="Tea", member_ids=member_ids, join_policy=join_policy)
    group_id: str = (await owner.desk.request(request)).groups[0].group_id
    await hear_op("create", owner, *others)
    return group_id


async def hear_op(op: str, *users: User) -> None:
    """Let every device hear this control message, and nothing beside it."""
    for device in chain(*users):
        await device.hear_op(op)
        assert await device.heard_all()


async def hear(text: str, *devices: Device) -> None:
    """Let every device hear this text, and nothing beside it."""
    for device in devices:
        assert (await device.hear()).msg_body == text
        assert await device.heard_all()


async def catch_up(*users: User) -> None:
    """Let every device take what has come."""
    for device in chain(*users):
        await device.catch_up()
