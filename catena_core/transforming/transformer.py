"""The path of electrons through a lane: read, transform, and send the outputs; retry, or set aside, those that fail."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.dead_letters import letter
from catena_core.dead_letters.policy import DeadLetterPolicy
from catena_core.definition import LinkDefinition
from catena_core.delivery.base import Delivery, Sink
from catena_core.delivery.producer import MAX_MESSAGE_BYTES
from catena_core.electron import NO_HEADERS, Electron
from catena_core.errors import CatenaError, CodecError, StoppedError, described
from catena_core.mistakes import run_plain
from catena_core.monitoring import tracing
from catena_core.monitoring.metrics import Metrics
from catena_core.transforming.results import Result, is_async, read_results, read_results_async, run_async
from catena_core.transforming.retry import FATAL, REJECTIONS, retry
from catena_core.wire.codec import fault_of, may_lack
from catena_core.wire.message import NO_TIMESTAMP, Message, reader, unmarked_encoder, writer

# Bytes of outputs that wait for their transaction: with more, a lane hands over what is done before the rest of its batch is.
_HAND_OVER_ABOVE = 16 * 1024 * 1024

# Bytes of outputs of one electron that are many to hold.
_LARGE = 64 * 1024

# Its partition would stand still. The error may be another link's, in one process with this one.
_NOT_STOPPING = "the transform raised StoppedError, but the link is not stopping; catch it where it comes from"


class LaneContext:
    """The electron that a thread, or task, transforms: its partition, its trace, and the sink and event time of its outputs."""

    __slots__ = ("assignment", "sink", "timestamp", "trace")

    def __init__(self, assignment: Assignment | None = None, sink: Sink | None = None) -> None:
        self.assignment = assignment
        self.sink = sink
        self.timestamp: int | None = None  # of outputs, where the link keeps timestamps
        self.trace: dict[str, str] | None = None

    def complete(self, message: Message) -> Message:
        """Give an output the trace, and the event time, of the electron."""
        if message.timestamp is None and self.timestamp is not None and self.timestamp != NO_TIMESTAMP:
            message = message.replace(timestamp=self.timestamp)
        if (trace := self.trace) is None:
            return message
        headers = [item for item in message.headers or () if item[0] not in trace]
        return message.replace(headers=headers + [(name, text.encode()) for name, text in trace.items()])


class Transformer:
    """Calls a link's transform for electrons, and sends its results.

    Args:
        definition: The link.
        delivery: Brings outputs to Kafka.
        serve: Called after each batch; serves acknowledgements that have come in.
        callback: Called with a callback of the link, once the outputs before it have arrived.
        fail: Called with an error that no retry can mend.
        metrics: Counts electrons.
        stop: Set when the link is to stop: no further attempts then.

    """

    def __init__(
        self,
        definition: LinkDefinition,
        delivery: Delivery,
        serve: Callable[[], None],
        callback: Callable[[Callable[[], Any]], None],
        fail: Callable[[BaseException], None],
        metrics: Metrics,
        stop: threading.Event,
    ) -> None:
        self._context: ContextVar[LaneContext] = ContextVar("electron")
        self._definition = definition
        self._link = definition.link
        self._delivery = delivery
        self._serve = serve
        self._callback = callback
        self._fail = fail
        self._metrics = metrics
        self._stop = stop
        self._prepares = definition.prepares
        self._default_topic = definition.default_topic
        self._read = reader(self._link.input_format)
        self._keeps = self._link.keep_timestamps
        self._write = writer(self._link.output_format, self._default_topic, definition.default_key, self._keeps)
        self._encode = unmarked_encoder(self._link.output_format)
        self._policy = DeadLetterPolicy(self._link.dead_letter_limits)

    @property
    def context(self) -> LaneContext:
        """The electron that the calling thread, or task, transforms."""
        context = self._context.get(None)
        if context is None:
            context = LaneContext()
            self._context.set(context)
        return context

    def process(self, batch: Batch) -> None:
        """Transform a batch, as far as it comes: until it is done, revoked, or the link fails.

        This is the loop in which a link spends its time.
        """
        context = self.context
        assignment = context.assignment = batch.assignment
        topic, partition = assignment.partition
        read, transform = self._read, self._link.transform
        sink = context.sink = self._delivery.sink(batch)
        send_plain, default_topic = sink.send_plain, self._default_topic or ""
        keeps = self._keeps
        encode = self._encode if default_topic and not keeps else None
        sent: Counter[str] = Counter()
        began, done, handed, plain, dead_letters, traced = time.perf_counter(), 0, 0, 0, 0, False
        try:
            if self._prepares:
                self._prepare(batch)
            for message, offset in zip(batch.messages, batch.offsets, strict=True):
                batch.done = done - handed
                if batch.held > _HAND_OVER_ABOVE and done > handed:
                    batch.hand_over(batch.split())
                    handed = done
                if assignment.interrupts:
                    context.assignment = context.sink = context.timestamp = None  # urgent calls belong to no electron
                    if not batch.may_go_on():
                        return
                    context.assignment, context.sink = assignment, sink
                try:
                    electron = read(message, topic, partition, offset)
                    if electron.headers is not NO_HEADERS:
                        context.trace, traced = tracing.child(electron.headers), True
                    if keeps:
                        context.timestamp = electron.timestamp
                    returned = transform(electron)
                    if (
                        encode is not None
                        and not traced
                        and type(returned) is Electron
                        and type(returned.key) is str
                        and returned.value is not None
                        and returned.topic is None
                        and returned.partition is None
                        and returned.timestamp is None
                        and returned.headers is NO_HEADERS
                    ):
                        # A short way of `_emit`, which serves most outputs of most links.
                        try:
                            value = returned.value
                            data = encode(value)
                            # Of a flat dictionary in line, since a call for each would cost a tenth of the time.
                            is_flat = type(value) is dict and data.rfind(b"{") == 0 and data.find(b"null") < 0
                            if is_flat:
                                for key in value:
                                    if type(key) is not str:
                                        is_flat = False
                            if not is_flat and may_lack(data, value) and fault_of(value):
                                raise ValueError
                            send_plain(default_topic, data, returned.key.encode())
                            plain += 1
                        except Exception:
                            self._emit(returned, sink, sent)  # raises an error that names the reason
                    elif type(returned) is Electron:
                        output = self.message_of(returned)
                        sink.send(output)
                        sent[output.topic] += 1
                    elif returned is not None:
                        self._emit(returned, sink, sent)
                except FATAL:
                    raise
                except BaseException as error:  # a cancelled task or a native extension's panic is no `Exception`
                    batch.discard_outputs(offset)
                    dead_letters += self._retry(message, offset, error, batch, sink, sent)
                if traced:
                    context.trace, traced = None, False
                done += 1
        except StoppedError:
            if not (self._stop.is_set() or assignment.revoked):
                self._fail(CatenaError(_NOT_STOPPING))
        except BaseException as error:
            self._fail(error)
        finally:
            context.assignment = context.sink = context.trace = context.timestamp = None
            batch.done = done - handed
            if done:
                self._metrics.consumed(topic, partition, done)
                self._metrics.transform_seconds(topic, (time.perf_counter() - began) / done, done)
            if plain:
                sent[default_topic] += plain
            for name, count in sent.items():
                self._metrics.produced(name, count)
            self._policy.record_success(done - dead_letters)
            self._serve()

    def _prepare(self, batch: Batch) -> None:
        """Let the link prepare for the electrons of a batch that can be read."""
        topic, partition = batch.assignment.partition
        electrons = []
        for message, offset in zip(batch.messages, batch.offsets, strict=True):
            with suppress(CodecError):  # `process` meets it again, and sets the electron aside
                electrons.append(self._read(message, topic, partition, offset))
        try:
            run_plain(self._link.prepare_batch, electrons)
        except FATAL:
            raise
        except BaseException as error:
            self._link.logger.log(f"prepare_batch failed: {described(error)}", level="error")

    def message_of(self, electron: Electron) -> Message:
        """Put an electron on the wire, with the trace, or the event time, of the electron that the calling thread transforms.

        Raises:
            CodecError: Its key or value cannot be put on the wire.
            UsageError: It has no topic, and the link has none to write to.
        """
        message = self._write(electron)
        context = self._context.get(None)
        if context is None or (context.trace is None and context.timestamp is None):
            return message
        return context.complete(message)

    def _emit(self, returned: Any, sink: Sink, sent: Counter[str]) -> None:
        """Send the result of a transform: all of it or, where some of it cannot be sent, nothing."""
        for result in run_async(returned) if is_async(returned) else read_results(returned):
            self._emit_result(result, sink, sent)

    def _emit_result(self, result: Result, sink: Sink, sent: Counter[str]) -> None:
        for message in [self.message_of(electron) for electron in result.electrons]:
            sink.send(message)
            sent[message.topic] += 1
        if result.callback is not None:
            callback = result.callback
            sink.then(lambda error: None if error else self._callback(callback))

    async def process_async(self, batch: Batch, message: Any, offset: int) -> None:
        """Transform one electron of a batch by an ``async`` transform, beside others.

        Raises:
            BaseException: The reason for which the link must end, or leave the electron where it is.
        """
        link, topic, began = self._link, batch.assignment.partition[0], time.perf_counter()
        single = Batch(batch.assignment, [message], [offset])
        single.start = batch.start
        sink = self._delivery.sink(single)
        sent: Counter[str] = Counter()
        failure: tuple[BaseException, int] | None = None
        for attempt in itertools.count(1):
            self._context.set(LaneContext(batch.assignment, sink))
            try:
                if attempt > 1:
                    self._metrics.retried(topic)
                electron = self._read(message, *batch.assignment.partition, offset)
                if electron.headers is not NO_HEADERS:
                    self.context.trace = tracing.child(electron.headers)
                if self._keeps:
                    self.context.timestamp = electron.timestamp
                async for result in read_results_async(link.transform(electron)):
                    self._emit_result(result, sink, sent)
                break
            except StoppedError:
                if self._stop.is_set() or batch.assignment.revoked:
                    raise
                raise CatenaError(_NOT_STOPPING) from None
            except FATAL:
                raise
            except BaseException as error:
                single.discard_outputs(offset)
                self._metrics.failed(topic)
                if isinstance(error, REJECTIONS) or attempt >= link.attempts:
                    failure = error, attempt
                    break
                wait = random.uniform(0, min(link.backoff[0] * 2 ** (attempt - 1), link.backoff[1]))
                link.logger.log(f"attempt {attempt} failed, again in {wait:.1f} s: {described(error)}", level="warning")
                await self._wait(wait, batch.assignment)
        if failure is None:
            self._policy.record_success(1)
        else:
            self._set_aside(message, *failure, single, sink)
        if single.held > _LARGE:
            # Else tasks that await nothing would all run before one of their batches is handed over.
            await asyncio.sleep(0)
        batch.outputs += single.outputs
        self._metrics.consumed(topic, batch.assignment.partition[1], 1)
        self._metrics.transform_seconds(topic, time.perf_counter() - began, 1)
        for name, count in sent.items():
            self._metrics.produced(name, count)

    async def _wait(self, seconds: float, assignment: Assignment) -> None:
        """Wait for the next attempt, as long as the electron is this instance's and the link goes on."""
        until = time.monotonic() + seconds
        while True:
            if assignment.revoked or self._stop.is_set():
                raise StoppedError
            if (left := until - time.monotonic()) <= 0:
                return
            await asyncio.sleep(min(left, 0.1))

    def _retry(
        self, message: Any, offset: int, first: BaseException, batch: Batch, sink: Sink, sent: Counter[str]
    ) -> bool:
        """Try an electron that failed once until it succeeds, or set it aside; return whether it was set aside."""
        topic, partition = batch.assignment.partition
        self._metrics.failed(topic)

        def attempt() -> None:
            if batch.assignment.revoked:
                raise StoppedError
            self._metrics.retried(topic)
            try:
                self._emit(self._link.transform(self._read(message, topic, partition, offset)), sink, sent)
            except BaseException:
                batch.discard_outputs(offset)
                self._metrics.failed(topic)
                raise

        link = self._link
        failure = retry(
            attempt, first, link.attempts, link.backoff, self._stop, link.logger, lambda: batch.assignment.revoked
        )
        if failure is None:
            return False
        self._set_aside(message, *failure, batch, sink)
        return True

    def _set_aside(self, message: Any, error: BaseException, attempts: int, batch: Batch, sink: Sink) -> None:
        """Send the dead letter of an electron that failed for good."""
        if batch.assignment.revoked:
            raise StoppedError  # another instance has it now, and may succeed
        self._policy.record_failure()
        dead = letter.from_electron(self._definition.dead_letter_topic, message, error, self._definition.name, attempts)
        if dead.size > MAX_MESSAGE_BYTES - 64 * 1024:
            dead = letter.without_value(dead)
        tried = f"{attempts} attempt{'s' if attempts > 1 else ''}"
        self._link.logger.log(f"given up after {tried}, put into {dead.topic}: {described(error)}", level="error")
        sink.send(dead)
        self._metrics.dead_letters(message.topic())
