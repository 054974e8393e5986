"""A group with an owner, a muted member, one who has left and one who never was in it, each on a bare socket."""

import time
from collections.abc import Callable

from google.protobuf.message import Message

from imd.wire.bodies import (
    GroupCreate,
    GroupMembers,
    GroupMute,
    GroupQuit,
    ImMsgAck,
    ListGroup,
    MsgAck,
    PullMsg,
    UserData,
)
from imd.wire.commands import Command
from imd.wire.results import Result

from .daemon import Daemon
from .device import COMMANDS, message
from .peer import Peer

UNTIL = 2**53
"""Until when the member is muted: for good."""

NOBODY = 10**9
"""A uid that is in no group."""


class Scene:
    """The group ``group_id`` has 3 messages; another one of the owner's, ``longer``, has 9."""

    def __init__(self, daemon: Daemon, new_uid: Callable[[], int]) -> None:
        self.owner, self.muted, self.former, self.stranger = self.peers = [Peer(daemon) for _ in range(4)]
        self.owner_uid, self.muted_uid, self.former_uid, self.stranger_uid = uids = [new_uid() for _ in range(4)]
        for peer, uid in zip(self.peers, uids, strict=True):
            peer.login(uid)
        self.group_id = self._create(self.muted_uid, self.former_uid)
        self.longer = self._create(self.muted_uid)
        assert ask(self.owner, message("one", group=self.group_id)) == Result.OK
        self.longer_ids = [self._say(f"{n}", self.longer) for n in range(2, 10)]
        assert ask(self.former, GroupQuit(group_id=self.group_id)) == Result.OK
        self.msg_id = self._say("after the quit", self.group_id)
        mute = GroupMute(group_id=self.group_id, uid=self.muted_uid, until=UNTIL)
        assert ask(self.owner, mute) == Result.OK
        said = self.owner.ask(Command.IM_SEND_MSG, message("in private", to=self.muted_uid))
        self.single = ImMsgAck.FromString(said.body).group_id
        self.end = 5
        self._settle(daemon, uids)

    def view(self) -> list[UserData]:
        """Return all that the four see."""
        seen = []
        for peer in self.peers:
            listed = UserData.FromString(peer.ask(Command.LIST_GROUP, ListGroup()).body)
            listed.server_time = 0
            seen.append(listed)
            for group_id in (self.group_id, self.longer, self.single):
                for body in (PullMsg(group_id=group_id, page_size=100), GroupMembers(group_id=group_id)):
                    packet = peer.ask(COMMANDS[type(body)], body)
                    seen.append(UserData.FromString(packet.body) if packet.result == Result.OK else UserData())
        return seen

    def close(self) -> None:
        """Close."""
        for peer in self.peers:
            peer.close()

    def _create(self, *member_ids: int) -> str:
        request = GroupCreate(group_name="Tea", member_ids=member_ids)
        answer = UserData.FromString(self.owner.ask(Command.GROUP_CREATE, request).body)
        return str(answer.groups[0].group_id)

    def _say(self, text: str, group_id: str) -> str:
        said = self.owner.ask(Command.IM_SEND_MSG, message(text, group=group_id))
        return str(ImMsgAck.FromString(said.body).msg_id)

    def _settle(self, daemon: Daemon, uids: list[int]) -> None:
        """Leave nothing to push again."""
        groups = (self.group_id, self.longer, self.single)
        acks = MsgAck(acks=[ImMsgAck(group_id=group_id, seq_id=UNTIL) for group_id in groups])
        for peer in self.peers:
            peer.send(Command.IM_MSG_ACK, acks.SerializeToString())
        deadline = time.monotonic() + 10
        while any(daemon.inbox(uid) for uid in uids):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def ask(peer: Peer, body: Message) -> Result:
    """Return the result of a request."""
    return peer.result(COMMANDS[type(body)], body)
