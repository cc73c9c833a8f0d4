"""Where a target may lie: which URLs and which addresses may be called at all."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

PORTS_ALLOWED = frozenset({443, 8443})
"""Ports that a target in the cloud may listen on."""

URL_MAX = 2048
"""Characters of a URL; no browser or proxy is sure to take more."""

_HOST_MAX = 253
_SCHEME_PORTS = {"http": 80, "https": 443}

_REFUSED = tuple(
    (ip_network(network), reason)
    for network, reason in (
        # The cloud's own services first: they stay refused where private addresses are allowed.
        ("169.254.0.0/16", "link-local (instance metadata)"),
        ("fd00:ec2::/32", "instance metadata"),
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared with a carrier's NAT"),
        ("127.0.0.0/8", "loopback"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "reserved for AS112"),
        ("192.52.193.0/24", "reserved for AMT"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved for AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4 within IPv6"),
        ("::/96", "IPv4 within IPv6"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "reserved for AS112"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
"""What is not global unicast, by the registries of special-purpose addresses; first match wins."""

_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
"""All of IPv6 that has been given out as global unicast; the rest is refused unseen."""

_PRIVATE_REASONS = frozenset({"loopback", "private"})


@lru_cache(maxsize=4096)
def refusal(ip: str, *, allow_private: bool = False) -> str | None:
    """Return why an address may not be called, or None when it may.

    Args:
        ip: As the resolver gives it. Only the canonical forms are addresses: `127.1`, `0x7f.1`
            and `2130706433` are not, and an IPv6 address with a zone (`fe80::1%eth0`) never may.
        allow_private: On one machine: loopback and private networks may be called too. Instance
            metadata and the rest may not.
    """
    address = _parsed(ip)
    if address is None:
        return "not an IP address"
    reason = _special(address)
    if allow_private and reason in _PRIVATE_REASONS:
        return None
    return reason


def _parsed(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    return None if "%" in ip else address


def _special(address: IPv4Address | IPv6Address) -> str | None:
    for network, reason in _REFUSED:
        if _within(address, network):
            return reason
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST_6:
        return "not global unicast"
    return None


def _within(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<rest>([/?#].*)?)"
)
_AUTHORITY = re.compile(
    r"(\[(?P<ipv6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<host>[A-Za-z0-9._-]+))(:(?P<port>[0-9]{1,5}))?"
)
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def check_url(url: str, *, cloud: bool, ports: frozenset[int] = PORTS_ALLOWED) -> str | None:
    """Return why a target's URL may not be called, or None when it may.

    The grammar is narrower than what clients accept, so that there is one reading of every URL
    that passes: an ASCII host (international names in their `xn--` form), no credentials, no
    backslash, space or control character, and no number for a host but a canonical address.
    Templates may stand in path and query only. Names are not resolved here: whether the addresses
    behind one may be called is asked with `refusal` on every attempt.

    Args:
        url: As the user wrote it, or with its templates filled.
        cloud: Only https to one of `ports`, and no private address. Otherwise, on one machine,
            http and any port are allowed, and loopback and private addresses.
        ports: What `cloud` allows.
    """
    if len(url) > URL_MAX:
        return f"longer than {URL_MAX} characters"
    if _NOT_IN_A_URL.search(url):
        return "holds a space, a control character or a backslash"
    match = _URL.fullmatch(url)
    scheme = match["scheme"].lower() if match else ""
    if match is None or scheme not in _SCHEME_PORTS:
        return "not an absolute https URL" if cloud else "not an absolute http or https URL"
    if cloud and scheme != "https":
        return "not https"
    if "@" in match["authority"]:
        return "holds credentials"
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None:
        return "has no host, or not one written in ASCII letters, digits, dots and hyphens"
    port = int(authority["port"] or _SCHEME_PORTS[scheme])
    if cloud and port not in ports:
        return f"port {port} is not one of {', '.join(map(str, sorted(ports)))}"
    if not 1 <= port <= 65_535:  # noqa: PLR2004 - what fits in a TCP header
        return "has no such port"
    if authority["ipv6"] is not None:
        return _address_refusal(authority["ipv6"], cloud=cloud)
    return _host_refusal(authority["host"], cloud=cloud)


def _address_refusal(ip: str, *, cloud: bool) -> str | None:
    reason = refusal(ip, allow_private=not cloud)
    return None if reason is None else f"the address may not be called: {reason}"


def _host_refusal(host: str, *, cloud: bool) -> str | None:
    labels = host.removesuffix(".").split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # Whatever ends in a number is an address to some resolver, if only in octal.
        return _address_refusal(host, cloud=cloud)
    if len(host) > _HOST_MAX or not all(map(_LABEL.fullmatch, labels)):
        return "the host is not a name"
    if cloud and labels[-1].lower() == "localhost":
        return "the address may not be called: loopback"
    return None
