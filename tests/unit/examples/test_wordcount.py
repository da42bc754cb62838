"""Counting words: each occurrence once, however often mappers and reducers die and repeat themselves."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core import Electron
from catena_core.errors import RejectedError
from catena_core.testing import LinkDriver
from tests.helpers.examples import load

Mapper, Printer = load("wordcount/mapper").Mapper, load("wordcount/printer").Printer
Reducer, Streamer = load("wordcount/reducer").Reducer, load("wordcount/streamer").Streamer


class Reducing:
    """A reducer that has been assigned one partition and finds these rows in the counts."""

    def __init__(self, rows=None):
        self.rows = dict(rows or {})
        self.link = Reducer()
        self.driver = LinkDriver(self.link, tables={"counts": self.rows})
        self.driver.assign(("words", 0))

    def count(self, word, times, partition, offset):
        sent = self.driver.transform(Electron(word, {"times": times, "sentence": [partition, offset]}, partition=0))
        for row in sent:
            self.rows[row.key] = row.value
        return [row.value["count"] for row in sent]


def test_a_sentence_becomes_its_words_with_how_often_each_stands_there():
    sent = LinkDriver(Mapper()).transform(Electron(None, "The owl, the OLD owl; the end. 42!", partition=3))

    assert {electron.key: electron.value["times"] for electron in sent} == {"the": 3, "owl": 2, "old": 1, "end": 1}
    assert {tuple(electron.value["sentence"]) for electron in sent} == {(3, 0)}


@pytest.mark.parametrize("value", [b"\xff", {"a": 1}, None, "x" * 100_001])
def test_what_is_no_sentence_is_rejected(value):
    with pytest.raises(RejectedError):
        LinkDriver(Mapper()).transform(Electron(None, value))


def test_made_up_sentences_are_text_that_can_be_split(monkeypatch):
    monkeypatch.setenv("SENTENCES_PER_SECOND", "1000000")
    (sentence,) = LinkDriver(Streamer()).generate()

    assert len(LinkDriver(Mapper()).transform(Electron(None, sentence.value))) >= 6


def test_words_are_counted():
    reducer = Reducing()

    assert [reducer.count("owl", 2, 0, 5), reducer.count("owl", 1, 0, 6), reducer.count("fox", 1, 0, 6)] == [
        [2],
        [3],
        [1],
    ]


def test_what_a_mapper_repeats_is_counted_once():
    reducer = Reducing()
    first = [reducer.count("owl", 1, 0, offset) for offset in (5, 6, 7)]
    again = [reducer.count("owl", 1, 0, offset) for offset in (6, 7, 8)]

    assert (first, again) == ([[1], [2], [3]], [[], [], [4]])


def test_sentences_of_different_partitions_are_told_apart():
    reducer = Reducing()

    assert [reducer.count("owl", 1, partition, 5) for partition in (0, 1, 0)] == [[1], [2], []]


def test_a_new_reducer_goes_on_where_the_rows_stand():
    rows = {"owl": {"count": 7, "seen": {"0": 5}}}

    assert [Reducing(rows).count("owl", 2, 0, offset) for offset in (5, 6)] == [[], [9]]


def test_a_reducer_counts_on_from_what_others_have_counted_meanwhile():
    reducer = Reducing()
    assert reducer.count("owl", 1, 0, 5) == [1]
    reducer.driver.revoke(("words", 0))
    reducer.driver.put("counts", "owl", {"count": 7, "seen": {"0": 9}})
    reducer.driver.assign(("words", 0))
    assert reducer.count("owl", 1, 0, 9) == []
    assert reducer.count("owl", 1, 0, 10) == [8]


_SENTENCES = st.lists(st.sampled_from(["owl", "owl owl fox", "fox", "fox owl"]), max_size=12)
_CRASHES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4)


def _runs(length, crashes):
    """Pieces ``(start, end)`` of a log: each begins where all before it is certain, and the last reaches the end."""
    reached = 0
    for back, forth in crashes:
        start = max(0, reached - back)
        reached = max(reached, min(length, start + forth))
        yield start, min(length, start + forth)
    yield reached and max(0, reached - 3), length


@given(_SENTENCES, _CRASHES, _CRASHES)
def test_whatever_dies_and_repeats_itself_the_counts_are_exact(sentences, mapper_crashes, reducer_crashes):
    words = []
    for start, end in _runs(len(sentences), mapper_crashes):
        for offset in range(start, end):
            words += [(word, times, offset) for word, times in Counter(sentences[offset].split()).items()]
    rows = {}
    for start, end in _runs(len(words), reducer_crashes):
        reducer = Reducing(rows)
        for word, times, offset in words[start:end]:
            reducer.count(word, times, 0, offset)
        rows = reducer.rows

    assert {word: row["count"] for word, row in rows.items()} == Counter(" ".join(sentences).split())


def test_the_ten_most_frequent_words_are_printed(monkeypatch, capsys):
    monkeypatch.setenv("PRINT_INTERVAL", "0.001")
    rows = {f"w{n}": {"count": n, "seen": {}} for n in range(12)}
    LinkDriver(Printer(), tables={"counts": rows}).generate()

    assert capsys.readouterr().out == ", ".join(f"w{n} {n}" for n in range(11, 1, -1)) + "\n"
