"""Control messages: what members must learn about their group, in its own stream (rule 2)."""

import json
from collections.abc import Sequence

from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, MsgType
from imd.wire.single import peer_of


def control_message(
    control_id: str,
    by: int,
    group_id: str,
    group_type: int,
    *,
    op: str,
    uids: Sequence[int] = (),
    msg_id: str = "",
    seq_id: int = 0,
    value: str = "",
) -> ImMsg:
    """Return a control message that is not stored yet."""
    body = {"op": op, "by": by, "uids": list(uids), "msg_id": msg_id, "seq_id": seq_id, "value": value}
    message = ImMsg(
        msg_id=control_id,
        msg_type=MsgType.CONTROL,
        msg_body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        sender_id=by,
        group_id=group_id,
        group_type=group_type,
        whether_non_count=1,
    )
    if group_type == GroupType.SINGLE:
        message.receiver_id = peer_of(group_id, by)
    return message
