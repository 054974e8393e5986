"""proto/imd.proto, the code generated from it and proto/README.md say the same; no protoc is needed to know."""

import re
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor
from twisted.trial.unittest import SynchronousTestCase

from imd.wire._pb import imd_pb2

PROTO = (Path(__file__).resolve().parents[3] / "proto" / "imd.proto").read_text(encoding="utf-8")
README = (Path(__file__).resolve().parents[3] / "proto" / "README.md").read_text(encoding="utf-8")
STUB = Path(imd_pb2.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
TYPES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}
# (message or enum, number, name, label, type); the last two are empty in an enum.
Entry = tuple[str, int, str, str, str]


def written() -> Iterator[Entry]:
    """What the .proto says. Every line of it has to be one of the shapes here."""
    owner = ""
    for line in PROTO.splitlines():
        text = line.partition("//")[0].strip()
        if opened := re.fullmatch(r"(?:message|enum) (\w+) \{(\}?)", text):
            owner = "" if opened[2] else opened[1]
        elif field := re.fullmatch(r"(?:(repeated|optional) )?(\w+) (\w+) = (\d+);", text):
            yield owner, int(field[4]), field[3], field[1] or "", field[2]
        elif value := re.fullmatch(r"(\w+) = (\d+);", text):
            yield owner, int(value[2]), value[1], "", ""
        elif text == "}":
            owner = ""
        elif text not in ("", 'syntax = "proto3";', "package imd;"):
            raise ValueError(f"proto/imd.proto has a line this test can't read: {text}")


def generated() -> Iterator[Entry]:
    """What imd_pb2 says."""
    for message in imd_pb2.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            label = "repeated" if field.is_repeated else "optional" if field.containing_oneof else ""
            kind = field.message_type.name if field.message_type else TYPES[field.type]
            yield message.name, field.number, field.name, label, kind
    for enum in imd_pb2.DESCRIPTOR.enum_types_by_name.values():
        for value in enum.values:
            yield enum.name, value.number, value.name, "", ""


def told() -> Iterator[Entry]:
    """What the table of messages in the README says."""
    for name, fields in re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", README, re.MULTILINE):
        for number, field, label, kind in re.findall(r"(\d+) (\w+) (?:(repeated|optional) )?(\w+)(?: ·|$)", fields):
            yield name, int(number), field, label, kind


class GeneratedCode(SynchronousTestCase):
    def test_it_has_the_fields_of_the_proto(self) -> None:
        self.assertEqual(sorted(written()), sorted(generated()))

    def test_it_has_the_messages_of_the_proto(self) -> None:
        # Those without fields are seen here only.
        names = re.findall(r"^message (\w+)", PROTO, re.MULTILINE)
        self.assertEqual(names, list(imd_pb2.DESCRIPTOR.message_types_by_name))

    def test_the_readme_tells_every_message_and_field(self) -> None:
        self.assertEqual(sorted(told()), sorted(entry for entry in written() if entry[4]))
        names = re.findall(r"^\| `(\w+)` \| (?:none|\d)", README, re.MULTILINE)
        self.assertEqual(names, list(imd_pb2.DESCRIPTOR.message_types_by_name))

    def test_its_package_and_syntax_are_those_of_the_proto(self) -> None:
        self.assertEqual(imd_pb2.DESCRIPTOR.package, "imd")
        self.assertTrue(imd_pb2.DESCRIPTOR.serialized_pb.endswith(b"b\x06proto3"))

    def test_its_types_are_those_of_the_proto(self) -> None:
        for message in imd_pb2.DESCRIPTOR.message_types_by_name.values():
            slots = ", ".join(f'"{field.name}"' for field in message.fields)
            comma = "," if len(message.fields) == 1 else ""
            self.assertIn(f"class {message.name}(_message.Message):\n    __slots__ = ({slots}{comma})\n", STUB)
        self.assertEqual(STUB.count("(_message.Message):"), len(imd_pb2.DESCRIPTOR.message_types_by_name))
