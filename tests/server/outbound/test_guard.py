"""Which addresses and URLs are refused, and which are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_translation_server.errors import InvalidError
from video_translation_server.outbound import AddressPolicy, check_url

STRICT = AddressPolicy()
LOOPBACK = AddressPolicy(allow_loopback=True)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_global_addresses_pass(address: str) -> None:
    assert STRICT.refusal(address) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "127.0.0.1 is loopback"),
        ("169.254.169.254", "169.254.169.254 is link-local"),
        ("0.0.0.0", "0.0.0.0 is unspecified"),
        ("224.0.0.1", "224.0.0.1 is multicast"),
        ("255.255.255.255", "255.255.255.255 is broadcast"),
        ("192.88.99.1", "192.88.99.1 is the deprecated 6to4 relay anycast"),
        ("::", ":: is unspecified"),
        ("::1", "::1 is loopback"),
        ("fe80::1%eth0", "fe80::1%eth0 is link-local"),
        ("fec0::1", "fec0::1 is site-local"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1 is the IPv4-mapped form of 10.0.0.1, which is private"),
        ("64:ff9b::7f00:1", "64:ff9b::7f00:1 is the NAT64 form of 127.0.0.1, which is loopback"),
        ("64:ff9b:1::808:808", "64:ff9b:1::808:808 is local-use NAT64"),
        ("2002:7f00:1::", "2002:7f00:1:: is the 6to4 form of 127.0.0.1, which is loopback"),
        (
            "2001:0:808:808:0:0:80ff:fffe",
            "2001:0:808:808:0:0:80ff:fffe is the Teredo form of 127.0.0.1, which is loopback",
        ),
        ("2001:0:808:808:0:0:f7f7:f7f7", "2001:0:808:808:0:0:f7f7:f7f7 is Teredo"),
        ("::10.0.0.1", "::10.0.0.1 is the IPv4-compatible form of 10.0.0.1, which is private"),
        ("::ffff:0:10.0.0.1", "::ffff:0:10.0.0.1 is the IPv4-translated form of 10.0.0.1, which is private"),
        ("::8.8.8.8", "::8.8.8.8 is not globally routable"),
        ("4000::1", "4000::1 is not globally routable"),
        ("example.com", "'example.com' is not an IP address"),
        ("127.1", "'127.1' is not an IP address"),
        ("", "'' is not an IP address"),
    ],
)
def test_a_refusal_names_the_address_and_the_reason(address: str, reason: str) -> None:
    assert STRICT.refusal(address) == reason


@pytest.mark.parametrize(
    ("cidr", "lifted", "still_refused"),
    [
        ("10.0.0.0/8", "10.1.2.3", "192.168.0.1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:127.0.0.1"),
        ("10.0.0.0/8", "64:ff9b::a01:203", "64:ff9b::7f00:1"),
        ("10.0.0.0/8", "2002:a01:203::1", "2002:7f00:1::1"),
        ("10.0.0.0/8", "2001:0:808:808::f5fe:fdfc", "2001:0:808:808::80ff:fffe"),
        ("10.0.0.0/8", "::10.1.2.3", "64:ff9b:1::a01:203"),
        ("64:ff9b:1::/48", "64:ff9b:1::a01:203", "64:ff9b::a01:203"),
        ("fd00::/8", "fd00::1", "fe80::1"),
        ("fe80::/10", "fe80::1%eth0", "fd00::1"),
        ("::/0", "::1", "::ffff:127.0.0.1"),
        ("127.0.0.0/8", "127.0.0.1", "::1"),
    ],
)
def test_a_cidr_lifts_a_refusal_and_no_other(cidr: str, lifted: str, still_refused: str) -> None:
    policy = AddressPolicy.from_settings([cidr], loopback=False)
    assert policy.refusal(lifted) is None
    assert policy.refusal(still_refused) is not None


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
    ],
)
def test_loopback_is_this_hosts_own_and_nothing_else(address: str, allowed: bool) -> None:
    assert (LOOPBACK.refusal(address) is None) is allowed


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "example.com", "10.0.0.0/8,::/0"])
def test_a_bad_cidr_is_named(text: str) -> None:
    with pytest.raises(InvalidError, match="CIDR") as caught:
        AddressPolicy.from_settings(["10.0.0.0/8", text], loopback=True)
    assert repr(text) in caught.value.message
    assert caught.value.param == "allow_targets"


@given(st.ip_addresses(v=4))
def test_every_form_of_a_forbidden_address_is_forbidden(address: object) -> None:
    number = int(address)  # type: ignore[call-overload]
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    forbidden = STRICT.refusal(str(address)) is not None
    for form in (f"::ffff:{high}:{low}", f"64:ff9b::{high}:{low}", f"2002:{high}:{low}::1"):
        assert (STRICT.refusal(form) is not None) is forbidden


@given(st.text())
def test_any_text_is_judged_without_a_surprise(text: str) -> None:
    STRICT.refusal(text)
    for url in (text, f"http://{text}/", f"https://{text}:80/x"):
        try:
            check_url(url, STRICT)
        except InvalidError as exc:
            assert exc.param == "url"  # noqa: PT017


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com:8443/path?query=1&x=%20",
        "HTTPS://EXAMPLE.com./",
        "https://sub_domain.example.com/",
        "https://straße.de/ü",
        "https://xn--strae-oqa.de/",
        "http://8.8.8.8:65535/",
        "http://134744072/",
        "http://[2606:4700::1111]:80/",
        "http://1.1.1.1.example.com/",
        "http://0x7f000001.example.com/",
        "https://h:/x",
        "https://example.com/@:80",
        "https://example.com/" + "a" * (2048 - len("https://example.com/")),
    ],
)
def test_a_url_that_can_be_called_passes(url: str) -> None:
    check_url(url, STRICT)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "scheme '' is not supported; use http or https"),
        ("ftp://example.com/", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("example.com/hook", "scheme ''"),
        ("http://user:pass@example.com/", "contains credentials; remove them"),
        ("http://@example.com/", "contains credentials"),
        ("http://example.com@127.0.0.1/", "contains credentials"),
        ("http:///path", "no host; write it as"),
        ("http://:80/", "no host"),
        ("http:example.com", "no host"),
        ("http://example.com:0/", "port 0 cannot be called"),
        ("http://example.com:65536/", "check its host and port"),
        ("http://example.com:-1/", "check its host and port"),
        ("http://example.com:http/", "check its host and port"),
        ("http://example.com:８０/", "check its host and port"),  # noqa: RUF001
        ("https://example.com/" + "a" * 2029, "2049 characters; use at most 2048"),
        ("http://example.com/a b", "U+0020"),
        (" http://example.com/", "U+0020"),
        ("http://example.com/\r\nX: y", "U+000D"),
        ("http://exam\tple.com/", "U+0009"),
        ("http://example.com/\x7f", "U+007F"),
        ("http://example.com/\x00", "U+0000"),
        ("http://exam\u00adple.com/", "U+00AD"),
        ("http://example.com\u200b/", "U+200B"),
        ("http://example.com/\u202e", "U+202E"),
        ("http://example.com\\@127.0.0.1/", "U+005C"),
        ("http://example.com/\ud800", "U+D800"),
        ("http://example.com/#part", "fragment, which is never sent; remove"),
        ("http://example.com#", "fragment"),
        ("http://a..b/", "'a..b' is not a valid name"),
        ("http://.example.com/", "not a valid name"),
        ("http://-a.com/", "not a valid name"),
        ("http://" + "a" * 64 + ".com/", "not a valid name"),
        ("http://" + "a." * 130 + "com/", "not a valid name"),
        ("http://exa$mple.com/", "not a valid name"),
        ("http://ex%61mple.com/", "percent-encoded; write the name plainly"),
        ("http://ex%2fample.com/", "not a valid name"),
        ("http://256.1.1.1/", "not a valid IP address"),
        ("http://1.2.3.4.5/", "not a valid IP address"),
        ("http://08.1.1.1/", "not a valid IP address"),
        ("http://example.0x/", "not a valid IP address"),
        ("http://[::1/", "check its host and port"),
        ("http://[::1]x/", "text around the brackets"),
        ("http://[1.2.3.4]/", "; check "),
        ("http://[v1.a]/", "; check "),
        ("http://[]/", "; check "),
        ("http://127.0.0.1/", "127.0.0.1 is loopback, so it cannot be called from here; use a public"),
        ("http://localhost/", "'localhost' is loopback"),
        ("http://LOCALHOST.:80/", "'localhost.' is loopback"),
        ("http://app.localhost/", "'app.localhost' is loopback"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_with_words(url: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_url(url, STRICT)
    assert words in caught.value.message
    assert caught.value.param == "url"


def test_the_message_keeps_credentials_to_itself() -> None:
    with pytest.raises(InvalidError) as caught:
        check_url("http://user:hunter2@example.com/", STRICT)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("url", ["http://localhost:80/", "http://a.localhost/", "http://127.1/", "http://[::1]/"])
def test_loopback_urls_pass_where_loopback_may_be_called(url: str) -> None:
    check_url(url, LOOPBACK)
    check_url(url, AddressPolicy.from_settings(["127.0.0.0/8", "::1/128"], loopback=False))
