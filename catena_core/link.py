"""The link: the one class to derive from."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from prometheus_client import CollectorRegistry

from catena_core.dead_letters.policy import DeadLetterLimits
from catena_core.definition import LinkDefinition
from catena_core.electron import Electron
from catena_core.errors import DeliveryError, StoppedError
from catena_core.instance_name import unique_name
from catena_core.lifecycle import Lifecycle
from catena_core.mistakes import check_plain, check_seconds
from catena_core.monitoring.logs import LinkLogger
from catena_core.options import LinkOptions
from catena_core.rpc import Instances
from catena_core.rpc.peer import DEFAULT_TIMEOUT
from catena_core.table import TableContent
from catena_core.transforming.results import positional, to_electrons

if TYPE_CHECKING:
    from catena_core.stores import AerospikeConnector, MongoDBConnector, RedisConnector

LinkType = TypeVar("LinkType", bound="Link")


class Link:
    """A small program that reads topics, writes topics, or both.

    Derive from it and define those of ``setup()``, ``generator()``, ``transform(electron)`` and ``finish()`` that you need.
    Then ``MyLink().start()`` reads the command line and runs until a signal or :meth:`stop` ends it. Start more instances to
    scale it: those of one consumer group share the partitions. Delivery is at least once: an electron's offset is committed
    only after all outputs of its transform have been acknowledged. ``delivery="exactly_once"`` makes both one transaction.

    Class attributes configure a kind of link:

    Attributes:
        inputs: The topics that it reads, unless its options name others.
        outputs: The topics that it writes, unless its options name others.
        input_format: The form of values without a content type: ``"auto"`` (text where it is UTF-8, else bytes), ``"json"``,
            ``"text"`` or ``"bytes"``.
        output_format: The form of values that it sends: ``"auto"`` (text and bytes as they are, all else marked with a
            content type so that it comes back as it was sent), or unmarked as ``"json"``, ``"text"`` or ``"bytes"``.
        keep_timestamps: Whether outputs have the event time of their electron: a received electron that is sent on keeps its
            timestamp, and what a transform sends beside without one gets that of the electron it transforms.
        lanes: The number of threads that transform electrons side by side, those of one key in order; ``"partition"`` gives
            each assigned partition a thread of its own, so that a slow one delays no other.
        concurrency: The most electrons that an ``async def transform`` has under way at once; those of one key stay in order.
        batch_size: The most electrons read from Kafka at once; small where one of them takes long.
        batch_linger: Seconds for which a read waits for more electrons, for a link that gains by larger batches.
        attempts: How often a transform that raises is tried before its electron goes to the dead letters.
        backoff: The first and the longest wait between attempts, in seconds; it doubles, with jitter.
        dead_letter_topic: The topic of dead letters; ``None``: ``<consumer group>.dead-letters``.
        dead_letter_limits: The number of dead letters above which the link stops; ``None``: any number.
        replay: Whether each assigned partition is read from its first offset, every time: for a link that rebuilds its state
            from its topics. It then has one lane, commits nothing, and :meth:`replayed` is called after the last old electron.
        dynamic_inputs: Whether it may start without input topics, because it adds them as it goes.
        drain_timeout: Seconds for electrons under way when the link stops or loses their partition.

    Each instance has these attributes:

    Attributes:
        uid: Its own name; in a container the container's host name, which outlives restarts.
        args: The arguments of the command line that are none of the library's, in order.
        options: Its connection to the topology.
        logger: Its log: ``self.logger.log("…", level="warning")``.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()
    input_format: str = "auto"
    output_format: str = "auto"
    keep_timestamps: bool = False
    lanes: int | str = 1
    concurrency: int = 100
    batch_size: int = 500
    batch_linger: float = 0.0
    attempts: int = 4
    backoff: tuple[float, float] = (0.5, 30.0)
    dead_letter_topic: str | None = None
    dead_letter_limits: DeadLetterLimits | None = DeadLetterLimits()
    replay: ClassVar[bool] = False
    dynamic_inputs: ClassVar[bool] = False
    drain_timeout: float = 5.0

    uid: str
    args: list[str]
    logger: LinkLogger
    options: LinkOptions
    _catena: Lifecycle  # the library's own part; all its other names are there, so that authors may use any

    def __new__(cls: type[LinkType], *_args: Any, **_kwargs: Any) -> LinkType:
        """Make a link with the options of its class, so that its start can refuse one whose ``__init__`` stops there."""
        link = super().__new__(cls)
        link._catena = Lifecycle(LinkDefinition(link, Link))
        link.uid = unique_name()
        link.args = []
        link.logger = LinkLogger(cls.__name__)
        link.options = LinkOptions().overridden_by({"input_topics": cls.inputs, "output_topics": cls.outputs})
        link._catena.definition.use(link.options)
        return link

    def __init__(self, **given: Any) -> None:
        """Set options that the command line may override.

        Args:
            given: Any field of :class:`~catena_core.options.LinkOptions`.

        Raises:
            UsageError: There is no such option, or it does not take such a value.
        """
        self._catena.definition.use(self.options.overridden_by(given))
        self._catena.definition.initialised = True

    # Hooks for the link's author

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the link, once, before anything else: options are known, Kafka answers, and tables are made here.

        Args:
            args: Always empty.
            kwargs: The ``setup_kwargs`` of :meth:`start`; a link that expects none leaves both out.
        """

    def generator(self) -> Any:
        """Send electrons that no input caused.

        It is called again and again, in a thread of its own, until the link stops; it need not return.

        Returns:
            Nothing, or, as a generator function, what to send: each value that it yields is sent as by :meth:`send`.
        """

    def prepare_batch(self, electrons: Sequence[Electron]) -> None:
        """Prepare for the electrons of one partition that :meth:`transform` gets next, one by one and in this order.

        It can do for all of them at once what costs as much for one, such as a request. An error is logged and loses nothing:
        each electron still comes to :meth:`transform`.
        """

    def transform(self, electron: Electron) -> Any:
        """Transform one electron of the input topics.

        Returns:
            ``None`` for no output, a value, an :class:`Electron`, a list of either, or a tuple of one of these with a
            callback and its arguments, which is called once all of them are acknowledged. It may also ``yield`` several of
            these, each of which is sent as it comes, and it may be an ``async def``: many electrons are then under way at
            once, in one event loop.
        """

    def finish(self) -> None:
        """Clean up, once, at the end of the link, even after an error.

        No electron is transformed any more. It can still send and call; what it sends goes out before the link has ended. One
        that has not returned 45 seconds beyond ``drain_timeout`` is interrupted, and the link fails.
        """

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """React to new partitions, each ``(topic, number)``; their electrons follow."""

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """React to the loss of partitions; none of their electrons is being transformed."""

    def replayed(self, partition: tuple[str, int]) -> None:
        """React to the end of a replay: all electrons that the partition held at its assignment have been transformed."""

    # Its topology

    @property
    def input_topics(self) -> tuple[str, ...]:
        """The topics that the link reads now."""
        return self._catena.definition.subscription.topics

    @property
    def output_topics(self) -> tuple[str, ...]:
        """The topics that it writes; the first is the default of :meth:`send`."""
        return self.options.output_topics

    @property
    def consumer_group(self) -> str:
        """The group whose instances share the partitions."""
        if self.options.uid_consumer_group:
            return f"{type(self).__name__}-{self.uid}"
        return self.options.consumer_group or type(self).__name__

    @property
    def dead_letters(self) -> str:
        """The topic of dead letters."""
        topic: str = self.__dict__.get("dead_letters", self._catena.definition.dead_letter_topic)
        return topic

    @dead_letters.setter
    def dead_letters(self, value: str) -> None:
        self.__dict__["dead_letters"] = value  # an author's own attribute of this name; the library does not read it

    @property
    def kafka_endpoint(self) -> str | None:
        """Kafka's ``host:port``."""
        return self.options.kafka_endpoint

    @property
    def mongodb(self) -> MongoDBConnector | None:
        """MongoDB, if the options name an endpoint; see :mod:`catena_core.stores`."""
        return self._catena.stores.mongodb

    @property
    def aerospike(self) -> AerospikeConnector | None:
        """Aerospike, if the options name an endpoint; see :mod:`catena_core.stores`."""
        return self._catena.stores.aerospike

    @property
    def redis(self) -> RedisConnector | None:
        """Redis, if the options name an endpoint; see :mod:`catena_core.stores`."""
        return self._catena.stores.redis

    @property
    def metrics_registry(self) -> CollectorRegistry:
        """The registry of its metrics, from ``setup`` on: own ones of ``prometheus_client`` belong there too."""
        return self._catena.registry

    @property
    def instances(self) -> Instances:
        """The links that are alive, ``by_uid`` and ``by_group``."""
        return self._catena.runtime.rpc().instances

    def add_input_topic(self, topic: str) -> None:
        """Read one topic more from now on.

        Raises:
            UsageError: Kafka allows no such name, or the link has no transform.
        """
        self._catena.definition.add_input_topic(topic)

    def remove_input_topic(self, topic: str) -> None:
        """Stop to read a topic."""
        self._catena.definition.subscription.remove(topic)

    # Actions

    def send(
        self,
        content: Any,
        topic: str | None = None,
        callback: Callable[..., Any] | None = None,
        callback_args: Any = None,
        callback_kwargs: Mapping[str, Any] | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Send a value, an electron, or a list of either.

        Args:
            content: The content.
            topic: The topic; ``None``: the one that each electron names, else the first output topic.
            callback: Called once Kafka has acknowledged all of it, in the thread of callbacks.
            callback_args: Its positional arguments, or a single one that is neither list nor tuple.
            callback_kwargs: Its keyword arguments.
            synchronous: Whether to return only then; ``None``: as the option ``synchronous`` says. In exactly-once delivery it
                returns at once within a transform, whose outputs go out together with the electron's offset, and within
                :meth:`assigned` and :meth:`revoked`, for which the transaction waits.

        Raises:
            DeliveryError: Kafka did not take it (only when the call waits; otherwise the link stops), or not within
                ``drain_timeout`` of the link's end.
            UsageError: There is no topic to send to.
            CodecError: It cannot be put on the wire.
        """
        if callback is not None:
            check_plain(callback, "send")
        electrons = [item if topic is None else item.replace(topic=topic) for item in to_electrons(content)]
        wait = self.options.synchronous if synchronous is None else synchronous
        if callback is None and not wait:
            self._catena.runtime.send(electrons)
            return
        arrived = threading.Event()
        errors: list[Exception] = []

        def done(error: Exception | None) -> None:
            if error is not None:
                errors.append(error)
            elif callback is not None:
                # The callback's own thread ends the wait, so that the callback comes first.
                self._catena.runtime.callback(lambda: callback(*positional(callback_args), **(callback_kwargs or {})))
                self._catena.runtime.callback(arrived.set)
                return
            arrived.set()

        if self._catena.runtime.send(electrons, done) and wait:
            if not self._catena.await_arrival(arrived):
                raise DeliveryError("Kafka did not acknowledge it before the link ended")
            if errors:
                raise DeliveryError(str(errors[0])) from errors[0]

    def rpc_call(
        self,
        to: str,
        method: str,
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Any:
        """Call a method of another link that is marked with :func:`~catena_core.rpc.rpc`, and wait for its result.

        Args:
            to: The uid of an instance; or a class's name or a consumer group, of which one instance that is alive is called.
            method: The method's name.
            args: Its positional arguments, or a single one.
            kwargs: Its keyword arguments.
            timeout: Seconds to wait.

        Raises:
            RPCError: One of its kinds in :mod:`catena_core.errors`: the method is not known, the arguments do not fit,
                it raised an error, or no instance answered in time.
        """
        return self._catena.runtime.rpc().call(to, method, args, kwargs, timeout)

    def rpc_notify(
        self, method: str, args: Any = None, kwargs: Mapping[str, Any] | None = None, to: str = "broadcast"
    ) -> None:
        """Call a method of other links without waiting for anything.

        Args:
            method: The method's name.
            args: Its positional arguments, or a single one.
            kwargs: Its keyword arguments.
            to: The uid of an instance; a class's name or a consumer group, all of whose instances are called; or
                ``"broadcast"``: all links.
        """
        self._catena.runtime.rpc().notify(method, args, kwargs, to)

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Read a compacted topic as a mapping: complete before the first transform, kept fresh from then on.

        Args:
            topic: The topic; all its partitions are read by every instance.
            content: ``decode``, ``accept`` and ``on_change`` of :class:`~catena_core.table.TableContent`.
        """
        for function in content.values():
            check_plain(function, "table")
        self._catena.definition.tables.add(topic)
        return self._catena.runtime.table(topic, **content)

    def partition_count(self, topic: str) -> int:
        """Count the partitions of a topic."""
        return self._catena.runtime.partition_count(topic)

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the lane of a link that has a single one: between electrons, never beside one.

        Raises:
            UsageError: It has several lanes, or one for each partition.
        """
        check_plain(function, "submit")
        self._catena.runtime.submit(function, *args)

    def loop(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        interval: float = 0,
        wait: bool = False,
        level: str | None = "debug",
        safe_stop: bool = True,
    ) -> threading.Thread:
        """Call a function every so often in a thread of its own until the link stops.

        Args:
            target: The function; an error is logged and does not end the loop, except a
                :class:`~catena_core.errors.DeliveryError`, which ends the link.
            args: Its positional arguments, or a single one that is neither list nor tuple.
            kwargs: Its keyword arguments.
            interval: Seconds from the start of one call to that of the next, after an error at least 1; calls never overlap.
            wait: Whether the first call comes only after the interval.
            level: The level at which each call is logged; ``None``: it is not.
            safe_stop: Whether the link's end waits for a call under way, at most ``drain_timeout``.
        """
        check_plain(target, "loop")
        check_seconds("loop: interval", interval)
        catena = self._catena
        return catena.background.loop(
            target, args, kwargs, safe_stop, clock=catena.clock, interval=interval, wait=wait, level=level
        )

    def launch_thread(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        safe_stop: bool = False,
    ) -> threading.Thread:
        """Run a function in a thread of its own.

        Args:
            target: The function; an error is logged, and a :class:`~catena_core.errors.DeliveryError` ends the link. Long work
                should look at :attr:`stopping` or use :meth:`wait`.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            safe_stop: Whether the link's end waits for it.
        """
        check_plain(target, "launch_thread")
        return self._catena.background.thread(target, args, kwargs, safe_stop)

    def launch_process(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> BaseProcess:
        """Run a function in a process of its own, which ends with the link.

        Args:
            target: The function. It gets a copy of the link as it is now, and cannot send or read with it: Kafka's clients
                do not survive the copying.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
        """
        check_plain(target, "launch_process")
        context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)
        process = context.Process(target=target, args=positional(args), kwargs=dict(kwargs or {}), daemon=True)
        self._catena.background.process(process)
        return process

    # Its lifecycle

    @property
    def stopping(self) -> bool:
        """True if the link is to stop; long work should look now and then."""
        return self._catena.stop.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the link's end, nor for long when another instance gets the electron's partition.

        Raises:
            StoppedError: The link is to stop, or another instance has the partition now. Within a transform let it pass: the
                electron is delivered again.
        """
        if self._catena.wait(seconds):
            raise StoppedError("wait() waits no longer: the link is stopping, or has lost the electron's partition")

    def now(self) -> float:
        """Give the time in seconds since the Unix epoch; in a test, the driver sets it."""
        return self._catena.clock.now()

    def start(
        self,
        embedded: bool = False,
        setup_kwargs: Mapping[str, Any] | None = None,
        arguments: Sequence[str] | None = None,
        startup_text: str | None = None,
    ) -> None:
        """Read the command line, run until a signal or :meth:`stop` ends the link, and leave the process.

        Args:
            embedded: Run in a thread of a program that goes on, with the constructor's options and the environment's; return
                when the link is running. :meth:`stop` ends it, :meth:`join` waits for its end.
            setup_kwargs: Passed to :meth:`setup`.
            arguments: Used in place of ``sys.argv[1:]``.
            startup_text: Logged first.

        Raises:
            CatenaError: Embedded, it could not be started.
            UsageError: It was started before.
        """
        if embedded:
            self._catena.start_embedded(setup_kwargs, startup_text)
        else:
            self._catena.start(arguments, setup_kwargs, startup_text)

    def run(self, link_options: LinkOptions) -> None:
        """Run with these options until :meth:`stop`, or, in the main thread, SIGTERM, SIGINT, SIGQUIT or SIGHUP, ends the link.

        Raises:
            SystemExit: The link failed; the reason has been logged.
        """
        self._catena.run(link_options)

    def stop(self, message: str | None = None) -> None:
        """End the link cleanly: electrons under way are finished and committed first.

        Args:
            message: The reason, for the log.
        """
        self._catena.end(message)

    def suicide(self, message: str | None = None, exception: bool = False) -> None:
        """End the link cleanly, and the calling thread with it, if that thread is the link's own.

        An electron whose transform calls it is delivered again.

        Args:
            message: The reason, for the log.
            exception: Whether it is an error: the process then ends with status 1.
        """
        if exception:
            self._catena.failed(RuntimeError(message or "suicide"))
        self._catena.end(message)
        raise SystemExit

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the link, or is about to; ``None`` if none did."""
        return self._catena.failure

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Wait until the link does its work: its generator runs, and it has joined its consumer group.

        Args:
            timeout: The most seconds to wait; ``None``: any number.

        Returns:
            Whether it is ready; not if it ended before.
        """
        return self._catena.wait_until_ready(timeout)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the link has ended, at most ``timeout`` seconds; return whether it has."""
        return self._catena.join(timeout)
