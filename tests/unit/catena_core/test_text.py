"""Text from elsewhere, made safe to show."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core import text as module
from catena_core.text import bounded, conceal, is_secret, printable, redacted, split_credentials, without_credentials


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    monkeypatch.setattr(module, "_secrets", set())


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_shown(text):
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\r", "\x07", "\x7f", "\u202e", "\u2028", "\udcff"])
def test_escapes_say_what_stood_there(character):
    assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize(
    "text",
    [
        "http://ada:pw-1/2@host/ does not answer",
        "http://ada:pw-1@host:80/a does not answer: http://ada:pw-1@host/b",
        "redis://:pw-1@redis:6379/0",
        "mongodb://ada:p@pw-1@a,b/c",
        "https://pw-1@github.example/x",
        "https://p.example/d?access_token=pw-1&x=1",
        "https://p.example/d?X-Amz-Signature=pw-1#part",
        "https://p.example/d?a=1;api-key=pw-1",
        "https://p.example/d?sig=pw-1",
        "sasl.password=pw-1",
        "ssl.key.password = pw-1",
        "REDIS_PASSWORD=pw-1",
        "client_secret=pw-1",
        "it got Authorization: Bearer pw-1",
        "{'authorization': 'Basic pw-1'}",
        "Authorization: pw-1",
    ],
)
def test_redacted_secret_in_its_usual_place_is_masked(text):
    shown = redacted(text.replace("pw-1/2", "pw-1%2F2"))
    assert "pw-1" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "http://host:80/a?graph=urn:x&author=ada&keyword=b does not answer within 5 s",
        "mail ada@example.org; see https://p.example/@ada",
        "SELECT ?key WHERE { ?s ex:token ?key }",
        "a password is wanted: basic authentication",
        "write name=value, as in -X security.protocol=SSL",
    ],
)
def test_redacted_text_without_a_secret_is_as_it_was(text):
    assert redacted(text) == text


def test_redacted_concealed_secret_is_masked_in_every_form():
    conceal("p&ss word/1", "short", "12345", "pw-1")
    conceal("s3cret")
    assert redacted("it says s3cret") == "it says ***"
    for form in ("p&ss word/1", "p%26ss%20word%2F1", "p%26ss%20word/1"):
        assert redacted(f"the node says {form}!") == "the node says ***!"
    assert redacted("a short text of pw-1 on port 12345") == "a short text of pw-1 on port 12345"


@given(st.text(), st.integers(1, 50))
def test_bounded_text_is_short_and_printable(text, most):
    shown = bounded(text, most)
    assert len(shown) <= most
    assert shown.isprintable()
    if len(text) <= most and text.isprintable():
        assert shown == text


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20))
def test_split_credentials_leaves_none_in_the_url(user, password):
    url, header = split_credentials(f"http://{quote(user, safe='')}:{quote(password, safe='')}@host:80/a?b=c@d#e")
    assert url == "http://host:80/a?b=c@d#e"
    assert header.startswith("Basic ")


@pytest.mark.parametrize("url", ["http://host/@a", "http://host/?a=b@c", "urn:a@b", ""])
def test_without_credentials_url_that_has_none_is_as_it_was(url):
    assert without_credentials(url) == url


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("sasl.password", True),
        ("ssl.key.password", True),
        ("ssl.keystore.password", True),
        ("ssl.key.pem", True),
        ("sasl.oauthbearer.client.secret", True),
        ("sasl.oauthbearer.config", True),
        ("sasl.username", False),
        ("ssl.certificate.pem", False),
        ("sasl.oauthbearer.token.endpoint.url", False),
    ],
)
def test_is_secret_property(name, secret):
    assert is_secret(name) is secret
