"""What happens to electrons in a lane: read, transformed, tried again, sent on, or set aside."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.nap import sleep_using_event

from catena_core.consuming.assignment import Assignment, Batch
from catena_core.dead_letters import letter
from catena_core.dead_letters.policy import DeadLetterLimitError, DeadLetterPolicy
from catena_core.delivery.at_least_once import Delivery, Sink
from catena_core.delivery.producer import MAX_MESSAGE_BYTES
from catena_core.electron import NO_HEADERS, Electron
from catena_core.errors import CodecError, DeliveryError, RejectedError, StoppedError, UsageError
from catena_core.monitoring import tracing
from catena_core.monitoring.metrics import Metrics
from catena_core.transforming.results import read_result
from catena_core.wire.message import Message, reader, unmarked_encoder, writer

if TYPE_CHECKING:
    from catena_core.link import Link

# What no retry would mend: the electron is at fault …
_HOPELESS = (RejectedError, CodecError)
# … or the link, or it is over.
_FINAL = (StoppedError, UsageError, DeliveryError, DeadLetterLimitError, SystemExit)


class Outgoing(threading.local):
    """Of which partition an electron is transformed, where what it sends goes, and its trace: for each thread by itself."""

    assignment: Assignment | None = None
    sink: Sink | None = None
    trace: dict[str, str] | None = None


class Transformer:
    """Calls a link's transform for electrons, and sends on what it returns.

    Args:
        link: The link.
        delivery: How outputs are brought to Kafka.
        outgoing: Told where the link's own ``send`` leads meanwhile.
        callback: Called with a callback of the link, once what it waits for has arrived.
        metrics: Where all is counted.
        stop: Set when the link is to stop: no further attempts then.
    """

    def __init__(
        self,
        link: Link,
        delivery: Delivery,
        outgoing: Outgoing,
        callback: Callable[[Callable[[], Any]], None],
        metrics: Metrics,
        stop: threading.Event,
    ) -> None:
        self._link = link
        self._delivery = delivery
        self._outgoing = outgoing
        self._callback = callback
        self._metrics = metrics
        self._stop = stop
        self._read = reader(link.input_format)
        # Without a key, what is to stay in order stays in one partition.
        in_order = link.options.sequential or link.options.synchronous
        self._write = writer(link.output_format, link.default_topic, link.uid if in_order else None)
        self._encode = unmarked_encoder(link.output_format)
        self._policy = DeadLetterPolicy(link.dead_letter_limits)

    def process(self, batch: Batch) -> None:
        """Transform a batch, as far as it comes: until it is done, revoked, or the link fails.

        This is the loop in which a link spends its time.
        """
        outgoing = self._outgoing
        assignment = outgoing.assignment = batch.assignment
        topic, partition = assignment.partition
        read, transform = self._read, self._link.transform
        sink = outgoing.sink = self._delivery.sink(batch)
        plainly, default_topic = sink.send_plainly, self._link.default_topic or ""
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
                        outgoing.trace, traced = tracing.child(electron.headers), True
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
                        # What `_emit` does, without what most outputs of most links do not need.
                        try:
                            plainly(default_topic, encode(returned.value), returned.key.encode())
                            plain += 1
                        except Exception:
                            self._emit(returned, sink, sent)  # says what is wrong
                    elif type(returned) is Electron:
                        output = self.message_of(returned)
                        sink.send(output)
                        sent[output.topic] += 1
                    elif returned is not None:
                        self._emit(returned, sink, sent)
                except _FINAL:
                    raise
                except Exception as error:
                    _take_back(batch, offset)
                    dead_letters += self._try_again(message, offset, error, batch, sink, sent)
                if traced:
                    outgoing.trace, traced = None, False
                done += 1
        except (StoppedError, SystemExit):
            return
        except Exception as error:
            self._link.life.failed(error)
        finally:
            outgoing.assignment = outgoing.sink = outgoing.trace = None
            batch.done = done
            if done:
                self._metrics.consumed(topic, partition, done)
                self._metrics.transform_seconds(topic, (time.perf_counter() - began) / done, done)
            if plain:
                sent[default_topic] += plain
            for name, count in sent.items():
                self._metrics.produced(name, count)
            self._policy.record_success(done - dead_letters)

    def message_of(self, electron: Electron) -> Message:
        """Put an electron on the wire, with the trace that it belongs to.

        Raises:
            CodecError: Its key or value cannot be put on the wire.
            UsageError: It has no topic, and the link has none to write to.
        """
        message = self._write(electron)
        trace = self._outgoing.trace
        if trace is None:
            return message
        headers = [item for item in message.headers or () if item[0] not in trace]
        return message.replace(headers=headers + [(name, text.encode()) for name, text in trace.items()])

    def _emit(self, returned: Any, sink: Sink, sent: Counter[str]) -> None:
        """Send on what a transform returned, all of it or, where some of it cannot be sent, nothing."""
        result = read_result(returned)
        for message in [self.message_of(electron) for electron in result.electrons]:
            sink.send(message)
            sent[message.topic] += 1
        if result.callback is not None:
            callback = result.callback
            sink.then(lambda error: None if error else self._callback(callback))

    def _try_again(
        self, message: Any, offset: int, first: Exception, batch: Batch, sink: Sink, sent: Counter[str]
    ) -> bool:
        """Try an electron that failed once until it succeeds or its attempts are used up; whether it was set aside."""
        topic, partition = batch.assignment.partition
        self._metrics.failed(topic)
        if isinstance(first, _HOPELESS):
            return self._set_aside(message, first, 1, batch, sink)
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise first
            if self._stop.is_set() or batch.assignment.revoked:
                raise StoppedError
            self._metrics.retried(topic)
            try:
                self._emit(self._link.transform(self._read(message, topic, partition, offset)), sink, sent)
            except Exception:
                _take_back(batch, offset)
                self._metrics.failed(topic)
                raise

        retrying = Retrying(
            stop=stop_after_attempt(self._link.attempts),
            wait=wait_random_exponential(self._link.backoff[0], max=self._link.backoff[1]),
            retry=retry_if_not_exception_type((*_HOPELESS, *_FINAL)),
            sleep=sleep_using_event(self._stop),
            before_sleep=self._before_retry,
            reraise=True,
        )
        try:
            retrying(attempt)
        except _FINAL:
            raise
        except Exception as error:
            return self._set_aside(message, error, attempts, batch, sink)
        return False

    def _before_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0
        self._link.logger.log(
            f"attempt {state.attempt_number} failed, again in {wait:.1f} s: {error!r}", level="warning"
        )

    def _set_aside(self, message: Any, error: Exception, attempts: int, batch: Batch, sink: Sink) -> bool:
        """Put an electron that failed for good into the dead letters."""
        if batch.assignment.revoked:
            raise StoppedError  # another instance has it now, and may fare better
        self._policy.record_failure()
        link = self._link
        dead = letter.from_electron(link.dead_letters, message, error, type(link).__name__, attempts)
        if len(dead.value or b"") > MAX_MESSAGE_BYTES - 64 * 1024:
            dead = letter.without_value(dead)
        tried = f"{attempts} attempt{'s' if attempts > 1 else ''}"
        link.logger.log(f"given up after {tried}, put into {dead.topic}: {error!r}", level="error")
        sink.send(dead)
        self._metrics.dead_letters(message.topic())
        return True


def _take_back(batch: Batch, offset: int) -> None:
    """Drop what an attempt that failed has sent, as far as it was held back."""
    while batch.outputs and batch.outputs[-1][0] == offset:
        batch.outputs.pop()
