"""The health of a link, and the port that serves it: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app
from waitress.server import create_server

from catena_core.errors import UsageError
from catena_core.kafka.partition import Partition

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Health:
    """The present problems of a link, by name; none, as long as it is well.

    Args:
        link: The name of the link's class.
        uid: The instance's own name.
        group: Its consumer group.
        partitions: Gives its partitions, each ``(topic, number)``; called from the server's threads.

    Attributes:
        ready: Whether it is doing its work: set up, joined to its group, and not about to end.
    """

    def __init__(self, link: str, uid: str, group: str, partitions: Callable[[], Iterable[Partition]] = tuple) -> None:
        self.link = link
        self.uid = uid
        self.group = group
        self.ready = False
        self._partitions = partitions
        self._problems: dict[str, str] = {}
        self._sources: list[Callable[[], Mapping[str, str]]] = []

    @property
    def problems(self) -> dict[str, str]:
        """The problems of one moment, by name."""
        found = self._problems.copy()
        for source in list(self._sources):
            found |= source()
        return found

    def ask(self, source: Callable[[], Mapping[str, str]]) -> None:
        """Ask for the problems of the moment, too, whenever the health is looked at.

        Args:
            source: Gives them by name; called from the server's threads.
        """
        self._sources.append(source)

    def problem(self, name: str, text: str) -> None:
        """Report a problem, or its new text.

        Args:
            name: The name by which to clear it, for instance ``"progress orders/3"``.
            text: The fault, for the operator who is to mend it.
        """
        self._problems[name] = text

    def clear(self, name: str) -> None:
        """Remove a problem; fine if there is none of that name."""
        self._problems.pop(name, None)

    def report(self) -> dict[str, Any]:
        """Give all of it, as it is served."""
        problems = self.problems
        return {
            "status": "unhealthy" if problems else "ok",
            "ready": self.ready,
            "link": self.link,
            "uid": self.uid,
            "group": self.group,
            "partitions": sorted(f"{topic}/{number}" for topic, number in self._partitions()),
            "problems": problems,
        }


class HealthServer:
    """Serves a link's health and metrics over HTTP, in threads of its own.

    ``/healthz`` answers 200 while there is no problem, else 503; ``/readyz`` besides answers 503 until the link is ready.
    Both say why in JSON. ``/metrics`` is for Prometheus, in its text format or OpenMetrics, as ``Accept`` asks. Nothing is
    changed by a request, and nothing else is served.

    Args:
        port: The TCP port; 0 for a free one.
        health: The health to serve.
        registry: The link's metrics.
        host: The address to listen on; by default for this machine alone.

    Attributes:
        port: The port it listens on.

    Raises:
        UsageError: The port cannot be had.
    """

    def __init__(self, port: int, health: Health, registry: CollectorRegistry, host: str = "127.0.0.1") -> None:
        self._sockets: dict[int, Any] = {}
        try:
            # Enough for Prometheus, a prober and an operator; a stranger who opens more connections waits.
            server = create_server(
                _application(health, registry),
                map=self._sockets,
                host=host,
                port=port,
                ipv4=":" not in host,  # one address, even where localhost names two
                ipv6=":" in host,
                ident="catena",
                threads=2,
                asyncore_use_poll=True,  # select() fails in programs with more than a thousand open files
                connection_limit=20,
                channel_timeout=10,
                max_request_header_size=8192,
                max_request_body_size=1024,
            )
        except OSError as error:
            raise UsageError(
                f"cannot serve metrics on port {port} ({error.strerror}); choose another with --metrics-port, or 0 for a "
                "free one"
            ) from error
        except ValueError as error:
            raise UsageError(f"cannot serve metrics: host (--host) is no address of this machine: {host}") from error
        self._server = cast(Any, server)  # its stubs leave out most of its attributes
        self.port: int = self._server.effective_port
        self._thread = threading.Thread(target=self._server.run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; safe to call twice."""
        if self._thread.is_alive():
            with suppress(OSError):  # its thread, which a response woke, has closed them already
                self._server.trigger.pull_trigger(self._close_sockets)
            self._thread.join(2)
            self._server.task_dispatcher.shutdown(timeout=1)

    def _close_sockets(self) -> None:
        # Run by the server's own thread, which ends when it has no socket left; closed elsewhere, it would trip over them.
        for connection in list(self._sockets.values()):
            connection.close()
        self._sockets.clear()


def _application(health: Health, registry: CollectorRegistry) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(start: StartResponse, status: str, content: object) -> list[bytes]:
        body = msgspec.json.encode(content) + b"\n"
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in ("/metrics", "/healthz", "/readyz"):
            return answer(start, "404 Not Found", {"error": "there are /metrics, /healthz and /readyz"})
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return answer(start, "405 Method Not Allowed", {"error": "use GET"})
        if path == "/metrics":
            return metrics({**environ, "REQUEST_METHOD": "GET"}, start)
        report = health.report()
        well = report["status"] == "ok" and (health.ready or path == "/healthz")
        return answer(start, "200 OK" if well else "503 Service Unavailable", report)

    return application
