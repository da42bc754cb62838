"""The messages between the engine and its workers: each comes out of MessagePack as it went in."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from federation import errors
from federation.analysis.analyse import analyse
from federation.errors import FederationError, QuerySyntaxError
from federation.evaluation.messages import Analyse, Evaluate, Evaluated, Failed, Job, Part, Planned, Reply

QUERY = "PREFIX : <urn:> SELECT DISTINCT ?g { GRAPH ?g { ?s :p+ 'é' ; :q ?o FILTER(?o IN (1, 'x'@en)) } } LIMIT 3"
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, FederationError) and kind is not QuerySyntaxError
]


@pytest.mark.parametrize(
    "job",
    [
        Analyse(QUERY),
        Evaluate(QUERY, b"\xff\x00", (), "text/csv", 10),
        Evaluate(
            QUERY, b"", ("urn:g",), "text/csv", 0, True, ("urn:h",), ("http://s/",), True, ("<urn:a>",), ("s",), 3, 7
        ),
    ],
)
def test_job_comes_as_it_was_sent(job: Job) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=Job) == job


@pytest.mark.parametrize(
    "reply", [Planned(analyse(QUERY)), Planned(analyse("ASK {}").widened("no time")), Part(b"\xff"), Evaluated(b"")]
)
def test_reply_comes_as_it_was_sent(reply: Reply) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=Reply) == reply


@pytest.mark.parametrize("kind", KINDS)
def test_error_of_a_worker_is_raised_as_the_same_kind(kind: type[FederationError]) -> None:
    failed = msgspec.msgpack.decode(msgspec.msgpack.encode(Failed.of(kind("reason é"))), type=Reply)

    assert isinstance(failed, Failed)
    error = failed.error()
    assert (type(error), str(error)) == (kind, "reason é")


def test_syntax_error_of_a_worker_keeps_its_place() -> None:
    error = Failed.of(QuerySyntaxError("no verb", 3, 7)).error()

    assert isinstance(error, QuerySyntaxError)
    assert (error.reason, error.line, error.column, str(error)) == ("no verb", 3, 7, "line 3, column 7: no verb")
