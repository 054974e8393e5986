"""The types that fields of requests and answers have in common."""

from typing import Annotated

from msgspec import Meta, Struct

Uid = Annotated[int, Meta(ge=1, le=2**63 - 1, description="A user.")]
SenderId = Annotated[int, Meta(ge=0, le=2**63 - 1, description="On whose behalf; 0: the system.")]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=0, le=2**63 - 1, description="Milliseconds since the epoch; 0: never.")]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, Meta(pattern=r"\A[^\0]*\Z")]
GroupId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\0]+\Z", description="A conversation.")]
MsgId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\0]+\Z", description="A uuid of the sender's.")]
Cursor = Annotated[str, Meta(max_length=64, description="The cursor of the page before; empty: the first page.")]
Limit = Annotated[int, Meta(ge=1, le=500, description="How many one page has at most.")]


class Done(Struct, frozen=True):
    """It is done."""
