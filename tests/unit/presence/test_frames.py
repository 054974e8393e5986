"""Frames: what one node says another understands, also one of an older or a newer version."""

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from imd.presence.frames import BlockedBy, Content, Frame, KickAt, Parcel, decode_frame, encode_frame

FULL = Frame(
    "n1",
    1_763_856_000_000,
    7,
    Content(
        parcels=(Parcel(0x0101, b"\x00body\xff", (1, 2**63 - 1), "1_2", 9, 2), Parcel(0x0302, b"", (3,))),
        broadcasts=(Parcel(0x0101, b"to all", (), "system", 4, 1),),
        kicks=(KickAt("s1", 1, "somebody else"),),
        blocks=(BlockedBy(1, (2, 3)),),
    ),
)
COUNT = Frame("n1", 1, 7)


def packed(*fields: Any) -> bytes:
    return msgspec.msgpack.encode(fields)


class Frames(SynchronousTestCase):
    def test_what_is_sent_comes_back_as_it_was(self) -> None:
        for frame in (FULL, COUNT, Frame("n1", 1, 1, Content())):
            assert decode_frame(encode_frame(frame)) == frame

    def test_what_is_left_out_takes_no_room(self) -> None:
        assert encode_frame(Frame("n", 1, 1, Content())) == packed("n", 1, 1, {})

    def test_what_is_no_frame_is_refused(self) -> None:
        whole = encode_frame(FULL)
        noise = [b"\xc1", b"{}", packed(), packed("n1", "then", 1), packed("n1", 1, 1, {"parcels": 3}), whole + b"\x00"]
        for data in [*noise, *(whole[:end] for end in range(len(whole)))]:
            self.assertRaises(ValueError, decode_frame, data)


class TwoVersions(SynchronousTestCase):
    def test_fields_of_a_newer_version_are_skipped(self) -> None:
        parcel = [0x0101, b"body", [1], "1_2", 9, 2, "new"]
        content = {
            "parcels": [parcel],
            "greetings": ["new"],
            "kicks": [["s1", 1, "", {"new": 1}]],
            "blocks": [[1, [2], None]],
        }
        assert decode_frame(packed("n1", 5, 1, content, "new")) == Frame(
            "n1",
            5,
            1,
            Content(
                parcels=(Parcel(0x0101, b"body", (1,), "1_2", 9, 2),),
                kicks=(KickAt("s1", 1, ""),),
                blocks=(BlockedBy(1, (2,)),),
            ),
        )

    def test_a_frame_of_which_nothing_is_known_still_has_content(self) -> None:
        assert decode_frame(packed("n1", 5, 1, {"greetings": ["new"]})) == Frame("n1", 5, 1, Content())
        assert decode_frame(packed("n1", 5, 1, None)).content is None

    def test_what_an_older_version_does_not_send_has_its_default(self) -> None:
        assert decode_frame(packed("n1", 5, 1)) == Frame("n1", 5, 1)
        told = decode_frame(packed("n1", 5, 1, {"parcels": [[0x0302, b"receipt", [1]]]}))
        assert told.content == Content(parcels=(Parcel(0x0302, b"receipt", (1,)),))
