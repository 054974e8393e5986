"""The numbers that fields of the messages hold, by name (proto/README.md, "What the fields mean")."""

from enum import IntEnum

SYSTEM_GROUP = "system"
"""The group id of the broadcast stream (rule 1)."""


class GroupType(IntEnum):
    """What a conversation is (``group_type``)."""

    SINGLE = 1
    GROUP = 2
    SYSTEM = 3


class MsgType(IntEnum):
    """What a message is (``ImMsg.msg_type``); clients may send others, which are newer than this server."""

    TEXT = 1
    VOICE = 2
    PICTURE = 3
    VIDEO = 4
    LOCATION = 5
    ATTACHMENT = 6
    CARD = 7
    ANNOUNCEMENT = 8
    PASSTHROUGH = 99
    CONTROL = 100


class MsgStatus(IntEnum):
    """What became of a stored message (``ImMsg.msg_status``)."""

    NORMAL = 0
    DELETED = 1
    REVOKED = 2


class Status(IntEnum):
    """How far a message is for the one who has it (``ImMsg.status``); two values live in a client's store alone."""

    SUCCESS = 0
    SENDING = -1
    FAILURE = -2
    READ = -3
    UNREAD = -4


class Role(IntEnum):
    """A member's role (``GroupMember.role``)."""

    OWNER = 1
    ADMIN = 2
    MEMBER = 3


class JoinPolicy(IntEnum):
    """How one gets into a group (``ImGroup.join_policy``)."""

    INVITATION = 0
    APPROVAL = 1
    OPEN = 2


class Quit(IntEnum):
    """Whether and how one got out of a group (``ImGroup.is_quit``)."""

    IN = 0
    LEFT = 1
    REMOVED = 2
    DISMISSED = 3
