"""A short, repeatable run of the fuzzing; ``make fuzz`` makes the long one."""

import itertools
from collections.abc import Callable

import pytest

from tests.fuzz.campaign import fuzz
from tests.fuzz.mutation import inputs
from tests.fuzz.targets import TARGETS

INPUTS = {"description": 1500, "node": 4000}


@pytest.mark.parametrize("target", TARGETS)
def test_reader_of_any_input_reads_or_refuses_it(target: str, record_property: Callable[[str, object], None]) -> None:
    outcome = fuzz(target, seed=1, inputs=INPUTS.get(target, 10_000), seconds=120)

    record_property("inputs", outcome.inputs)
    print(f"{target}: {outcome.inputs} inputs")
    assert outcome.findings == []
    assert outcome.inputs == INPUTS.get(target, 10_000)


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_of_the_same_seed_are_the_same(target: str) -> None:
    samples = TARGETS[target].samples
    first, second, other = (list(itertools.islice(inputs(samples, seed), 200)) for seed in (1, 1, 2))

    assert first == second != other
