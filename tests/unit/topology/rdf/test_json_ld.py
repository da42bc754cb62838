"""JSON-LD is read as the specification says: literals, IRIs, containers, bytes."""

from __future__ import annotations

import json
from typing import Any

import pyoxigraph as ox
import pytest

from tests.helpers.json_ld import RDF, V, node, read, refusal, said, statements


class TestLiterals:
    @pytest.mark.parametrize("type_", [f"{RDF}langString", f"{RDF}dirLangString"])
    def test_read_json_ld_text_of_a_language_type_without_one_is_dropped_and_counted(self, type_: str) -> None:
        found = read(node([{"@value": "x", "@type": type_}, "kept"]))

        assert [str(quad.object) for quad in found.quads] == ['"kept"']
        assert found.dropped == 1
        assert type_ in found.reasons[0]
        assert "language" in found.reasons[0]

    @pytest.mark.parametrize(
        "document",
        [
            node({"@value": "שלום", "@language": "he", "@direction": "rtl"}),
            {"@context": {"@language": "he", "@direction": "rtl"}, **node("שלום")},
            {"@context": {"t": {"@id": f"{V}p", "@language": "he", "@direction": "rtl"}}, "@id": "urn:a", "t": "שלום"},
            {
                "@context": {"t": {"@id": f"{V}p", "@container": "@language", "@direction": "rtl"}},
                "@id": "urn:a",
                "t": {"he": "שלום"},
            },
            {"@context": {"way": "@direction"}, **node({"@value": "שלום", "@language": "he", "way": "rtl"})},
        ],
    )
    def test_read_json_ld_base_direction_is_left_out(self, document: Any) -> None:
        assert statements(document) == said('"שלום"@he')
        assert read(document).dropped == 0

    def test_read_json_ld_direction_without_language_is_left_out(self) -> None:
        assert statements(node({"@value": "x", "@direction": "ltr"})) == said('"x"')

    def test_read_json_ld_direction_of_another_name_is_refused(self) -> None:
        assert "invalid base direction" in refusal(node({"@value": "x", "@direction": "up"}))

    @pytest.mark.parametrize("tag", ["not a tag", "", "e", "de_AT", "thistagistoolong", "en-", "1-2"])
    def test_read_json_ld_bad_language_tag_drops_its_statement_and_counts_it(self, tag: str) -> None:
        found = read(node([{"@value": "x", "@language": tag}, "kept"]))

        assert len(found.quads) + found.dropped == 2
        assert found.dropped == 1 or tag == "1-2"
        assert all("is not a language tag" in reason for reason in found.reasons)

    def test_read_json_ld_language_tags_are_lower_case_on_either_way(self) -> None:
        plain = node({"@value": "x", "@language": "DE-AT"})

        assert statements(plain) == said('"x"@de-at') == statements({"@context": {"@propagate": True}, **plain})

    @pytest.mark.parametrize(
        ("number", "value"),
        [
            ("1.10", '"1.1E0"^^<xsd:double>'),
            ("-0", '"0"^^<xsd:integer>'),
            ("-0.0", '"0"^^<xsd:integer>'),
            ("1e2", '"100"^^<xsd:integer>'),
            ("1e21", '"1.0E21"^^<xsd:double>'),
            ("9007199254740993", '"9007199254740993"^^<xsd:integer>'),
            ("1234567890123456789012345678", '"1.2345678901234569E27"^^<xsd:double>'),
            ("-1e-7", '"-1.0E-7"^^<xsd:double>'),
        ],
    )
    def test_read_json_ld_numbers_are_written_canonically(self, number: str, value: str) -> None:
        assert statements(f'{{"@id": "urn:a", "{V}p": {number}}}'.encode()) == said(value)

    @pytest.mark.parametrize("number", ["1e400", "-1e999", "1" * 400])
    def test_read_json_ld_number_beyond_doubles_is_refused(self, number: str) -> None:
        assert "a number that no double holds" in refusal(f'{{"@id": "urn:a", "{V}p": [{number}]}}'.encode())

    @pytest.mark.parametrize("type_", ["no iri", "https://x.example/<>", "_:b", "relative/x y"])
    def test_read_json_ld_bad_datatype_is_refused(self, type_: str) -> None:
        assert "invalid typed value" in refusal(node({"@value": "x", "@type": type_}))

    @pytest.mark.parametrize("text", ["\u0000", "\u0007\u001f", "\u2028", "\ufffe", "\U0010ffff", "a\r\nb"])
    def test_read_json_ld_any_character_may_stand_in_a_text(self, text: str) -> None:
        (quad,) = read(node(text)).quads

        assert quad.object.value == text

    def test_read_json_ld_nulls_say_nothing(self) -> None:
        assert statements(node([None, {"@value": None}, "x"], **{f"{V}q": None})) == said('"x"')


VALUE = {"@context": "https://elsewhere.example/context", "@id": "x", "v": [1.0, None, {"@type": "urn:t"}]}
CANONICAL = '{"@context":"https://elsewhere.example/context","@id":"x","v":[1,null,{"@type":"urn:t"}]}'


class TestJsonLiterals:
    @pytest.mark.parametrize(
        "document",
        [
            node({"@type": "@json", "@value": VALUE}),
            {"@context": {"t": {"@id": f"{V}p", "@type": "@json"}}, "@id": "urn:a", "t": VALUE},
            {"@context": {"kind": "@type", "data": "@value"}, **node({"kind": "@json", "data": VALUE})},
            {"@context": "https://at-hand.example/c", "@id": "urn:a", "t": VALUE},
        ],
    )
    def test_read_json_ld_context_within_stays_as_written(self, document: Any) -> None:
        at_hand = {"https://at-hand.example/c": {"@context": {"t": {"@id": f"{V}p", "@type": "@json"}}}}

        assert statements(document, at_hand) == said(
            str(ox.Literal(CANONICAL, datatype=ox.NamedNode(f"{RDF}JSON"))).replace(RDF, "rdf:")
        )

    def test_read_json_ld_context_within_has_no_bounds_of_contexts(self) -> None:
        value = [{"@context": {f"t{n}": "x" * 2000 for n in range(600)}} for _ in range(3)] + [{"@context": 1}] * 200

        (quad,) = read(node({"@type": "@json", "@value": value})).quads

        assert json.loads(quad.object.value) == value


class TestIris:
    @pytest.mark.parametrize("base", ["https://a.example/b/../c/./d", "https://a.example/b/.././c/e"])
    def test_read_json_ld_dot_segments_of_a_base_are_resolved(self, base: str) -> None:
        document = {"@context": {"@base": base}, "@id": "x", f"{V}p": [{"@id": "../y"}, {"@id": "./z"}]}
        expected = {f"<https://a.example/c/x> <v:p> <https://a.example/{end}>" for end in ("y", "c/z")}

        assert statements(document) == expected
        assert statements({**document, "@context": {}}, source=base) == expected

    def test_read_json_ld_bases_build_on_one_another(self) -> None:
        document = {"@context": [{"@base": "https://a.example/./b/"}, {"@base": "../c/"}], "@id": "x", f"{V}p": 1}

        assert statements(document) == {'<https://a.example/c/x> <v:p> "1"^^<xsd:integer>'}

    def test_read_json_ld_reference_that_begins_with_a_host_is_resolved(self) -> None:
        assert statements(node({"@id": "//h.example/a/../b"})) == said("<https://h.example/b>")

    @pytest.mark.parametrize(
        "iri",
        [
            "https://x.example/a b",
            "https://x.example/<b>",
            'urn:x:"',
            "urn:x:\u0001",
            "urn:x:{y}",
            "urn:x:a|b",
            "urn:x:`",
        ],
    )
    @pytest.mark.parametrize("place", ["subject", "predicate", "object", "type", "graph"])
    def test_read_json_ld_bad_iri_drops_its_statement_and_counts_it(self, iri: str, place: str) -> None:
        documents = {
            "subject": {"@id": iri, f"{V}p": "x"},
            "predicate": {"@id": "urn:a", iri: "x"},
            "object": node({"@id": iri}),
            "type": {"@id": "urn:a", "@type": iri},
            "graph": {"@id": iri, "@graph": [node("x")]},
        }
        found = read([documents[place], {"@id": "urn:b", f"{V}p": "kept"}])

        assert [str(quad.subject) for quad in found.quads] == ["<urn:b>"]
        assert found.dropped == 1
        assert "is not an absolute IRI" in found.reasons[0]

    def test_read_json_ld_relative_iris_without_a_base_are_dropped_and_counted(self) -> None:
        found = read([{"@context": {"@base": None}, "@id": "x", f"{V}p": "lost"}, node("kept")])

        assert (len(found.quads), found.dropped) == (1, 1)

    def test_read_json_ld_predicates_that_are_blank_nodes_are_dropped_and_counted(self) -> None:
        found = read(node("kept", **{"_:p": "lost"}))

        assert (len(found.quads), found.dropped) == (1, 1)

    def test_read_json_ld_keys_without_an_iri_are_ignored_with_all_below(self) -> None:
        found = read(node("kept", unmapped={"@id": "urn:b", f"{V}p": "lost", f"{V}q": {"@id": "not an iri"}}))

        assert [str(quad.object) for quad in found.quads] == ['"kept"']
        assert found.dropped == 0

    @pytest.mark.parametrize("key", ["http:x", "dct:title", "x:", "urn:x"])
    def test_read_json_ld_keys_like_schemes_are_iris(self, key: str) -> None:
        assert statements({"@id": "urn:a", key: "x"}) == {f'<urn:a> <{key}> "x"'}

    @pytest.mark.parametrize("word", ["@foo", "@ignoreMe"])
    def test_read_json_ld_words_like_keywords_are_ignored(self, word: str) -> None:
        document = {"@context": {word: "urn:x", "t": word}, **node("kept", **{word: "lost", "@type": word})}

        assert statements(document) == said('"kept"')


class TestShapes:
    @pytest.mark.parametrize("on_either_way", [{}, {"@propagate": True}])
    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            (node({"@set": ["x", None, "x"]}), said('"x"')),
            (node({"@list": []}), said("<rdf:nil>")),
            (
                node({"@list": ["x"]}),
                {"<urn:a> <v:p> _:c14n0", '_:c14n0 <rdf:first> "x"', "_:c14n0 <rdf:rest> <rdf:nil>"},
            ),
            (
                node({"@list": [{"@list": ["x"]}]}),
                {
                    "<urn:a> <v:p> _:c14n1",
                    "_:c14n1 <rdf:first> _:c14n0",
                    "_:c14n1 <rdf:rest> <rdf:nil>",
                    '_:c14n0 <rdf:first> "x"',
                    "_:c14n0 <rdf:rest> <rdf:nil>",
                },
            ),
            ({"@id": "urn:b", "@reverse": {f"{V}p": {"@id": "urn:a"}}}, said("<urn:b>")),
            (
                {"@id": "urn:a", "@included": [{"@id": "urn:b", f"{V}q": "y"}], f"{V}p": "x"},
                {*said('"x"'), '<urn:b> <v:q> "y"'},
            ),
            ({"@graph": [node("x"), {"@graph": [node("y")]}]}, {*said('"x"'), '<urn:a> <v:p> "y" _:c14n0'}),
            (
                {"@id": "urn:g", "@graph": node({"@graph": node("x")})},
                {"<urn:a> <v:p> _:c14n0 <urn:g>", '<urn:a> <v:p> "x" _:c14n0'},
            ),
            ({"@id": "urn:a", "@nest": {f"{V}p": "x"}}, said('"x"')),
        ],
    )
    def test_read_json_ld_shapes_are_read_as_the_specification_says(
        self, document: Any, expected: set[str], on_either_way: dict[str, Any]
    ) -> None:
        assert statements({"@context": on_either_way, **document} if on_either_way else document) == expected

    @pytest.mark.parametrize(
        ("term", "value", "expected"),
        [
            ({"@container": "@index"}, {"one": "x"}, said('"x"')),
            ({"@container": "@id"}, {"urn:b": {f"{V}q": "y"}}, {*said("<urn:b>"), '<urn:b> <v:q> "y"'}),
            (
                {"@container": "@type", "@type": "@id"},
                {"urn:T": "urn:b"},
                {*said("<urn:b>"), "<urn:b> <rdf:type> <urn:T>"},
            ),
            (
                {"@container": "@graph"},
                {"@id": "urn:b", f"{V}q": 1},
                {"<urn:a> <v:p> _:c14n0", '<urn:b> <v:q> "1"^^<xsd:integer> _:c14n0'},
            ),
            ({"@container": "@language"}, {"en": ["x"], "@none": "y"}, {*said('"x"@en'), *said('"y"')}),
            ({"@container": "@list"}, [], said("<rdf:nil>")),
            ({"@type": "@id"}, "urn:b", said("<urn:b>")),
            ({"@type": "@vocab"}, "urn:b", said("<urn:b>")),
            (
                {"@container": "@index", "@index": f"{V}i"},
                {"k": {"@id": "urn:b"}},
                {*said("<urn:b>"), '<urn:b> <v:i> "k"'},
            ),
        ],
    )
    @pytest.mark.parametrize("more", [{}, {"@propagate": True}])
    def test_read_json_ld_containers_and_types_of_terms(
        self, term: dict[str, Any], value: Any, expected: set[str], more: dict[str, Any]
    ) -> None:
        document = {"@context": {"t": {"@id": f"{V}p", **term}, **more}, "@id": "urn:a", "t": value}

        assert statements(document) == expected

    @pytest.mark.parametrize(
        ("document", "code"),
        [
            ({"@id": 5}, "invalid @id value"),
            (node("x", **{"@type": 5}), "invalid type value"),
            (node({"@value": {}}), "invalid value object value"),
            (node({"@value": "x", f"{V}q": 1}), "invalid value object"),
            (node({"@value": 1, "@language": "en"}), "invalid language-tagged value"),
            (node({"@value": "x", "@language": 5}), "invalid language-tagged string"),
            (node({"@list": [], f"{V}q": 1}), "invalid set or list object"),
            (node("x", **{"@reverse": 5}), "invalid @reverse value"),
            (node("x", **{"@reverse": {f"{V}q": "text"}}), "invalid reverse property value"),
            (node("x", **{"@index": 5}), "invalid @index value"),
            (node("x", **{"@included": "text"}), "invalid @included value"),
            (node("x", **{"@nest": 5}), "invalid @nest value"),
            ({"@context": {"id": "@id"}, "@id": "urn:a", "id": "urn:b"}, "colliding keywords"),
        ],
    )
    def test_read_json_ld_bad_shape_is_refused_with_the_code_of_the_specification(
        self, document: Any, code: str
    ) -> None:
        assert code in refusal(document)


class TestBytes:
    def test_read_json_ld_byte_order_mark_is_skipped(self) -> None:
        assert statements(b"\xef\xbb\xbf" + json.dumps(node("x")).encode()) == said('"x"')

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
    def test_read_json_ld_other_encodings_are_refused(self, encoding: str) -> None:
        assert "not JSON in UTF-8" in refusal(json.dumps(node("é"), ensure_ascii=False).encode(encoding))

    @pytest.mark.parametrize("text", ["NaN", "Infinity", '"\\ud800"', "'x'", "[1,]", "01"])
    def test_read_json_ld_what_is_not_json_is_refused(self, text: str) -> None:
        assert "not JSON" in refusal(f'{{"@id": "urn:a", "{V}p": {text}}}'.encode())

    @pytest.mark.parametrize(
        "text", [r"\ud800", r"x\uDBFFx", r"\udc00", r"\ud83d\ude00\ud800\ud83d\ude00", r"\\\ud800"]
    )
    def test_read_json_ld_half_a_surrogate_pair_is_refused_with_its_reason(self, text: str) -> None:
        assert "is half of a surrogate pair" in refusal(f'{{"@id": "urn:a", "{V}p": "{text}"}}'.encode())

    @pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800"])
    def test_read_json_ld_cut_off_is_not_taken_for_half_a_surrogate_pair(self, text: str) -> None:
        assert "truncated" in refusal(f'{{"@id": "urn:a", "{V}p": "{text}"'.encode())

    def test_read_json_ld_of_repeated_keys_the_last_counts(self) -> None:
        assert statements(f'{{"@id": "urn:b", "{V}p": "lost", "@id": "urn:a", "{V}p": "x"}}'.encode()) == said('"x"')


def test_read_json_ld_documents_that_share_a_context_keep_their_own_bases() -> None:
    document = {"@context": {"x": "https://x.example/"}, "@id": "one", "x:p": {"@id": "two"}}
    found = [read(document, source=f"https://{host}.example/") for host in ("a", "b", "a")]
    assert [{term for row in one.rows for term in (row[0], row[2])} for one in found] == [
        {f"<https://{host}.example/one>", f"<https://{host}.example/two>"} for host in ("a", "b", "a")
    ]
