"""The lifecycle of a link: start it, keep it running, and end it."""

from __future__ import annotations

import gc
import math
import os
import queue
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from catena_core import children, interrupts, processes
from catena_core.cli import command, environment_endpoint, environment_properties
from catena_core.clock import Clock, SystemClock
from catena_core.definition import LinkDefinition
from catena_core.die_with_parent import on_parent_death
from catena_core.errors import CatenaError, DeliveryError, StoppedError, UsageError, described
from catena_core.kafka.connect import wait_for_broker
from catena_core.mistakes import check_has_run, run_plain
from catena_core.monitoring import logs
from catena_core.monitoring.end_watch import FINISH, EndWatch
from catena_core.monitoring.exit_watch import watch_exit
from catena_core.monitoring.failures import FailuresInARow
from catena_core.monitoring.freeze_guard import FreezeGuard
from catena_core.monitoring.health import Health
from catena_core.monitoring.monitoring import Monitoring
from catena_core.monitoring.setup_watch import SetupWatch
from catena_core.options import LinkOptions
from catena_core.rpc import Methods
from catena_core.runtime import KafkaRuntime, NoRuntime, Runtime
from catena_core.stores.link_stores import LinkStores
from catena_core.transforming.results import positional

# The least seconds before a generator or loop that raised is called again: without a wait its errors would fill the log.
_AFTER_ERROR = 1.0

# A transform that waits learns within so many seconds that another instance has its partition.
_WAIT_STEP = 0.1

# The first processes of containers that run the program as their child.
_INITS = ("tini", "docker-init", "dumb-init", "catatonit")


class Lifecycle:
    """Starts, runs and ends one link. It is the library's part of a link, apart from the names of the link's author.

    Args:
        definition: The link.

    Attributes:
        definition: As given.
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
        self._waited_for: list[threading.Thread] = []
        self._runtime: Runtime | None = None
        self._repeated: list[FailuresInARow] = []
        self._processes: list[BaseProcess] = []
        self._is_interruptible = self._is_interrupting = False  # so are the setup and the finish
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
        self._take_signals()
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

    def launch(self, target: Callable[[], object], name: str, waited_for: bool = False) -> threading.Thread:
        """Run something in a thread of the link's.

        Args:
            target: The function to run.
            name: The thread's name.
            waited_for: Whether the end of the link waits for it.
        """

        def run() -> None:
            try:
                target()
            except BaseException as error:  # a thread of the link works, or ends the link
                self.failed(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        if waited_for:
            self._waited_for.append(thread)
        thread.start()
        return thread

    def launch_process(self, process: BaseProcess) -> None:
        """Start a process that ends with the link."""
        process.start()
        self._processes.append(process)

    def end_processes(self) -> None:
        """End the processes that were started so."""
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + children.GRACE
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()

    def launch_logged(
        self,
        target: Callable[..., Any],
        args: Any,
        kwargs: Mapping[str, Any] | None,
        waited_for: bool,
        interval: float | None = None,
        wait: bool = False,
        level: str | None = None,
    ) -> threading.Thread:
        """Run a function of the link's author in a thread of its own, and log its error.

        Args:
            target: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            waited_for: Whether the end of the link waits for it.
            interval: Seconds between the starts of two calls until the link stops; ``None``: one call.
            wait: Whether the first of these calls comes only after the interval.
            level: The level at which each call is logged; ``None``: it is not.
        """
        name = getattr(target, "__name__", str(target))

        failures = FailuresInARow(f"loop {name}")

        def call() -> float:
            failures.began()
            if level is not None:
                self._link.logger.log(f"new loop iteration ({name})", level=level)
            try:
                run_plain(target, *positional(args), **(kwargs or {}))
                failures.succeeded()
                return 0.0
            except StoppedError:
                pass
            except (SystemExit, UsageError):
                raise
            except BaseException as error:
                if self._is_final(error):
                    raise
                failures.failed(error)
                self._link.logger.log(f"{name} failed: {described(error)}", level="error")
            return _AFTER_ERROR

        if interval is None:
            return self.launch(call, name, waited_for)
        self._repeated.append(failures)
        return self.clock.repeat(
            call, interval, wait, self.stop, lambda run: self.launch(run, f"loop {name}", waited_for)
        )

    def _start_running(self, health: Health) -> None:
        """Start the generator: the tables are complete, and the first transform follows."""
        link, definition = self._link, self.definition
        if definition.generates:
            self.launch(self._generate, "generator")
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
        interrupt = self._interrupt_finish if self._can_interrupt else None
        watch = EndWatch(
            link.logger, self.stop, link.drain_timeout, interrupt, lambda step: self._give_up(step, ending)
        )
        try:
            self._attempt(lambda: self._run_on_runtime(ending, watch), name, quiet=(SystemExit, CatenaError))
            self.stop.set()
            self._join_threads()
            watch.begin(FINISH)
            self._attempt(lambda: self._interruptible(link.finish), FINISH, quiet=(SystemExit,))
        finally:
            watch.begin("the close")
            self._close(ending)
            watch.close()

    def _join_threads(self) -> None:
        """Wait for the threads that a link's end waits for, as long as its electrons under way have."""
        deadline = time.monotonic() + self._link.drain_timeout
        for thread in self._waited_for:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._link.logger.log(f"{thread.name} goes on, though the link is to stop", level="warning")

    def _close(self, ending: ExitStack) -> None:
        """Close all that the link has opened, unless another thread does so."""
        if not self._closing.acquire(blocking=False):
            return
        try:
            self._attempt(ending.close, self.definition.name, quiet=(SystemExit, CatenaError))
        finally:
            self.end_processes()
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
        monitoring.health.ask(self._problems)
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
        with SetupWatch(link.logger, timeout, self.stop, link.drain_timeout, self._interrupt) as watch:
            health.ask(watch.problems)
            self._interruptible(lambda: self.attach(runtime))
        return not self.stop.is_set()

    def _interruptible(self, hook: Callable[[], object]) -> None:
        """Call a hook that :meth:`_interrupt` can end."""
        self._is_interruptible = True
        try:
            run_plain(hook)
        finally:
            self._is_interruptible = False

    @property
    def _can_interrupt(self) -> bool:
        return self._is_program and hasattr(signal, "pthread_kill")

    def _interrupt(self) -> None:
        """Have the handler of signals end a hook, where it runs in the main thread; elsewhere it cannot be interrupted."""
        main = threading.main_thread().ident
        if self._can_interrupt and main is not None:
            self._is_interrupting = True
            signal.pthread_kill(main, signal.SIGTERM)

    def _interrupt_finish(self) -> None:
        self.failed(CatenaError("finish did not return, and was interrupted"))
        self._interrupt()

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

    def _problems(self) -> dict[str, str]:
        return {name: text for failures in list(self._repeated) for name, text in failures.problems().items()}

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

    def _generate(self) -> None:
        failures = FailuresInARow("generator")
        self._repeated.append(failures)
        while not self.stop.is_set():
            failures.began()
            try:
                self.generate()
                failures.succeeded()
            except (UsageError, SystemExit) as error:
                self.failed(error)
            except BaseException as error:
                if isinstance(error, StoppedError) and self.stop.is_set():
                    return
                if self._is_final(error):
                    self.failed(error)
                    return
                failures.failed(error)
                self._link.logger.log(f"the generator failed: {described(error)}", level="error")
                self.stop.wait(_AFTER_ERROR)

    def _is_final(self, error: BaseException) -> bool:
        """Return True if Kafka has not taken a message, and not because the link ends: no further call would mend it."""
        return isinstance(error, DeliveryError) and not self.stop.is_set()

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGQUIT") if hasattr(signal, name)]
        # `nohup` and the author of the link may mean something else by it.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            numbers.append(signal.SIGHUP)

        # A handler interrupts this thread wherever it is, maybe within a lock that `stop` or the log wants: it takes none.
        taken: queue.SimpleQueue[int] = queue.SimpleQueue()

        # Managers of processes send SIGTERM more than once, and SIGKILL in the end; a terminal that closes sends SIGHUP so.
        asks = {number for number in numbers if signal.Signals(number).name in ("SIGINT", "SIGQUIT")}

        def heed() -> None:
            while number := taken.get():
                if not self.stop.is_set():
                    self._link.logger.log(f"stopping: {signal.Signals(number).name}")
                    self.stop.set()
                elif number in asks:
                    os._exit(128 + number)  # asked twice, by Ctrl-C: do not wait for the drain

        threading.Thread(target=heed, name="signals", daemon=True).start()

        def take(number: int, _frame: Any) -> None:
            if self._is_interrupting:
                self._is_interrupting = False
                if self._is_interruptible:
                    raise SystemExit
                return
            taken.put(number)

        for number in numbers:
            signal.signal(number, take)
        children.signals_taken(numbers)


def unique_name() -> str:
    """Name this instance: the one program of a container by the container's host name, which outlives restarts.

    Elsewhere many instances share a host, and each start makes another name.
    """
    host = socket.gethostname()
    if _is_program_of_container():
        number = os.environ.get(processes.NUMBER)
        return f"{host}-{number}" if number else host
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def _is_program_of_container() -> bool:
    if os.environ.get("CATENA_DOCKER"):
        return True
    if not any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return False
    if os.getpid() == 1:
        return True
    try:
        return os.getppid() == 1 and Path("/proc/1/comm").read_text().strip() in _INITS
    except OSError:
        return False


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, CatenaError) and str(error) else described(error)
