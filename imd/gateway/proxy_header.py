"""The header of the PROXY protocol, version 1 or 2, by which a balancer says whose connection it passes on.

The contract is https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt. Twisted has parsers too, but they are
private, want the first 16 bytes in one read, and refuse the ``PROXY UNKNOWN`` that HAProxy sends.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

MAX_HEADER = 2048
"""Bytes; version 2 may add such as a certificate's name after the addresses."""

_V1 = b"PROXY "
_MAX_V1 = 107
_V1_KINDS: dict[bytes, type[IPv4Address | IPv6Address]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_START = struct.Struct("!12sBBH")
_V2_LOCAL, _V2_PROXY = 0x20, 0x21
_V2_KINDS: dict[int, tuple[type[IPv4Address | IPv6Address], int]] = {0x11: (IPv4Address, 4), 0x21: (IPv6Address, 16)}
_V2_NO_ADDRESS = (0x00, 0x31)  # not told, or a Unix socket


class ProxyHeaderError(Exception):
    """The bytes are no such header."""


def read_header(data: bytes) -> tuple[str, int] | None:
    """Return the client's address and the size of the header that ``data`` begins with; None while more must come.

    The address is empty where there is no client, as in a health check, or none with an address. An IPv4 address in
    IPv6's form is returned as IPv4. Raises ProxyHeaderError.
    """
    if data.startswith(_V2):
        return _read_v2(data)
    if data.startswith(_V1):
        return _read_v1(data)
    if _V2.startswith(data) or _V1.startswith(data):
        return None
    raise ProxyHeaderError("it begins otherwise")


def _read_v1(data: bytes) -> tuple[str, int] | None:
    end = data.find(b"\r\n", 0, _MAX_V1)
    if end < 0:
        if len(data) >= _MAX_V1:
            raise ProxyHeaderError("the line is too long")
        return None
    kind, *fields = data[len(_V1) : end].split(b" ")
    size = end + 2
    if kind == b"UNKNOWN":
        return "", size
    if kind not in _V1_KINDS or len(fields) != 4:
        raise ProxyHeaderError("the line has not the fields of TCP4 or TCP6")
    try:
        return _host(_V1_KINDS[kind](fields[0].decode("ascii"))), size
    except ValueError as error:
        raise ProxyHeaderError("the client's address is none") from error


def _read_v2(data: bytes) -> tuple[str, int] | None:
    if len(data) < _V2_START.size:
        return None
    _, command, family, length = _V2_START.unpack_from(data)
    size = _V2_START.size + length
    if command not in (_V2_LOCAL, _V2_PROXY) or size > MAX_HEADER:
        raise ProxyHeaderError("it is of another version, or too long")
    if len(data) < size:
        return None
    if command == _V2_LOCAL or family in _V2_NO_ADDRESS:
        return "", size
    if family not in _V2_KINDS:
        raise ProxyHeaderError("it is of no TCP connection")
    kind, width = _V2_KINDS[family]
    if length < 2 * width + 4:
        raise ProxyHeaderError("the addresses are cut")
    return _host(kind(data[_V2_START.size : _V2_START.size + width])), size


def _host(address: IPv4Address | IPv6Address) -> str:
    return str(getattr(address, "ipv4_mapped", None) or address)
