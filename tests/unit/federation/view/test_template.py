"""The processes of a view, as the view sees them: what an evaluator sees, and what a process's end costs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from federation.errors import TooLargeError, UnreadableQuadsError
from federation.evaluation.messages import Evaluate, Evaluated, Reply
from federation.view.messages import Change
from federation.view.template import DiskTemplate, ForkedProcess, StoreProcesses, Template, _StoreProcess
from tests.helpers.waiting import eventually

MEMORY = 2**32
SUBJECTS = "SELECT ?s { GRAPH ?g { ?s ?p ?o } }"


def changed(**graphs: str) -> Change:
    """Give graphs one triple each, whose subject is their digest as well."""
    quads = "".join(f"<urn:{value}> <urn:p> <urn:o> <urn:{name}> .\n" for name, value in graphs.items())
    return Change({f"urn:{name}": value for name, value in graphs.items()}, quads.encode())


def subjects(connection: Connection) -> set[str]:
    """Ask an evaluator for the subjects that it sees."""
    connection.send_bytes(msgspec.msgpack.encode(Evaluate(SUBJECTS, b"", (), "text/csv", 1000)))
    reply = msgspec.msgpack.decode(connection.recv_bytes(), type=Reply)
    assert isinstance(reply, Evaluated), reply
    return {row.removeprefix("urn:") for row in reply.body.decode().split()[1:]}


def holders(processes: StoreProcesses) -> list[_StoreProcess]:
    """Return the process that holds the store, and the one that forks, if that is another."""
    assert isinstance(processes, (Template, DiskTemplate))
    return [processes] if isinstance(processes, Template) else [processes._store, processes._template]


Make = Callable[[], StoreProcesses]


@pytest.fixture(params=["memory", "disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Make processes, which end with the test."""
    made = list[StoreProcesses]()

    def make() -> StoreProcesses:
        on_disk = request.param == "disk"
        made.append(DiskTemplate(str(tmp_path / "view"), MEMORY, "1") if on_disk else Template(MEMORY))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def processes(make: Make) -> StoreProcesses:
    processes = make()
    assert processes.resume() == {}
    return processes


def test_evaluator_sees_the_store_as_it_was_when_it_was_forked(processes: StoreProcesses) -> None:
    processes.change(changed(g="a"))
    _, first = processes.fork(1)
    processes.change(changed(g="b", h="c"))
    _, second = processes.fork(2)

    assert (subjects(first), subjects(second)) == ({"a"}, {"b", "c"})
    assert subjects(first) == {"a"}


def test_invalid_quads_change_nothing_and_end_nothing(processes: StoreProcesses) -> None:
    processes.change(changed(g="a"))
    with pytest.raises(UnreadableQuadsError):
        processes.change(Change({"urn:g": "new"}, b'<urn:s> <urn:p> "\\q" <urn:g> .\n'))

    assert subjects(processes.fork(1)[1]) == {"a"}


def test_memory_is_told_of_a_store_in_memory_alone(processes: StoreProcesses) -> None:
    memory = processes.change(changed(g="a"))

    assert memory > 10**6 if isinstance(processes, Template) else memory == 0


def test_evaluator_that_ends_costs_the_store_nothing(processes: StoreProcesses) -> None:
    processes.change(changed(g="a"))
    evaluator, connection = processes.fork(1)
    assert evaluator.poll() is None

    evaluator.kill()
    eventually(lambda: evaluator.poll() is not None)
    evaluator.wait()
    evaluator.kill()  # a second time does nothing, to no other process either
    with pytest.raises((EOFError, OSError)):
        subjects(connection)

    assert processes.is_alive()
    assert subjects(processes.fork(1)[1]) == {"a"}


def test_killed_processes_are_missed_once_and_start_again(processes: StoreProcesses) -> None:
    processes.change(changed(g="a"))
    assert processes.is_alive() == isinstance(processes, Template)  # the other one forks nothing yet
    processes.kill()
    eventually(lambda: not any(one.is_alive() for one in holders(processes)))

    with pytest.raises((EOFError, OSError)):
        processes.change(changed(h="b"))
    assert not processes.is_alive()

    is_kept = isinstance(processes, DiskTemplate)
    assert processes.resume() == ({"urn:g": "a"} if is_kept else {})
    processes.change(changed(h="b"))
    assert subjects(processes.fork(1)[1]) == ({"a", "b"} if is_kept else {"b"})


def test_ended_processes_start_again_without_an_error(processes: StoreProcesses) -> None:
    processes.change(changed(g="a"))
    processes.end()
    assert not processes.is_alive()

    is_kept = isinstance(processes, DiskTemplate)
    assert processes.resume() == ({"urn:g": "a"} if is_kept else {})
    assert subjects(processes.fork(1)[1]) == ({"a"} if is_kept else set())


def test_ctrl_c_of_a_terminal_ends_neither_process_nor_evaluator(processes: StoreProcesses) -> None:
    processes.change(changed(g="a"))
    evaluator, connection = processes.fork(1)
    workers = holders(processes)
    assert evaluator._descriptor is not None

    signal.pidfd_send_signal(evaluator._descriptor, signal.SIGINT)
    for one in workers:
        assert one._worker._process is not None
        os.kill(one._worker._process.pid, signal.SIGINT)  # type: ignore[attr-defined]

    assert subjects(connection) == {"a"}
    assert subjects(processes.fork(2)[1]) == {"a"}


def test_directory_that_cannot_be_used_is_too_small(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    processes = DiskTemplate(str(tmp_path / "file"), MEMORY, "1")
    try:
        with pytest.raises(TooLargeError, match="file"):
            processes.resume()
    finally:
        processes.end()


def test_forked_process_that_has_gone_before_it_was_known_has_ended() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    reading, writing = os.pipe()
    with os.fdopen(writing), Connection(reading, writable=False) as connection:
        process = ForkedProcess(pid, connection)

        process.kill()
        assert (process.poll(), process.wait()) == (0, 0)
