"""Sorting lines by a pattern."""

import pytest

from catena_core import Electron
from catena_core.errors import RejectedError, UsageError
from catena_core.testing import LinkDriver
from tests.helpers.examples import load

Filter, Lines = load("filter/filter").Filter, load("filter/lines").Lines


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setenv("PATTERN", "WARNING|ERROR")
    return LinkDriver(Filter())


@pytest.mark.parametrize(
    ("line", "topic"), [("12:00 mail ERROR gone", "matches"), ("12:00 mail INFO fine", "rest"), ("", "rest")]
)
def test_a_line_goes_to_the_topic_that_its_pattern_says_and_keeps_its_key(driver, line, topic):
    (sent,) = driver.transform(Electron("mail", line))

    assert (sent.key, sent.value, sent.topic) == ("mail", line, topic)


@pytest.mark.parametrize("value", [b"\xff\xfe", {"line": "ERROR"}, None])
def test_what_is_no_line_of_text_is_rejected(driver, value):
    with pytest.raises(RejectedError, match="not a line"):
        driver.transform(Electron("mail", value))


def test_the_pattern_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("PATTERN", "cart|mail")
    driver = LinkDriver(Filter(output_topics=("mine", "others")))

    assert [driver.transform(Electron(None, line))[0].topic for line in ("a cart", "a dog")] == ["mine", "others"]


def test_a_pattern_that_cannot_be_read_is_refused(monkeypatch):
    monkeypatch.setenv("PATTERN", "(")

    with pytest.raises(UsageError, match="PATTERN is no regular expression"):
        LinkDriver(Filter())


def test_a_filter_with_one_output_topic_is_refused():
    with pytest.raises(UsageError, match="-o MATCHES,REST"):
        LinkDriver(Filter(output_topics=("matches",)))


def test_made_up_lines_are_sorted_but_for_the_broken_ones(driver, monkeypatch):
    monkeypatch.setenv("LINES_PER_SECOND", "1000000")
    lines = LinkDriver(Lines())
    made = [electron for _ in range(400) for electron in lines.generate()]
    broken = [electron for electron in made if isinstance(electron.value, bytes)]
    topics = [
        driver.transform(Electron(electron.key, electron.value))[0].topic for electron in made if electron not in broken
    ]

    assert 0 < len(broken) < 60
    assert 0 < topics.count("matches") < topics.count("rest")
