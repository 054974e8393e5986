"""The group commands: what each does is decided here and applied by the store in one transaction."""

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Protocol
from uuid import UUID, uuid5

from imd.errors import BadRequestError, ForbiddenError, NotInGroupError, TooLargeError
from imd.logic.actors import SYSTEM, Actor
from imd.logic.ids import check_uid, single_members
from imd.logic.rights import Action, check, may
from imd.ports.groups import Decide, Group, GroupChange, IGroupStore, Member, NewGroup
from imd.wire.bodies import (
    GroupCreate,
    GroupDismiss,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    NoticeMsg,
    UserData,
)
from imd.wire.enums import SYSTEM_GROUP, JoinPolicy, Quit, Role

MAX_NAME = 256
MAX_AVATAR = 1024
MAX_EXTRA = 4096
MAX_ANNOUNCEMENT = 4096
MAX_MESSAGE = 1024
"""Bytes of the word that goes with a request to join."""
MEMBERS_PAGE = 100
MAX_MEMBERS_PAGE = 500

SETTINGS = ("group_name", "avatar", "announcement", "extra", "join_policy")
"""What GROUP_UPDATE may change: fields of the request, of the group and of its row."""

JOIN_REQUEST = 1
"""The notice_type of a request to join."""
_JOIN_REQUESTS = UUID("6c5ad1b2-3f0e-5c57-9d0f-6a2f3c8f4b1e")  # the namespace of their notice_ids


class ApprovalError(ForbiddenError):
    """Who wants to join a group has to be approved by one of ``chiefs``: its owner and admins."""

    def __init__(self, group_name: str, chiefs: Sequence[int]) -> None:
        super().__init__("the owner or an admin of this group has to approve; they have been asked")
        self.group_name = group_name
        self.chiefs = chiefs


class SendsNotices(Protocol):
    """The way to bring someone a notice."""

    async def send(self, notice: NoticeMsg, uids: Sequence[int]) -> object:
        """Keep the notice for each of ``uids`` and push it."""


class Groups:
    """The commands GROUP_CREATE to GROUP_MEMBERS.

    ``max_members`` bounds a group; ``new_id`` makes uuids for control messages and group ids; ``notices`` brings the
    chiefs the requests to join.
    """

    def __init__(self, store: IGroupStore, notices: SendsNotices, max_members: int, new_id: Callable[[], str]) -> None:
        self._store = store
        self._notices = notices
        self._max_members = max_members
        self._new_id = new_id

    async def create(self, session: Actor, request: GroupCreate) -> UserData:
        """Make a group; the same request_id again returns the first one."""
        _check_settings(request)
        check_text("request_id", request.request_id, MAX_NAME)
        owner = session.uid
        _, *others = self._distinct((owner, *request.member_ids))
        new = NewGroup(
            group_id=self._group_id(owner, request.request_id),
            group_name=request.group_name,
            avatar=request.avatar,
            extra=request.extra,
            join_policy=request.join_policy,
            owner_id=owner,
            member_ids=tuple(others),
        )
        return UserData(groups=[await self._store.create_group(new, owner, self._new_id())])

    async def update(self, session: Actor, request: GroupUpdate) -> UserData:
        """Change what the group is called and how it is shown and joined; a field that is not set stays."""
        _check_settings(request)
        uid = session.uid
        settings = {name: getattr(request, name) for name in SETTINGS if request.HasField(name)}

        def decide(group: Group) -> GroupChange | None:
            check(group, uid, Action.UPDATE)
            new = {name: value for name, value in settings.items() if getattr(group, name) != value}
            return GroupChange(op="update", value=" ".join(new), fields=new) if new else None

        return await self._change(session, request.group_id, decide)

    async def dismiss(self, session: Actor, request: GroupDismiss) -> UserData:
        """End the group: everybody is out of it."""
        uid = session.uid

        def decide(group: Group) -> GroupChange | None:
            # The owner stays named, so that the same again finds it done.
            if group.is_dismissed and uid in (group.owner_id, SYSTEM):
                return None
            check(group, uid, Action.DISMISS)
            everybody = dict.fromkeys(group.members, int(Quit.DISMISSED))
            return GroupChange(op="dismiss", leave=everybody, fields={"is_dismissed": 1})

        return await self._change(session, request.group_id, decide)

    async def invite(self, session: Actor, request: GroupInvite) -> UserData:
        """Bring users in; those who are in already stay as they are."""
        member_ids = self._member_ids(request)
        uid = session.uid

        def decide(group: Group) -> GroupChange | None:
            check(group, uid, Action.INVITE)
            new = tuple(member for member in member_ids if member not in group.members)
            self._check_size(len(group.members) + len(new))
            return GroupChange(op="invite", uids=new, join=new) if new else None

        return await self._change(session, request.group_id, decide)

    async def join(self, session: Actor, request: GroupJoin) -> UserData:
        """Come into a group that is open; where its chiefs approve, ask them and refuse."""
        check_text("message", request.message, MAX_MESSAGE)
        uid = session.uid

        def decide(group: Group) -> GroupChange | None:
            if uid in group.members:
                return None
            if group.is_dismissed or group.join_policy == JoinPolicy.INVITATION:
                raise NotInGroupError(f"you are not in the group {group.group_id}; a member has to invite you")
            self._check_size(len(group.members) + 1)
            if group.join_policy == JoinPolicy.APPROVAL:
                members = group.members.values()
                chiefs = [member.uid for member in members if may(member.role, Action.APPROVE)]
                raise ApprovalError(group.group_name, chiefs)
            return GroupChange(op="join", uids=(uid,), join=(uid,))

        try:
            return await self._change(session, request.group_id, decide)
        except ApprovalError as error:
            await self._notices.send(_join_request(uid, request, error.group_name), error.chiefs)
            raise

    async def quit(self, session: Actor, request: GroupQuit) -> UserData:
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
                value=str(heir.uid),
                leave=left,
                roles={heir.uid: int(Role.OWNER)},
                mutes=_unmuted(heir),
                fields={"owner_id": heir.uid},
            )

        return await self._change(session, request.group_id, decide)

    async def remove(self, session: Actor, request: GroupRemove) -> UserData:
        """Put members out, all that are named or none; those who are out already are passed over."""
        member_ids = self._member_ids(request)
        uid = session.uid
        if uid in member_ids:
            raise BadRequestError("nobody removes themselves: leave by GROUP_QUIT")

        def decide(group: Group) -> GroupChange | None:
            check(group, uid, Action.REMOVE)
            out = tuple(member for member in member_ids if member in group.members)
            for member in out:
                check(group, uid, Action.REMOVE, member)
            if not out:
                return None
            return GroupChange(op="remove", uids=out, leave=dict.fromkeys(out, int(Quit.REMOVED)))

        return await self._change(session, request.group_id, decide)

    async def mute(self, session: Actor, request: GroupMute) -> UserData:
        """Let a member, or everybody but the chiefs, be silent until a time (ms); 0 lifts it."""
        uid, until = session.uid, request.until
        target = check_uid(request.uid) if request.uid else None
        if until < 0:
            raise BadRequestError(f"until is {until}; expected ms since the epoch, or 0 to lift the mute")

        def decide(group: Group) -> GroupChange | None:
            check(group, uid, Action.MUTE_ALL if target is None else Action.MUTE, target)
            if 0 < until <= group.now:
                raise BadRequestError(f"until is {until}, but it is {group.now} already; 0 lifts a mute")
            held = group.mute_until if target is None else group.members[target].mute_until
            if until == (held if held > group.now else 0):
                return None
            if target is None:
                return GroupChange(op="mute", value=str(until), fields={"mute_until": until})
            return GroupChange(op="mute", uids=(target,), value=str(until), mutes={target: until})

        return await self._change(session, request.group_id, decide)

    async def role(self, session: Actor, request: GroupRole) -> UserData:
        """Make a member an admin or an admin a member, or hand the group over: its owner becomes a member."""
        uid, role = session.uid, request.role
        target = check_uid(request.uid)
        if role not in list(Role):
            raise BadRequestError(f"role is {role}; expected 1, 2 or 3")

        def decide(group: Group) -> GroupChange | None:
            # Who has handed the group over has no right to it any more: the same again finds it done.
            if role == Role.OWNER and target == group.owner_id and (uid in group.members or uid == SYSTEM):
                return None
            check(group, uid, Action.ROLE)
            if target == uid:
                raise BadRequestError("a group keeps an owner: hand it over by giving role 1 to another member")
            check(group, uid, Action.ROLE, target)
            member = group.members[target]
            if member.role == role:
                return None
            if role != Role.OWNER:
                return GroupChange(op="role", uids=(target,), value=str(role), roles={target: role})
            return GroupChange(
                op="role",
                uids=(target,),
                value=str(role),
                roles={target: int(Role.OWNER), group.owner_id: int(Role.MEMBER)},
                mutes=_unmuted(member),
                fields={"owner_id": target},
            )

        return await self._change(session, request.group_id, decide)

    async def members(self, session: Actor, request: GroupMembers) -> UserData:
        """List the members, by uid."""
        _check_group_id(request.group_id)
        page_size = min(request.page_size or MEMBERS_PAGE, MAX_MEMBERS_PAGE)
        return await self._store.members(session.uid, request.group_id, request.cursor, page_size)

    async def _change(self, session: Actor, group_id: str, decide: Decide) -> UserData:
        _check_group_id(group_id)
        return UserData(groups=[await self._store.change_group(group_id, session.uid, self._new_id(), decide)])

    def _group_id(self, owner: int, request_id: str) -> str:
        # Made from what makes the request the same, so that the same again finds the first group.
        seed = f"{owner}:{request_id}" if request_id else self._new_id()
        return "g" + blake2b(seed.encode(), digest_size=12).hexdigest()

    def _member_ids(self, request: GroupInvite | GroupRemove) -> tuple[int, ...]:
        member_ids = self._distinct(request.member_ids)
        if not member_ids:
            raise BadRequestError("member_ids is empty")
        return member_ids

    def _distinct(self, uids: Iterable[int]) -> tuple[int, ...]:
        distinct = dict.fromkeys(uids)
        self._check_size(len(distinct))
        return tuple(check_uid(uid, "a member_id") for uid in distinct)

    def _check_size(self, count: int) -> None:
        if count > self._max_members:
            raise TooLargeError(f"a group has at most {self._max_members} members, not {count}")


def check_text(name: str, text: str, limit: int) -> None:
    """Raise TooLargeError or BadRequestError where a text is longer than ``limit`` bytes or holds a NUL."""
    if len(text.encode()) > limit:
        raise TooLargeError(f"{name} has at most {limit} bytes")
    if "\0" in text:
        raise BadRequestError(f"{name} holds a NUL character")


def _check_settings(request: GroupCreate | GroupUpdate) -> None:
    check_text("group_name", request.group_name, MAX_NAME)
    check_text("avatar", request.avatar, MAX_AVATAR)
    check_text("extra", request.extra, MAX_EXTRA)
    if isinstance(request, GroupUpdate):
        check_text("announcement", request.announcement, MAX_ANNOUNCEMENT)
    if not request.group_name.strip() and (isinstance(request, GroupCreate) or request.HasField("group_name")):
        raise BadRequestError("group_name is empty")
    if request.join_policy not in list(JoinPolicy):
        raise BadRequestError(f"join_policy is {request.join_policy}; expected 0, 1 or 2")


def _check_group_id(group_id: str) -> None:
    if not group_id:
        raise BadRequestError("group_id is empty")
    if group_id == SYSTEM_GROUP:
        raise ForbiddenError("the broadcast stream has no members that come, go or change it")
    if single_members(group_id) is not None:
        raise BadRequestError("a single chat is no group: it has no members that come, go or change it")


def _heir(group: Group) -> Member:
    """Return who owns the group after its owner: the admin who has been in longest, else the member."""
    others = [member for member in group.members.values() if member.uid != group.owner_id]
    return min(others, key=lambda member: (member.role, member.joined_time, member.uid))


def _unmuted(owner: Member) -> dict[int, int]:
    # Nobody could lift the mute of an owner.
    return {owner.uid: 0} if owner.mute_until else {}


def _join_request(uid: int, request: GroupJoin, group_name: str) -> NoticeMsg:
    payload = {
        "op": "join_request",
        "group_id": request.group_id,
        "group_name": group_name,
        "uid": uid,
        "message": request.message,
    }
    return NoticeMsg(
        # The same applicant asks the same group once, as long as the notice waits for its answer.
        notice_id=str(uuid5(_JOIN_REQUESTS, f"{request.group_id}:{uid}")),
        notice_type=JOIN_REQUEST,
        payload=json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(),
        sender="imd",
    )
