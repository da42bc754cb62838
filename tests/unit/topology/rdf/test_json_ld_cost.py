"""No document costs much more to read than its length, nor ends the process that reads it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from catena_core.errors import RejectedError
from tests.helpers.json_ld import V, node, read, refusal, said, statements
from topology.rdf.json_ld import nests_deeper


# Each of these ended the process when a parser in native code read it.
@pytest.mark.parametrize("container", [["@graph", "@set"], "@graph"])
@pytest.mark.parametrize("value", [{"@list": []}, {"@list": [{f"{V}q": 1}]}, [{"@list": []}, {"@set": []}]])
def test_read_json_ld_list_in_a_graph_container_ends_no_process(container: Any, value: Any) -> None:
    document = {"@context": {"t": {"@id": f"{V}p", "@container": container}}, **node("x"), "t": value}

    assert said('"x"') <= statements(document)


class TestCost:
    A = "https://contexts.example/a"

    def test_read_json_ld_contexts_that_name_each_other_many_times_are_refused_or_read_soon(self) -> None:
        at_hand = {
            f"https://contexts.example/{level}": {
                "@context": {
                    f"t{n}": {"@id": f"urn:{n}", "@context": f"https://contexts.example/{level + 1}"} for n in range(30)
                }
            }
            for level in range(12)
        } | {"https://contexts.example/12": {"@context": {}}}
        deep: Any = "x"
        for level in range(12):
            deep = {f"t{level}": deep}

        self.is_soon({"@context": "https://contexts.example/0", "@id": "urn:a", **deep}, at_hand)

    def test_read_json_ld_large_scoped_context_at_each_node_is_refused_or_read_soon(self) -> None:
        scoped = {f"t{n}": f"urn:t{n}" for n in range(400)}
        context = {f"T{n}": {"@id": f"urn:T{n}", "@context": dict(scoped)} for n in range(100)}
        nodes = [{"@type": [f"T{(n + k) % 100}" for k in range(50)], "t1": n} for n in range(1000)]

        self.is_soon({"@context": context, **node(nodes)}, {})

    @pytest.mark.parametrize("terms", [60, 400])
    def test_read_json_ld_long_chain_of_terms_is_refused(self, terms: int) -> None:
        chain = {f"t{n}": f"t{n + 1}:x" for n in range(terms)}

        assert "build on one another" in refusal({"@context": {**chain, f"t{terms}": "urn:"}, **node("x")})

    def test_read_json_ld_nested_contexts_end_no_process(self) -> None:
        context: Any = {"t": "urn:t"}
        for _ in range(45):
            context = {"@vocab": V, "p": {"@context": context}}

        self.is_soon({"@context": context, "@id": "urn:a", "p": {"p": {"p": "x"}}}, {})

    def test_read_json_ld_contexts_and_chains_deep_in_a_document_end_no_process(self) -> None:
        chain = {f"t{n}": f"t{n + 1}:x" for n in range(40)} | {"t40": "urn:"}
        context: Any = chain
        for _ in range(20):
            context = {**chain, "p": {"@id": "urn:p", "@context": context}}
        document: Any = {"@context": context, "p": "x"}
        for _ in range(58):
            document = {f"{V}p": document}

        self.is_soon(document, {})

    def test_read_json_ld_deepest_documents_are_read(self) -> None:
        for wrap in (
            lambda inner: {f"{V}p": inner},
            lambda inner: {f"{V}p": {"@list": [inner]}},
            lambda inner: {"@graph": [inner]},
            lambda inner: {"@reverse": {f"{V}p": inner}},
            lambda inner: {"@nest": {f"{V}p": inner}},
        ):
            document: Any = {f"{V}q": "x"}
            while not nests_deeper(json.dumps(wrap(document)).encode(), 99):
                document = wrap(document)

            assert len(read(node("y", **document)).quads) >= 2

    def test_read_json_ld_large_context_at_hand_may_be_named_by_many_nodes(self) -> None:
        at_hand = {self.A: {"@context": {f"t{n}": f"urn:t{n}" for n in range(3000)}}}

        self.is_soon(node([{"@context": self.A, "t1": n} for n in range(99)]), at_hand)
        assert len(read(node([{"@context": self.A, "t1": n} for n in range(99)]), at_hand).quads) == 198

    def test_read_json_ld_long_iri_is_refused(self) -> None:
        context = {f"t{n}": f"t{n + 1}:" + "x" * 900 + "/" for n in range(20)}

        assert "IRI of more than" in refusal({"@context": {**context, "t20": "urn:"}, **node("x")})

    @staticmethod
    def is_soon(document: Any, at_hand: dict[str, Any]) -> None:
        started = time.process_time()
        try:
            read(document, at_hand)
        except RejectedError as error:
            assert "takes too much" in str(error) or "too deep" in str(error)
        assert time.process_time() - started < 30
