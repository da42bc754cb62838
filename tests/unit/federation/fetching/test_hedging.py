"""Asking nodes side by side, hedged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from federation.budget import Budget, Limits
from federation.errors import (
    BadAnswerError,
    QueryCancelledError,
    QueryTimeoutError,
    ServerStoppingError,
    SilentSourceError,
    SourceFailedError,
    UnreadableRowsError,
)
from federation.fetching.hedging import HedgedRequests, Reselected
from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source
from tests.helpers.waiting import eventually

REQUEST = Subquery("SELECT 1", (), {}, None)
OTHER = Subquery("SELECT 2", (), {}, None)
# Each graph on two of three nodes.
COPIES = {"urn:ab": "ab", "urn:bc": "bc", "urn:ca": "ca"}


@dataclass
class Nodes:
    """Nodes that answer when they are let, with their name.

    Attributes:
        hanging: Those that do not answer.
        errors: How others fail.
        suspected: Those that seem to hang.
        sending: Those of the hanging ones that keep sending.
        asked: Who was asked what.
        reported: The nodes that queries went on without, and why.
    """

    hanging: dict[str, threading.Event] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    suspected: frozenset[str] = frozenset()
    sending: frozenset[str] = frozenset()
    asked: list[tuple[str, str]] = field(default_factory=list)
    reported: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, source: Source, request: Subquery, budget: Budget, heard: dict[tuple[Source, str], float]) -> bytes:
        self.asked.append((source.id, request.text))
        while source.id in self.sending and not self.hanging[source.id].wait(0.05):
            heard[source, request.text] = time.monotonic()
        if source.id in self.hanging:
            assert self.hanging[source.id].wait(300)
        if source.id in self.errors:
            raise self.errors[source.id]
        return source.id.encode()

    def report(self, nodes: Iterable[str], reason: str) -> None:
        self.reported += [(node, reason) for node in nodes]

    def avoid_tsv(self, nodes: Mapping[str, float]) -> bool:
        new = [(node, "TSV") for node in nodes if (node, "TSV") not in self.reported]
        self.reported += new
        return bool(new)

    def patience(self, node: str) -> float:
        return 0.03

    def suspects(self, nodes: Sequence[str]) -> frozenset[str]:
        return self.suspected & frozenset(nodes)


@dataclass
class Directory:
    """Says who holds what.

    Attributes:
        copies: The nodes of each graph, in the order in which they are read.
        revision: As in ``Snapshot.revision``.
        untracked: As in ``Snapshot.untracked``.
        moved_at: As in ``Snapshot.moved_at``.
    """

    copies: dict[str, str] = field(default_factory=lambda: dict(COPIES))
    revision: int = 0
    untracked: frozenset[str] = frozenset()
    moved_at: dict[str, int] = field(default_factory=dict)

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        every = sorted({node for nodes in self.copies.values() for node in nodes})
        source_of = {graph: next((n for n in nodes if n not in avoid), "") for graph, nodes in self.copies.items()}
        lost = {node for graph, holder in source_of.items() if not holder for node in self.copies[graph]}
        sources = tuple(Source(node, f"http://{node}/") for node in every if node not in avoid)
        return Snapshot(
            sources,
            source_of,
            unavailable=tuple(sorted(lost)),
            version=f"v{sorted(lost)}",
            revision=self.revision,
            untracked=self.untracked,
            moved_at=dict(self.moved_at),
        )


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def threads(nodes: Nodes) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as threads:
        yield threads
        for event in nodes.hanging.values():
            event.set()


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def requests(nodes: Nodes, threads: ThreadPoolExecutor, directory: Directory) -> HedgedRequests:
    return make(nodes, threads, directory)


def make(
    nodes: Nodes,
    threads: ThreadPoolExecutor,
    directory: Directory,
    budget: Budget | None = None,
    turn: int | None = None,
) -> HedgedRequests:
    return HedgedRequests(nodes, threads, budget or Budget(30, Limits()), directory.snapshot, turn)  # type: ignore[arg-type]


def hang(nodes: Nodes, *names: str) -> None:
    nodes.hanging.update({name: threading.Event() for name in names})


def test_a_query_that_a_stop_ends_says_so(nodes: Nodes, directory: Directory) -> None:
    hang(nodes, "a", "b", "c")
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as asking:
        requests = make(nodes, one, directory)
        running = asking.submit(answers, requests)
        eventually(lambda: nodes.asked)
        one.shutdown(wait=False, cancel_futures=True)
        for event in nodes.hanging.values():
            event.set()
        with pytest.raises(ServerStoppingError):
            running.result()
        with pytest.raises(ServerStoppingError):
            answers(make(nodes, one, directory))


def answers(requests: HedgedRequests, graph: str = "", request: Subquery = REQUEST) -> tuple[str, tuple[str, ...]]:
    """Who answers in the end, of all nodes or of the one that a graph is read from; and what is missing."""
    while True:
        snapshot = requests.snapshot()
        sources = [source for source in snapshot.sources if not graph or snapshot.source_of[graph] == source.id]
        found = requests.ask(snapshot, sources, request)
        if isinstance(found, Reselected):
            continue
        assert [source.id.encode() for source, _ in found] == [body for _, body in found]
        return "".join(sorted(source.id for source, _ in found)), snapshot.unavailable


def moved(
    requests: HedgedRequests, before: Snapshot, graphs: frozenset[str] | None = None
) -> tuple[Snapshot, frozenset[str]]:
    found = requests.moved(before, graphs)
    assert not isinstance(found, Reselected)
    return found


def test_all_nodes_are_asked_once(requests: HedgedRequests, nodes: Nodes) -> None:
    assert answers(requests) == ("abc", ())
    assert answers(requests) == ("abc", ())
    assert answers(requests, request=OTHER) == ("abc", ())
    assert sorted(nodes.asked) == [(name, text) for name in "abc" for text in ("SELECT 1", "SELECT 2")]


def test_nobody_to_ask_is_no_trouble(requests: HedgedRequests) -> None:
    assert requests.ask(requests.snapshot(), [], REQUEST) == []


def test_a_node_that_others_can_replace_is_not_waited_for(requests: HedgedRequests, nodes: Nodes) -> None:
    hang(nodes, "a")
    assert answers(requests) == ("bc", ())
    assert sorted(name for name, _ in nodes.asked) == ["a", "b", "c"]
    # Nor is it asked for the rest of the query.
    assert answers(requests, request=OTHER) == ("bc", ())
    assert ("a", "SELECT 2") not in nodes.asked


def test_a_slow_answer_is_used_all_the_same_if_it_is_there_first(requests: HedgedRequests, nodes: Nodes) -> None:
    hang(nodes, "a", "b")

    def let_it_answer() -> None:
        eventually(lambda: ("b", "SELECT 1") in nodes.asked)
        nodes.hanging["a"].set()

    other = threading.Thread(target=let_it_answer)
    other.start()
    assert answers(requests, "urn:ab") == ("a", ())
    other.join()
    assert [name for name, _ in nodes.asked] == ["a", "b"]


def test_a_node_that_fails_is_replaced_by_those_that_have_copies(requests: HedgedRequests, nodes: Nodes) -> None:
    nodes.errors["a"] = SourceFailedError("a is down", ["a"])
    assert answers(requests, "urn:ab") == ("b", ())
    assert answers(requests) == ("bc", ())


def test_when_the_only_other_copy_hangs_after_a_failure_both_are_told_to_be_missing(
    requests: HedgedRequests, nodes: Nodes
) -> None:
    nodes.errors["a"] = SourceFailedError("a is down", ["a"])
    hang(nodes, "b")
    assert answers(requests) == ("c", ("a", "b"))


def test_a_node_that_was_slow_is_waited_for_again_when_its_replacement_fails(
    requests: HedgedRequests, nodes: Nodes
) -> None:
    hang(nodes, "a", "b")

    def fail() -> None:
        eventually(lambda: ("b", "SELECT 1") in nodes.asked)
        nodes.errors["b"] = SourceFailedError("b is down", ["b"])
        nodes.hanging["b"].set()
        eventually(lambda: requests._failed)
        nodes.hanging["a"].set()

    other = threading.Thread(target=fail)
    other.start()
    assert answers(requests, "urn:ab") == ("a", ())
    other.join()


def test_what_only_one_node_has_is_waited_for_and_then_told_to_be_missing(
    nodes: Nodes, threads: ThreadPoolExecutor
) -> None:
    requests = make(nodes, threads, Directory({"urn:a": "a", "urn:b": "b"}))
    hang(nodes, "a")
    begin = time.monotonic()
    assert answers(requests) == ("b", ("a",))
    assert time.monotonic() - begin >= 1


def test_a_node_that_keeps_sending_is_waited_for_while_a_silent_one_is_given_up(
    nodes: Nodes, threads: ThreadPoolExecutor
) -> None:
    requests = make(nodes, threads, Directory({"urn:a": "a", "urn:b": "b"}))
    hang(nodes, "a")
    nodes.sending = frozenset("a")
    # Longer than the wait for a silent node that alone has a graph.
    threads.submit(lambda: nodes.hanging["a"].wait(2.5) or nodes.hanging["a"].set())
    assert answers(requests) == ("ab", ())
    assert nodes.reported == []


def test_a_node_that_queries_go_on_without_is_reported(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    requests = make(nodes, threads, Directory({"urn:a": "a", "urn:b": "b", "urn:c": "c"}))
    hang(nodes, "a")
    nodes.errors["b"] = SourceFailedError("b is down", ["b"])
    assert answers(requests) == ("c", ("a", "b"))
    assert nodes.reported == [("b", "b is down"), ("a", "it is too slow, and no other node has all of its graphs")]


def test_a_node_whose_tsv_cannot_be_read_is_asked_for_another_format_and_then_left_out(
    requests: HedgedRequests, nodes: Nodes
) -> None:
    assert answers(requests) == ("abc", ())
    with requests.failover():
        raise UnreadableRowsError("b sends rows that are no quads", ["b"])
    assert nodes.reported == [("b", "TSV")]
    assert answers(requests) == ("abc", ())
    assert sorted(name for name, _ in nodes.asked) == ["a", "b", "b", "c"]
    with requests.failover():
        raise UnreadableRowsError("b sends rows that are no quads", ["b"])
    assert nodes.reported == [("b", "TSV"), ("b", "b sends rows that are no quads")]
    assert answers(requests) == ("ac", ())


def test_while_nobody_has_answered_all_are_waited_for(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    requests = make(nodes, threads, Directory({"urn:a": "a", "urn:b": "b"}), Budget(1.5, Limits()))
    hang(nodes, "a", "b")
    with pytest.raises(QueryTimeoutError, match="nodes a, b"):
        answers(requests)


def test_when_all_fail_the_reasons_are_told(requests: HedgedRequests, nodes: Nodes) -> None:
    nodes.errors.update({name: SourceFailedError(f"{name} is down", [name]) for name in "abc"})
    with pytest.raises(SourceFailedError, match="no catalogue node answers"):
        answers(requests)


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        ((BadAnswerError, UnreadableRowsError, BadAnswerError), BadAnswerError),
        ((SilentSourceError, SilentSourceError, SilentSourceError), SilentSourceError),
        ((BadAnswerError, SilentSourceError, BadAnswerError), SourceFailedError),
        ((BadAnswerError, SourceFailedError, BadAnswerError), SourceFailedError),
    ],
)
def test_when_all_fail_the_error_tells_whether_asking_again_may_help(
    requests: HedgedRequests, nodes: Nodes, kinds: list[type[SourceFailedError]], kind: type[SourceFailedError]
) -> None:
    nodes.errors.update({name: one(f"{name} fails", [name]) for name, one in zip("abc", kinds, strict=True)})
    with pytest.raises(SourceFailedError) as caught:
        answers(requests)
    assert type(caught.value) is kind


def test_a_directory_that_cannot_do_without_a_node_ends_it(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    nodes.errors["a"] = SourceFailedError("a is down", ["a"])
    whole = Directory().snapshot()
    requests = HedgedRequests(nodes, threads, Budget(30, Limits()), lambda avoid: whole)  # type: ignore[arg-type]
    with pytest.raises(SourceFailedError, match="a is down"):
        answers(requests)


def test_other_errors_are_no_reason_to_ask_others(requests: HedgedRequests, nodes: Nodes) -> None:
    nodes.errors["a"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        answers(requests)


def test_it_ends_when_nobody_waits_any_more(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    gone = threading.Event()
    requests = make(nodes, threads, Directory(), Budget(30, Limits(), gone.is_set))
    hang(nodes, *"abc")
    threads.submit(lambda: eventually(lambda: len(nodes.asked) == 3) and gone.set())
    with pytest.raises(QueryCancelledError):
        answers(requests)


def test_suspects_are_left_alone_where_others_can_replace_them(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    nodes.suspected = frozenset("a")
    assert answers(make(nodes, threads, Directory())) == ("bc", ())
    assert "a" not in {name for name, _ in nodes.asked}
    assert answers(make(nodes, threads, Directory({"urn:a": "a", "urn:b": "b"}))) == ("ab", ())


def test_when_all_are_suspected_all_are_asked(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    nodes.suspected = frozenset("abc")
    assert answers(make(nodes, threads, Directory())) == ("abc", ())


def test_what_was_answered_before_a_change_is_asked_for_again(
    requests: HedgedRequests, nodes: Nodes, directory: Directory
) -> None:
    answers(requests)
    directory.revision += 1
    assert answers(requests) == ("abc", ())
    assert len(nodes.asked) == 6


def test_after_a_change_what_slow_nodes_sent_before_is_not_used_and_they_are_left_out_as_long_as_others_have_all(
    requests: HedgedRequests, nodes: Nodes, directory: Directory
) -> None:
    hang(nodes, "a")
    assert answers(requests) == ("bc", ())
    directory.revision += 1
    nodes.hanging["a"].set()
    assert answers(requests) == ("bc", ())
    directory.revision += 1
    directory.copies["urn:new"] = "a"
    assert answers(requests) == ("abc", ())
    assert [name for name, _ in nodes.asked].count("a") == 2


@pytest.mark.parametrize(
    ("copies", "hanging", "missing"),
    [
        pytest.param(COPIES, "a", (), id="others have all"),
        pytest.param({"urn:a": "a", "urn:b": "b"}, "a", ("a",), id="it is given up"),
        pytest.param({"urn:a": "a", "urn:b": "b", "urn:cb": "cb"}, "ac", ("a",), id="one is given up, one spared"),
    ],
)
def test_where_something_changes_all_the_time_a_node_that_hangs_is_not_waited_for_again_and_again(
    nodes: Nodes, threads: ThreadPoolExecutor, copies: dict[str, str], hanging: str, missing: tuple[str, ...]
) -> None:
    class Restless(Directory):
        def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
            self.revision += 1
            return super().snapshot(avoid)

    hang(nodes, *hanging)
    nodes.suspected = frozenset(hanging) - {"a"}
    requests = make(nodes, threads, Restless(dict(copies)), Budget(10, Limits()))
    found, lost = answers(requests)
    assert (set(found) & set(hanging), lost) == (set(), missing)
    asked = [name for name, _ in nodes.asked]
    assert [asked.count(name) for name in hanging] == [1] * len(hanging)


def test_what_has_moved_is_told_and_what_was_answered_before_is_asked_for_again(
    requests: HedgedRequests, nodes: Nodes, directory: Directory
) -> None:
    before = requests.snapshot()
    assert moved(requests, before) == (before, frozenset())
    requests.ask(before, before.sources, REQUEST)
    directory.revision += 1
    assert moved(requests, before)[1] == frozenset()
    directory.copies |= {"urn:ab": "ca", "urn:new": "c"}
    directory.revision += 1
    now, graphs = moved(requests, before)
    assert (now.source_of["urn:ab"], graphs) == ("c", {"urn:ab", "urn:new"})
    assert moved(requests, before, frozenset({"urn:bc"}))[1] == frozenset()
    requests.ask(now, now.sources, REQUEST)
    assert len(nodes.asked) >= 6  # more on a slow machine, where slow answers are hedged


def test_what_may_have_been_away_and_is_back_is_asked_for_again(requests: HedgedRequests, directory: Directory) -> None:
    directory.moved_at = {"urn:bc": 0}
    before = requests.snapshot()
    directory.revision = 2
    directory.moved_at["urn:ab"] = 2
    now, graphs = moved(requests, before)
    assert graphs == {"urn:ab"}
    directory.revision = 3
    assert moved(requests, now, graphs)[1] == frozenset()


def test_what_was_read_from_a_node_that_is_gone_now_has_not_moved(
    requests: HedgedRequests, directory: Directory
) -> None:
    before = requests.snapshot()
    directory.revision += 1
    directory.copies["urn:ab"] = ""
    assert moved(requests, before)[1] == frozenset()


def test_what_has_moved_to_a_node_that_was_not_needed_is_asked_for_there(
    nodes: Nodes, threads: ThreadPoolExecutor, directory: Directory
) -> None:
    requests = make(nodes, threads, directory, turn=0)
    before = requests.snapshot()
    assert [source.id for source in before.sources] == ["b", "c"]
    directory.revision += 1
    directory.copies["urn:bc"] = "a"
    assert isinstance(requests.moved(before), Reselected)
    assert [source.id for source in requests.snapshot().sources] == ["a", "b", "c"]


def test_nodes_that_are_not_needed_take_turns(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    assert [answers(make(nodes, threads, Directory(), turn=turn)) for turn in range(4)] == [
        ("bc", ()),
        ("ac", ()),
        ("ab", ()),
        ("bc", ()),
    ]


def test_where_providers_have_graphs_of_their_own_all_nodes_are_needed(
    nodes: Nodes, threads: ThreadPoolExecutor
) -> None:
    """What they add is seen at once."""
    directory = Directory()
    directory.untracked = frozenset({"urn:own"})
    assert answers(make(nodes, threads, directory, turn=0)) == ("abc", ())


def test_a_node_that_was_not_needed_is_when_another_fails(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    nodes.errors["b"] = SourceFailedError("b is down", ["b"])
    assert answers(make(nodes, threads, Directory(), turn=0)) == ("ac", ())
    del nodes.errors["b"]
    hang(nodes, "b")
    assert answers(make(nodes, threads, Directory(), turn=0)) == ("ac", ())


def test_a_node_that_alone_has_a_graph_is_always_needed(nodes: Nodes, threads: ThreadPoolExecutor) -> None:
    directory = Directory({**COPIES, "urn:a": "a"})
    assert answers(make(nodes, threads, directory, turn=0)) == ("abc", ())
