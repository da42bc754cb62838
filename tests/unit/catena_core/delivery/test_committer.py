"""The committer: when it commits, and what becomes of its errors."""

from __future__ import annotations

import threading
from typing import Any

from catena_core.delivery.committer import Committer
from tests.helpers.waiting import eventually


class Delivery:
    """Counts commits, by thread, until a test has it fail."""

    def __init__(self, transactional: bool = True) -> None:
        self.transactional = transactional
        self.commits = 0
        self.error: BaseException | None = None

    def maybe_commit(self, assignments: Any) -> None:
        if self.error:
            raise self.error
        self.commits += 1


def unexpected(error: BaseException) -> None:
    raise AssertionError from error


def test_it_commits_until_it_is_closed_except_while_it_is_paused() -> None:
    delivery: Any = Delivery()
    committer = Committer(delivery, unexpected)
    eventually(lambda: delivery.commits)
    with committer.paused():
        commits = delivery.commits
        assert "commits" not in {thread.name for thread in threading.enumerate()}
        assert delivery.commits == commits
    eventually(lambda: delivery.commits > commits)
    committer.close()
    assert "commits" not in {thread.name for thread in threading.enumerate()}


def test_outputs_that_arrive_by_themselves_need_no_thread() -> None:
    delivery: Any = Delivery(transactional=False)
    committer = Committer(delivery, unexpected)
    assert "commits" not in {thread.name for thread in threading.enumerate()}
    committer.close()


def test_an_error_ends_the_link() -> None:
    delivery: Any = Delivery()
    errors: list[BaseException] = []
    committer = Committer(delivery, errors.append)
    delivery.error = ZeroDivisionError()
    eventually(lambda: errors == [delivery.error])
    committer.close()
