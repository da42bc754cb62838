"""Bringing graphs to nodes: in order, for as long as it takes, and every outcome told as it is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from catena_core.errors import StoppedError
from catena_core.testing import LinkDriver
from links import writer as writer_module
from links.writer import Writer
from tests.helpers.odd_server import Handler, OddServer, closed_port, saying
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from tests.helpers.writing import NO_GRAPHS, TOPIC, G, Writing, placement_in, placements, writes_to
from topology import records, topics
from topology.records import REFUSED_DELETE, Node, Placement, Write, placement_key

pytestmark = pytest.mark.usefixtures("quick_writer")


@pytest.fixture(params=["sedimark", "graph-store"])
def writing(request: pytest.FixtureRequest, node: Sandbox) -> Writing:
    """Give a writer and a node of the sandbox, by each protocol."""
    return Writing(node.url, protocol=request.param)


@pytest.fixture
def odd(server: OddServer) -> Iterator[Writing]:
    """Give a writer and a node that is told how to answer, and holds no graphs."""
    server.answers["/catalogue/sparql"] = saying(NO_GRAPHS)
    yield Writing(f"{server.url}/catalogue")


class TestWrites:
    def test_a_put_is_done_and_told(self, writing: Writing) -> None:
        placement = writing.put("first")

        assert placement == Placement("n", G, "0xa", 5, 1, 3, described(G, "first").digest)
        assert writing.held is not None

    def test_a_put_replaces(self, writing: Writing) -> None:
        writing.put("first")
        writing.put("second", version=6)

        assert writing.held is not None
        assert "second" in writing.held
        assert "first" not in writing.held

    def test_a_delete_is_done_and_leaves_no_placement(self, writing: Writing) -> None:
        writing.put()

        (electron,) = writing.delete()

        assert (electron.topic, electron.key, electron.value) == (topics.PLACEMENTS, placement_key("n", G), None)
        assert electron.partition == 3
        assert writing.held is None

    def test_a_delete_of_what_is_not_there_is_as_good(self, writing: Writing) -> None:
        (electron,) = writing.delete()

        assert electron.value is None

    def test_a_delete_that_the_node_pretends_is_repeated_and_not_told(self, writing: Writing, node: Sandbox) -> None:
        """Its placement is the only record of the graph: without it, nothing would delete what still stands there."""
        writing.put()
        node.faults(error_rate=1, status=200, methods=["DELETE"])

        assert [told.digest for told in placements(writing.delete())] == [""]
        node.faults()
        assert [electron.value for electron in writing.delete()] == [None]
        assert writing.held is None

    def test_deletes_together_that_the_node_pretends_are_not_told(self, writing: Writing, node: Sandbox) -> None:
        graphs = [f"https://p.example/{number}" for number in range(1, 4)]
        for graph in graphs:
            what = described(graph)
            writing.take(Write("put", "n", graph, "0xa", 5, 1, 3, what.digest, what.triples))
        paths = ["/catalogue/update", "/catalogue/manager", "/catalogue/data"]
        node.faults(error_rate=1, status=200, methods=["POST", "DELETE"], paths=paths)
        deletes = [Write("delete", "n", graph, "0xa", 6, 1, 3) for graph in graphs]

        sent = writing.take(*deletes)
        node.faults()
        again = writing.take(*deletes)

        assert all(told.problem for told in placements(sent))
        assert [electron.value for electron in again if electron.topic == topics.PLACEMENTS] == [None] * 3
        assert writing.held is None

    def test_every_write_may_be_repeated(self, writing: Writing) -> None:
        for _ in range(2):
            writing.put()
        for _ in range(2):
            assert [electron.value for electron in writing.delete()] == [None]

    def test_what_is_older_than_the_newest_is_not_done(self, writing: Writing) -> None:
        writing.put("newer", version=7)

        assert writing.put("older", version=6) is None
        assert writing.delete(version=6) == []
        assert writing.held is not None
        assert "newer" in writing.held

    def test_what_is_older_than_a_delete_does_not_bring_it_back(self, writing: Writing) -> None:
        writing.put(version=5)
        writing.delete(version=6)

        assert writing.put(version=5) is None
        assert writing.held is None

    def test_write_that_is_older_but_of_a_later_epoch_is_done(self, writing: Writing) -> None:
        """A router that replays may not see the tombstone that raised the version: compaction has removed it."""
        writing.put("newer", version=9)
        writing.delete(version=9)
        writing.change(2, writing.node)

        assert writing.put("again", version=8, epoch=2) is not None
        assert writing.held is not None

    def test_the_same_version_is_done_again(self, writing: Writing) -> None:
        """A node that was moved away from and back to gets the same version twice."""
        writing.put(version=5)
        writing.delete(version=5)

        assert writing.put(version=5) is not None

    def test_versions_of_other_graphs_do_not_matter(self, writing: Writing) -> None:
        writing.put(version=7)
        other = described("https://p.example/2")
        write = Write("put", "n", other.graph, "0xb", 1, 1, 3, other.digest, other.triples)

        assert len(writing.take(write)) == 1

    def test_what_is_remembered_of_versions_is_bounded(self, writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "_VERSIONS_KEPT", 10)
        for number in range(50):
            one = described(f"https://p.example/{number}")
            writing.take(Write("put", "n", one.graph, "0xa", 1, 1, 3, one.digest, one.triples))

        assert len(writing.link._newest) <= 11


class TestRefusals:
    @pytest.mark.parametrize("kind", ["put", "delete"])
    def test_a_write_that_is_refused_is_told_and_stands_in_the_dead_letters(
        self, server: OddServer, odd: Writing, kind: str
    ) -> None:
        server.answers["/catalogue/manager"] = saying(b"never", 400)
        what = described(G)
        content = {"digest": what.digest, "triples": what.triples} if kind == "put" else {}
        if kind == "delete":
            odd.remember(G)
        write = Write(kind, "n", G, "0xa", 5, 1, 3, **content)  # type: ignore[arg-type]

        sent = odd.take(write)

        placement = placement_in(sent)
        assert placement is not None
        assert (placement.digest, placement.refused) == ("", what.digest if kind == "put" else REFUSED_DELETE)
        (dead,) = [electron for electron in sent if electron.topic == topics.DEAD_LETTERS]
        assert records.from_text(dead.value, Write) == write
        assert "never" in dead.headers["error"]
        assert dead.headers["error-type"] == "RefusedError"
        assert len(writes_to(server)) == 1

    def test_what_a_sandbox_refuses(self, node: Sandbox) -> None:
        writing = Writing(node.url)
        write = Write("put", "n", G, "0xa", 5, 1, 3, "d", "<urn:s> <urn:p> <urn:o> .\n")

        placement = placement_in(writing.take(write))

        assert placement is not None
        assert placement.refused == "d"

    def test_a_node_where_none_can_be_is_as_good_as_one_that_refuses(self) -> None:
        placement = Writing("http://169.254.169.254/catalogue").put()

        assert placement is not None
        assert placement.refused

    def test_a_refused_write_does_not_keep_older_ones_out(self, server: OddServer, odd: Writing) -> None:
        """Nothing newer stands on the node."""
        server.answers["/catalogue/manager"] = saying(b"never", 400)
        odd.put(version=9)
        server.answers["/catalogue/manager"] = saying()

        placement = odd.put(version=8)

        assert placement is not None
        assert placement.digest


class TestTrouble:
    def test_trouble_that_passes_is_waited_out(self, server: OddServer, odd: Writing) -> None:
        def answer(request: Handler) -> None:
            request.say(b"", 503 if len(writes_to(server)) < 5 else 204)

        server.answers["/catalogue/manager"] = answer

        placement = odd.put()

        assert placement is not None
        assert placement.digest
        assert len(writes_to(server)) == 5

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("path", ["/catalogue/manager", "/catalogue/sparql"])
    def test_a_node_that_asks_for_a_pause_gets_no_request_until_it_is_over(
        self, server: OddServer, odd: Writing, status: int, path: str
    ) -> None:
        came: list[float] = []
        otherwise = saying(NO_GRAPHS)

        def answer(request: Handler) -> None:
            came.append(time.monotonic())
            if len(came) == 1:
                request.say(b"", status, Retry_After="1")
            else:
                otherwise(request)

        server.answers["/catalogue/manager"] = otherwise
        server.answers[path] = answer

        placement = odd.put()

        assert placement is not None
        assert placement.digest
        assert came[1] - came[0] >= 1
        assert len(came) == 2

    def test_a_pause_that_a_node_asks_for_ends_when_it_is_no_longer_up(self, server: OddServer, odd: Writing) -> None:
        def answer(request: Handler) -> None:
            odd.change(2, Node("n", odd.url, "suspect"))
            request.say(b"", 503, Retry_After="3600")

        server.answers["/catalogue/manager"] = answer

        assert odd.put() == Placement("n", G, "0xa", 5, 1, 3), "it may stand there"
        assert len(writes_to(server)) == 1

    def test_a_put_that_fails_again_and_again_is_put_off_and_may_stand_there(
        self, server: OddServer, odd: Writing
    ) -> None:
        server.answers["/catalogue/manager"] = saying(b"no", 500)

        problem = f"127.0.0.1:{urlsplit(server.url).port} answers with status 500: no"
        assert odd.put() == Placement("n", G, "0xa", 5, 1, 3, problem=problem)
        assert len(writes_to(server)) == 8

    def test_a_put_that_was_put_off_does_not_hold_up_others_for_long_again(
        self, server: OddServer, odd: Writing
    ) -> None:
        server.answers["/catalogue/manager"] = saying(b"no", 500)
        odd.put()
        del server.asked[:]

        odd.put()
        assert len(writes_to(server)) == 2
        server.answers["/catalogue/manager"] = saying(b"", 204)
        assert odd.put() is not None
        server.answers["/catalogue/manager"] = saying(b"no", 500)
        del server.asked[:]
        odd.put()
        assert len(writes_to(server)) == 8

    def test_a_graph_at_which_a_node_closes_the_connection_does_not_hold_up_others_for_ever(
        self, server: OddServer, odd: Writing
    ) -> None:
        server.answers["/catalogue/manager"] = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)

        told = odd.put()

        assert told is not None
        assert (told.digest, told.unclaimed) == ("", False)
        assert "does not answer" in told.problem

    def test_a_delete_that_fails_again_and_again_is_not_told_as_done(self, server: OddServer, odd: Writing) -> None:
        """The router would forget the graph, and it would stay on the node for ever."""
        server.answers["/catalogue/manager"] = saying(b"no", 500)
        odd.remember(G)

        (told,) = placements(odd.delete())
        assert told.problem.endswith("answers with status 500: no")
        assert len(writes_to(server)) == 8

    @pytest.mark.parametrize("state", ["suspect", "down"])
    def test_a_node_that_is_not_up_is_not_asked(self, server: OddServer, state: str) -> None:
        writing = Writing(f"{server.url}/catalogue", state)

        assert writing.put() is None
        assert writing.delete() == []
        assert server.asked == []

    def test_a_node_that_is_no_member_is_not_asked(self, server: OddServer, odd: Writing) -> None:
        odd.change(2, Node("other", odd.url))

        assert odd.put() is None
        assert server.asked == []

    def test_a_silent_node_is_tried_until_it_is_given_up_and_may_hold_the_graph(self) -> None:
        writing = Writing(f"http://127.0.0.1:{closed_port()}/catalogue")
        writing.remember(G)
        given_up = []

        def give_up() -> None:
            given_up.append(True)
            writing.change(2, Node("n", writing.url, "suspect"))

        threading.Timer(0.3, give_up).start()

        assert writing.put() == Placement("n", G, "0xa", 5, 1, 3)
        assert given_up

    def test_a_delete_that_a_silent_node_may_not_have_done_is_not_told(self) -> None:
        writing = Writing(f"http://127.0.0.1:{closed_port()}/catalogue")
        writing.remember(G)
        giving_up = threading.Timer(0.1, writing.change, (2, Node("n", writing.url, "down")))
        giving_up.start()

        assert writing.delete() == []

    def test_a_node_that_moved_meanwhile_is_written_to_where_it_is_now(self, node: Sandbox) -> None:
        writing = Writing(f"http://127.0.0.1:{closed_port()}/catalogue")
        threading.Timer(0.1, writing.change, (2, Node("n", node.url))).start()

        placement = writing.put()

        assert placement is not None
        assert placement.digest

    def test_a_link_that_stops_leaves_the_write_to_the_next(self) -> None:
        writing = Writing(f"http://127.0.0.1:{closed_port()}/catalogue")
        threading.Timer(0.1, writing.link.stop).start()

        with pytest.raises(StoppedError):
            writing.put()

    def test_a_write_by_a_newer_ring_waits_for_that_ring(self, node: Sandbox) -> None:
        """By the ring that this writer still knows the node is down, and nobody would send the write again."""
        writing = Writing(node.url, "down")
        threading.Timer(0.1, writing.change, (2, Node("n", node.url))).start()

        placement = writing.put(epoch=2)

        assert placement is not None
        assert placement.digest

    def test_but_not_for_ever(self, server: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "_RING_TIMEOUT", 0.1)

        assert Writing(f"{server.url}/catalogue", "down").put(epoch=99) is None


class TestTopics:
    def test_those_of_all_nodes_are_read_and_no_other(self, writing: Writing) -> None:
        assert writing.link.input_topics == (TOPIC,)

        writing.change(2, Node("m", "http://m.invalid"), Node("o p", "http://o.invalid", "down"))

        assert set(writing.link.input_topics) == {topics.writes_topic(name).name for name in ("m", "o p")}

    def test_before_there_is_a_ring_there_are_none(self) -> None:
        link = Writer()
        LinkDriver(link)

        assert link.input_topics == ()


class TestInspection:
    def test_what_a_node_has_lost_is_told(self, writing: Writing) -> None:
        placement = writing.put()
        assert placement is not None
        writing.remember(G, placement.digest)
        writing.remember("https://p.example/lost")

        (electron,) = writing.inspect()

        assert (electron.topic, electron.key, electron.value, electron.partition) == (
            topics.PLACEMENTS,
            placement_key("n", "https://p.example/lost"),
            None,
            2,
        )

    def test_a_node_that_comes_back_empty_has_lost_everything(self, writing: Writing) -> None:
        for number in range(5):
            writing.remember(f"https://p.example/{number}")

        assert len(writing.inspect()) == 5

    def test_once_for_each_time_that_it_came_up(self, writing: Writing) -> None:
        writing.remember(G)
        assert len(writing.inspect()) == 1
        assert writing.inspect() == []

        writing.change(2, Node("n", writing.url, "up", 2, writing.node.protocol))

        assert len(writing.inspect()) == 1

    @pytest.mark.parametrize("state", ["suspect", "down"])
    def test_not_while_it_is_silent(self, server: OddServer, state: str) -> None:
        writing = Writing(f"{server.url}/catalogue", state)
        writing.remember(G)

        assert writing.inspect() == []
        assert server.asked == []

    def test_only_by_the_instance_whose_the_node_is(self, writing: Writing) -> None:
        writing.remember(G)
        writing.link.revoked([(TOPIC, 0)])
        assert writing.inspect() == []

        writing.link.assigned([(TOPIC, 1)])
        assert writing.inspect() == []
        writing.link.assigned([(TOPIC, 0)])
        assert len(writing.inspect()) == 1

    @pytest.mark.parametrize("trouble", [saying(b"", 500), saying(b"nonsense"), saying(b"", 404)])
    def test_a_node_that_cannot_say_has_lost_nothing_and_is_asked_again(
        self, server: OddServer, odd: Writing, trouble: Any
    ) -> None:
        odd.remember(G)
        server.answers["/catalogue/sparql"] = trouble
        assert odd.inspect() == []

        server.answers["/catalogue/sparql"] = saying(b'{"results": {"bindings": []}}')
        eventually(lambda: len(odd.inspect()) == 1)

    def test_what_other_nodes_hold_does_not_matter(self, writing: Writing) -> None:
        writing.remember(G, node="m")

        assert writing.inspect() == []

    def test_what_was_refused_was_not_held(self, writing: Writing) -> None:
        writing.remember(G, digest="")

        assert writing.inspect() == []

    def test_placements_that_change_meanwhile_disturb_nobody(self, writing: Writing) -> None:
        stop = threading.Event()

        def come_and_go() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                graph = f"https://p.example/{turn % 50}"
                writing.remember(graph)
                writing.driver.put(topics.PLACEMENTS, placement_key("n", graph), None, 2)

        changing = threading.Thread(target=come_and_go)
        changing.start()
        try:
            for epoch in range(2, 40):
                writing.change(epoch, Node("n", writing.url, "up", epoch, writing.node.protocol))
                writing.inspect()
        finally:
            stop.set()
            changing.join()
