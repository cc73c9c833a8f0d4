"""Which addresses and URLs may be called: from the cloud, and on one machine."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.addresses import PORTS_ALLOWED, URL_MAX, check_url, refusal

REFUSED = {
    # IPv4, by the registry of special-purpose addresses: first, last or a well-known one of each.
    "0.0.0.0": "unspecified",
    "0.255.255.255": "unspecified",
    "10.0.0.0": "private",
    "10.255.255.255": "private",
    "100.64.0.0": "shared with a carrier's NAT",
    "100.100.100.200": "shared with a carrier's NAT",
    "100.127.255.255": "shared with a carrier's NAT",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.0.1": "link-local (instance metadata)",
    "169.254.169.123": "link-local (instance metadata)",
    "169.254.169.253": "link-local (instance metadata)",
    "169.254.169.254": "link-local (instance metadata)",
    "169.254.170.2": "link-local (instance metadata)",
    "172.16.0.0": "private",
    "172.31.255.255": "private",
    "192.0.0.1": "reserved for protocols",
    "192.0.0.192": "reserved for protocols",
    "192.0.2.1": "documentation",
    "192.31.196.1": "reserved for AS112",
    "192.52.193.1": "reserved for AMT",
    "192.88.99.1": "6to4 relay",
    "192.168.0.1": "private",
    "192.168.255.255": "private",
    "192.175.48.1": "reserved for AS112",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.255": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved or broadcast",
    "255.255.255.255": "reserved or broadcast",
    # IPv6, in more than one writing.
    "::": "unspecified",
    "0:0:0:0:0:0:0:0": "unspecified",
    "::1": "loopback",
    "0000:0000:0000:0000:0000:0000:0000:0001": "loopback",
    "fe80::1": "link-local",
    "febf:ffff::": "link-local",
    "fec0::1": "site-local",
    "fc00::1": "private",
    "fd12:3456:789a::1": "private",
    "fdff:ffff::": "private",
    "fd00:ec2::254": "instance metadata",
    "FD00:EC2::253": "instance metadata",
    "ff02::1": "multicast",
    "ff0e::1": "multicast",
    "2001::1": "Teredo",
    "2001:0:53aa:64c::": "Teredo",
    "2001:2::1": "reserved for protocols",
    "2001:20::1": "reserved for protocols",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "2620:4f:8000::1": "reserved for AS112",
    "100::1": "not global unicast",
    "200::1": "not global unicast",
    "4000::1": "not global unicast",
    "5f00::1": "not global unicast",
    # An IPv4 address within an IPv6 one, whatever it is: nobody needs that writing.
    "::ffff:127.0.0.1": "IPv4 within IPv6",
    "::ffff:7f00:1": "IPv4 within IPv6",
    "::FFFF:169.254.169.254": "IPv4 within IPv6",
    "::ffff:a9fe:a9fe": "IPv4 within IPv6",
    "0:0:0:0:0:ffff:10.0.0.1": "IPv4 within IPv6",
    "::ffff:93.184.216.34": "IPv4 within IPv6",
    "::127.0.0.1": "IPv4 within IPv6",
    "::a9fe:a9fe": "IPv4 within IPv6",
    "::ffff:0:127.0.0.1": "not global unicast",
    "64:ff9b::127.0.0.1": "NAT64",
    "64:ff9b::a9fe:a9fe": "NAT64",
    "64:ff9b:1::7f00:1": "NAT64",
    "2002:7f00:1::": "6to4",
    "2002:a9fe:a9fe::1": "6to4",
    "2002:5db8:d822::1": "6to4",
}
"""Addresses in the form a resolver gives, and why they may not be called from the cloud."""

NO_ADDRESS = [
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.01",
    "00127.0.0.1",
    "127.0.0.1.",
    "127.0.0.256",
    "127.0.0.1.1",
    "1270.0.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::1]",
    "::1%lo",
    "fe80::1%eth0",
    "fe80::1%25eth0",
    "2606:4700::1111%1",
    ":::1",
    "1::2::3",
    "12345::",
    "::ffff:127.1",
    "",
    " ",
    "127.0.0.1 ",
    "127.0.0.1\n",
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.0.0.1",
    "localhost",
]
"""Forms that some system takes for an address, and that none is meant to."""

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


def test_there_are_more_than_sixty_forms_of_what_may_not_be_called() -> None:
    assert len(REFUSED) >= 60


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_what_is_not_global_unicast_may_not_be_called_from_the_cloud(
    address: str, reason: str
) -> None:
    assert refusal(address) == reason


@pytest.mark.parametrize("form", NO_ADDRESS)
@pytest.mark.parametrize("allow_private", [False, True])
def test_only_the_canonical_forms_are_addresses(form: str, allow_private: bool) -> None:
    assert refusal(form, allow_private=allow_private) == "not an IP address"


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_just_beside_a_special_range_may_be_called(address: str) -> None:
    assert refusal(address) is None
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_on_one_machine_loopback_and_private_networks_may_be_called_and_nothing_else(
    address: str, reason: str
) -> None:
    allowed = reason in {"loopback", "private"}

    assert refusal(address, allow_private=True) == (None if allowed else reason)


@given(st.ip_addresses(v=4))
def test_no_address_passes_that_the_standard_library_calls_special(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert refusal(str(address)) is not None


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_passes_that_the_standard_library_calls_special(
    address: IPv6Address,
) -> None:
    special = not address.is_global or address.is_multicast or address.is_reserved
    if special or address.ipv4_mapped or address.sixtofour or address.teredo:
        assert refusal(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_no_writing_of_an_ipv4_address_within_an_ipv6_one_passes(address: IPv4Address) -> None:
    low = int(address)
    for high in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"):
        assert refusal(str(IPv6Address(int(ip_address(high)) | low))) is not None
    assert refusal(str(IPv6Address(0x2002 << 112 | low << 80))) is not None


@given(st.text(max_size=60))
def test_no_text_is_too_strange_to_be_answered(text: str) -> None:
    """And none passes both as an address and as something else."""
    refusal(text)
    check_url(text, cloud=True)
    check_url(f"https://{text}/", cloud=True)


HOOK = "https://hooks.example.com/in?b=2"

ALLOWED_IN_THE_CLOUD = [
    HOOK,
    "HTTPS://Hooks.Example.COM",
    "https://hooks.example.com:443/",
    "https://hooks.example.com:8443/a/b;c=d?e={{run_id}}#f",
    "https://hooks.example.com./",
    "https://xn--bcher-kva.example/",
    "https://_acme.a-b.example/",
    "https://93.184.216.34/",
    "https://[2606:4700:4700::1111]:8443/",
    "https://example.com?q",
    "https://example.com#f",
    "https://example.com/@user:password",
    "https://example.com/grün",
    "https://1.example/",
    "https://127.0.0.1.example.com/",
]

REFUSED_IN_THE_CLOUD = {
    "http://example.com/": "not https",
    "https://example.com:80/": "port 80 is not one of 443, 8443",
    "https://example.com:22/": "port 22 is not one of 443, 8443",
    "https://example.com:0/": "port 0 is not one of 443, 8443",
    "https://example.com:99999/": "port 99999 is not one of 443, 8443",
    "https://localhost/": "the address may not be called: loopback",
    "https://LOCALHOST./": "the address may not be called: loopback",
    "https://a.localhost/": "the address may not be called: loopback",
    "https://127.0.0.1/": "the address may not be called: loopback",
    "https://169.254.169.254/latest": (
        "the address may not be called: link-local (instance metadata)"
    ),
    "https://[::1]/": "the address may not be called: loopback",
    "https://[::ffff:127.0.0.1]/": "the address may not be called: IPv4 within IPv6",
    "https://[fd00:ec2::254]/": "the address may not be called: instance metadata",
    "https://[64:ff9b::a9fe:a9fe]/": "the address may not be called: NAT64",
    "https://10.1.2.3/": "the address may not be called: private",
}

REFUSED_ANYWHERE = {
    "": None,
    "example.com": None,
    "//example.com/": None,
    "https:example.com": None,
    "https:/example.com": None,
    "ftp://example.com/": None,
    "file:///etc/passwd": None,
    "javascript:alert(1)": None,
    "gopher://example.com:70/_": None,
    "unix:///run/docker.sock": None,
    "https://": None,
    "https:///path": None,
    "https://:443/": None,
    "https://example.com:/": None,
    "https://example.com:http/": None,
    "https://example.com:+443/": None,
    "https://user@example.com/": "holds credentials",
    "https://user:password@example.com/": "holds credentials",
    "https://example.com@evil.example/": "holds credentials",
    "https://@example.com/": "holds credentials",
    "https://example.com\\@evil.example/": "holds a space, a control character or a backslash",
    "https://example.com /": "holds a space, a control character or a backslash",
    "https://example.com/\r\nHost: evil.example": (
        "holds a space, a control character or a backslash"
    ),
    "https://example.com/\t": "holds a space, a control character or a backslash",
    "https://example.com/\x7f": "holds a space, a control character or a backslash",
    "\x01https://example.com/": "holds a space, a control character or a backslash",
    "https://exämple.com/": None,
    "https://example\u3002com/": None,
    "https://\u24d4xample.com/": None,
    "https://example.com%2eevil.example/": None,
    "https://%31%32%37.0.0.1/": None,
    "https://{{job_id}}.example.com/": None,
    "https://example.com,evil.example/": None,
    "https://a..example/": "the host is not a name",
    "https://.example/": "the host is not a name",
    "https://-a.example/": "the host is not a name",
    "https://a-.example/": "the host is not a name",
    f"https://{'a' * 64}.example/": "the host is not a name",
    f"https://{'a.' * 130}example/": "the host is not a name",
    f"https://example.com/{'a' * URL_MAX}": f"longer than {URL_MAX} characters",
    "https://127.1/": "the address may not be called: not an IP address",
    "https://2130706433/": "the address may not be called: not an IP address",
    "https://0x7f000001/": "the address may not be called: not an IP address",
    "https://0x7f.1/": "the address may not be called: not an IP address",
    "https://0177.0.0.1/": "the address may not be called: not an IP address",
    "https://127.0.0.1./": "the address may not be called: not an IP address",
    "https://1.2.3.4.5/": "the address may not be called: not an IP address",
    "https://example.0x7f/": "the address may not be called: not an IP address",
    "https://[::1%25lo]/": None,
    "https://[fe80::1%eth0]/": None,
    "https://[::1": None,
    "https://::1/": None,
    "https://[example.com]/": None,
    "https://[127.0.0.1]/": None,
    "https://[]/": None,
}


@pytest.mark.parametrize("url", ALLOWED_IN_THE_CLOUD)
def test_a_public_https_url_may_be_called(url: str) -> None:
    assert check_url(url, cloud=True) is None
    assert check_url(url, cloud=False) is None


@pytest.mark.parametrize(("url", "reason"), REFUSED_IN_THE_CLOUD.items())
def test_from_the_cloud_only_https_to_public_hosts_may_be_called(url: str, reason: str) -> None:
    assert check_url(url, cloud=True) == reason


@pytest.mark.parametrize(("url", "reason"), REFUSED_ANYWHERE.items())
@pytest.mark.parametrize("cloud", [True, False])
def test_a_url_of_more_than_one_reading_may_not_be_called(
    url: str, reason: str | None, cloud: bool
) -> None:
    given = check_url(url, cloud=cloud)

    assert given is not None
    assert reason in {None, given}


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/",
        "http://127.0.0.1:1/",
        "http://[::1]:65535/",
        "http://192.168.1.20/",
        "https://printer:631/",
    ],
)
def test_on_one_machine_what_is_near_may_be_called_at_any_port(url: str) -> None:
    assert check_url(url, cloud=False) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "http://169.254.169.254/",
            "the address may not be called: link-local (instance metadata)",
        ),
        ("http://[fd00:ec2::254]/", "the address may not be called: instance metadata"),
        ("http://0.0.0.0/", "the address may not be called: unspecified"),
        ("http://localhost:0/", "has no such port"),
        ("http://localhost:65536/", "has no such port"),
    ],
)
def test_on_one_machine_some_things_may_not_be_called_either(url: str, reason: str) -> None:
    assert check_url(url, cloud=False) == reason


def test_a_stage_may_allow_other_ports() -> None:
    url = "https://example.com:9443/"

    assert check_url(url, cloud=True) == "port 9443 is not one of 443, 8443"
    assert check_url(url, cloud=True, ports=PORTS_ALLOWED | {9443}) is None
