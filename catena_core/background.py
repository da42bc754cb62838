"""The background of a link: threads and processes that work beside its electrons, and end with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from typing import Any

from catena_core import children
from catena_core.clock import Clock
from catena_core.definition import LinkDefinition
from catena_core.errors import DeliveryError, StoppedError, UsageError, described
from catena_core.mistakes import run_plain
from catena_core.monitoring.failures import FailuresInARow
from catena_core.transforming.results import positional

# The least seconds before a generator or loop that raised is called again: without a wait its errors would fill the log.
_AFTER_ERROR = 1.0


class Background:
    """Runs the generator of a link, its loops, and what else its author launches.

    Args:
        definition: The link.
        stop: Set when the link is to stop.
        failed: Ends the link because of an error that no further call would mend.
    """

    def __init__(
        self, definition: LinkDefinition, stop: threading.Event, failed: Callable[[BaseException], None]
    ) -> None:
        self._link = definition.link
        self._stop = stop
        self._failed = failed
        self._waited_for: list[threading.Thread] = []
        self._processes: list[BaseProcess] = []
        self._repeated: list[FailuresInARow] = []

    def problems(self) -> dict[str, str]:
        """Give the problems of the generator and of loops for the link's health."""
        return {name: text for failures in list(self._repeated) for name, text in failures.problems().items()}

    def generator(self, generate: Callable[[], None]) -> None:
        """Call the generator in a thread, again and again until the link is to stop."""
        failures = self._watched("generator")

        def run() -> None:
            while not self._stop.is_set():
                if not self._attempt(generate, "the generator", failures):
                    self._stop.wait(_AFTER_ERROR)

        self._launch(run, "generator")

    def thread(
        self, target: Callable[..., Any], args: Any, kwargs: Mapping[str, Any] | None, waited_for: bool
    ) -> threading.Thread:
        """Run a function of the link's author in a thread of its own, and log its error.

        Args:
            target: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            waited_for: Whether the end of the link waits for it.
        """
        name = _name(target)
        call = _plain(target, args, kwargs)
        return self._launch(lambda: self._attempt(call, name, FailuresInARow(name)), name, waited_for)

    def loop(
        self,
        target: Callable[..., Any],
        args: Any,
        kwargs: Mapping[str, Any] | None,
        waited_for: bool,
        *,
        clock: Clock,
        interval: float,
        wait: bool,
        level: str | None,
    ) -> threading.Thread:
        """Call a function of the link's author every so often in a thread of its own, and log its errors.

        Args:
            target: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            waited_for: Whether the end of the link waits for a call under way.
            clock: The time as the link sees it.
            interval: Seconds between the starts of two calls until the link stops.
            wait: Whether the first of these calls comes only after the interval.
            level: The level at which each call is logged; ``None``: it is not.
        """
        name = _name(target)
        call = _plain(target, args, kwargs)
        failures = self._watched(f"loop {name}")

        def repeated() -> float:
            if level is not None:
                self._link.logger.log(f"new loop iteration ({name})", level=level)
            return 0.0 if self._attempt(call, name, failures) else _AFTER_ERROR

        return clock.repeat(
            repeated, interval, wait, self._stop, lambda run: self._launch(run, f"loop {name}", waited_for)
        )

    def process(self, process: BaseProcess) -> None:
        """Start a process that ends with the link."""
        process.start()
        self._processes.append(process)

    def join_threads(self) -> None:
        """Wait for the threads that a link's end waits for, as long as its electrons under way have."""
        deadline = time.monotonic() + self._link.drain_timeout
        for thread in self._waited_for:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._link.logger.log(f"{thread.name} goes on, though the link is to stop", level="warning")

    def end_processes(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + children.GRACE
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()

    def _launch(self, target: Callable[[], object], name: str, waited_for: bool = False) -> threading.Thread:
        def run() -> None:
            try:
                target()
            except BaseException as error:  # a thread of the link works, or ends the link
                self._failed(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        if waited_for:
            self._waited_for.append(thread)
        thread.start()
        return thread

    def _attempt(self, call: Callable[[], object], name: str, failures: FailuresInARow) -> bool:
        """Make a call, and log its error unless it comes of the link's end; return whether there was none.

        Raises:
            Exception: An error that no further call would mend, such as that Kafka has not taken a message.
        """
        failures.began()
        try:
            call()
        except (SystemExit, UsageError):
            raise
        except BaseException as error:
            is_stopping = self._stop.is_set()
            if isinstance(error, DeliveryError) and not is_stopping:
                raise
            if not (isinstance(error, StoppedError) and is_stopping):
                failures.failed(error)
                self._link.logger.log(f"{name} failed: {described(error)}", level="error")
            return False
        failures.succeeded()
        return True

    def _watched(self, name: str) -> FailuresInARow:
        failures = FailuresInARow(name)
        self._repeated.append(failures)
        return failures


def _plain(target: Callable[..., Any], args: Any, kwargs: Mapping[str, Any] | None) -> Callable[[], object]:
    return lambda: run_plain(target, *positional(args), **(kwargs or {}))


def _name(target: Callable[..., Any]) -> str:
    return getattr(target, "__name__", str(target))
