"""Links without a broker: results, sending, options, the test driver."""

import pytest

from catena_core import Electron, Link
from catena_core.errors import UsageError
from catena_core.testing import LinkDriver
from catena_core.transforming.results import read_result


class Words(Link):
    """Splits lines into words."""

    inputs = ("lines",)
    outputs = ("words", "log")

    def setup(self):
        self.called = []

    def transform(self, electron):
        self.send(f"{electron.value} seen", topic="log")
        return [Electron(word, 1) for word in electron.value.split()]


class Called(Link):
    inputs, outputs = ("in",), ("out",)

    def setup(self):
        self.arrived = []

    def transform(self, electron):
        return (electron.value, self.arrived.append, (electron.value,))


class Stopwords(Link):
    inputs, outputs = ("in",), ("out",)

    def setup(self):
        self.stopwords = self.table("stopwords")

    def transform(self, electron):
        return None if electron.value in self.stopwords else electron.value


def test_electrons_in_electrons_out():
    driver = LinkDriver(Words())
    seen, *words = driver.transform(Electron("k", "to be or"))
    assert (seen.topic, seen.value) == ("log", "to be or seen")
    assert [(word.topic, word.key, word.value) for word in words] == [
        ("words", "to", 1),
        ("words", "be", 1),
        ("words", "or", 1),
    ]


def test_a_callback_runs_once_all_is_delivered():
    link = Called()
    assert [electron.value for electron in LinkDriver(link).transform(Electron(value=7))] == [7]
    assert link.arrived == [7]


def test_tables_are_filled_before_the_first_transform_and_kept_fresh():
    driver = LinkDriver(Stopwords(), tables={"stopwords": {"the": True}})
    assert driver.transform(Electron(value="the")) == []
    driver.put("stopwords", "the", None)
    assert [electron.value for electron in driver.transform(Electron(value="the"))] == ["the"]


def test_a_tombstone_counts_only_where_the_key_was_set():
    link = Stopwords()
    driver = LinkDriver(link)
    driver.put("stopwords", "moved", 1, partition=0)
    driver.put("stopwords", "moved", 2, partition=3)
    driver.put("stopwords", "moved", None, partition=0)
    assert link.stopwords["moved"] == 2
    driver.put("stopwords", "moved", None, partition=3)
    assert "moved" not in link.stopwords


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (None, []),
        ("text", ["text"]),
        (0, [0]),
        ([1, Electron(value=2)], [1, 2]),
        ((1, 2), [(1, 2)]),
        ((1, 2, 3), [(1, 2, 3)]),
        (([1, 2], print), [1, 2]),
        ((1, print, {"end": ""}), [1]),
    ],
)
def test_what_a_transform_may_return(returned, expected):
    assert [electron.value for electron in read_result(returned).electrons] == expected


def test_sending_without_a_topic_says_what_to_do():
    class Nowhere(Link):
        inputs = ("in",)

        def transform(self, electron):
            return electron.value

    with pytest.raises(UsageError, match="name one with -o TOPIC"):
        LinkDriver(Nowhere()).transform(Electron(value=1))


def test_sending_from_the_constructor_says_what_to_do():
    with pytest.raises(UsageError, match=r"from setup\(\) on"):
        Words().send("x")


def test_an_unknown_option_is_refused():
    with pytest.raises(UsageError, match="no option colour"):
        Words(colour="red")


def test_without_kafka_a_link_says_how_to_name_it(caplog):
    with pytest.raises(SystemExit) as stopped:
        Words().run(Words().options)
    assert stopped.value.code == 1


def test_a_replaying_link_has_one_lane():
    class Replays(Link):
        replay = True

    class Wrong(Replays):
        lanes = 4

    with pytest.raises(UsageError, match="single lane"):
        Wrong()
    with pytest.raises(UsageError, match="leave out num_main_threads"):
        Replays(num_main_threads=2)
