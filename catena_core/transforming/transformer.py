"""The path of electrons through a lane: read, transform, and send the outputs; retry, or set aside, those that fail."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.dead_letters import letter
from catena_core.dead_letters.policy import DeadLetterPolicy
from catena_core.definition import LinkDefinition
from catena_core.delivery.base import Delivery, Sink
from catena_core.delivery.producer import MAX_MESSAGE_BYTES
from catena_core.electron import NO_HEADERS, Electron
from catena_core.errors import StoppedError
from catena_core.monitoring import tracing
from catena_core.monitoring.metrics import Metrics
from catena_core.transforming.results import read_result
from catena_core.transforming.retry import FATAL, retry
from catena_core.wire.message import Message, reader, unmarked_encoder, writer


class LaneContext(threading.local):
    """The electron that the calling thread transforms: its partition, the sink of its outputs, and its trace."""

    assignment: Assignment | None = None
    sink: Sink | None = None
    trace: dict[str, str] | None = None


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

    Attributes:
        context: The electron that the calling thread transforms.
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
        self.context = LaneContext()
        self._definition = definition
        self._link = definition.link
        self._delivery = delivery
        self._serve = serve
        self._callback = callback
        self._fail = fail
        self._metrics = metrics
        self._stop = stop
        self._default_topic = definition.default_topic
        self._read = reader(self._link.input_format)
        self._write = writer(self._link.output_format, self._default_topic, definition.default_key)
        self._encode = unmarked_encoder(self._link.output_format)
        self._policy = DeadLetterPolicy(self._link.dead_letter_limits)

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
        encode = self._encode if default_topic else None
        sent: Counter[str] = Counter()
        began, done, plain, dead_letters, traced = time.perf_counter(), 0, 0, 0, False
        try:
            for message, offset in zip(batch.messages, batch.offsets, strict=True):
                if assignment.revoked:
                    return
                batch.done = done
                try:
                    electron = read(message, topic, partition, offset)
                    if electron.headers is not NO_HEADERS:
                        context.trace, traced = tracing.child(electron.headers), True
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
                            send_plain(default_topic, encode(returned.value), returned.key.encode())
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
                except Exception as error:
                    batch.discard_outputs(offset)
                    dead_letters += self._retry(message, offset, error, batch, sink, sent)
                if traced:
                    context.trace, traced = None, False
                done += 1
        except (StoppedError, SystemExit):
            return
        except Exception as error:
            self._fail(error)
        finally:
            context.assignment = context.sink = context.trace = None
            batch.done = done
            if done:
                self._metrics.consumed(topic, partition, done)
                self._metrics.transform_seconds(topic, (time.perf_counter() - began) / done, done)
            if plain:
                sent[default_topic] += plain
            for name, count in sent.items():
                self._metrics.produced(name, count)
            self._policy.record_success(done - dead_letters)
            self._serve()

    def message_of(self, electron: Electron) -> Message:
        """Put an electron on the wire, with the trace of the electron that the calling thread transforms.

        Raises:
            CodecError: Its key or value cannot be put on the wire.
            UsageError: It has no topic, and the link has none to write to.
        """
        message = self._write(electron)
        trace = self.context.trace
        if trace is None:
            return message
        headers = [item for item in message.headers or () if item[0] not in trace]
        return message.replace(headers=headers + [(name, text.encode()) for name, text in trace.items()])

    def _emit(self, returned: Any, sink: Sink, sent: Counter[str]) -> None:
        """Send the result of a transform: all of it or, where some of it cannot be sent, nothing."""
        result = read_result(returned)
        for message in [self.message_of(electron) for electron in result.electrons]:
            sink.send(message)
            sent[message.topic] += 1
        if result.callback is not None:
            callback = result.callback
            sink.then(lambda error: None if error else self._callback(callback))

    def _retry(self, message: Any, offset: int, first: Exception, batch: Batch, sink: Sink, sent: Counter[str]) -> bool:
        """Try an electron that failed once until it succeeds, or set it aside; return whether it was set aside."""
        topic, partition = batch.assignment.partition
        self._metrics.failed(topic)

        def attempt() -> None:
            if batch.assignment.revoked:
                raise StoppedError
            self._metrics.retried(topic)
            try:
                self._emit(self._link.transform(self._read(message, topic, partition, offset)), sink, sent)
            except Exception:
                batch.discard_outputs(offset)
                self._metrics.failed(topic)
                raise

        link = self._link
        failure = retry(attempt, first, link.attempts, link.backoff, self._stop, link.logger)
        if failure is None:
            return False
        self._set_aside(message, *failure, batch, sink)
        return True

    def _set_aside(self, message: Any, error: Exception, attempts: int, batch: Batch, sink: Sink) -> None:
        """Send the dead letter of an electron that failed for good."""
        if batch.assignment.revoked:
            raise StoppedError  # another instance has it now, and may succeed
        self._policy.record_failure()
        dead = letter.from_electron(self._definition.dead_letter_topic, message, error, self._definition.name, attempts)
        if len(dead.value or b"") > MAX_MESSAGE_BYTES - 64 * 1024:
            dead = letter.without_value(dead)
        tried = f"{attempts} attempt{'s' if attempts > 1 else ''}"
        self._link.logger.log(f"given up after {tried}, put into {dead.topic}: {error!r}", level="error")
        sink.send(dead)
        self._metrics.dead_letters(message.topic())
