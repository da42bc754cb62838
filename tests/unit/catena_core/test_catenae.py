"""Links written for Catenae run unchanged: its defaults and leniency."""

import inspect
import time

import pytest

from catena_core import Link, rpc, utils
from catena_core.rpc import LocalRpc
from catena_core.testing import LinkDriver
from catena_core.transforming.results import positional, read_result


class Takes(Link):
    """Takes what comes."""

    inputs, outputs = ("in",), ("out",)

    def transform(self, electron):
        return electron


def test_loop_has_the_defaults_of_old():
    parameters = inspect.signature(Link.loop).parameters
    defaults = {"args": None, "kwargs": None, "interval": 0, "wait": False, "level": "debug", "safe_stop": True}
    assert {name: parameters[name].default for name in list(parameters)[2:]} == defaults
    assert list(parameters)[2:] == list(defaults)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (None, ()),
        ("abc", ("abc",)),
        (7, (7,)),
        ([1, 2], (1, 2)),
        ((1, 2), (1, 2)),
        ({"a": 1}, ({"a": 1},)),
    ],
)
def test_arguments_may_be_a_single_value(args, expected):
    assert positional(args) == expected
    seen = []

    def call(*given):
        seen.append(given)

    link = Takes()
    driver = LinkDriver(link, now=0)
    link.loop(call, args, interval=60)
    driver.advance(1)
    link.send("x", callback=call, callback_args=args)
    link.launch_thread(call, args).join(120)
    assert seen == [expected] * 3


def test_a_callback_in_a_returned_tuple_takes_a_single_argument():
    seen = []
    callback = read_result(("x", seen.append, "abc")).callback
    assert callback is not None
    callback()
    assert seen == ["abc"]


def test_a_loop_without_an_interval_comes_once_in_each_step_of_a_driver():
    calls = []
    link = Takes()
    driver = LinkDriver(link, now=0)
    link.loop(lambda: calls.append(link.now()))
    for _ in range(3):
        driver.advance(10)
    assert len(calls) == 3


def test_suicide_may_be_without_a_message():
    link = Takes()
    with pytest.raises(SystemExit):
        link.suicide(None)
    assert link.stopping and link.failure is None


def test_a_loop_may_name_the_level_at_which_its_calls_are_logged(caplog):
    link = Takes()
    driver = LinkDriver(link, now=0)
    link.loop(lambda: None, interval=10, level="warning")
    driver.advance(5)
    assert caplog.text.count("new loop iteration") == 1


def test_an_error_may_be_logged_without_a_text(caplog):
    try:
        raise ValueError("no such row")
    except ValueError:
        Takes().logger.log(level="exception")
    assert "ValueError: no such row" in caplog.text


class Greets(Link):
    """Ends as soon as it runs."""

    def setup(self, name):
        self.logger.log(f"set up for {name}")

    def generator(self):
        self.suicide()


def test_a_start_may_have_a_text_of_its_own(caplog):
    link = Greets(log_level="INFO")
    with caplog.at_level("INFO"):
        link.start(embedded=True, startup_text="hello", setup_kwargs={"name": "Ada"})
        assert link.join(60)
    lines = [record.getMessage() for record in caplog.records]
    assert lines.index("hello") < lines.index("set up for Ada")


class MiddleLink(Link):
    """Adds."""

    @rpc
    def plus_two(self, number=0):
        return number + 2


def test_groups_are_found_by_the_names_of_old_and_called_by_uid():
    calls = LocalRpc()
    caller = Takes()
    LinkDriver(MiddleLink(), rpc=calls)
    LinkDriver(caller, rpc=calls)
    groups = caller.instances["by_group"]
    assert set(groups) == {"MiddleLink", "Takes"}
    assert groups["catenae_middlelink"] == groups["MiddleLink"]
    with pytest.raises(KeyError):
        groups["catenae_"]
    assert caller.rpc_call(groups["catenae_middlelink"][0], "plus_two", kwargs={"number": 18}) == 20


def test_its_small_functions_are_there():
    assert utils.load_dict(utils.dump_dict({"a": ["ä"]})) == utils.load_dict(utils.dump_dict_pretty({"a": ["ä"]}))
    assert utils.dump_dict({"a": ["ä"]}) == '{"a":["ä"]}'
    before = int(time.time())
    assert before <= utils.get_timestamp() and 1000 * before <= utils.get_timestamp_ms()
    assert (len(utils.blake2b_256("a")), len(utils.blake2b_512("a")), len(utils.sha3_512("a"))) == (64, 128, 128)
    assert utils.get_uid() != utils.get_uid()
