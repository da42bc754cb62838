"""What is timed: queries that both sides answer alike."""

from tests.bench.federation.client import Client, Reply
from tests.bench.federation.queries import DEFAULT, Query
from tests.bench.federation.timing import Sides, check, measure

QUERIES = [Query(name, name, DEFAULT, f"ASK {{ <urn:{name}> ?p ?o }}") for name in ("same", "slow", "wrong")]


class Store(Client):
    """Answers queries that mention a word with a reply of its own, and all others with true."""

    def __init__(self, word="", reply=None):
        self.word, self.reply = word, reply

    def ask(self, text):
        if self.word and self.word in text:
            return self.reply
        return _reply(200, b'{"head": {}, "boolean": true}')


def _reply(status, body):
    return Reply(0.1, status, "application/sparql-results+json", body, "complete" if status == 200 else "")


def test_queries_that_one_store_does_not_answer_are_left_out_and_told():
    single = Store("urn:slow", _reply(503, b"more than 60 s"))
    gateway = Store("urn:wrong", _reply(200, b'{"head": {}, "boolean": false}'))
    told = []
    sizes, unanswered = check(Sides(single, gateway, gateway, {}), QUERIES, told.append)
    assert list(sizes) == ["same"]
    assert [query.name for query in unanswered] == ["slow"]
    assert told[0] == "left out: slow: the single store answers with 503: more than 60 s"
    assert all(line.startswith("wrong") for line in told[1:])
    assert len(told) > 1


def test_a_query_that_fails_while_it_is_timed_ends_no_others():
    single, gateway = Store(), Store("urn:slow", _reply(504, b"no answer in time"))
    told = []
    times = measure(Sides(single, gateway, gateway, {}), QUERIES, 2, told.append)
    assert list(times) == ["same", "wrong"]
    assert [len(found.fresh) for found in times.values()] == [2, 2]
    assert [line for line in told if "slow" in line] == ["slow: the gateway answers with 504: no answer in time"]
