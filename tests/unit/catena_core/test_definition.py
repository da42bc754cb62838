"""What the library reads of a link."""

from __future__ import annotations

import pytest

from catena_core import Link
from catena_core.definition import LinkDefinition
from catena_core.errors import UsageError
from catena_core.options import LinkOptions


class Reads(Link):
    """Reads.

    And nothing else.
    """

    lanes = 4

    def transform(self, electron):
        return electron


class Generates(Link):
    def generator(self):
        pass


def definition(kind: type[Link], **options: object) -> LinkDefinition:
    made = LinkDefinition(kind(), Link)
    made.use(LinkOptions(**options))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("kind", "reads", "generates"), [(Reads, True, False), (Generates, False, True), (Link, False, False)]
)
def test_a_link_does_what_its_class_overrides(kind: type[Link], reads: bool, generates: bool) -> None:
    made = definition(kind)
    assert (made.reads, made.generates) == (reads, generates)


def test_its_name_and_description_are_those_of_its_class() -> None:
    assert definition(Reads).name == "Reads"
    assert definition(Reads).description == "Reads.\n\nAnd nothing else."


@pytest.mark.parametrize(
    ("options", "lanes"),
    [
        ({}, 4),
        ({"num_main_threads": 2}, 2),
        ({"sequential": True}, 1),
        ({"synchronous": True, "num_main_threads": 2}, 1),
    ],
)
def test_the_number_of_lanes_follows_the_options(options: dict[str, object], lanes: int) -> None:
    assert definition(Reads, **options).lane_count == lanes


def test_electrons_without_a_key_share_one_where_the_order_counts() -> None:
    made = definition(Reads, sequential=True)
    assert made.default_key == made.link.uid
    assert definition(Reads).default_key is None


def test_outputs_go_to_the_first_output_topic() -> None:
    assert definition(Reads, output_topics=("a", "b")).default_topic == "a"
    assert definition(Reads).default_topic is None


def test_a_link_that_replays_has_a_single_lane() -> None:
    class Replays(Reads):
        replay = True

    with pytest.raises(UsageError, match=r"Replays .* single lane"):
        definition(Replays, num_main_threads=2)
