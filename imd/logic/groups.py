"""The group commands: what each does is decided here and applied by the store in one transaction."""

from collections.abc import Callable, Iterable
from hashlib import blake2b

from imd.errors import BadRequestError, ForbiddenError, NotInGroupError, TooLargeError
from imd.logic.ids import check_uid, single_members
from imd.logic.rights import check_invite
from imd.ports import Decide, Group, GroupChange, IMessageStore, ISession, NewGroup
from imd.wire.bodies import (
    GroupCreate,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupQuit,
    UserData,
)
from imd.wire.enums import JoinPolicy, Quit, Role

MAX_NAME = 256
MAX_AVATAR = 1024
MAX_EXTRA = 4096
MEMBERS_PAGE = 100
MAX_MEMBERS_PAGE = 500


class Groups:
    """GROUP_CREATE, GROUP_INVITE, GROUP_JOIN, GROUP_QUIT and GROUP_MEMBERS.

    ``max_members`` bounds a group; ``new_id`` makes uuids for control messages and group ids.
    """

    def __init__(self, store: IMessageStore, max_members: int, new_id: Callable[[], str]) -> None:
        self._store = store
        self._max_members = max_members
        self._new_id = new_id

    async def create(self, session: ISession, request: GroupCreate) -> UserData:
        """Make a group; the same request_id again returns the first one."""
        check_text("group_name", request.group_name, MAX_NAME)
        check_text("avatar", request.avatar, MAX_AVATAR)
        check_text("extra", request.extra, MAX_EXTRA)
        check_text("request_id", request.request_id, MAX_NAME)
        if not request.group_name.strip():
            raise BadRequestError("group_name is empty")
        if request.join_policy not in list(JoinPolicy):
            raise BadRequestError(f"join_policy is {request.join_policy}; expected 0, 1 or 2")
        owner = session.uid
        member_ids = tuple(uid for uid in _uids(request.member_ids) if uid != owner)
        self._check_size(len(member_ids) + 1)
        new = NewGroup(
            group_id=self._group_id(owner, request.request_id),
            group_name=request.group_name,
            avatar=request.avatar,
            extra=request.extra,
            join_policy=request.join_policy,
            owner_id=owner,
            member_ids=member_ids,
        )
        return UserData(groups=[await self._store.create_group(new, owner, self._new_id())])

    async def invite(self, session: ISession, request: GroupInvite) -> UserData:
        """Bring users in; those who are in already stay as they are."""
        member_ids = _uids(request.member_ids)
        if not member_ids:
            raise BadRequestError("member_ids is empty")
        uid = session.uid

        def decide(group: Group) -> GroupChange | None:
            check_invite(group, uid)
            new = tuple(member for member in member_ids if member not in group.members)
            self._check_size(len(group.members) + len(new))
            return GroupChange(op="invite", uids=new, join=new) if new else None

        return await self._change(session, request.group_id, decide)

    async def join(self, session: ISession, request: GroupJoin) -> UserData:
        """Come into a group that is open."""
        uid = session.uid

        def decide(group: Group) -> GroupChange | None:
            if uid in group.members:
                return None
            if group.is_dismissed or group.join_policy == JoinPolicy.INVITATION:
                raise NotInGroupError(f"you are not in the group {group.group_id}; a member has to invite you")
            if group.join_policy == JoinPolicy.APPROVAL:
                raise ForbiddenError("the owner or an admin of this group has to approve: ask them to invite you")
            self._check_size(len(group.members) + 1)
            return GroupChange(op="join", uids=(uid,), join=(uid,))

        return await self._change(session, request.group_id, decide)

    async def quit(self, session: ISession, request: GroupQuit) -> UserData:
        """Leave a group; an owner hands it over, the last one dismisses it."""
        uid = session.uid

        def decide(group: Group) -> GroupChange | None:
            if uid not in group.members:
                return None
            left = {uid: int(Quit.LEFT)}
            if len(group.members) == 1:
                return GroupChange(op="quit", uids=(uid,), leave=left, fields={"owner_id": 0, "is_dismissed": 1})
            if uid != group.owner_id:
                return GroupChange(op="quit", uids=(uid,), leave=left)
            heir = _heir(group)
            return GroupChange(
                op="quit",
                uids=(uid,),
                value=str(heir),
                leave=left,
                roles={heir: int(Role.OWNER)},
                fields={"owner_id": heir},
            )

        return await self._change(session, request.group_id, decide)

    async def members(self, session: ISession, request: GroupMembers) -> UserData:
        """List the members, by uid."""
        if single_members(request.group_id) is not None:
            raise BadRequestError("a single chat has no list of members")
        page_size = min(request.page_size or MEMBERS_PAGE, MAX_MEMBERS_PAGE)
        return await self._store.members(session.uid, request.group_id, request.cursor, page_size)

    async def _change(self, session: ISession, group_id: str, decide: Decide) -> UserData:
        if not group_id:
            raise BadRequestError("group_id is empty")
        if single_members(group_id) is not None:
            raise BadRequestError("a single chat is no group: nobody can come or go")
        return UserData(groups=[await self._store.change_group(group_id, session.uid, self._new_id(), decide)])

    def _group_id(self, owner: int, request_id: str) -> str:
        # Made from what makes the request the same, so that the same again finds the first group.
        seed = f"{owner}:{request_id}" if request_id else self._new_id()
        return "g" + blake2b(seed.encode(), digest_size=12).hexdigest()

    def _check_size(self, count: int) -> None:
        if count > self._max_members:
            raise TooLargeError(f"a group has at most {self._max_members} members; this would make {count}")


def check_text(name: str, text: str, limit: int) -> None:
    """Raise TooLargeError or BadRequestError where a text is longer than ``limit`` bytes or holds a NUL."""
    if len(text.encode()) > limit:
        raise TooLargeError(f"{name} has at most {limit} bytes")
    if "\0" in text:
        raise BadRequestError(f"{name} holds a NUL character")


def _uids(uids: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(check_uid(uid, "a member_id") for uid in uids))


def _heir(group: Group) -> int:
    """Return who owns the group after its owner: the admin who has been in longest, else the member."""
    others = [member for member in group.members.values() if member.uid != group.owner_id]
    return min(others, key=lambda member: (member.role, member.joined_time, member.uid)).uid
