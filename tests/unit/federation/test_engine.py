"""Queries over nodes that fail in the ways in which nodes do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyoxigraph
import pytest

from federation.budget import Limits
from federation.engine import Engine
from federation.errors import (
    NotAcceptableError,
    QueryRefusedError,
    QuerySyntaxError,
    QueryTimeoutError,
    SourceFailedError,
    TooLargeError,
)
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node, put, running_nodes

GRAPHS = [f"urn:g{n}" for n in range(6)]
COUNT = "SELECT (COUNT(*) AS ?n) { ?s <urn:p> ?o }"
NAMES = "SELECT ?g { GRAPH ?g {} } ORDER BY ?g"


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    """Three nodes, each graph on two of them."""
    with running_nodes(3) as nodes:
        for n, graph in enumerate(GRAPHS):
            for holder in owners(n):
                put(nodes[holder], graph, f"<urn:s{n}> <urn:p> 1, 2 ; a <urn:C> .")
        yield nodes


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=300, source_timeout=3, workers=1)
    yield engine
    engine.close()


def owners(n: int) -> tuple[int, int]:
    return n % 3, (n + 1) % 3


def snapshot(nodes: list[Node], avoided: frozenset[str] = frozenset()) -> Snapshot:
    """As the gateway makes them: without the nodes to avoid, and missing where both owners of some graph are among them."""
    source_of = {}
    lost = set()
    for n, graph in enumerate(GRAPHS):
        live = [f"node{owner}" for owner in owners(n) if f"node{owner}" not in avoided]
        source_of[graph] = live[0] if live else "nobody"
        lost |= set() if live else {f"node{owner}" for owner in owners(n)}
    sources = [Source(f"node{n}", node.url) for n, node in enumerate(nodes)]
    return Snapshot(tuple(s for s in sources if s.id not in avoided), source_of, frozenset(), tuple(sorted(lost)))


def value(body: bytes) -> str:
    [binding] = json.loads(body)["results"]["bindings"]
    [term] = binding.values()
    return str(term["value"])


def test_replicas_are_counted_once(nodes: list[Node], engine: Engine) -> None:
    assert value(engine.query(COUNT, snapshot(nodes)).body) == "12"


@pytest.mark.parametrize("fault", ["error", "hang", "cut", "trickle", "wrong", "down"])
def test_a_node_that_fails_is_replaced(nodes: list[Node], engine: Engine, fault: str) -> None:
    if fault == "down":
        nodes[1].stop()
    nodes[1].fault = fault
    answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert (value(answer.body), answer.missing) == ("12", ())
    # What the others had sent was used again.
    assert [len(node.queries) for node in (nodes[0], nodes[2])] == [1, 1]


def test_a_connection_closed_by_the_node_is_no_failure(nodes: list[Node], engine: Engine) -> None:
    engine.query(COUNT, snapshot(nodes))
    nodes[0].fault = "once"
    assert value(engine.query(COUNT, snapshot(nodes)).body) == "12"


def test_without_failover_the_caller_learns_who_failed(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = nodes[2].fault = "error"
    with pytest.raises(SourceFailedError, match="status 500") as caught:
        engine.query(COUNT, snapshot(nodes))
    assert caught.value.sources and caught.value.sources <= {"node0", "node2"}


def test_when_both_copies_are_lost_the_answer_says_so(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = nodes[1].fault = "error"
    answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert (value(answer.body), answer.missing) == ("8", ("node0", "node1"))


def test_an_answer_from_graphs_that_are_there_is_complete(nodes: list[Node], engine: Engine) -> None:
    lost = snapshot(nodes, frozenset({"node0", "node1"}))
    assert lost.unavailable
    for text, missing in (
        ("SELECT (COUNT(*) AS ?n) { GRAPH <urn:g1> { ?s <urn:p> ?o } }", ()),
        ("SELECT (COUNT(*) + 2 AS ?n) FROM <urn:g1> FROM <urn:nobody-knows> { ?s <urn:nothing> ?o }", lost.unavailable),
        ("SELECT (COUNT(*) + 2 AS ?n) FROM <urn:g0> { ?s <urn:p> ?o }", lost.unavailable),
        ("SELECT (2 AS ?n) {}", ()),
    ):
        answer = engine.query(text, lost)
        assert (value(answer.body), answer.missing) == ("2", missing)


def test_when_all_nodes_are_lost_there_is_no_answer(nodes: list[Node], engine: Engine) -> None:
    for node in nodes:
        node.fault = "error"
    with pytest.raises(SourceFailedError, match="no catalogue node answers"):
        engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))


def test_where_no_node_is_known_to_live_it_is_told_which_are_missing(engine: Engine) -> None:
    for _ in range(2):
        with pytest.raises(SourceFailedError, match=r"^no catalogue node answers; missing: node0, node1$") as caught:
            engine.query_with_failover(COUNT, lambda _: Snapshot((), unavailable=("node0", "node1")))
        assert caught.value.sources == {"node0", "node1"}


def test_a_snapshot_that_cannot_avoid_a_node_ends_the_attempts(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = "error"
    with pytest.raises(SourceFailedError, match="node0"):
        engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes))


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


@pytest.mark.parametrize("query", [COUNT, "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s a <urn:C> ; <urn:p> ?o } }"])
def test_graphs_that_move_all_the_time_are_all_there(nodes: list[Node], engine: Engine, query: str) -> None:
    """Each snapshot is outdated when it has been revision: the next graph has moved, and is gone where it was."""
    source_of = {graph: n % 3 for n, graph in enumerate(GRAPHS)}
    for n, graph in enumerate(GRAPHS):
        nodes[(n + 1) % 3].delete(graph)
    revision = 0

    def restless(avoided: frozenset[str]) -> Snapshot:
        nonlocal revision
        revision += 1
        sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes))
        outdated = Snapshot(sources, {graph: f"node{n}" for graph, n in source_of.items()}, revision=revision)
        number, graph = revision % len(GRAPHS), GRAPHS[revision % len(GRAPHS)]
        old, source_of[graph] = source_of[graph], (source_of[graph] + 1) % 3
        put(nodes[source_of[graph]], graph, f"<urn:s{number}> <urn:p> 1, 2 ; a <urn:C> .")
        nodes[old].delete(graph)
        return outdated

    for _ in range(10):
        before = revision
        assert value(engine.query_with_failover(query, restless).body) == "12"
        assert revision - before < 50


@pytest.mark.slow
def test_a_hung_node_does_not_outlast_the_query(nodes: list[Node]) -> None:
    engine = Engine(timeout=3, source_timeout=10, workers=1)
    try:
        engine.prepare(COUNT)
        for node in nodes:
            node.fault = "hang"
        with pytest.raises(QueryTimeoutError, match="nodes node0, node1, node2"):
            engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_triples=10), "more than 10 triples"),
        (Limits(max_fetched_bytes=300), "more than 300 bytes"),
        (Limits(max_result_bytes=300), "LIMIT"),
    ],
)
def test_limits(nodes: list[Node], limits: Limits, said: str) -> None:
    engine = Engine(limits=limits, workers=1)
    try:
        with pytest.raises(TooLargeError, match=said):
            engine.query("SELECT * { ?s <urn:p> ?o }", snapshot(nodes))
        assert (
            value(engine.query("SELECT (COUNT(*) AS ?n) { GRAPH <urn:g1> { ?s <urn:p> 1 } }", snapshot(nodes)).body)
            == "1"
        )
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        ("endless", Limits(max_fetched_bytes=8 * 2**20)),
        ("repeated", Limits(max_fetched_bytes=7 * 2**20)),
        ("repeated", Limits(max_triples=1000)),
    ],
)
def test_node_that_sends_more_than_it_has_is_replaced(nodes: list[Node], fault: str, limits: Limits) -> None:
    engine = Engine(timeout=300, source_timeout=300, limits=limits, workers=1)
    try:
        nodes[1].fault = fault
        answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
        assert (value(answer.body), answer.missing) == ("12", ())
        with pytest.raises(SourceFailedError, match="node node1 sends more"):
            engine.query(COUNT, snapshot(nodes))
    finally:
        engine.close()


def test_nodes_that_hold_too_much_for_a_query_have_not_failed(nodes: list[Node]) -> None:
    engine = Engine(limits=Limits(max_fetched_bytes=8 * 2**20), workers=1)
    try:
        long = " , ".join(f'"{n}{"x" * 60_000}"' for n in range(150))
        put(nodes[0], "urn:g0", f"<urn:s0> <urn:long> {long} .")
        with pytest.raises(TooLargeError, match="bytes"):
            engine.query_with_failover("SELECT * { ?s <urn:long> ?o }", lambda avoided: snapshot(nodes, avoided))
    finally:
        engine.close()


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


def test_a_node_that_sends_what_is_no_rdf_is_replaced(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = "nonsense"
    answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert (value(answer.body), answer.missing) == ("12", ())
    with pytest.raises(SourceFailedError, match="no RDF") as caught:
        engine.query(COUNT, snapshot(nodes))
    assert caught.value.sources == {"node0"}


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
    with pytest.raises((QueryRefusedError, RuntimeError)):
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


def asked(nodes: list[Node]) -> list[str]:
    return [query for node in nodes for query in node.queries]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * { ?s ?p ?o } LIMIT 4", 4),
        ("SELECT * { ?s ?p ?o } LIMIT 4 OFFSET 2", 4),
        ("SELECT * { GRAPH ?g { ?s <urn:p> ?o } } LIMIT 3", 3),
        ("SELECT * { GRAPH ?g { ?s a <urn:C> ; <urn:p> ?o } } LIMIT 3", 3),
        ("SELECT * { ?s a <urn:C> ; <urn:p> ?o } LIMIT 3", 3),
        ("SELECT * { ?s a ?c . ?s <urn:p> ?o FILTER(?o > 0) } LIMIT 3 OFFSET 1", 3),
        ("SELECT * { { ?s a ?c } UNION { ?s <urn:p> 2 } UNION { ?x <urn:none> ?y } } LIMIT 12", 12),
        ("SELECT * { ?s a/^a ?x . ?x <urn:p> ?o } LIMIT 3", 3),
        ("SELECT * { ?s (a|<urn:q>)+ ?o } LIMIT 3", 3),
        ("SELECT DISTINCT ?s { ?s <urn:p> ?o FILTER(?o < 2) } LIMIT 3", 3),
        ("SELECT * { ?s ?p ?o } LIMIT 100", 18),
        ("SELECT * { ?s ?p ?o } LIMIT 0", 0),
    ],
)
def test_a_limit_stops_nodes_when_there_are_enough_rows(
    nodes: list[Node], engine: Engine, query: str, rows: int
) -> None:
    found = json.loads(engine.query(query, snapshot(nodes)).body)["results"]["bindings"]
    assert len(found) == rows
    assert len({json.dumps(row, sort_keys=True) for row in found}) == rows
    assert all(" LIMIT " in text for text in asked(nodes))
    assert all(len(node.queries) == 1 for node in nodes)


@pytest.mark.parametrize(
    ("query", "true"),
    [
        ("ASK { ?s ?p ?o }", True),
        ("ASK { GRAPH ?g { ?s <urn:p> 2 } }", True),
        ("ASK { ?s <urn:q> ?o }", False),
        ("ASK { ?s a ?c ; <urn:p> 2 . ?s <urn:p> 1 }", True),
    ],
)
def test_ask_stops_at_the_first_match(nodes: list[Node], engine: Engine, query: str, true: bool) -> None:
    assert json.loads(engine.query(query, snapshot(nodes)).body)["boolean"] is true
    assert all(" LIMIT " in text for text in asked(nodes))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s ?p ?o } ORDER BY ?s LIMIT 4",
        "SELECT ?s (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?s LIMIT 4",
        "SELECT * { { SELECT * { ?s ?p ?o } LIMIT 4 } }",
        "SELECT * { ?s ?p ?o } # LIMIT 4",
        "SELECT * { ?s ?p ?o }",
    ],
)
def test_a_query_that_needs_all_quads_stops_no_node(nodes: list[Node], engine: Engine, query: str) -> None:
    engine.query(query, snapshot(nodes))
    assert not any(text.endswith(" LIMIT 108") or " LIMIT " in text for text in asked(nodes))


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT ?s ?x { ?s a <urn:D> OPTIONAL { ?s <urn:q> ?x } } LIMIT 4", ["1 True", "2 False"]),
        (
            "SELECT ?s ?x { GRAPH ?g { ?s a <urn:D> OPTIONAL { ?s <urn:q> ?x } } } LIMIT 4 OFFSET 3",
            ["1 True", "2 False"],
        ),
        ("SELECT ?s { ?s a <urn:D> FILTER NOT EXISTS { ?s <urn:q> ?x } } LIMIT 4", ["2 False"]),
        ("SELECT ?s (EXISTS { { ?s <urn:q> ?y } } AS ?x) { ?s a <urn:D> MINUS { ?s <urn:q> ?x } } LIMIT 4", ["2 True"]),
    ],
)
def test_a_limit_stops_nodes_where_rows_depend_on_more(
    nodes: list[Node], engine: Engine, query: str, rows: list[str]
) -> None:
    """Whether a thing has a match in the optional part is known for all that are chosen: half of them do."""
    for n, graph in enumerate(GRAPHS):
        things = " ".join(f"<urn:s{n}-{m}> a <urn:D> ." for m in range(200))
        more = " ".join(f"<urn:s{n}-{m}> <urn:q> 1 ." for m in range(0, 200, 2))
        for holder in owners(n):
            put(nodes[holder], graph, f"{things} {more}")
    answer = engine.query(query, snapshot(nodes))
    found = json.loads(answer.body)["results"]["bindings"]
    assert answer.sampled
    assert len(found) == len({row["s"]["value"] for row in found}) == 4
    for row in found:
        is_even = int(row["s"]["value"].rpartition("-")[2]) % 2 == 0
        assert f"{1 if is_even else 2} {'x' in row}" in rows
    assert sum(step.rows for step in answer.steps if step.what == "sift") < 1200  # of 1800


def test_a_limit_that_some_rows_do_not_fill_asks_for_more(nodes: list[Node], engine: Engine) -> None:
    for n, graph in enumerate(GRAPHS):
        for holder in owners(n):
            put(nodes[holder], graph, f"<urn:s{n}> <urn:p> " + ", ".join(map(str, range(300))) + " .")
    # Nodes cannot apply this filter; the rows that it keeps are the last or the first.
    found = json.loads(
        engine.query(
            "SELECT ?o { ?s <urn:p> ?o FILTER(STRLEN(STR(?o * 1)) = 3 && ?o > 298 - 0) } LIMIT 5", snapshot(nodes)
        ).body
    )
    assert len(found["results"]["bindings"]) == 5


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * { ?s a <urn:C> ; <urn:p> ?o . ?x <urn:q> ?s } LIMIT 5", 4),
        ("SELECT * { <urn:x0> <urn:q>/<urn:p> ?o } LIMIT 3", 2),
        ("SELECT * { ?x <urn:q>+ ?s } LIMIT 5", 4),
        ("SELECT * { ?s a <urn:C> . GRAPH ?g { ?x <urn:q> ?s } } LIMIT 5", 2),
    ],
)
def test_a_limit_finds_matches_that_span_graphs(nodes: list[Node], engine: Engine, query: str, rows: int) -> None:
    put(nodes[0], "urn:h0", "<urn:x0> <urn:q> <urn:s0> .")
    put(nodes[1], "urn:h1", "<urn:x1> <urn:q> <urn:s3> .")
    put(nodes[2], "urn:h2", "<urn:s0> <urn:r> <urn:s1> . <urn:x2> <urn:q> <urn:x1> .")
    found = json.loads(engine.query(query, snapshot(nodes)).body)["results"]["bindings"]
    assert len(found) == len({json.dumps(row, sort_keys=True) for row in found}) == rows


def test_a_path_from_a_constant_is_followed_step_by_step(nodes: list[Node], engine: Engine) -> None:
    for n in range(4):
        put(nodes[n % 3], f"urn:h{n}", f"<urn:t{n}> <urn:q> <urn:t{n + 1}>, 'end' . <urn:else{n}> <urn:q> <urn:t{n}> .")
    answer = engine.query("SELECT (COUNT(*) AS ?n) { <urn:t1> <urn:q>+ ?x }", snapshot(nodes))
    assert value(answer.body) == "4"
    assert not any("urn:else" in step.text for step in answer.steps)
    assert sum(step.rows for step in answer.steps if step.what == "sift" and step.rows > 0) == 12  # twice 3 steps of 2
    answer = engine.query("SELECT (COUNT(*) AS ?n) { ?x <urn:q>* <urn:t1> }", snapshot(nodes))
    assert value(answer.body) == "4"


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
