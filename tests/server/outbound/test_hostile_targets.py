"""Hostile targets against a connector that only records: each is refused with a reason, nobody is dialled.

The recorder stands below the guard, so that a regression shows as a record and not as a call. A way around it shows
all the same: the interpreter itself tells whom this process connects to, and what names it looks up.
"""

import dataclasses
import errno
import socket
from collections.abc import Callable

import pytest

from tests.server.outbound.audit import Audit
from tests.server.outbound.conftest import MakeSender, Serve
from tests.server.outbound.servers import LONG, always
from video_translation_server.errors import InvalidError
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import AddressPolicy, PoolResolver, check_url
from video_translation_server.outbound.dial import plain_socket

STRICT = AddressPolicy()


@dataclasses.dataclass
class Recorder:
    """Takes the place of the dial: writes down who would have been called, and refuses."""

    dialled: list[str] = dataclasses.field(default_factory=list)

    def __call__(self, family: int, address: str, port: int) -> socket.socket:
        del family, port
        self.dialled.append(address)
        raise OSError(errno.ECONNREFUSED, "recorded, not dialled")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


# (what is wrong with it, host as written in the URL)
LITERALS = [
    ("loopback", "127.0.0.1"),
    ("loopback, end of the block", "127.255.255.254"),
    ("decimal", "2130706433"),
    ("octal", "0177.0.0.1"),
    ("octal as one number", "017700000001"),
    ("hexadecimal", "0x7f.0x0.0x0.0x1"),
    ("hexadecimal as one number", "0x7f000001"),
    ("hexadecimal in capitals", "0X7F000001"),
    ("mixed bases", "0x7f.0.0.01"),
    ("two parts", "127.1"),
    ("three parts", "127.0.1"),
    ("octal with more zeros", "0000177.0.0.1"),
    ("trailing dot", "127.0.0.1."),
    ("percent-encoded", "%31%32%37.0.0.1"),
    ("percent-encoded dots", "127%2e0%2e0%2e1"),
    ("full-width digits", "１２７.0.0.1"),  # noqa: RUF001
    ("ideographic dots", "127。0。0。1"),
    ("half-width dots", "127｡0｡0｡1"),
    ("circled digits", "①②⑦.0.0.①"),
    ("mathematical digits", "𝟏𝟐𝟕.0.0.1"),  # noqa: RUF001
    ("percent-encoded full-width digit", "%EF%BC%9127.0.0.1"),
    ("unspecified", "0.0.0.0"),
    ("unspecified, short", "0"),
    ("this network", "0.1.2.3"),
    ("private 10", "10.0.0.1"),
    ("private 172", "172.16.0.1"),
    ("private 172, end", "172.31.255.255"),
    ("private 192", "192.168.1.1"),
    ("carrier-grade NAT", "100.64.0.1"),
    ("metadata of another cloud", "100.100.100.200"),
    ("link-local", "169.254.0.1"),
    ("metadata", "169.254.169.254"),
    ("metadata in decimal", "2852039166"),
    ("metadata in hexadecimal", "0xa9fea9fe"),
    ("metadata in octal", "0251.0376.0251.0376"),
    ("protocol assignments", "192.0.0.192"),
    ("documentation 1", "192.0.2.1"),
    ("documentation 2", "198.51.100.1"),
    ("documentation 3", "203.0.113.1"),
    ("benchmarks", "198.18.0.1"),
    ("6to4 relay", "192.88.99.1"),
    ("multicast", "224.0.0.1"),
    ("multicast, end", "239.255.255.250"),
    ("reserved", "240.0.0.1"),
    ("broadcast", "255.255.255.255"),
    ("IPv6 loopback", "[::1]"),
    ("IPv6 loopback, long", "[0000:0000:0000:0000:0000:0000:0000:0001]"),
    ("IPv6 unspecified", "[::]"),
    ("IPv6 link-local", "[fe80::1]"),
    ("IPv6 link-local with scope", "[fe80::1%25eth0]"),
    ("IPv6 loopback with scope", "[::1%25lo]"),
    ("IPv6 site-local", "[fec0::1]"),
    ("IPv6 unique local", "[fd00::1]"),
    ("IPv6 metadata", "[fd00:ec2::254]"),
    ("IPv6 multicast", "[ff02::1]"),
    ("IPv6 global multicast", "[ff0e::1]"),
    ("IPv6 documentation", "[2001:db8::1]"),
    ("IPv6 documentation, new", "[3fff::1]"),
    ("IPv6 discard", "[100::1]"),
    ("IPv6 unassigned", "[4000::1]"),
    ("IPv6 segment routing", "[5f00::1]"),
    ("mapped loopback", "[::ffff:127.0.0.1]"),
    ("mapped loopback in hex", "[::ffff:7f00:1]"),
    ("mapped metadata", "[::ffff:169.254.169.254]"),
    ("mapped private, long", "[0:0:0:0:0:ffff:10.0.0.1]"),
    ("mapped unspecified", "[::ffff:0:0]"),
    ("mapped with scope", "[::ffff:127.0.0.1%25lo]"),
    ("compatible loopback", "[::127.0.0.1]"),
    ("translated loopback", "[::ffff:0:127.0.0.1]"),
    ("NAT64 loopback", "[64:ff9b::127.0.0.1]"),
    ("NAT64 metadata", "[64:ff9b::a9fe:a9fe]"),
    ("local NAT64", "[64:ff9b:1::a9fe:a9fe]"),
    ("6to4 loopback", "[2002:7f00:1::]"),
    ("6to4 metadata", "[2002:a9fe:a9fe::1]"),
    ("6to4 private", "[2002:c0a8:101::]"),
    ("Teredo of loopback", "[2001:0:808:808::80ff:fffe]"),
    ("Teredo of metadata", "[2001:0:808:808::5601:5601]"),
    ("localhost", "localhost"),
    ("localhost in capitals with dot", "LocalHost."),
    ("under localhost", "app.localhost"),
]


@pytest.mark.parametrize("host", [host for _, host in LITERALS], ids=[what for what, _ in LITERALS])
async def test_a_hostile_literal(make_sender: MakeSender, recorder: Recorder, audit: Audit, host: str) -> None:
    lookups: list[str] = []

    def lookup(name: str) -> tuple[str, ...]:
        lookups.append(name)
        return ("8.8.8.8",)

    sender = make_sender(STRICT, open_socket=recorder, resolver=PoolResolver(lookup=lookup))
    for url in (f"http://{host}:8080/hook", f"https://{host}/"):
        with pytest.raises(InvalidError) as caught:
            check_url(url, STRICT)
        assert caught.value.param == "url"
        outcome = await sender.post(url, {}, b"x", deadline=LONG)
        assert outcome.kind is OutcomeKind.BLOCKED
        assert " is " in outcome.detail
        assert outcome.address is None
    assert recorder.dialled == []
    assert (audit.connects, audit.lookups) == ([], [])
    assert lookups == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:11211/_stats",
        "http://user@127.0.0.1/",
        "http://8.8.8.8@127.0.0.1/",
        "http://127.0.0.1\\@8.8.8.8/",
        "http://127.0.0.1#@8.8.8.8/",
        "http://8.8.8.8\r\nHost: 127.0.0.1/",
        "http://127.0.0.1 /",
        "http://127.0.0.\u00ad1/",
        "http://[::1]8.8.8.8/",
        "http://8.8.8.8:0/",
        "http://256.256.256.256/",
        "http:///127.0.0.1/",
        "//127.0.0.1/",
        "127.0.0.1",
    ],
)
async def test_a_hostile_url(make_sender: MakeSender, recorder: Recorder, audit: Audit, url: str) -> None:
    sender = make_sender(STRICT, open_socket=recorder)
    outcome = await sender.post(url, {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.BLOCKED
    assert outcome.detail
    assert recorder.dialled == []
    assert (audit.connects, audit.lookups) == ([], [])


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("169.254.169.254",),
        ("10.0.0.1",),
        ("::1",),
        ("::ffff:169.254.169.254",),
        ("64:ff9b::a9fe:a9fe",),
        ("fe80::1%eth0",),
        ("0.0.0.0",),
        ("8.8.8.8", "127.0.0.1"),
        ("127.0.0.1", "8.8.8.8"),
        ("2606:4700::1111", "8.8.8.8", "fd00::1"),
        ("not an address",),
    ],
)
async def test_a_name_with_any_forbidden_address(
    make_sender: MakeSender, recorder: Recorder, audit: Audit, addresses: tuple[str, ...]
) -> None:
    sender = make_sender(STRICT, open_socket=recorder, resolver=PoolResolver(lookup=lambda _: addresses))
    for scheme in ("http", "https"):
        outcome = await sender.post(f"{scheme}://good.test/", {}, b"x", deadline=LONG)
        assert outcome.kind is OutcomeKind.BLOCKED
        assert outcome.detail.startswith("good.test resolves to a forbidden address: ")
    assert recorder.dialled == []
    assert (audit.connects, audit.lookups) == ([], [])


def changing(*replies: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A name server that answers differently each time (DNS rebinding)."""
    left = list(replies)
    return lambda _: left.pop(0)


async def test_a_name_that_turns_forbidden_after_it_was_good(make_sender: MakeSender, recorder: Recorder) -> None:
    names = PoolResolver(lookup=changing(("8.8.8.8",), ("127.0.0.1",), ("8.8.4.4",)), ttl=0)
    sender = make_sender(STRICT, open_socket=recorder, resolver=names)
    kinds = [(await sender.post("http://rebind.test/", {}, b"x", deadline=LONG)).kind for _ in range(3)]
    assert kinds == [OutcomeKind.REFUSED, OutcomeKind.BLOCKED, OutcomeKind.REFUSED]
    assert recorder.dialled == ["8.8.8.8", "8.8.4.4"]


async def test_a_name_is_dialled_at_the_address_that_was_checked(make_sender: MakeSender, recorder: Recorder) -> None:
    """Were the name looked up once for the check and once for the dial, the second answer would win."""
    names = PoolResolver(lookup=changing(("8.8.8.8",), ("127.0.0.1",)), ttl=30)
    sender = make_sender(STRICT, open_socket=recorder, resolver=names)
    for _ in range(2):
        await sender.post("http://rebind.test/", {}, b"x", deadline=LONG)
    assert recorder.dialled == ["8.8.8.8", "8.8.8.8"]


class LaxPolicy(AddressPolicy):
    """Passes an address the first time it is asked: the check before the dial must not be the only one."""

    asked: list[str] = []  # noqa: RUF012 - one list, reset by the test; a frozen class holds no other

    def refusal(self, address: str) -> str | None:
        self.asked.append(address)
        return None if len(self.asked) == 1 else super().refusal(address)


@pytest.mark.parametrize("url", ["http://rebind.test/", "http://127.0.0.1/"])
async def test_the_last_door_judges_the_final_address_again(
    make_sender: MakeSender, recorder: Recorder, url: str
) -> None:
    LaxPolicy.asked.clear()
    sender = make_sender(LaxPolicy(), open_socket=recorder, resolver=PoolResolver(lookup=lambda _: ("127.0.0.1",)))
    outcome = await sender.post(url, {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BLOCKED, "127.0.0.1 is loopback")
    assert LaxPolicy.asked == ["127.0.0.1", "127.0.0.1"]
    assert recorder.dialled == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "//[::1]/", "/again"])
async def test_a_redirect_is_not_followed(make_sender: MakeSender, serve: Serve, status: int, location: str) -> None:
    dialled: list[str] = []

    def dial(family: int, address: str, port: int) -> socket.socket:
        dialled.append(address)
        return plain_socket(family, address, port)

    answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    server = await serve(always(answer.encode()))
    only_here = AddressPolicy.from_settings(["127.0.0.1/32"], loopback=False)
    sender = make_sender(only_here, open_socket=dial)
    outcome = await sender.post(f"http://127.0.0.1:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status) == (OutcomeKind.STATUS, status)
    assert dialled == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "good.test", "134744072"])
async def test_the_recorder_does_record_who_may_be_called(
    make_sender: MakeSender, recorder: Recorder, host: str
) -> None:
    """Without this, a table of refusals would also pass with a sender that never dials."""
    sender = make_sender(STRICT, open_socket=recorder, resolver=PoolResolver(lookup=lambda _: ("1.1.1.1",)))
    outcome = await sender.post(f"http://{host}/", {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.REFUSED
    assert len(recorder.dialled) == 1


async def test_the_interpreter_does_tell_whom_the_sender_connects_to(
    make_sender: MakeSender, serve: Serve, audit: Audit
) -> None:
    """And that it never asks for a name by itself: each goes through the resolver's few threads."""
    server = await serve(always(b"HTTP/1.1 204 X\r\n\r\n"))
    sender = make_sender(AddressPolicy(allow_loopback=True), resolver=PoolResolver(lookup=lambda _: ("127.0.0.1",)))
    assert (await sender.post(f"http://good.test:{server.port}/", {}, b"x", deadline=LONG)).status == 204
    assert audit.connects == [("127.0.0.1", server.port)]
    assert set(audit.lookups) <= {"127.0.0.1"}
