"""Between messages of the wire and rows of x_message."""

from collections.abc import Sequence
from typing import Any

from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, Status
from imd.wire.single import peer_of

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

AT_UIDS = MESSAGE_COLUMNS.index("at_uids")

# An enum's member costs a call to look up, which counts here.
_SINGLE, _READ, _UNREAD = int(GroupType.SINGLE), int(Status.READ), int(Status.UNREAD)

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
    message = ImMsg()
    fill_message(message, row, reader, read_seq)
    return message


def fill_message(message: ImMsg, row: Sequence[Any], reader: int, read_seq: int) -> None:
    """Fill an empty message in; most fields of most messages are empty, and setting them costs more than asking."""
    (
        group_id,
        seq_id,
        message.msg_id,
        message.msg_type,
        message.msg_body,
        message.send_time,
        sender_id,
        sender_name,
        sender_remark,
        msg_status,
        extra,
        attach_id,
        attach_type,
        attach_name,
        attach_url,
        attach_size,
        whether_non_count,
        group_type,
        group_name,
        at_uids,
    ) = row
    message.group_id = group_id
    message.seq_id = seq_id
    message.sender_id = sender_id
    message.group_type = group_type
    if reader != sender_id:
        message.status = _READ if seq_id <= read_seq else _UNREAD
    if sender_name:
        message.sender_name = sender_name
    if sender_remark:
        message.sender_remark = sender_remark
    if msg_status:
        message.msg_status = msg_status
    if extra:
        message.extra = extra
    if attach_id:
        message.attach_id = attach_id
    if attach_type:
        message.attach_type = attach_type
    if attach_name:
        message.attach_name = attach_name
    if attach_url:
        message.attach_url = attach_url
    if attach_size:
        message.attach_size = attach_size
    if whether_non_count:
        message.whether_non_count = whether_non_count
    if group_name:
        message.group_name = group_name
    if at_uids:
        message.at_uids.extend(map(int, at_uids.split(",")))
    if group_type == _SINGLE and sender_id:
        message.receiver_id = peer_of(group_id, sender_id)


def shorten(message: ImMsg) -> None:
    """Cut the body to LAST_MESSAGE_BODY bytes, never inside a character."""
    body = message.msg_body
    if len(body) * 4 > LAST_MESSAGE_BODY:
        message.msg_body = body.encode()[:LAST_MESSAGE_BODY].decode(errors="ignore")
