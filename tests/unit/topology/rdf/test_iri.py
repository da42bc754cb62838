"""IRI references are resolved as RFC 3986 says, for every scheme."""

import pytest

from topology.rdf.iri import is_well_formed, may_have_risks, resolve, risk_of

BASE = "http://a/b/c/d;p?q"


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y#s", "http://a/b/c/g?y#s"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("#", "http://a/b/c/d;p?q#"),
        ("?", "http://a/b/c/d;p?"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../..", "http://a/"),
        ("../../../g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("..g", "http://a/b/c/..g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/../x", "http://a/b/c/g#s/../x"),
        ("//h/x/../y", "http://h/y"),
        ("é", "http://a/b/c/é"),
        ("a\nb", "http://a/b/c/a\nb"),
    ],
)
def test_resolve_reference_gives_the_iri_of_rfc_3986(reference: str, resolved: str) -> None:
    assert resolve(reference, BASE) == resolved


@pytest.mark.parametrize(
    ("base", "resolved"),
    [
        ("http://a", "http://a/g"),
        ("http://a/./b/../c/", "http://a/c/g"),
        ("tag:example.org,2026:x/y", "tag:example.org,2026:x/g"),
        ("urn:x:y", "urn:g"),
        ("file:///a/b", "file:///a/g"),
        (None, "g"),
    ],
)
def test_resolve_knows_no_list_of_schemes(base: str | None, resolved: str) -> None:
    assert resolve("g", base) == resolved


# Apache Jena 5.6 reads each of the first ones from JSON-LD as another IRI, or drops it; the others it keeps.
@pytest.mark.parametrize(
    ("iri", "risk"),
    [
        ("http://a/b/../c", "segment"),
        ("http://a/.", "segment"),
        ("http://a/b/..?q", "segment"),
        ("urn:x:a/../b", "segment"),
        ("ex://h/a/./b", "segment"),
        ("http://", "nothing after"),
        ("x:", "nothing after"),
        ("http://a/b\u00a0c", "space"),
        ("mailto:a@b.example", "mail"),
        ("http://a/b..c/.d/e.", ""),
        ("http://a/b?/../", ""),
        ("http://a/#/../", ""),
        ("urn:x:../a", ""),
        ("http://a/%2e%2e/b", ""),
        ("http://a", ""),
        ("tel:+1", ""),
        ("HTTP://A:80/", ""),
    ],
)
def test_risk_of_iri_names_what_nodes_change(iri: str, risk: str) -> None:
    assert risk in risk_of(iri) if risk else risk_of(iri) == ""
    assert may_have_risks(f"<urn:s> <urn:p> <{iri}> .\n") or not risk


@pytest.mark.parametrize(
    "iri", ["relative", "", "1:x", "http://a b", "urn:<x>", "urn:x\x00", "http://a\\b", ":x", "_:b"]
)
def test_is_well_formed_refuses_what_no_absolute_iri_is(iri: str) -> None:
    assert not is_well_formed(iri)
