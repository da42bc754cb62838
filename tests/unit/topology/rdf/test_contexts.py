"""Contexts give terms their meaning: at hand, scoped, protected, propagated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.json_ld import V, node, refusal, statements


class TestContexts:
    A, B, C = (f"https://contexts.example/{name}" for name in "abc")

    @pytest.mark.parametrize(
        "at_hand",
        [
            {A: {"@context": [B, {"size": f"{V}size"}]}, B: {"@context": {"name": f"{V}name"}}},
            {A: {"@context": ["b", {"size": f"{V}size"}]}, B: {"@context": {"name": f"{V}name"}}},
            {
                A: {"@context": {"@import": B, "size": f"{V}size"}},
                B: {"@context": {"name": f"{V}name", "size": "urn:x"}},
            },
            {A: {"@context": B}, B: {"@context": ["./c"]}, C: {"@context": {"name": f"{V}name", "size": f"{V}size"}}},
            {A: {"@context": {"@vocab": V}}},
            {A: {"@context": {"@base": "urn:lost:", "@vocab": V}}},
        ],
    )
    def test_read_json_ld_contexts_at_hand_may_name_others_at_hand(self, at_hand: Any) -> None:
        document = {"@context": [self.A], "@id": "urn:a", "name": "x", "size": 1}

        assert statements(document, at_hand) == {'<urn:a> <v:name> "x"', '<urn:a> <v:size> "1"^^<xsd:integer>'}

    @pytest.mark.parametrize(
        "outer", [B, ["b"], {"@import": B}, {"t": {"@id": "urn:t", "@context": "b"}}, [{"@vocab": V}, "/b"]]
    )
    def test_read_json_ld_inner_context_not_at_hand_is_refused_by_its_url(self, outer: Any) -> None:
        said_of_it = refusal({"@context": self.A, **node("x")}, {self.A: {"@context": outer}})

        assert f"the context {self.B}, which is not at hand" in said_of_it

    def test_read_json_ld_contexts_that_name_each_other_in_a_circle_are_refused(self) -> None:
        at_hand = {self.A: {"@context": self.B}, self.B: {"@context": self.A}}

        assert "context overflow" in refusal({"@context": self.A, **node("x")}, at_hand)

    def test_read_json_ld_scoped_context_may_name_its_own_document(self) -> None:
        at_hand = {self.A: {"@context": {"@vocab": V, "in": {"@context": self.A}}}}
        document = {"@context": self.A, "@id": "urn:a", "in": {"@id": "urn:b", "in": {"@id": "urn:c"}}}

        assert statements(document, at_hand) == {"<urn:a> <v:in> <urn:b>", "<urn:b> <v:in> <urn:c>"}

    def test_read_json_ld_scoped_contexts_apply_to_types_and_properties(self) -> None:
        context = {
            "@vocab": V,
            "Asset": {"@context": {"name": "urn:asset-name"}},
            "provider": {"@context": {"name": "urn:provider-name"}},
        }
        document = {
            "@context": context,
            "@id": "urn:a",
            "@type": "Asset",
            "name": "x",
            "provider": {"@id": "urn:b", "name": "y", "part": {"@id": "urn:c", "name": "z"}},
            "part": {"@id": "urn:d", "name": "w"},
        }

        assert {line for line in statements(document) if "name" in line} == {
            '<urn:a> <urn:asset-name> "x"',
            '<urn:b> <urn:provider-name> "y"',
            '<urn:c> <urn:provider-name> "z"',
            '<urn:d> <v:name> "w"',
        }

    @pytest.mark.parametrize(
        ("container", "expected"),
        [
            ("@set", "v:size"),
            ("@index", "urn:size-of-asset"),
            ("@id", "urn:size-of-asset"),
            ("@type", "urn:size-of-part"),
        ],
    )
    def test_read_json_ld_context_of_a_type_reaches_into_maps(self, container: str, expected: str) -> None:
        context = {
            "@vocab": V,
            "parts": {"@container": container},
            "Asset": {"@context": {"size": "urn:size-of-asset"}},
            "Part": {"@context": {"size": "urn:size-of-part"}},
        }
        part = {"size": "x"}
        parts = part if container == "@set" else {"Part": part}

        found = statements({"@context": context, "@id": "urn:a", "@type": "Asset", "parts": parts})

        assert [line.split(" ")[1] for line in found if "size" in line] == [f"<{expected}>"]

    def test_read_json_ld_context_that_does_not_propagate_ends_at_the_next_node(self) -> None:
        context = [{"@vocab": V}, {"@propagate": False, "name": "urn:name"}]
        document = {"@context": context[0], "p": {"@context": context[1], "name": "x", "p": {"name": "y"}}}

        assert {line.split(" ", 1)[1] for line in statements(document) if "name" in line} == {
            '<urn:name> "x"',
            '<v:name> "y"',
        }

    def test_read_json_ld_protected_term_is_not_redefined(self) -> None:
        document = {"@context": [{"@protected": True, "t": "urn:t"}, {"t": "urn:other"}], **node("x")}

        assert "protected term redefinition" in refusal(document)

    @pytest.mark.parametrize(
        ("context", "code"),
        [
            ({"@version": 2}, "invalid @version value: 2, not the number 1.1"),
            ({"@version": "1.1"}, 'invalid @version value: "1.1", not the number 1.1'),
            ({"@version": None}, "invalid @version value: null, not the number 1.1"),
            ({"@base": 5}, "invalid base IRI"),
            ({"@vocab": 5}, "invalid vocab mapping"),
            ({"@language": 5}, "invalid default language"),
            ({"@language": {"en": None}}, 'invalid default language: {"en": null}'),
            ({"@import": 5}, "invalid @import value"),
            ({"@propagate": 5}, "invalid @propagate value"),
            ({"@protected": 5}, "invalid @protected value"),
            ({"": "urn:t"}, "invalid term definition"),
            ({"t": 5}, "invalid term definition"),
            ({"t": {"@id": "urn:t", "x": 1}}, "invalid term definition"),
            ({"t": {"@id": 5}}, "invalid IRI mapping"),
            ({"t": "u:x", "u": "t:x"}, "cyclic IRI mapping"),
            ({"@id": "urn:t"}, "keyword redefinition"),
            ({"t": {"@id": "urn:t", "@type": "relative"}}, "invalid type mapping"),
            ({"t": {"@id": "urn:t", "@container": "@nothing"}}, "invalid container mapping"),
            ({"t": {"@id": "urn:t", "@container": ["@list", "@set"]}}, "invalid container mapping"),
            ({"t": {"@id": "urn:t", "@language": 5}}, "invalid language mapping"),
            ({"t": {"@id": "urn:t", "@nest": "@id"}}, "invalid @nest value"),
            ({"t": {"@reverse": "urn:t", "@id": "urn:t"}}, "invalid reverse property"),
            ({"t": {"@id": "urn:t", "@context": {"u": 5}}}, "invalid scoped context"),
            ({"t": "@context"}, "invalid keyword alias"),
            ([[{}]], "invalid local context"),
            (5, "invalid local context"),
        ],
    )
    def test_read_json_ld_bad_context_is_refused_with_the_code_of_the_specification(
        self, context: Any, code: str
    ) -> None:
        assert code in refusal({"@context": context, **node("x")})
