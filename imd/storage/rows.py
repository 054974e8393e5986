"""Between messages of the wire and rows of x_message."""

from collections.abc import Sequence
from typing import Any

from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, Status

MESSAGE_COLUMNS = (
    "group_id",
    "seq_id",
    "msg_id",
    "msg_type",
    "msg_body",
    "send_time",
    "sender_id",
    "sender_name",
    "sender_remark",
    "msg_status",
    "extra",
    "attach_id",
    "attach_type",
    "attach_name",
    "attach_url",
    "attach_size",
    "whether_non_count",
    "group_type",
    "group_name",
    "at_uids",
    "digest",
)
"""The order in which rows are written; all but the digest are read back."""

READ_COLUMNS = MESSAGE_COLUMNS[:-1]

LAST_MESSAGE_BODY = 256
"""Bytes of msg_body that a list shows of the last message."""


def row_of(message: ImMsg, digest: bytes) -> tuple[Any, ...]:
    """Return the values of MESSAGE_COLUMNS."""
    at_uids = message.at_uids
    return (
        message.group_id,
        message.seq_id,
        message.msg_id,
        message.msg_type,
        message.msg_body,
        message.send_time,
        message.sender_id,
        message.sender_name,
        message.sender_remark,
        0,
        message.extra,
        message.attach_id,
        message.attach_type,
        message.attach_name,
        message.attach_url,
        message.attach_size,
        message.whether_non_count,
        message.group_type,
        message.group_name,
        ",".join(map(str, at_uids)) if at_uids else "",
        digest,
    )


def message_of(row: Sequence[Any], reader: int = 0, read_seq: int = 0) -> ImMsg:
    """Return the message of a row of READ_COLUMNS as ``reader`` sees it (status 0, -3 or -4)."""
    group_id, seq_id, sender_id, group_type, at_uids = row[0], row[1], row[6], row[17], row[19]
    if reader == sender_id:
        status = 0
    else:
        status = Status.READ if seq_id <= read_seq else Status.UNREAD
    message = ImMsg(
        group_id=group_id,
        seq_id=seq_id,
        msg_id=row[2],
        msg_type=row[3],
        msg_body=row[4],
        send_time=row[5],
        sender_id=sender_id,
        sender_name=row[7],
        sender_remark=row[8],
        status=status,
        msg_status=row[9],
        extra=row[10],
        attach_id=row[11],
        attach_type=row[12],
        attach_name=row[13],
        attach_url=row[14],
        attach_size=row[15],
        whether_non_count=row[16],
        group_type=group_type,
        group_name=row[18],
    )
    if at_uids:
        message.at_uids.extend(map(int, at_uids.split(",")))
    if group_type == GroupType.SINGLE:
        message.receiver_id = peer_of(group_id, sender_id)
    return message


def shorten(message: ImMsg) -> None:
    """Cut the body to LAST_MESSAGE_BODY bytes, never inside a character."""
    body = message.msg_body
    if len(body) * 4 > LAST_MESSAGE_BODY:
        message.msg_body = body.encode()[:LAST_MESSAGE_BODY].decode(errors="ignore")


def peer_of(group_id: str, uid: int) -> int:
    """Return the other one of a single chat; oneself in a chat with oneself."""
    small, large = map(int, group_id.split("_"))
    return large if uid == small else small
