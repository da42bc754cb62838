"""``catena up``: starts broker, sandbox and links in order, restarts those that die, and stops them in order."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid

from catena_core.cli import environment_properties, variable_name
from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.errors import CatenaError, UsageError
from catena_core.text import is_secret
from catena_core.topics import ensure
from topology import env_file, settings, topics
from topology.access import LinkAccess
from topology.membership import CatalogueList
from topology.runner.embedded_limits import TruncationWatch, check_count, count_listed, warning
from topology.runner.managed_process import ManagedProcess
from topology.runner.progress import Progress, ProgressReader

LINKS = ("monitor", "address_generator", "fetcher", "router", "writer", "gateway")
SANDBOX_NODES = 3

_STOP_WITHIN = 8.0
_START_WITHIN = 30.0
_LINE_EVERY = 2.0
_LOOK_EVERY = 0.5

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
        self._console = Console(stderr=False, highlight=False, soft_wrap=True)
        self._stop = threading.Event()
        self._failure: CatenaError | None = None
        self._warned = False
        self._servers: list[ManagedProcess] = []
        self._links: list[ManagedProcess] = []

    def run(self) -> bool:
        """Run until SIGINT or SIGTERM.

        Returns:
            Whether every process ended by itself when asked to.

        Raises:
            CatenaError: A part did not start, or the embedded broker is too small; the message names it and the reason.
        """
        self._started = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stop.set())
        with contextlib.ExitStack() as stack:
            clean = [True]
            stack.callback(lambda: clean.append(self._end(self._servers, _STOP_WITHIN / 4)))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="catena-"))
            self._prepare(Path(folder))
            properties = self._properties
            endpoint = self._kafka
            if endpoint is None:
                endpoint = stack.enter_context(EmbeddedBroker(topics.SPECS)).endpoint
                properties = {**CLIENT_PROPERTIES, **properties}
            # Links read those of the environment themselves.
            own = {**environment_properties(self._environment), **self._properties} if self._kafka else self._properties
            ensure(endpoint, topics.SPECS, own, patience=10)
            self._start_links(endpoint, properties)
            stack.callback(lambda: clean.append(self._end(self._links, _STOP_WITHIN)))
            progress = ProgressReader(endpoint, own)
            stack.callback(progress.close)
            if self._kafka is None:
                stack.callback(TruncationWatch(endpoint, self._fail).close)
            self._follow(progress)
            self._say("stopping …")
        if self._failure is not None:
            raise self._failure
        return all(clean)

    def _fail(self, error: CatenaError) -> None:
        self._failure = error
        self._stop.set()

    # Starting

    def _prepare(self, folder: Path) -> None:
        """Start the parts of the sandbox that the settings leave to it, check the settings, and find the gateway's ports."""
        variables = self._environment
        own_booth = "DLT_BASE_URL" not in variables
        own_nodes = own_booth and not {"CATALOGUE_LIST", "OPERATOR_PROVIDED", "CENTRALISED"} & variables.keys()
        variables.setdefault("REDIS_HOST", "")
        if "CATALOGUE_LIST" in variables and "CENTRALISED" not in variables:
            variables.setdefault("OPERATOR_PROVIDED", "1")
        if own_nodes:
            for name, value in _SANDBOX_PACE.items():
                variables.setdefault(name, value)
            nodes = [self._server(f"node_{n + 1}", "sandbox.node") for n in range(SANDBOX_NODES)]
        if own_booth:
            offerings = settings.load(variables).sandbox_offerings
            if self._kafka is None and offerings.isdigit():
                check_count(int(offerings))
            option = ["--count", offerings] if offerings.isdigit() else ["--offerings", offerings]
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
        if self._settings.mode is settings.Mode.OPERATOR:
            CatalogueList(
                self._settings.catalogue_list
            ).members()  # a broken list is refused before anything waits for it
        if self._kafka is None:
            ledger = LinkAccess(self._settings).ledger
            self._warn(check_count(count_listed(self._settings.dlt_base_url, ledger)))
        self._ports = list(self._gateway_ports())

    def _server(self, name: str, module: str, *arguments: str) -> ManagedProcess:
        server = ManagedProcess(name, module, ["--port", "0", *arguments], self._environment, self._on_line)
        self._servers.append(server)
        server.start()
        return server

    def _gateway_ports(self) -> Iterator[int]:
        """Yield a port for each gateway: HOST_PORT and the following ones.

        Raises:
            UsageError: One of them is taken.
        """
        host, first = self._settings.host_address, self._settings.host_port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for number in range(self._scale["gateway"]):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, first + number if first else 0))
                except OSError as error:
                    raise UsageError(
                        f"the gateway cannot listen on {host}:{first + number} ({error.strerror}); "
                        "choose another with HOST_ADDRESS and HOST_PORT, for instance HOST_PORT=8080"
                    ) from error
                yield probe.getsockname()[1]

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
                name = link if self._scale[link] == 1 else f"{link}_{number + 1}"
                process = ManagedProcess(name, f"links.{link}", ["-k", endpoint, *extra], environment, self._on_line)
                self._links.append(process)
                process.start()
        broker = endpoint if self._kafka else f"{endpoint} (embedded)"
        self._say(f"broker: {broker}; {len(self._links)} links started")
        for port in self._ports:
            self._say(f"gateway: {self._url(port)}")

    def _url(self, port: int) -> str:
        host = self._settings.host_address
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{shown}:{port}"

    # While it runs

    def _follow(self, reader: ProgressReader) -> None:
        """Show progress and restart dead processes until asked to stop."""
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=4, transient=False) as live:
                self._loop(reader, lambda progress: live.update(_grid(progress, self._restarts())))
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
            self._stop.wait(_LOOK_EVERY)

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
        self._console.print(text, markup=False)

    # Stopping

    @staticmethod
    def _end(processes: list[ManagedProcess], within: float) -> bool:
        deadline = time.monotonic() + within
        for process in processes:
            process.signal_stop()
        ended = [process.end(deadline - time.monotonic()) for process in processes]
        return all(ended)


def _grid(progress: Progress, restarts: int) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_row("listed", str(progress.listed))
    grid.add_row("fetched", str(progress.fetched))
    grid.add_row("placed", f"{progress.placed} on {progress.replicas} each")
    for node, count in progress.on_node.items():
        grid.add_row(f"  {node}", f"{count} {progress.states[node]}")
    if restarts:
        grid.add_row("restarts", str(restarts))
    return grid
