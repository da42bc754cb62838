"""An evaluator of a view: it shows one generation of the store, and only the view replaces it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.evaluation.pool import do, evaluated
from federation.view.evaluator import Evaluator
from federation.view.messages import Change
from federation.view.template import Template
from tests.helpers.evaluation import job, soon
from tests.helpers.waiting import eventually

ASK = job("ASK { GRAPH <urn:g> { ?s ?p ?o } }")


@pytest.fixture
def template() -> Iterator[Template]:
    template = Template(2**32)
    yield template
    template.end()


@pytest.fixture
def evaluator(template: Template) -> Iterator[Evaluator]:
    evaluator = Evaluator(template, 0)
    yield evaluator
    evaluator.end()


def answer(evaluator: Evaluator) -> bool:
    return b"true" in evaluated(evaluator, ASK, soon(), "a query", lambda: None).whole()


def test_evaluator_shows_the_generation_that_it_was_forked_for(template: Template, evaluator: Evaluator) -> None:
    assert evaluator.generation == -1
    evaluator.fork(1)
    template.change(Change({"urn:g": ""}, b"<urn:s> <urn:p> <urn:o> <urn:g> .\n"))
    assert (evaluator.generation, answer(evaluator)) == (1, False)

    evaluator.fork(2)

    assert (evaluator.generation, answer(evaluator)) == (2, True)


def test_evaluator_that_has_ended_is_not_replaced_by_a_job(evaluator: Evaluator) -> None:
    """Another one could show a later generation than its owner believes."""
    with pytest.raises(EOFError):
        evaluator.connection()
    evaluator.fork(1)
    evaluator.kill()
    eventually(lambda: not evaluator.is_alive())

    with pytest.raises(EOFError):
        evaluator.send(b"")
    assert evaluator.generation == -1
    with pytest.raises(Exception, match="ended its evaluator"):
        do(evaluator, ASK, soon(), "a query")


def test_fork_that_fails_leaves_no_generation(template: Template, evaluator: Evaluator) -> None:
    evaluator.fork(1)
    template.kill()
    eventually(lambda: not template.is_alive())

    with pytest.raises((EOFError, OSError)):
        evaluator.fork(2)

    assert evaluator.generation == -1
    with pytest.raises(EOFError):
        evaluator.connection()
