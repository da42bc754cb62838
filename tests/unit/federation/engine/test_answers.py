"""The engine answers as one store would that holds each graph once, in every format."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pyoxigraph
import pytest

from federation.engine import Engine
from federation.errors import (
    NotAcceptableError,
    QueryRefusedError,
    QuerySyntaxError,
    ServerStoppingError,
    TooLargeError,
)
from federation.source_selection import Snapshot
from tests.helpers.engine import COUNT, GRAPHS, NAMES, snapshot, value
from tests.helpers.sparql_node import Node, put


def test_replicas_are_counted_once(nodes: list[Node], engine: Engine) -> None:
    assert value(engine.query(COUNT, snapshot(nodes)).body) == "12"


def test_an_empty_catalogue_has_answers(engine: Engine) -> None:
    assert value(engine.query(COUNT, Snapshot(())).body) == "0"


def test_a_stale_copy_and_a_deleted_graph_are_not_seen(nodes: list[Node], engine: Engine) -> None:
    put(nodes[2], "urn:g0", "<urn:stale> <urn:p> 1 .")
    put(nodes[0], "urn:deleted", "<urn:deleted> <urn:p> 1 .")
    put(nodes[0], "urn:provided", "<urn:provided> <urn:p> 1 .")
    seen = snapshot(nodes)
    seen = Snapshot(seen.sources, seen.source_of, frozenset({"urn:deleted"}))
    assert value(engine.query(COUNT, seen).body) == "13"
    names = [binding["g"]["value"] for binding in json.loads(engine.query(NAMES, seen).body)["results"]["bindings"]]
    assert names == [*GRAPHS, "urn:provided"]


def test_graphs_without_triples_exist(nodes: list[Node], engine: Engine) -> None:
    nodes[0].store.add_graph(pyoxigraph.NamedNode("urn:empty"))
    text = "SELECT (EXISTS { GRAPH <urn:empty> {} } AS ?e) {}"
    assert value(engine.query(text, snapshot(nodes)).body) == "true"
    assert value(engine.query(text.replace("empty", "none"), snapshot(nodes)).body) == "false"


def test_a_graph_whose_name_is_no_iri_hurts_nobody(nodes: list[Node], engine: Engine) -> None:
    nodes[0].store.load(b"<urn:s> <urn:q> <urn:o> <urn:no iri> .", format=pyoxigraph.RdfFormat.N_QUADS, lenient=True)
    assert len(json.loads(engine.query(NAMES, snapshot(nodes)).body)["results"]["bindings"]) == 7
    answer = engine.query("SELECT ?g { GRAPH ?g { ?s <urn:q> ?o } }", snapshot(nodes))
    assert value(answer.body) == "urn:no%20iri"


def test_only_the_holder_of_a_graph_is_asked_for_it(nodes: list[Node], engine: Engine) -> None:
    text = "SELECT (COUNT(*) AS ?n) { GRAPH <urn:g1> { ?s ?p ?o } }"
    assert value(engine.query(text, snapshot(nodes)).body) == "3"
    assert [len(node.queries) for node in nodes] == [0, 1, 0]


def test_a_node_may_speak_json_only(nodes: list[Node], engine: Engine) -> None:
    put(nodes[0], "urn:provided", "[] <urn:p> 'tab\\t', 'x'@en, 1.50 .")
    for node in nodes:
        node.media_type = "application/sparql-results+json"
    assert value(engine.query(COUNT, snapshot(nodes)).body) == "15"
    names = json.loads(engine.query(NAMES, snapshot(nodes)).body)["results"]["bindings"]
    assert len(names) == 7


def test_long_texts_are_refused(nodes: list[Node], engine: Engine) -> None:
    with pytest.raises(TooLargeError, match="characters"):
        engine.query("ASK {} #" + "x" * 2**20, snapshot(nodes))


def test_what_is_no_graph_name_is_no_part_of_a_request(nodes: list[Node], engine: Engine) -> None:
    for name in ("urn:g> } SERVICE <http://127.0.0.1/> {", "no iri", ""):
        with pytest.raises(QuerySyntaxError, match="not an IRI"):
            engine.query(COUNT, snapshot(nodes), default_graphs=[name])
    assert [node.queries for node in nodes] == [[], [], []]


def test_odd_iris_of_a_node_are_no_part_of_a_request(nodes: list[Node], engine: Engine) -> None:
    """A node that takes IRIs unchecked can hold one that would end the list of a request's terms."""
    bad = pyoxigraph.parse(
        b"<urn:s> <urn:links> <urn:x\\u003E\\u0020}> .", pyoxigraph.RdfFormat.N_TRIPLES, lenient=True
    )
    nodes[0].put("urn:provided", [quad.triple for quad in bad])
    assert value(engine.query("SELECT ?o { ?s <urn:links> ?o }", snapshot(nodes)).body) == "urn:x%3E%20%7D"
    answer = engine.query("DESCRIBE ?o { ?s <urn:links> ?o }", snapshot(nodes), media_type="application/n-triples")
    assert answer.body == b""
    assert not any("x>" in query for node in nodes for query in node.queries)


def test_services_are_refused(nodes: list[Node], engine: Engine) -> None:
    with pytest.raises(QueryRefusedError, match="SERVICE"):
        engine.query(f"SELECT * {{ SERVICE <{nodes[0].url}> {{ ?s ?p ?o }} }}", snapshot(nodes))
    assert not nodes[0].queries


def test_plans_are_kept(nodes: list[Node], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = COUNT + " # once"
    plan = engine.prepare(text).plan
    monkeypatch.setattr("federation.evaluation.pool.WorkerPool.analyse", None)
    assert engine.prepare(text).plan is plan


@pytest.mark.parametrize(
    "media_type", ["text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml"]
)
def test_graphs_in_every_format(nodes: list[Node], engine: Engine, media_type: str) -> None:
    answer = engine.query("CONSTRUCT WHERE { ?s a ?c }", snapshot(nodes), media_type=media_type)
    assert answer.media_type == media_type
    assert len(list(pyoxigraph.parse(answer.body, pyoxigraph.RdfFormat.from_media_type(media_type)))) == 6


@pytest.mark.parametrize(
    "media_type", ["application/sparql-results+json", "application/sparql-results+xml", "text/tab-separated-values"]
)
@pytest.mark.parametrize("text", ["SELECT ?s { ?s a ?c }", "ASK { ?s a ?c }"])
def test_solutions_in_every_format(nodes: list[Node], engine: Engine, media_type: str, text: str) -> None:
    answer = engine.query(text, snapshot(nodes), media_type=media_type)
    found = pyoxigraph.parse_query_results(answer.body, pyoxigraph.QueryResultsFormat.from_media_type(media_type))
    assert bool(found) if isinstance(found, pyoxigraph.QueryBoolean) else len(list(found)) == 6


def test_csv(nodes: list[Node], engine: Engine) -> None:
    answer = engine.query("SELECT ?s { ?s a ?c } ORDER BY ?s LIMIT 2", snapshot(nodes), media_type="text/csv")
    assert answer.body.split() == [b"s", b"urn:s0", b"urn:s1"]


def test_a_graph_that_rdf_xml_cannot_tell_is_refused(nodes: list[Node], engine: Engine) -> None:
    with pytest.raises(NotAcceptableError, match="RDF/XML"):
        engine.query("CONSTRUCT { ?s <urn:> ?c } { ?s a ?c }", snapshot(nodes), media_type="application/rdf+xml")


def test_many_queries_at_once(nodes: list[Node], engine: Engine) -> None:
    def ask(n: int) -> str:
        return value(engine.query(f"SELECT (COUNT(*) AS ?n) {{ <urn:s{n % 6}> ?p ?o }}", snapshot(nodes)).body)

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, range(80))) == {"3"}


def test_a_closed_engine_refuses(nodes: list[Node]) -> None:
    engine = Engine(workers=1)
    engine.prepare(COUNT)
    engine.close()
    with pytest.raises(ServerStoppingError):
        engine.query(COUNT, snapshot(nodes))


def test_the_steps_tell_where_the_time_went(nodes: list[Node], engine: Engine) -> None:
    steps = engine.query(COUNT, snapshot(nodes)).steps
    assert sorted((step.what, step.source) for step in steps) == sorted(
        [*(("ask", f"node{n}") for n in range(3)), *(("sift", f"node{n}") for n in range(3)), ("evaluate", "")]
    )


def test_a_description_of_many_things_tells_of_nothing_else(nodes: list[Node], engine: Engine) -> None:
    """Their names are too long for one request, which asks for everything then."""
    names = [f"urn:{'x' * 200}{n}" for n in range(1000)]
    put(nodes[0], "urn:many", " ".join(f"<{name}> <urn:q> 1 ." for name in names))
    text = f"DESCRIBE {' '.join(f'<{name}>' for name in names)}"
    answer = engine.query(text, snapshot(nodes), media_type="application/n-triples")
    assert sorted(line.split(b" ")[0] for line in answer.body.splitlines()) == sorted(
        f"<{name}>".encode() for name in names
    )


def test_a_path_from_a_constant_is_followed_step_by_step(nodes: list[Node], engine: Engine) -> None:
    for n in range(4):
        put(nodes[n % 3], f"urn:h{n}", f"<urn:t{n}> <urn:q> <urn:t{n + 1}>, 'end' . <urn:else{n}> <urn:q> <urn:t{n}> .")
    for _ in range(2):  # the first time it guesses that the path is within one graph
        answer = engine.query("SELECT (COUNT(*) AS ?n) { <urn:t1> <urn:q>+ ?x }", snapshot(nodes))
        assert value(answer.body) == "4"
    assert not any("urn:else" in step.text for step in answer.steps)
    assert sum(step.rows for step in answer.steps if step.what == "sift" and step.rows > 0) == 12  # twice 3 steps of 2
    answer = engine.query("SELECT (COUNT(*) AS ?n) { ?x <urn:q>* <urn:t1> }", snapshot(nodes))
    assert value(answer.body) == "4"


def test_a_path_within_one_graph_is_found_at_once(nodes: list[Node], engine: Engine) -> None:
    put(
        nodes[0], "urn:h", "<urn:t1> <urn:r> <urn:t2> . <urn:t2> <urn:r> <urn:t3> . <urn:t3> <urn:r> 'end' , <urn:t1> ."
    )
    put(nodes[1], "urn:i", "<urn:t2> <urn:r> 'more' . <urn:else> <urn:r> <urn:t1> .")
    answer = engine.query("SELECT (COUNT(*) AS ?n) { <urn:t1> <urn:r>+ ?x }", snapshot(nodes))
    assert value(answer.body) == "5"
    assert len({step.text for step in answer.steps if step.what == "ask"}) == 2


def test_a_join_within_one_graph_is_found_at_once_and_one_across_graphs_by_rounds(
    nodes: list[Node], engine: Engine
) -> None:
    join = "SELECT ?t { <urn:%s> <urn:has> ?x . ?x <urn:from> ?y . ?y <urn:title> ?t }"
    put(nodes[0], "urn:h", "<urn:a> <urn:has> <urn:b> . <urn:b> <urn:from> <urn:c> . <urn:c> <urn:title> 'C' .")
    put(nodes[1], "urn:i", "<urn:d> <urn:has> <urn:e> . <urn:f> <urn:title> 'F' .")
    put(nodes[2], "urn:j", "<urn:e> <urn:from> <urn:f> .")
    for start, title, requests in (("a", "C", 2), ("d", "F", 5), ("d", "F", 3), ("a", "C", 3)):
        answer = engine.query(join % start, snapshot(nodes))
        assert value(answer.body) == title
        assert len({step.text for step in answer.steps if step.what == "ask"}) == requests


def test_a_new_graph_on_several_nodes_is_read_from_one(nodes: list[Node], engine: Engine) -> None:
    for node in nodes:
        put(node, "urn:new", "<urn:new> <urn:part> [ <urn:name> 'one' ], [ <urn:name> 'two' ] .")
    count = "SELECT (COUNT(?x) AS ?n) { <urn:new> <urn:part> ?x . ?x <urn:name> ?name }"
    assert value(engine.query(count, snapshot(nodes)).body) == "2"


def test_triple_terms_are_terms(nodes: list[Node], engine: Engine) -> None:
    store = nodes[0].store
    text = b'<urn:r> <urn:says> <<( <urn:a> <urn:b> 123 )>>, <<( _:x <urn:b> "c" )>> . _:x <urn:name> "n" .'
    store.load(text, pyoxigraph.RdfFormat.TURTLE, to_graph=pyoxigraph.NamedNode("urn:g0"))
    for query, right in (
        ("SELECT (COUNT(*) AS ?n) { ?s <urn:says> ?o FILTER(isTRIPLE(?o)) }", "2"),
        ("SELECT (OBJECT(?o) AS ?x) { ?s <urn:says> ?o FILTER(isNumeric(OBJECT(?o))) }", "123"),
        ("SELECT ?n { ?s <urn:says> <<( ?x <urn:b> ?c )>> . ?x <urn:name> ?n }", "n"),
    ):
        assert value(engine.query(query, snapshot(nodes)).body) == right


@pytest.mark.parametrize("size", [30, 3000])
def test_a_long_list_is_as_good_as_values(nodes: list[Node], engine: Engine, size: int) -> None:
    iris = [f"<urn:s{n}>" for n in range(2, size)]
    query = f"SELECT (COUNT(*) AS ?n) {{ ?s <urn:p> ?o FILTER(?s IN ({', '.join(iris)})) }}"
    assert value(engine.query(query, snapshot(nodes)).body) == "8"
    assert value(engine.query(query.replace(" IN ", " NOT IN "), snapshot(nodes)).body) == "4"


def test_a_sub_select_within_graph_and_a_path_of_length_zero_follow_the_specification(
    nodes: list[Node], engine: Engine
) -> None:
    count = "SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }"
    found = json.loads(engine.query(count, snapshot(nodes)).body)["results"]["bindings"]
    assert {row["g"]["value"]: row["n"]["value"] for row in found} == dict.fromkeys(GRAPHS, "3")
    assert value(engine.query("SELECT ?o { <urn:nowhere> <urn:p>* ?o }", snapshot(nodes)).body) == "urn:nowhere"
