"""Headers of the PROXY protocol: whole, in parts, with what follows, and what is none."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.gateway.proxy_header import MAX_HEADER, ProxyHeaderError, read_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def tcp4(source: str) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton("192.0.2.250") + struct.pack("!HH", 50000, 7650)


def tcp6(source: str) -> bytes:
    family = socket.AF_INET6
    return socket.inet_pton(family, source) + socket.inet_pton(family, "2001:db8::fa") + struct.pack("!HH", 50000, 7650)


CLIENTS = {
    b"PROXY TCP4 198.51.100.7 192.0.2.250 50000 7650\r\n": "198.51.100.7",
    b"PROXY TCP6 2001:db8:0:0:0:0:0:7 2001:db8::fa 50000 7650\r\n": "2001:db8::7",
    b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.250 50000 7650\r\n": "198.51.100.7",
    v2(0x21, 0x11, tcp4("198.51.100.7")): "198.51.100.7",
    v2(0x21, 0x21, tcp6("2001:db8::7")): "2001:db8::7",
    v2(0x21, 0x21, tcp6("::ffff:198.51.100.7")): "198.51.100.7",
    v2(0x21, 0x11, tcp4("198.51.100.7") + b"\x05\0\x04once"): "198.51.100.7",
}
NOBODY = [
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    v2(0x20, 0x00, b""),
    v2(0x20, 0x11, tcp4("198.51.100.7")),
    v2(0x21, 0x00, b""),
    v2(0x21, 0x31, bytes(216)),
]
WRONG = [
    b"IM\x01\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0",
    b"GET / HTTP/1.1\r\n",
    b"\r\n\r\n\0\r\nQUIX",
    b"PROXY  TCP4 198.51.100.7 192.0.2.250 50000 7650\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.250 50000\r\n",
    b"PROXY TCP4 198.51.100.300 192.0.2.250 50000 7650\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::fa 50000 7650\r\n",
    b"PROXY TCP4 \xff 192.0.2.250 50000 7650\r\n",
    b"PROXY UDP4 198.51.100.7 192.0.2.250 50000 7650\r\n",
    b"PROXY TCP6 " + b"1" * 107,
    b"PROXY UNKNOWN " + b"1" * 107 + b"\r\n",
    v2(0x11, 0x11, tcp4("198.51.100.7")),
    v2(0x22, 0x11, tcp4("198.51.100.7")),
    v2(0x21, 0x12, tcp4("198.51.100.7")),
    v2(0x21, 0x11, tcp4("198.51.100.7")[:-1]),
    v2(0x21, 0x21, tcp4("198.51.100.7")),
    v2(0x21, 0x11, bytes(MAX_HEADER)),
]


class Headers(SynchronousTestCase):
    def test_a_header_says_whose_connection_it_is(self) -> None:
        for header, host in CLIENTS.items():
            assert read_header(header) == (host, len(header)), header

    def test_a_balancers_own_connection_is_nobodys(self) -> None:
        for header in NOBODY:
            assert read_header(header) == ("", len(header)), header

    def test_what_follows_is_not_the_headers(self) -> None:
        for header in (*CLIENTS, *NOBODY):
            found = read_header(header + b"PROXY \r\n")
            assert found is not None
            assert found[1] == len(header), header

    def test_a_part_of_a_header_waits_for_the_rest(self) -> None:
        for header in (*CLIENTS, *NOBODY):
            for size in range(len(header)):
                assert read_header(header[:size]) is None, header[:size]

    def test_anything_else_is_refused(self) -> None:
        for data in WRONG:
            with pytest.raises(ProxyHeaderError):
                read_header(data)

    def test_a_header_that_is_too_long_is_refused_before_it_is_there(self) -> None:
        with pytest.raises(ProxyHeaderError):
            read_header(v2(0x21, 0x11, bytes(MAX_HEADER))[:16])
        with pytest.raises(ProxyHeaderError):
            read_header(b"PROXY TCP4 ".ljust(107, b"1"))

    @given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]), st.binary())
    def test_no_bytes_fail_otherwise_or_wait_for_ever(self, start: bytes, rest: bytes) -> None:
        for data in (start + rest, (start + rest).ljust(MAX_HEADER, b"\0")):
            try:
                found = read_header(data)
            except ProxyHeaderError:
                continue
            assert found is not None or len(data) < MAX_HEADER
