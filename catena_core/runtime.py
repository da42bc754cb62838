"""The runtime of a link on Kafka: what carries electrons to its transform and its outputs away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.nap import sleep_using_event

from catena_core import codec
from catena_core.consumer import Batch, ConsumerLoop, Partition
from catena_core.delivery import Outputs
from catena_core.electron import Electron
from catena_core.errors import CodecError, DeliveryError, RejectedError, StoppedError
from catena_core.options import LinkOptions
from catena_core.producer import ElectronProducer
from catena_core.results import Result, read_result
from catena_core.table import Table, TableContent

if TYPE_CHECKING:
    from catena_core.link import Link


# What no retry would mend.
_FINAL = (RejectedError, CodecError, StoppedError)


class _GivenUpError(Exception):
    """An electron whose attempts are used up."""

    def __init__(self, reason: Exception, attempts: int) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.attempts = attempts


class KafkaRuntime:
    """Runs one link against Kafka.

    Args:
        link: The link.
        options: Its options, with a Kafka endpoint.
        stop: Set when the link is to stop.
    """

    def __init__(self, link: Link, options: LinkOptions, stop: threading.Event) -> None:
        assert options.kafka_endpoint is not None
        self._link = link
        self._options = options
        self._stop = stop
        self._abandon = threading.Event()
        self._endpoint = options.kafka_endpoint
        self._group = options.consumer_group or type(link).__name__
        self._producer = ElectronProducer(self._endpoint, link.logger, options.properties)
        self._tables: list[Table[Any]] = []
        self._partition_counts: dict[str, int] = {}
        self._current = threading.local()
        self._loop: ConsumerLoop | None = None

    # What a link asks for

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> None:
        """Queue electrons; within a transform, its own electron is committed only once they are acknowledged.

        Args:
            electrons: What to send, each with its topic.
            done: Called once all are acknowledged, with the first error or ``None``.
        """
        outer: Outputs | None = getattr(self._current, "outputs", None)
        if done is None and outer is not None:
            for electron in electrons:
                outer.add()
                self._produce(electron, outer)
            return
        if outer is not None:
            outer.add()

        def finished(error: Exception | None) -> None:
            if done is not None:
                done(error)
            if outer is not None:
                outer.delivered(error)
            elif error is not None:
                self.fail(DeliveryError(f"Kafka did not take an electron: {error}"))

        own = Outputs(finished)
        for electron in electrons:
            own.add()
            self._produce(electron, own)
        own.seal()

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Start to read a compacted topic as a table."""
        table: Table[Any] = Table(self._endpoint, topic, self._link.logger, self._options.properties, **content)
        self._tables.append(table)
        return table

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has; asked once."""
        if topic not in self._partition_counts:
            self._partition_counts[topic] = self._producer.partition_count(topic)
        return self._partition_counts[topic]

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the link's single lane, between electrons."""
        if self._loop is not None:
            self._loop.first_lane.put(self._guarded, function, args)

    def fail(self, error: Exception) -> None:
        """Stop the link because of an error that no retry can mend."""
        self._link.failed(error)

    # Its life

    def run(self) -> None:
        """Read until the link stops, then drain; returns when everything is acknowledged or given up."""
        for table in self._tables:
            table.wait_until_complete(self._stop)
        link = self._link
        try:
            if link.reads:
                self._loop = ConsumerLoop(
                    endpoint=self._endpoint,
                    group=self._group,
                    topics=lambda: link.input_topics,
                    handler=self,
                    lanes=link.lanes,
                    replay=link.replay,
                    batch_size=link.batch_size,
                    drain_timeout=link.drain_timeout,
                    properties=self._options.properties,
                    logger=link.logger,
                )
                link.running()
                self._loop.run(self._stop)
            else:
                link.running()
                self._stop.wait()
        finally:
            self._abandon.set()

    def close(self) -> None:
        """Let go of tables and of the producer, whose queue is flushed first."""
        for table in self._tables:
            table.close()
        left = self._producer.close(self._link.drain_timeout)
        if left:
            self._link.logger.log(f"{left} electrons were not acknowledged before the end", level="warning")

    # What the consumer loop calls

    def process(self, batch: Batch, finished: Callable[[Batch], None]) -> None:
        """Transform a batch in a lane."""

        def acknowledged(error: Exception | None) -> None:
            batch.completed = error is None and complete
            finished(batch)
            if error is not None:
                self.fail(DeliveryError(f"Kafka did not take an output: {error}"))

        complete = False
        outputs = Outputs(acknowledged)
        self._current.outputs = outputs
        try:
            for message in batch.messages:
                if batch.assignment.revoked or self._abandon.is_set():
                    return
                self._transform(message, batch)
            complete = True
        except StoppedError:
            return
        except Exception as error:
            self.fail(error)
        finally:
            self._current.outputs = None
            outputs.seal()

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Tell the link of its new partitions, in its lane when it has a single one."""
        self._tell(self._link.assigned, partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Tell the link that partitions are gone, and wait until it has taken that in."""
        told = threading.Event()
        self._tell(self._link.revoked, partitions, then=told.set)
        told.wait(self._link.drain_timeout)

    def replayed(self, partition: Partition) -> None:
        """Tell the link that it has seen all of a partition."""
        self._tell(self._link.replayed, partition)

    def _tell(self, hook: Callable[..., None], *args: Any, then: Callable[[], None] | None = None) -> None:
        def call() -> None:
            self._guarded(hook, args)
            if then is not None:
                then()

        if self._link.lanes == 1 and self._loop is not None:
            self._loop.first_lane.put(call)
        else:
            call()

    def _guarded(self, function: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except StoppedError:
            pass
        except Exception as error:
            self._link.logger.log(f"{function.__name__} failed: {error!r}", level="error")
            self.fail(error)

    # One electron

    def _transform(self, message: Any, batch: Batch) -> None:
        attempts = 1
        try:
            electron = to_electron(message)
            try:
                self._once(electron)
            except _FINAL:
                raise
            except Exception as error:
                attempts = self._again(electron, error, batch)
        except (StoppedError, KafkaException):
            raise
        except _GivenUpError as given_up:
            self._bury(message, given_up.reason, given_up.attempts)
        except Exception as error:
            self._bury(message, error, attempts)

    def _once(self, electron: Electron) -> None:
        self._emit(read_result(self._link.transform(electron)), electron.topic)

    def _again(self, electron: Electron, first: Exception, batch: Batch) -> int:
        """Try an electron that failed once until it succeeds or its attempts are used up."""
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise first
            if self._stop.is_set() or batch.assignment.revoked:
                raise StoppedError
            self._once(electron)

        retrying = Retrying(
            stop=stop_after_attempt(self._link.attempts),
            wait=wait_random_exponential(self._link.backoff[0], max=self._link.backoff[1]),
            retry=retry_if_not_exception_type(_FINAL),
            sleep=sleep_using_event(self._stop),
            before_sleep=self._before_retry,
            reraise=True,
        )
        try:
            retrying(attempt)
        except (StoppedError, KafkaException):
            raise
        except Exception as error:
            raise _GivenUpError(error, attempts) from error
        return attempts

    def _emit(self, result: Result, previous_topic: str | None) -> None:
        prepared = [self._link.addressed(electron, previous_topic) for electron in result.electrons]
        if result.callback is not None:
            callback = result.callback
            self.send(prepared, lambda error: None if error else callback())
        elif prepared:
            self.send(prepared)

    def _before_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0
        self._link.logger.log(
            f"attempt {state.attempt_number} failed, again in {wait:.1f} s: {error!r}", level="warning"
        )

    def _bury(self, message: Any, error: Exception, attempts: int) -> None:
        """Put an electron that failed for good into the dead letters, as it came, with the reason in its headers."""
        topic = self._link.dead_letter_topic or f"{self._group}.dead-letters"
        reason = {
            "error": str(error)[:1000],
            "error-type": type(error).__name__,
            "link": type(self._link).__name__,
            "original-topic": message.topic(),
            "original-partition": str(message.partition()),
            "original-offset": str(message.offset()),
            "attempts": str(attempts),
            "failed-at": f"{time.time():.3f}",
        }
        self._link.logger.log(f"given up after {attempts} attempts, put into {topic}: {error!r}", level="error")
        headers = [(name, data) for name, data in message.headers() or () if name not in reason]
        headers += [(name, text.encode()) for name, text in reason.items()]
        outputs: Outputs = self._current.outputs
        outputs.add()
        self._producer.send_raw(topic, message.key(), message.value(), headers, outputs.delivered)

    def _produce(self, electron: Electron, outputs: Outputs) -> None:
        try:
            self._producer.send(electron, outputs.delivered)
        except Exception:
            outputs.delivered(None)
            raise


def to_electron(message: Any) -> Electron:
    """Read a Kafka message.

    Raises:
        CodecError: Its value is not what its content type says.
    """
    headers = {name: (data or b"").decode("utf-8", "replace") for name, data in message.headers() or ()}
    content_type = headers.pop(codec.CONTENT_TYPE, None)
    return Electron(
        key=codec.decode_key(message.key()),
        value=codec.decode(message.value(), content_type),
        topic=message.topic(),
        previous_topic=headers.pop("previous-topic", None),
        timestamp=message.timestamp()[1],
        partition=message.partition(),
        offset=message.offset(),
        headers=headers,
    )
