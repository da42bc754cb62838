"""Concurrent transforms: an ``async def transform`` runs many awaits at once, those of one key in order.

All of a link's lanes hand their batches to one event loop, so that slow answers of others delay neither reading nor each other.
A batch is finished as far as its electrons are, from the first on: what has been done beyond is repeated after a crash only.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.errors import CatenaError, StoppedError

_CANCELLED = "the link's own code has cancelled tasks of the event loop that it had not made"

# Transforms one message of a batch, given with its offset; raises what ends the link.
TransformOne = Callable[[Batch, Any, int], Awaitable[None]]


class ConcurrentLane:
    """The thread of an event loop that transforms the electrons of all lanes.

    Args:
        transform: Transforms one electron.
        most: How many electrons may be under way at once.
        in_order: Whether each electron waits for the one before it, whatever their keys.
        fail: Called with an error that ends the link.
    """

    def __init__(
        self, transform: TransformOne, most: int, in_order: bool, fail: Callable[[BaseException], None]
    ) -> None:
        self._transform = transform
        self._in_order = in_order
        self._fail = fail
        self._last: dict[Any, asyncio.Future[Any]] = {}  # the newest electron of each key
        self._tasks: set[asyncio.Future[Any]] = set()  # the event loop itself may lose them
        self._closed = False
        self._under_way: Counter[Assignment] = Counter()
        self._loop = asyncio.new_event_loop()
        self._room = asyncio.Semaphore(most)
        threading.Thread(target=self._run, name="async lane", daemon=True).start()

    def start(self, batch: Batch, finished: Callable[[], None]) -> None:
        """Transform a batch; call ``finished`` when it is done, revoked, or the link fails."""
        self._loop.call_soon_threadsafe(self._take, batch, finished)

    def is_transforming(self, assignments: Collection[Assignment]) -> bool:
        """Tell whether electrons of these partitions are under way."""
        return any(self._under_way[assignment] for assignment in assignments)

    def close(self) -> None:
        """End the thread; electrons under way are left alone."""
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._closed:
            try:
                self._loop.run_forever()
            except BaseException as error:  # of a task that the link itself has made
                self._fail(error)

    def _take(self, batch: Batch, finished: Callable[[], None]) -> None:
        tasks = []
        for message, offset in zip(batch.messages, batch.offsets, strict=True):
            key = True if self._in_order else message.key()
            before = None if key is None else self._last.get(key)
            task = self._loop.create_task(self._one(batch, message, offset, before))
            tasks.append(task)
            if key is not None:
                self._last[key] = task
                task.add_done_callback(partial(self._forget, key))
        # A future and no task, which the link's own code might cancel.
        whole = asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.add(whole)
        whole.add_done_callback(partial(self._finish, batch, finished))

    def _forget(self, key: Any, ended: asyncio.Future[Any]) -> None:
        if self._last.get(key) is ended:
            del self._last[key]

    async def _one(
        self, batch: Batch, message: Any, offset: int, before: asyncio.Future[Any] | None
    ) -> bool | BaseException:
        """Transform one electron after the one before it of its key; return whether it is done, or the reason of the end."""
        done: bool | BaseException = False
        try:
            if before is not None and not before.done():
                await asyncio.wait([before])
            async with self._room:
                done = await self._in_room(batch, message, offset)
        except StoppedError:
            pass
        except asyncio.CancelledError:  # of an electron that still waited, which has not failed
            raise
        except BaseException as error:  # a task that ends with SystemExit would end the event loop
            done = error
        finally:
            if done is not True:
                batch.assignment.revoke()  # or later ones of its key would overtake it
        return done

    async def _in_room(self, batch: Batch, message: Any, offset: int) -> bool:
        assignment = batch.assignment
        self._under_way[assignment] += 1  # before the look: who revokes a partition then looks here
        try:
            if assignment.revoked:
                return False
            await self._transform(batch, message, offset)
            return True
        finally:
            self._under_way[assignment] -= 1
            if not self._under_way[assignment]:
                del self._under_way[assignment]

    def _finish(self, batch: Batch, finished: Callable[[], None], whole: asyncio.Future[list[Any]]) -> None:
        self._tasks.discard(whole)
        done = whole.result()
        batch.done = next((place for place, outcome in enumerate(done) if outcome is not True), len(done))
        kept = set(batch.offsets[: batch.done])
        batch.outputs = [output for output in batch.outputs if output[0] in kept]
        for outcome in done:
            if isinstance(outcome, BaseException):
                self._fail(CatenaError(_CANCELLED) if isinstance(outcome, asyncio.CancelledError) else outcome)
                break
        finished()
