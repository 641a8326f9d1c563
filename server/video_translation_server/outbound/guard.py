"""Which addresses and which URLs may be called: the server's guard against forged targets (SSRF).

Pure: it judges text and leaves resolving, connecting and the refusal at every connect to `dial`.
"""

import dataclasses
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from video_translation_server.errors import InvalidError
from video_translation_server.outbound.target import Target, is_localhost, read_target

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# Written out, because `ipaddress` changes its mind between Python versions and passes several of
# these as global. The first match names the reason.
_FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), why)
    for text, why in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared address space (carrier-grade NAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocol assignments"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.88.99.0/24", "the deprecated 6to4 relay anycast"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "local-use NAT64"),
        ("100::/64", "discard-only"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved for protocol assignments"),
        ("2001:db8::/32", "reserved for documentation"),
        ("3fff::/20", "reserved for documentation"),
        ("fc00::/7", "private (unique local)"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOW_32_BITS = (
    (_NAT64, "NAT64"),
    (IPv6Network("::/96"), "IPv4-compatible"),
    (IPv6Network("::ffff:0:0:0/96"), "IPv4-translated"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which IP addresses may be called: the globally routable ones, and what is allowed here.

    Attributes:
        allow: Networks that may be called whatever they are. An IPv6 form that carries an IPv4
            address is lifted by a network with either of the two; an IPv4-mapped address is its
            IPv4 address, and only networks with that one count.
        allow_loopback: Whether this host's own 127.0.0.0/8 and ::1 may be called.
    """

    allow: tuple[Network, ...] = ()
    allow_loopback: bool = False

    @classmethod
    def from_settings(cls, allow: Iterable[str], loopback: bool) -> "AddressPolicy":
        """The policy for these CIDRs, as text.

        Raises:
            InvalidError: One of them is not a CIDR; the message names it.
        """
        return cls(allow=tuple(_network(text) for text in allow), allow_loopback=loopback)

    def refusal(self, address: str) -> str | None:
        """Why the IP address may not be called, or None where it may.

        Args:
            address: The final address as text, IPv4 or IPv6, with or without a scope id. Anything
                else is refused: a name that has not been resolved must never pass.
        """
        try:
            spelled = ip_address(address)
        except ValueError:
            return f"{address[:64]!r} is not an IP address"
        ip = _bare(spelled)
        if ip.is_loopback and self.allow_loopback:
            return None
        why = self._why(ip)
        if why is None:
            return None
        if ip.version != spelled.version:
            return f"{address} is the IPv4-mapped form of {ip}, which is {why}"
        return f"{address} is {why}"

    def _why(self, ip: Address) -> str | None:
        """The reason against an address, in words that follow "is"; None where it may be called."""
        if self._allows(ip):
            return None
        form = _carried(ip)
        if form is None:
            return _forbidden(ip)
        name, inner = form
        if self._allows(inner):
            return None
        # Loopback behind a translator is the translator's, so `allow_loopback` does not reach here.
        why = _forbidden(inner)
        return f"the {name} form of {inner}, which is {why}" if why else _forbidden(ip)

    def _allows(self, ip: Address) -> bool:
        return any(ip in network for network in self.allow)


def check_url(url: str, policy: AddressPolicy) -> None:
    """Refuse at registration what can be seen to be wrong without asking DNS.

    Raises:
        InvalidError: With param "url"; the message names the fault and the next step.
    """
    reason = blocked(read_target(url), policy)
    if reason is not None:
        raise InvalidError(
            f"{reason}, so it cannot be called from here; use a public address, "
            "or have its network allowed in the server's settings",
            param="url",
        )


def blocked(target: Target, policy: AddressPolicy) -> str | None:
    """Why the policy forbids a target that needs no DNS to judge, or None."""
    if target.address is not None:
        return policy.refusal(target.address)
    if not is_localhost(target.host):
        return None
    reason = policy.refusal("127.0.0.1") and policy.refusal("::1")
    return reason and f"the host {target.host!r} is loopback"


def _bare(ip: Address) -> Address:
    """Without a scope id, and an IPv4-mapped address as the IPv4 address that the kernel dials."""
    if isinstance(ip, IPv4Address):
        return ip
    return ip.ipv4_mapped or IPv6Address(int(ip))


def _carried(ip: Address) -> tuple[str, IPv4Address] | None:
    """The form's name and the IPv4 address inside an IPv6 address that translates or tunnels to one."""
    if isinstance(ip, IPv4Address) or int(ip) <= 1:
        return None
    if ip.sixtofour is not None:
        return "6to4", ip.sixtofour
    if ip.teredo is not None:
        return "Teredo", ip.teredo[1]
    for network, name in _LOW_32_BITS:
        if ip in network:
            return name, IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def _forbidden(ip: Address) -> str | None:
    for network, why in _FORBIDDEN:
        if ip in network:
            return why
    routable = ip.is_global
    if isinstance(ip, IPv6Address):
        routable = ip in _NAT64 or (ip in _GLOBAL_UNICAST and routable)
    return None if routable else "not globally routable"


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip())
    except ValueError as exc:
        raise InvalidError(
            f"allow_targets: {text!r} is not a network ({exc}); write it as a CIDR such as 10.0.0.0/8",
            param="allow_targets",
        ) from exc
