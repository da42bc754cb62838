"""Mistakes in a link's class: its start and the test driver refuse them, with what was meant."""

import pytest

from catena_core import Link
from catena_core.errors import UsageError
from catena_core.testing import LinkDriver


def kind(base=Link, **members):
    return type("Shop", (base,), members)


def transform(self, electron):
    return electron


def own(self, *_args):
    return None


async def later(self, *_args):
    return None


async def one_by_one(self, *_args):
    yield None


def stepwise(self, *_args):
    yield 1
    yield 2


@pytest.mark.parametrize("interval", ["1", -1, None, float("nan"), float("inf")])
def test_loop_with_an_interval_that_is_no_time_is_refused(interval):
    driver = LinkDriver(kind(generator=own)())
    with pytest.raises(UsageError, match="interval is a number of seconds, at least 0, not"):
        driver._link.loop(own, interval=interval)


@pytest.mark.parametrize("method", ["loop", "launch_thread", "launch_process", "submit"])
def test_a_result_in_place_of_a_function_is_refused(method):
    driver = LinkDriver(kind(generator=own)())
    with pytest.raises(UsageError, match=f"{method} takes a function, not None; give it without brackets"):
        getattr(driver._link, method)(None)


@pytest.mark.parametrize(
    "name", ["tranform", "transfrom", "trasnform", "Transform", "transforms", "transform_", "transfom", "trans_form"]
)
def test_start_with_a_misspelt_transform_names_both(name):
    with pytest.raises(UsageError, match=rf"{name}.*transform|transform.*{name}"):
        LinkDriver(kind(**{name: transform})(input_topics="a"))
    with pytest.raises(UsageError, match=name):
        LinkDriver(kind(**{name: transform})())
    with pytest.raises(UsageError, match=name):
        kind(**{name: transform})(kafka_endpoint="127.0.0.1:1").start(embedded=True)


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("genrator", "generator"),
        ("set_up", "setup"),
        ("finsh", "finish"),
        ("asigned", "assigned"),
        ("revokd", "revoked"),
    ],
)
def test_start_with_another_misspelt_hook_names_both(name, hook):
    with pytest.raises(UsageError, match=rf"{name}\(\).*{hook}\(\)"):
        LinkDriver(kind(transform=transform, **{name: own})())


def test_start_with_a_misspelt_static_method_or_mixin_names_it():
    with pytest.raises(UsageError, match=r"tranform\(\).*transform\(\)"):
        LinkDriver(kind(tranform=staticmethod(own), generator=own)())
    mixin = type("Mixin", (), {"tranform": transform})
    with pytest.raises(UsageError, match=r"tranform\(\).*transform\(\)"):
        LinkDriver(type("Shop", (Link, mixin), {"generator": own})())


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("batch_sise", "batch_size"), ("attemps", "attempts"), ("drain_timout", "drain_timeout"), ("intputs", "inputs")],
)
def test_start_with_a_misspelt_class_attribute_names_both(name, attribute):
    with pytest.raises(UsageError, match=rf"{name}.*{attribute}\?"):
        LinkDriver(kind(transform=transform, **{name: 3})())


@pytest.mark.parametrize("name", ["lane", "batches", "input", "output", "backlog", "_attemps", "retries", "topics"])
def test_start_with_a_class_attribute_of_another_meaning_works(name):
    LinkDriver(kind(transform=transform, **{name: 3})())


@pytest.mark.parametrize(
    ("name", "meant"),
    [("log_leve", "log_level"), ("input_topic", "input_topics"), ("deliver", "delivery"), ("proceses", "processes")],
)
def test_misspelt_option_of_the_constructor_is_refused_with_what_was_meant(name, meant):
    with pytest.raises(UsageError, match=f"no option {name}; did you mean {meant}?"):
        Link(**{name: "x"})


def test_start_with_a_hook_misspelt_in_an_ancestor_names_it():
    with pytest.raises(UsageError, match="genrator"):
        LinkDriver(kind(kind(genrator=own), transform=transform)())


@pytest.mark.parametrize(
    "name", ["generate", "assign", "revoke", "transform_one", "transformed", "replaced", "_tranform"]
)
def test_start_with_a_method_of_another_meaning_works(name):
    assert LinkDriver(kind(transform=transform, **{name: own})(input_topics="a", output_topics="b")).transform("x")


def test_start_with_inputs_that_a_generator_reads_as_tables_is_allowed():
    class Shows(Link):
        inputs = ("rows",)

        def setup(self):
            self.rows = self.table(self.input_topics[0])

        def generator(self):
            self.suicide()

    LinkDriver(Shows())


def test_start_with_inputs_that_a_generator_does_not_read_is_refused():
    class Shows(Link):
        inputs = ("rows", "others")

        def setup(self):
            self.rows = self.table("rows")

        def generator(self):
            self.suicide()

    with pytest.raises(UsageError, match="is to read others, but has no transform"):
        LinkDriver(Shows())


def test_start_with_inputs_and_no_transform_is_refused():
    with pytest.raises(UsageError, match=r"is to read a, but has no transform"):
        LinkDriver(kind(generator=own)(input_topics="a"))
    with pytest.raises(UsageError, match="no transform"):
        kind(generator=own)().add_input_topic("a")


@pytest.mark.parametrize("hook", ["generator", "setup", "finish", "assigned", "revoked", "replayed"])
@pytest.mark.parametrize("function", [later, one_by_one])
def test_start_with_an_async_hook_is_refused(hook, function):
    with pytest.raises(UsageError, match=f"{hook} is an async method"):
        LinkDriver(kind(**{"transform": transform, hook: function})())


@pytest.mark.parametrize("hook", ["setup", "finish", "assigned", "revoked", "replayed"])
def test_start_with_yield_in_a_hook_is_refused(hook):
    with pytest.raises(UsageError, match=f"{hook} contains yield"):
        LinkDriver(kind(**{"transform": transform, hook: stepwise})())


def test_generator_with_yield_sends_each_value():
    sent = LinkDriver(kind(generator=stepwise)(output_topics="b")).generate()
    assert [electron.value for electron in sent] == [1, 2]


@pytest.mark.parametrize("function", [later, one_by_one, stepwise])
def test_functions_that_would_not_run_are_refused(function):
    link = kind(transform=transform)(output_topics="b")
    LinkDriver(link, now=0)
    for call in (
        link.loop,
        link.launch_thread,
        link.launch_process,
        link.submit,
        lambda it: link.send(1, callback=it),
        lambda it: link.table("rows", on_change=it),
    ):
        with pytest.raises(UsageError, match=function.__name__):
            call(function)


def hidden(function):
    """Decorate a function so that its kind cannot be seen before it is called."""
    return lambda *args: function(*args)


@pytest.mark.parametrize("function", [later, one_by_one, stepwise])
@pytest.mark.parametrize("hook", ["setup", "assigned", "revoked", "replayed", "finish", "prepare_batch", "generator"])
def test_call_of_a_hook_that_has_not_run_is_refused(hook, function):
    if hook == "generator" and function is stepwise:
        return

    def drive():
        functions = {"transform": transform, hook: hidden(function)}
        link = kind(replay=hook == "replayed", **functions)(input_topics="a", output_topics="b")
        driver = LinkDriver(link)
        driver.assign(("a", 0))
        driver.transform("x")
        driver.generate()
        driver.revoke(("a", 0))
        driver.finish()

    with pytest.raises(UsageError, match="has not run"):
        drive()


@pytest.mark.parametrize("function", [later, one_by_one, stepwise])
def test_call_of_a_function_that_has_not_run_is_refused(function):
    def with_callback(self, electron):
        return electron, function, self

    link = kind(transform=with_callback)(input_topics="a", output_topics="b")
    driver = LinkDriver(link, now=0)
    for call in (
        lambda: driver.transform("x"),
        lambda: link.submit(hidden(function), link),
        lambda: link.send(1, callback=hidden(function), callback_args=link),
        lambda: link.loop(hidden(function), link) and driver.advance(1),
    ):
        with pytest.raises(UsageError, match="has not run"):
            call()


def test_generator_that_returns_an_iterator_sends_each_value():
    driver = LinkDriver(kind(generator=lambda self: iter([1, 2]))(output_topics="b"))
    assert [electron.value for electron in driver.generate()] == [1, 2]


def test_init_that_does_not_call_that_of_link_is_refused():
    def init(self):
        self.count = 1

    link = kind(__init__=init, inputs=("a",), transform=transform)()
    assert link.input_topics == ("a",)
    with pytest.raises(UsageError, match=r"Shop.__init__ must call super\(\).__init__\(\)"):
        LinkDriver(link)
    with pytest.raises(UsageError, match="__init__"):
        link.start(embedded=True)


@pytest.mark.parametrize("name", ["bad topic!", "größe", ".", "..", "a" * 250, "a/b", "^(", "^[z-a]"])
def test_inputs_that_no_topic_can_have_are_refused(name):
    with pytest.raises(UsageError) as refused:
        kind(transform=transform)(input_topics=[name])
    assert name in str(refused.value)
    with pytest.raises(UsageError):
        kind(transform=transform)().add_input_topic(name)


def test_outputs_that_no_topic_can_have_are_refused():
    for name in ("bad topic!", "^out-.*"):
        with pytest.raises(UsageError, match="no name of a topic"):
            Link(output_topics=name)


def test_input_named_twice_is_read_once():
    assert kind(transform=transform)(input_topics="a,b,a").input_topics == ("a", "b")


def test_transform_with_yield_or_async_works_in_the_driver():
    async def later_value(self, electron):
        return electron.value

    async def later_values(self, electron):
        yield electron.value
        yield 2

    def values(self, electron):
        yield electron.value
        yield 2

    for transform, expected in ((later_value, ["x"]), (later_values, ["x", 2]), (values, ["x", 2])):
        sent = LinkDriver(kind(transform=transform)(input_topics="a", output_topics="b")).transform("x")
        assert [electron.value for electron in sent] == expected
