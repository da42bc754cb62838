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
    for call in (link.loop, link.launch_thread, link.submit, lambda it: link.send(1, callback=it)):
        with pytest.raises(UsageError, match=function.__name__):
            call(function)


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
