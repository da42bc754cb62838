"""Values that a link's attributes cannot have: its start and the test driver refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core import DeadLetterLimits, Link
from catena_core.attributes import check_attributes
from catena_core.errors import UsageError
from catena_core.testing import LinkDriver


def shop(**members: Any) -> Link:
    made: Link = type("Shop", (Link,), {"transform": lambda self, electron: electron, **members})()
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("lanes", value) for value in (0, -1, 2.5, None, "partitions", "four")],
        *[(name, value) for name in ("batch_size", "attempts", "concurrency") for value in (0, "500", None, 1.5)],
        *[(name, value) for name in ("batch_linger", "drain_timeout") for value in (-1, "5", None, float("nan"))],
        *[("backoff", value) for value in (1, None, (1,), ("1", "2"), (-1, 2))],
        *[(name, value) for name in ("input_format", "output_format") for value in ("JSON", "avro", None)],
        *[("dead_letter_topic", value) for value in ("a b", "", 7)],
        *[("dead_letter_limits", value) for value in (5, (1, 2))],
    ],
)
def test_a_value_that_an_attribute_cannot_have_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"Shop\.{name} is .*, not "):
        LinkDriver(shop(**{name: value}))
    with pytest.raises(UsageError, match=rf"Shop\.{name} is .*, not "):
        shop(**{name: value}).start(embedded=True)


@pytest.mark.parametrize(
    ("name", "value", "meant"), [("lanes", "partitions", "partition"), ("input_format", "JSON", "json")]
)
def test_a_value_that_is_nearly_right_is_told_what_was_meant(name: str, value: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {meant}"):
        check_attributes(shop(**{name: value}))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"lanes": "partition", "batch_size": 1, "batch_linger": 0, "drain_timeout": 0.5, "backoff": [0, 0]},
        {"dead_letter_topic": "dead", "dead_letter_limits": DeadLetterLimits(run=5), "output_format": "json"},
        {"dead_letter_limits": None, "drain_timeout": float("inf")},
    ],
)
def test_values_that_attributes_can_have_are_taken(members: dict[str, Any]) -> None:
    check_attributes(shop(**members))


def test_an_attribute_of_the_instance_counts_before_that_of_its_class() -> None:
    link = shop(lanes=0)
    link.lanes = 2
    check_attributes(link)


@pytest.mark.parametrize("hook", ["transform", "setup", "generator", "finish"])
@pytest.mark.parametrize("value", [None, 5])
def test_a_hook_that_is_no_method_is_refused(hook: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"Shop\.{hook} is {value}, and no method"):
        LinkDriver(shop(**{hook: value}))


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_a_single_topic_need_not_be_a_tuple(name: str) -> None:
    link = shop(**{name: "words, others"})
    assert getattr(link, {"inputs": "input_topics", "outputs": "output_topics"}[name]) == ("words", "others")


@pytest.mark.parametrize("value", [5, b"words", ("words", None), (n for n in ("words",))])
def test_topics_that_are_no_names_are_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="are names of topics, not"):
        shop(inputs=value)
