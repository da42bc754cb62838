"""The link: the one class to derive from."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from catena_core import logs, options
from catena_core.electron import Electron
from catena_core.errors import CatenaError, DeliveryError, StoppedError, UsageError
from catena_core.options import LinkOptions
from catena_core.results import to_electrons
from catena_core.runtime import KafkaRuntime
from catena_core.table import TableContent


class Runtime(Protocol):
    """What a link stands on: Kafka, or the test driver."""

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> None: ...
    def table(self, topic: str, **content: Any) -> TableContent[Any]: ...
    def partition_count(self, topic: str) -> int: ...
    def submit(self, function: Callable[..., None], *args: Any) -> None: ...


class Link:
    """A small program that reads topics, writes topics, or both.

    Derive from it and define what you need of ``setup()``, ``generator()``, ``transform(electron)`` and ``finish()``; then
    ``MyLink().start()`` reads the command line and runs until it is told to stop. Start more instances to scale it: those
    of one consumer group share the partitions. Delivery is at least once: an electron's offset is committed only after
    everything that its transform sent has been acknowledged.

    Class attributes say how a kind of link works:

    Attributes:
        inputs: The topics it reads when nothing else is said.
        outputs: The topics it writes when nothing else is said.
        lanes: How many threads transform electrons side by side, those of one key in order; ``"partition"`` gives each
            assigned partition a thread of its own, so that a slow one holds up no other.
        batch_size: The most electrons taken from Kafka in one go; small where one of them takes long.
        attempts: How often a transform that raises is tried before its electron goes to the dead letters.
        backoff: The first and the longest wait between attempts, in seconds; it doubles, with jitter.
        dead_letter_topic: Where they go; ``None``: ``<consumer group>.dead-letters``.
        replay: Whether each assigned partition is read from its first offset, every time: for a link whose state is what
            its topics say. It then has one lane, commits nothing, and ``replayed`` tells it when it has seen everything.
        dynamic_inputs: Whether it may start with nothing to read, because it adds input topics as it goes.
        drain_timeout: Seconds that electrons under way are given when the link stops or loses their partition.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()
    lanes: int | str = 1
    batch_size: int = 500
    attempts: int = 4
    backoff: tuple[float, float] = (0.5, 30.0)
    dead_letter_topic: str | None = None
    replay: ClassVar[bool] = False
    dynamic_inputs: ClassVar[bool] = False
    drain_timeout: float = 5.0

    def __init__(self, **given: Any) -> None:
        """Set options that the command line may override.

        Args:
            given: Any field of :class:`~catena_core.options.LinkOptions`.
        """
        defaults = LinkOptions(input_topics=self.inputs, output_topics=self.outputs)
        unknown = sorted(set(given) - set(LinkOptions.__dataclass_fields__))
        if unknown:
            raise UsageError(f"{type(self).__name__} has no option {', '.join(unknown)}")
        if self.replay and self.lanes != 1:
            raise UsageError(f"{type(self).__name__} replays its topics, so it must have a single lane")
        self.options = defaults.overridden_by(given)
        self.logger = logs.LinkLogger(type(self).__name__)
        self.uid = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._input_topics = self.options.input_topics
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._runtime: Runtime | None = None

    # What a link's author defines

    def setup(self) -> None:
        """Called once before anything else, with options known and Kafka in reach; tables are made here."""

    def generator(self) -> None:
        """Called again and again, in a thread of its own, until the link stops; one that never returns is fine."""

    def transform(self, electron: Electron) -> Any:
        """Called for each electron of the input topics.

        Returns:
            ``None`` for nothing, a value, an :class:`Electron`, a list of either, or a tuple of one of these with a
            callback and its arguments, which is called once all of them are acknowledged.
        """

    def finish(self) -> None:
        """Called once at the end, however it came about."""

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """These partitions, each ``(topic, number)``, are this instance's from now on; their electrons follow."""

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """These partitions are no longer this instance's; none of their electrons is being transformed."""

    def replayed(self, partition: tuple[str, int]) -> None:
        """Every electron that a replayed partition held when it was assigned has been transformed."""

    # What a link's author uses

    @property
    def input_topics(self) -> tuple[str, ...]:
        """The topics that are read now."""
        return self._input_topics

    @property
    def output_topics(self) -> tuple[str, ...]:
        """The topics to write to; the first is the default of :meth:`send`."""
        return self.options.output_topics

    @property
    def consumer_group(self) -> str:
        """The group among which the partitions are shared."""
        return self.options.consumer_group or type(self).__name__

    @property
    def kafka_endpoint(self) -> str | None:
        """Kafka's ``host:port``."""
        return self.options.kafka_endpoint

    @property
    def stopping(self) -> bool:
        """Whether the link is to stop; long work should look now and then."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the link's end.

        Raises:
            StoppedError: The link is to stop. Within a transform let it pass: the electron is delivered again later.
        """
        if self._stop.wait(seconds):
            raise StoppedError

    def send(
        self,
        content: Any,
        topic: str | None = None,
        callback: Callable[..., Any] | None = None,
        callback_args: Sequence[Any] = (),
        callback_kwargs: dict[str, Any] | None = None,
        synchronous: bool = False,
    ) -> None:
        """Send a value, an electron, or a list of either.

        Args:
            content: What to send.
            topic: Where to; ``None``: where each electron says, else the first output topic.
            callback: Called once all of it is acknowledged by Kafka.
            callback_args: Its positional arguments.
            callback_kwargs: Its keyword arguments.
            synchronous: Whether to return only then.

        Raises:
            DeliveryError: Kafka did not take it (only when ``synchronous``; otherwise the link stops).
            UsageError: There is no topic to send to.
        """
        electrons = [
            self.addressed(item if topic is None else replace(item, topic=topic)) for item in to_electrons(content)
        ]
        if callback is None and not synchronous:
            self._started.send(electrons)
            return
        arrived = threading.Event()
        errors: list[Exception] = []

        def done(error: Exception | None) -> None:
            if error is not None:
                errors.append(error)
            elif callback is not None:
                callback(*callback_args, **(callback_kwargs or {}))
            arrived.set()

        self._started.send(electrons, done)
        if synchronous:
            arrived.wait()
            if errors:
                raise DeliveryError(f"Kafka did not take an electron: {errors[0]}")

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Read a compacted topic as a mapping: complete before the first transform, kept fresh from then on.

        Args:
            topic: The topic; all its partitions are read by every instance.
            content: ``decode``, ``accept`` and ``on_change`` of :class:`~catena_core.table.TableContent`.
        """
        return self._started.table(topic, **content)

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self._started.partition_count(topic)

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the lane of a link that has a single one: between electrons, never beside one."""
        self._started.submit(function, *args)

    def loop(self, target: Callable[..., None], *args: Any, interval: float) -> threading.Thread:
        """Call something every so often in a thread of its own until the link stops.

        Args:
            target: What to call; an error is logged and does not end the loop.
            args: Its arguments.
            interval: Seconds between the end of one call and the next.
        """

        def run() -> None:
            while not self._stop.is_set():
                try:
                    target(*args)
                except StoppedError:
                    return
                except Exception as error:
                    self.logger.log(f"{getattr(target, '__name__', target)} failed: {error!r}", level="error")
                self._stop.wait(interval)

        thread = threading.Thread(target=run, name=f"loop {getattr(target, '__name__', '')}", daemon=True)
        thread.start()
        return thread

    def add_input_topic(self, topic: str) -> None:
        """Read one topic more from now on."""
        if topic not in self._input_topics:
            self._input_topics = (*self._input_topics, topic)

    def remove_input_topic(self, topic: str) -> None:
        """No longer read a topic."""
        self._input_topics = tuple(name for name in self._input_topics if name != topic)

    def stop(self, message: str = "") -> None:
        """End the link cleanly: what is under way is finished and committed first."""
        if message:
            self.logger.log(f"stopping: {message}")
        self._stop.set()

    def start(self, arguments: Sequence[str] | None = None) -> None:
        """Read the command line, run until told to stop, and leave the process.

        Args:
            arguments: Used in place of ``sys.argv[1:]``.
        """
        name = type(self).__name__
        options.command(name, inspect.getdoc(type(self)) or "", self.options, self.run)(arguments, prog_name=_program())

    def run(self, link_options: LinkOptions) -> None:
        """Run with these options until told to stop; SIGTERM and SIGINT do so where this is the main thread.

        Raises:
            SystemExit: The link failed; the reason has been logged.
        """
        self.options = link_options
        self._input_topics = link_options.input_topics
        logs.configure(link_options.log_level)
        self._take_signals()
        try:
            self._live()
        except CatenaError as error:
            self._failure = self._failure or error
            self.logger.log(str(error), level="error")
        finally:
            self._stop.set()
            self.finish()
        if self._failure is not None:
            sys.exit(1)

    # What the runtime uses

    @property
    def reads(self) -> bool:
        """Whether the link consumes: it has its own transform."""
        return type(self).transform is not Link.transform

    def addressed(self, electron: Electron, previous_topic: str | None = None) -> Electron:
        """The electron as it is sent, with its topic filled in.

        Raises:
            UsageError: There is none to fill in.
        """
        topic = electron.topic or next(iter(self.output_topics), None)
        if topic is None:
            raise UsageError(f"{type(self).__name__} has no topic to send to; name one with -o TOPIC")
        return replace(electron, topic=topic, previous_topic=electron.previous_topic or previous_topic)

    def attach(self, runtime: Runtime) -> None:
        """Put the link on a runtime and set it up."""
        self._runtime = runtime
        self.setup()

    def failed(self, error: Exception) -> None:
        """Stop because of an error that no retry can mend; the process ends with status 1."""
        if self._failure is None:
            self._failure = error
            self.logger.log(f"stopping, because: {error!r}", level="error")
        self._stop.set()

    def running(self) -> None:
        """Start the generator: the tables are complete, and the transform is about to be called."""
        if type(self).generator is not Link.generator:
            threading.Thread(target=self._generate, name="generator", daemon=True).start()

    @property
    def _started(self) -> Runtime:
        if self._runtime is None:
            raise UsageError("a link can send and read tables from setup() on, not in its constructor")
        return self._runtime

    def _live(self) -> None:
        if self.kafka_endpoint is None:
            raise UsageError("no Kafka endpoint; name one with -k HOST:PORT or KAFKA_ENDPOINT")
        runtime = KafkaRuntime(self, self.options, self._stop)
        try:
            self.attach(runtime)
            if self.reads and not self.input_topics and not self.dynamic_inputs:
                raise UsageError(f"{type(self).__name__} has nothing to read; name topics with -i TOPIC")
            gc.freeze()  # what the setup made stays: collections need not walk it again and again
            self.logger.log(
                f"running, consumer group {self.consumer_group}, reading {', '.join(self.input_topics) or '-'}"
            )
            runtime.run()
        finally:
            self._stop.set()
            runtime.close()
        self.logger.log("stopped cleanly" if self._failure is None else "stopped")

    def _generate(self) -> None:
        while not self._stop.is_set():
            try:
                self.generator()
            except StoppedError:
                return
            except Exception as error:
                self.logger.log(f"the generator failed: {error!r}", level="error")
                self._stop.wait(1.0)

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        def on_signal(number: int, _frame: Any) -> None:
            if self._stop.is_set():
                os._exit(128 + number)  # asked twice: do not wait for the drain
            self.stop(signal.Signals(number).name)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)


def _program() -> str:
    return Path(sys.argv[0]).name or "link"
