"""``catena up``: starts broker, sandbox and links in order, restarts those that die, and stops them in order."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from catena_core.cli import environment_properties, variable_name
from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.errors import CatenaError, UsageError
from catena_core.interrupts import STATUS
from catena_core.kafka.broker_errors import BrokerErrors
from catena_core.options import LinkOptions
from catena_core.text import bounded, is_secret
from catena_core.topics import ensure
from topology import env_file, settings, topics
from topology.access import LinkAccess
from topology.membership import CatalogueList
from topology.preflight import check_files
from topology.runner.embedded_limits import TruncationWatch, check_count, count_listed, warning
from topology.runner.failing import FILE as FAILING_FILE
from topology.runner.failing import write_failing
from topology.runner.managed_process import ManagedProcess
from topology.runner.progress import Progress, ProgressReader

LINKS = ("monitor", "address_generator", "fetcher", "router", "writer", "gateway")
SANDBOX_NODES = 3

_STOP_WITHIN = 8.0
_START_WITHIN = 30.0
_ANSWER_WITHIN = 10.0
_LINE_EVERY = 2.0
_LOOK_EVERY = 0.5
_LONGEST_FAILURE = 200

# Users experiment with the sandbox, so its changes show soon.
_SANDBOX_PACE = {
    "OFFERING_FETCH_INTERVAL": "5",
    "NODE_HEALTH_CHECK_INTERVAL": "2",
    "NODE_TIMEOUT": "3",
    "NODE_GRACE_PERIOD": "10",
}

_QUERY = """PREFIX sedimark: <https://w3id.org/sedimark/ontology#>
PREFIX dcterms: <http://purl.org/dc/terms/>
SELECT ?offering ?title WHERE {
  ?offering a sedimark:Offering ; dcterms:title ?title .
} ORDER BY ?title LIMIT 5"""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error: rich raises ``SystemExit``, as Ctrl-C during the start does."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Runner:
    """Runs the topology on this machine until it is asked to stop.

    Args:
        kafka: Kafka's ``host:port``; ``None`` starts the embedded broker.
        scale: The number of processes of each link.
        properties: Further librdkafka properties.
        verbose: Whether to show every line of every process, instead of warnings and errors only.
        environment: The variables to start from.
    """

    def __init__(
        self,
        kafka: str | None,
        scale: Mapping[str, int],
        properties: dict[str, str] | None = None,
        verbose: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = dict(settings.variables_in_force() if environment is None else environment)
        self._environment[env_file.FILE] = ""  # the processes get its variables, and need not warn of its mistakes
        self._kafka = kafka
        self._scale = {link: scale.get(link, 1) for link in LINKS}
        self._properties = properties or {}
        self._verbose = verbose
        self._console = _Console(stderr=False, highlight=False, soft_wrap=True)
        self._stop = threading.Event()
        self._failure: CatenaError | OSError | None = None
        self._starting = True
        self._warned = False
        self._failing: dict[str, str] = {}
        self._admin_ports: list[int] = []
        self._metrics_ports: list[int] = []
        self._servers: list[ManagedProcess] = []
        self._links: list[ManagedProcess] = []

    def run(self) -> bool:
        """Run until SIGINT or SIGTERM.

        Returns:
            Whether every process ended by itself when asked to.

        Raises:
            CatenaError: A part did not start, or the embedded broker is too small; the message names it and the reason.
            OSError: The output cannot be written.
            SystemExit: SIGINT or SIGTERM came during the start.
        """
        self._started = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        with contextlib.ExitStack() as stack:
            clean = [True]
            stack.callback(setattr, self, "_starting", False)
            stack.callback(lambda: clean.append(self._end(self._servers, _STOP_WITHIN / 4)))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="catena-"))
            self._environment[FAILING_FILE] = f"{folder}/failing.json"
            self._check_settings()
            properties = own = self._properties
            if self._kafka:
                endpoint = self._kafka
                # Links read those of the environment themselves.
                own = {**environment_properties(self._environment, warns=False), **properties}
                errors = BrokerErrors()
                admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 2, "error_cb": errors, **own})
                errors.metadata(admin, endpoint, _ANSWER_WITHIN, self._say)
                ensure(endpoint, topics.SPECS, own)
            self._start_sandbox(Path(folder))
            if not self._kafka:
                endpoint = stack.enter_context(EmbeddedBroker(topics.SPECS)).endpoint
                properties = {**CLIENT_PROPERTIES, **properties}
            self._start_links(endpoint, properties)
            stack.callback(lambda: clean.append(self._end(self._links, _STOP_WITHIN)))
            progress = ProgressReader(endpoint, own)
            stack.callback(progress.close)
            self._starting = False
            if self._kafka is None:
                stack.callback(TruncationWatch(endpoint, self._fail).close)
            self._follow(progress)
            self._say("stopping …")
        if self._failure is not None:
            raise self._failure
        return all(clean)

    def _fail(self, error: CatenaError | OSError) -> None:
        self._failure = error
        self._stop.set()

    def _on_signal(self, number: int, _frame: Any) -> None:
        """End at the next look; during the start at once, unless it is about to end."""
        self._stop.set()
        if self._starting:
            self._starting = False
            sys.exit(STATUS if number == signal.SIGINT else 0)

    # Starting

    def _check_settings(self) -> None:
        """Find mistakes before anything starts, and the ports of the links."""
        variables = self._environment
        self._own_booth = "DLT_BASE_URL" not in variables
        self._own_nodes = (
            self._own_booth and not {"CATALOGUE_LIST", "OPERATOR_PROVIDED", "CENTRALISED"} & variables.keys()
        )
        variables.setdefault("REDIS_HOST", "")
        if "CATALOGUE_LIST" in variables and "CENTRALISED" not in variables:
            variables.setdefault("OPERATOR_PROVIDED", "1")
        self._settings = settings.load(variables)
        check_files(self._settings)
        if self._settings.mode is settings.Mode.OPERATOR:
            # A broken list is refused before anything waits for it.
            CatalogueList(self._settings.catalogue_list).members()
        offerings = self._settings.sandbox_offerings
        if self._own_booth and self._kafka is None and offerings.isdecimal():
            check_count(int(offerings))
        host, gateways = self._settings.host_address, self._scale["gateway"]
        self._ports = _free_ports("HOST_PORT", host, self._settings.host_port, gateways)
        self._admin_ports = _free_ports("GATEWAY_ADMIN_PORT", host, self._settings.gateway_admin_port, gateways)
        if metrics_port := variables.pop("METRICS_PORT", "").strip():
            if not metrics_port.isdecimal():
                raise UsageError(f"METRICS_PORT is a port from 0 to 65535, not {metrics_port!r}")
            self._metrics_ports = _free_ports(
                "METRICS_PORT", LinkOptions().host, int(metrics_port), sum(self._scale.values())
            )

    def _start_sandbox(self, folder: Path) -> None:
        """Start the parts of the sandbox that the settings leave to it."""
        variables, offerings = self._environment, self._settings.sandbox_offerings
        own_booth, own_nodes = self._own_booth, self._own_nodes
        if own_nodes:
            for name, value in _SANDBOX_PACE.items():
                variables.setdefault(name, value)
            nodes = [self._server(f"node_{n + 1}", "sandbox.node") for n in range(SANDBOX_NODES)]
        if own_booth:
            option = ["--count", offerings] if offerings.isdecimal() else ["--offerings", offerings]
            seed = ["--seed", variables.get("SANDBOX_SEED", "1")]
            booth = self._server("booth", "sandbox.booth", *option, *seed)
        if own_nodes:
            listed = {
                node.name: {"id": node.name, "catalogue_url": url, "base_url": url.rpartition("/")[0]}
                for node in nodes
                for url in [node.wait_for_line("node ", _START_WITHIN)]
            }
            catalogue_list = folder / "catalogue_list.json"
            catalogue_list.write_text(json.dumps(listed, indent=2))
            variables.update(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(catalogue_list))
            self._say(f"sandbox nodes: {', '.join(entry['catalogue_url'] for entry in listed.values())}")
        if own_booth:
            variables["DLT_BASE_URL"] = booth.wait_for_line("booth ", _START_WITHIN)
            self._say(f"sandbox ledger: {variables['DLT_BASE_URL']}/offerings")
        self._settings = settings.load(variables)
        if self._kafka is None:
            ledger = LinkAccess(self._settings).ledger
            self._warn(check_count(count_listed(self._settings.dlt_base_url, ledger)))

    def _server(self, name: str, module: str, *arguments: str) -> ManagedProcess:
        server = ManagedProcess(name, module, ["--port", "0", *arguments], self._environment, self._on_line)
        self._servers.append(server)
        server.start()
        return server

    def _start_links(self, endpoint: str, properties: Mapping[str, str]) -> None:
        # Every user of this machine can list the arguments of processes, so secrets go by the environment.
        secrets = {variable_name(name): value for name, value in properties.items() if is_secret(name)}
        shown = {name: value for name, value in properties.items() if not is_secret(name)}
        extra = [item for name, value in shown.items() for item in ("-X", f"{name}={value}")]
        for link in LINKS:
            for number in range(self._scale[link]):
                environment = {**self._environment, **secrets}
                if link == "gateway":
                    environment["HOST_PORT"] = str(self._ports[number])
                    if self._admin_ports:
                        environment["GATEWAY_ADMIN_PORT"] = str(self._admin_ports[number])
                if self._metrics_ports:
                    environment["METRICS_PORT"] = str(self._metrics_ports[len(self._links)])
                name = link if self._scale[link] == 1 else f"{link}_{number + 1}"
                process = ManagedProcess(name, f"links.{link}", ["-k", endpoint, *extra], environment, self._on_line)
                self._links.append(process)
                process.start()
        broker = endpoint if self._kafka else f"{endpoint} (embedded)"
        self._say(f"broker: {broker}; {len(self._links)} links started")
        for port in self._ports:
            self._say(f"gateway: {self._url(port)}")
        if self._metrics_ports:
            self._say(f"metrics: ports {', '.join(map(str, self._metrics_ports))} of 127.0.0.1")

    def _url(self, port: int) -> str:
        host = self._settings.host_address
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{shown}:{port}"

    # While it runs

    def _follow(self, reader: ProgressReader) -> None:
        """Show progress and restart dead processes until asked to stop."""
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=4, transient=False) as live:
                self._loop(reader, lambda progress: live.update(_grid(progress, self._restarts(), self._failing)))
        else:
            self._loop(reader, self._line())

    def _loop(self, reader: ProgressReader, show: Any) -> None:
        announced = False
        next_look = 0.0
        while not self._stop.is_set():
            progress = reader.read()
            show(progress)
            if self._kafka is None:
                self._warn(warning(progress.listed))
            if progress.complete and not announced:
                announced = True
                self._announce(progress)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + self._settings.subprocess_health_check_interval
                for process in [*self._servers, *self._links]:
                    process.restart_if_dead()
                self._tell_failing()
            self._stop.wait(_LOOK_EVERY)

    def _tell_failing(self) -> None:
        """Let the gateways know the processes that are restarted in vain."""
        failing = {process.name: process.failure for process in [*self._servers, *self._links] if process.failure}
        if failing != self._failing:
            self._failing = failing
            write_failing(Path(self._environment[FAILING_FILE]), failing)

    def _line(self) -> Any:
        """Return a function that prints the counts when they have changed, at most every two seconds."""
        last: list[Any] = ["", 0.0]

        def show(progress: Progress) -> None:
            line, now = progress.line(), time.monotonic()
            if line != last[0] and (now - last[1] >= _LINE_EVERY or progress.complete):
                last[:] = [line, now]
                self._say(line)

        return show

    def _announce(self, progress: Progress) -> None:
        seconds = time.monotonic() - self._started
        nodes = "node" if progress.replicas == 1 else "nodes"
        self._say(
            f"all {progress.placed} offerings stand on {progress.replicas} {nodes} each, {seconds:.1f} s after the start"
        )
        url = f"{self._url(self._ports[0])}/sparql"
        self._say(f"ask for instance:\n\ncurl {url} -H 'Accept: text/csv' --data-urlencode 'query={_QUERY}'\n")

    def _warn(self, text: str) -> None:
        """Say that the embedded broker is nearly full, once."""
        if text and not self._warned:
            self._warned = True
            self._say(text)

    def _restarts(self) -> int:
        return sum(process.restarts for process in [*self._servers, *self._links])

    def _on_line(self, name: str, line: str) -> None:
        if self._verbose or any(level in line for level in ("WARNING", "ERROR", "CRITICAL", "Traceback")):
            self._say(f"{name}: {line}")

    def _say(self, text: str) -> None:
        """Print a line; if that cannot be, stop everything. Threads that follow a process's lines go on."""
        try:
            self._console.print(text, markup=False)
        except OSError as error:
            self._fail(error)

    # Stopping

    @staticmethod
    def _end(processes: list[ManagedProcess], within: float) -> bool:
        deadline = time.monotonic() + within
        for process in processes:
            process.signal_stop()
        ended = [process.end(deadline - time.monotonic()) for process in processes]
        return all(ended)


def _free_ports(name: str, host: str, first: int | None, count: int) -> list[int]:
    """Return as many ports: that of a setting and the following ones, any free ones for 0, none if it is not set.

    Raises:
        UsageError: One of them is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for number in range(0 if first is None else count):
            port = first + number if first else 0
            try:
                probe = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
            except (OSError, OverflowError, UnicodeError) as error:
                reason = getattr(error, "strerror", None) or error
                where = f"{name} or HOST_ADDRESS" if name != "METRICS_PORT" else name
                raise UsageError(
                    f"cannot listen on {host}:{port} ({reason}); choose another with {where}, for instance {name}=8080"
                ) from error
            found.append(probe.getsockname()[1])
    return found


def _grid(progress: Progress, restarts: int, failing: Mapping[str, str]) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_row("listed", str(progress.listed))
    grid.add_row("fetched", str(progress.fetched))
    grid.add_row("placed", f"{progress.placed} on {progress.replicas} each")
    for node, count in progress.on_node.items():
        grid.add_row(f"  {node}", f"{count} {progress.states[node]}")
    if restarts:
        grid.add_row("restarts", str(restarts))
    for name, failure in failing.items():
        grid.add_row(Text(name, "red"), Text(bounded(failure, _LONGEST_FAILURE)))
    return grid
