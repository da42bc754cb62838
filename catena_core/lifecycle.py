"""The lifecycle of a link: start it, keep it running, and end it."""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from catena_core import children, interrupts, processes
from catena_core.background import Background
from catena_core.cli import command, environment_endpoint, environment_properties
from catena_core.clock import Clock, SystemClock
from catena_core.definition import LinkDefinition
from catena_core.die_with_parent import on_parent_death
from catena_core.errors import CatenaError, StoppedError, UsageError, described
from catena_core.kafka.connect import wait_for_broker
from catena_core.mistakes import check_has_run, run_plain
from catena_core.monitoring import logs
from catena_core.monitoring.end_watch import FINISH, EndWatch
from catena_core.monitoring.exit_watch import watch_exit
from catena_core.monitoring.freeze_guard import FreezeGuard
from catena_core.monitoring.health import Health
from catena_core.monitoring.monitoring import Monitoring
from catena_core.monitoring.setup_watch import SetupWatch
from catena_core.options import LinkOptions
from catena_core.rpc import Methods
from catena_core.runtime import KafkaRuntime, NoRuntime, Runtime
from catena_core.stop_signals import StopSignals
from catena_core.stores.link_stores import LinkStores

# A transform that waits learns within so many seconds that another instance has its partition.
_WAIT_STEP = 0.1


class Lifecycle:
    """Starts, runs and ends one link. It is the library's part of a link, apart from the names of the link's author.

    Args:
        definition: The link.

    Attributes:
        definition: As given.
        background: The threads and processes beside its electrons.
        stores: The connections to stores.
        stop: Set when the link is to stop.
        failure: Why it ended, if it was not asked to.
        ready: Set when it does its work: its generator runs, and it has joined its consumer group.
        clock: The time as the link sees it.
        registry: The metrics of this run; each run has its own.
    """

    def __init__(self, definition: LinkDefinition) -> None:
        self.definition = definition
        self.stores = LinkStores(lambda: definition.link.options)
        self._link = definition.link
        self.stop = threading.Event()
        self.background = Background(definition, self.stop, self.failed)
        self._signals = StopSignals(self.stop)
        self.failure: BaseException | None = None
        self.ready = threading.Event()
        self.clock: Clock = SystemClock()
        self.registry = CollectorRegistry()
        self._setup_kwargs: Mapping[str, Any] = {}
        self._startup_text: str | None = None
        self._is_started = False
        self._is_program = False  # else the process has work beside this link
        self._running = threading.Event()
        self._ended = threading.Event()
        self._runtime: Runtime | None = None
        self._closing = threading.Lock()  # held by the thread that closes, or has closed, the link
        self._known_children: set[int] = set()  # of this process, which are none of the link's
        self._has_told_of_value = False  # which the generator returned

    @property
    def runtime(self) -> Runtime:
        """Kafka, the test driver, or nothing at all.

        Raises:
            UsageError: The link was not started yet.
        """
        if self._runtime is None:
            raise UsageError("a link can send and read tables from setup() on, not in its constructor")
        return self._runtime

    def start(
        self, arguments: Sequence[str] | None, setup_kwargs: Mapping[str, Any] | None, startup_text: str | None = None
    ) -> None:
        """Read the command line, run until the link ends, and leave the process."""
        self._check_unstarted()
        interrupts.end_at_once()
        self._setup_kwargs, self._startup_text = setup_kwargs or {}, startup_text
        definition = self.definition

        def run(options: LinkOptions, further: list[str]) -> None:
            if options.processes > 1 and not processes.is_child():
                logs.configure(options.log_level, options.log_format)
                sys.exit(processes.run(options.processes, self._link.logger, self._link.drain_timeout))
            self._link.args = further
            children.mark()
            self._known_children = children.descendants()
            try:
                self.run(options)
            finally:
                children.end(self._known_children)
                watch_exit(self._link.logger, processes.longest_end(self._link.drain_timeout))

        command(definition.name, definition.description, self._link.options, run, definition.check)(
            list(arguments) if arguments is not None else None, prog_name=Path(sys.argv[0]).name or "link"
        )

    def start_embedded(self, setup_kwargs: Mapping[str, Any] | None, startup_text: str | None = None) -> None:
        """Run in a thread of a program that goes on; return when the link is set up and running.

        Raises:
            CatenaError: It failed before that, as it would have ended the process; or it was started before.
        """
        self._check_unstarted()
        self._setup_kwargs, self._startup_text = setup_kwargs or {}, startup_text
        options = self._link.options
        options = replace(
            options,
            kafka_endpoint=options.kafka_endpoint or environment_endpoint(),
            properties={**environment_properties(), **options.properties},
        )
        self.definition.check(options)
        thread = threading.Thread(target=self._run, name=f"link {self._link.uid}", daemon=True)
        thread.start()
        while not self._running.wait(0.02) and not self._ended.is_set():
            pass
        if isinstance(self.failure, Exception):
            raise self.failure
        if self.failure is not None:
            raise CatenaError(f"the link ended: {described(self.failure)}") from self.failure

    def _check_unstarted(self) -> None:
        """Refuse a second start: it would do nothing at all after a stop, and all things twice before.

        Raises:
            UsageError: The link was started before.
        """
        if self._is_started:
            raise UsageError(f"this {self.definition.name} was started before; make another one for each start")
        self._is_started = True

    def wait_until_ready(self, timeout: float | None) -> bool:
        """Wait until the link does its work, or has ended; return whether it does its work."""
        deadline = time.monotonic() + timeout if timeout is not None else math.inf
        while not self.ready.wait(min(0.05, max(0.0, deadline - time.monotonic()))):
            if self._ended.is_set() or time.monotonic() >= deadline:
                return False
        return not self._ended.is_set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the link has ended, at most ``timeout`` seconds; return whether it has."""
        return self._ended.wait(timeout)

    def run(self, options: LinkOptions) -> None:
        """Run with these options until the link ends; in the main thread, SIGTERM, SIGINT, SIGQUIT and SIGHUP end it.

        Raises:
            SystemExit: The link failed; the reason has been logged.
        """
        link = self._link
        options = processes.own_options(options)
        self.definition.use(options)
        if processes.is_child():
            on_parent_death(self._end_as_orphan)
        fields = {"link": self.definition.name, "uid": link.uid, "group": link.consumer_group}
        logs.configure(options.log_level, options.log_format, fields)
        self._is_program = threading.current_thread() is threading.main_thread()
        self._signals.take(link.logger)
        self._run()
        if self.failure is not None:
            code = self.failure.code if isinstance(self.failure, SystemExit) else 1
            sys.exit(code if isinstance(code, int) else 1)

    def _end_as_orphan(self) -> None:
        """Stop, since the process that would kill this one if it hung is gone."""
        self.stop.set()
        if not self._ended.wait(processes.longest_end(self._link.drain_timeout)):
            os._exit(1)

    def attach(self, runtime: Runtime, setup_kwargs: Mapping[str, Any] | None = None) -> None:
        """Give the link its runtime and set it up."""
        self._runtime = runtime
        if setup_kwargs is not None:
            self._setup_kwargs = setup_kwargs
        run_plain(self._link.setup, **self._setup_kwargs)
        self.definition.check_unread()

    def failed(self, error: BaseException) -> None:
        """Stop because of an error that no retry can mend: the process ends with status 1, or with that of ``sys.exit``."""
        is_clean = isinstance(error, SystemExit) and not error.code
        is_cut_short = isinstance(error, StoppedError) and self.stop.is_set()
        if self.failure is None and not (is_clean or is_cut_short):
            self.failure = error
            self._link.logger.log(f"stopping, because: {_text(error)}", level="error")
        self.stop.set()

    def end(self, message: str | None) -> None:
        """Stop because the link says so."""
        if message:
            self._link.logger.log(f"stopping: {message}")
        self.stop.set()

    def wait(self, seconds: float) -> bool:
        """Let time pass, but not beyond the link's end or the loss of the electron's partition.

        Returns:
            Whether one of these came.
        """
        assignment = None if self._runtime is None else self._runtime.current_assignment()
        if assignment is None:
            return self.clock.wait(self.stop, seconds)
        while not assignment.revoked and seconds > _WAIT_STEP:
            if self.clock.wait(self.stop, _WAIT_STEP):
                return True
            seconds -= _WAIT_STEP
        return assignment.revoked or self.clock.wait(self.stop, seconds)

    def await_arrival(self, arrived: threading.Event) -> bool:
        """Wait until outputs have arrived; return whether they have, and not the time that a link has for its end is over."""
        until = math.inf
        while not arrived.wait(0.1):
            if self.stop.is_set():
                until = min(until, time.monotonic() + self._link.drain_timeout)
            if time.monotonic() > until:
                return False
        return True

    def _start_running(self, health: Health) -> None:
        """Start the generator: the tables are complete, and the first transform follows."""
        link, definition = self._link, self.definition
        if definition.generates:
            self.background.generator(self.generate)
        if self._is_program:
            gc.freeze()  # the objects of the setup stay, so that collections need not walk them again and again
        reading = ", ".join(link.input_topics) if definition.reads else ""
        if not definition.reads:
            health.ready = True
        meant = set(type(link).inputs).intersection(
            type(link).outputs
        )  # the class says so itself: it knows its outputs
        returning = set(link.input_topics).intersection(link.output_topics) - meant if definition.reads else ()
        for topic in sorted(returning):
            link.logger.log(f"the link reads {topic} and writes it: its outputs come back to it", level="warning")
        link.logger.log(f"running as {link.uid}, consumer group {link.consumer_group}, reading {reading or '-'}")
        if not definition.reads:
            self.ready.set()
        self._running.set()

    def _run(self) -> None:
        """Run the link, and call its finish exactly once, even after an error. Until that has returned, it can send."""
        link, name = self._link, self.definition.name
        ending = ExitStack()
        interrupt = self._interrupt_finish if self._signals.can_interrupt else None
        watch = EndWatch(
            link.logger, self.stop, link.drain_timeout, interrupt, lambda step: self._give_up(step, ending)
        )
        try:
            self._attempt(lambda: self._run_on_runtime(ending, watch), name, quiet=(SystemExit, CatenaError))
            self.stop.set()
            self.background.join_threads()
            watch.begin(FINISH)
            self._attempt(lambda: self._signals.interruptible(link.finish), FINISH, quiet=(SystemExit,))
        finally:
            watch.begin("the close")
            self._close(ending)
            watch.close()

    def _close(self, ending: ExitStack) -> None:
        """Close all that the link has opened, unless another thread does so."""
        if not self._closing.acquire(blocking=False):
            return
        try:
            self._attempt(ending.close, self.definition.name, quiet=(SystemExit, CatenaError))
        finally:
            self.background.end_processes()
            self.stores.close()
            self._link.logger.log("stopped cleanly" if self.failure is None else "stopped")
            self._ended.set()

    def _give_up(self, step: str, ending: ExitStack) -> None:
        """End the program, or a link within one, from another thread than the one that hangs."""
        if self._is_program:
            children.end(self._known_children)
            os._exit(1)
        self.failed(CatenaError(f"{step} hangs"))
        self._close(ending)

    def _attempt(self, step: Callable[[], object], name: str, quiet: tuple[type[BaseException], ...]) -> None:
        """Take a step of the run; the error with which it ends is the link's, logged with a traceback unless it is quiet."""
        try:
            step()
        except quiet as error:
            self.failed(error)
        except BaseException as error:
            self._link.logger.log(f"{name} failed: {described(error)}", level="exception")
            self.failure = self.failure or error

    def _run_on_runtime(self, ending: ExitStack, watch: EndWatch) -> None:
        """Run the link until it is to stop, and note in ``ending`` what to close at its end."""
        link, options, definition = self._link, self._link.options, self.definition
        if self._startup_text:
            link.logger.log(self._startup_text, several_lines=True)
        self.registry = CollectorRegistry()
        monitoring = Monitoring(definition.name, link.uid, link.consumer_group, options, link.logger, self.registry)
        monitoring.health.ask(self.background.problems)
        ending.callback(monitoring.close)
        if self._is_program:
            ending.callback(FreezeGuard(2 * options.consumer_timeout, self.stop).close)
        if options.kafka_endpoint is None:
            self._run_without_kafka(monitoring, ending)
        elif wait_for_broker(options.kafka_endpoint, options.properties, link.logger, self.stop):
            runtime = KafkaRuntime(definition, options, self.stop, self.ready, self.failed, monitoring)
            ending.callback(runtime.close)
            if not self._set_up(runtime, monitoring.health):
                return
            if definition.reads and not link.input_topics and not link.dynamic_inputs:
                raise UsageError(f"{definition.name} has nothing to read; name topics with -i TOPIC")
            if options.num_rpc_threads:
                runtime.rpc()
            self._serve_calls(ending)
            watch.begin("the drain")
            if not self.stop.is_set():
                runtime.run(lambda: self._start_running(monitoring.health))
        monitoring.health.ready = False

    def _set_up(self, runtime: Runtime, health: Health) -> bool:
        """Set the link up; return whether it may run, and was not stopped meanwhile."""
        link = self._link
        timeout = link.options.consumer_timeout
        with SetupWatch(link.logger, timeout, self.stop, link.drain_timeout, self._signals.interrupt) as watch:
            health.ask(watch.problems)
            self._signals.interruptible(lambda: self.attach(runtime))
        return not self.stop.is_set()

    def _interrupt_finish(self) -> None:
        self.failed(CatenaError("finish did not return, and was interrupted"))
        self._signals.interrupt()

    def _run_without_kafka(self, monitoring: Monitoring, ending: ExitStack) -> None:
        definition = self.definition
        if definition.reads and (definition.subscription.topics or not definition.generates):
            raise UsageError("no Kafka endpoint; name one with -k HOST:PORT or KAFKA_ENDPOINT")
        if not self._set_up(NoRuntime(), monitoring.health):
            return
        self._serve_calls(ending)
        monitoring.health.ready = True
        self._start_running(monitoring.health)
        self.stop.wait()

    def _serve_calls(self, ending: ExitStack) -> None:
        """Serve the link's methods over HTTP, where a port is given, from now until the end."""
        link, options = self._link, self._link.options
        if options.rpc_port is None:
            return
        from catena_core.rpc.http import HttpServer  # takes a quarter of a second to load, and most links do without

        server = HttpServer(Methods(link, link.logger, self.failed), options.rpc_port, options.host)
        ending.callback(server.close)
        link.logger.log(f"JSON-RPC on {options.host}:{server.port}")

    def generate(self) -> None:
        """Call the generator once, and send what it yields."""
        link = self._link
        generated = link.generator()
        if isinstance(generated, Iterator):
            for value in generated:
                link.send(value)
            return
        check_has_run(link.generator, generated)
        if generated is not None and not self._has_told_of_value:
            self._has_told_of_value = True
            link.logger.log(
                f"{self.definition.name}.generator returned a value of type {type(generated).__name__}, which is not sent; "
                "yield each value, or send it by self.send()",
                level="warning",
            )


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, CatenaError) and str(error) else described(error)
