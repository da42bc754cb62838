"""The watch over a setup: it tells of one that hangs, and interrupts one that outlives the link's stop."""

import threading
import time

from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.setup_watch import SetupWatch
from tests.helpers.waiting import eventually


def watch(stop, interrupt, timeout=1000.0, grace=0.0):
    return SetupWatch(LinkLogger("Shop"), timeout, stop, grace, interrupt)


def test_a_setup_that_hangs_is_a_problem_and_is_told_once_with_all_stacks(caplog):
    with watch(threading.Event(), lambda: None, timeout=0.0) as setup:
        eventually(lambda: "setup has not returned for" in setup.problems().get("setup", ""))
        time.sleep(0.5)
        assert len(caplog.records) == 1
        assert "test_a_setup_that_hangs_is_a_problem" in caplog.text
    assert setup.problems() == {}


def test_a_setup_that_goes_on_after_the_stop_is_interrupted_again_and_again():
    stop, calls = threading.Event(), []
    with watch(stop, lambda: calls.append(1)) as setup:
        time.sleep(0.5)
        assert not calls and not setup.problems()
        stop.set()
        eventually(lambda: len(calls) >= 2)
