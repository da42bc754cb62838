"""The fixtures for tests of links, as a project that uses them sees them: one suite, on either broker."""

import textwrap

import pytest

pytest_plugins = "pytester"

LINKS = """
    import pytest
    from catena_core import Electron, Link, rpc
    from catena_core.errors import CatenaError, RejectedError, UsageError

    class Shout(Link):
        attempts = 1

        def transform(self, electron):
            if electron.value == "hush":
                raise RejectedError("too quiet")
            if electron.value == "break":
                raise UsageError("it is broken")
            return Electron(electron.key, electron.value.upper())
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Run a suite of its own."""
    monkeypatch.delenv("CATENA_TEST_KAFKA", raising=False)

    def run(tests, *options):
        pytester.makepyfile(textwrap.dedent(LINKS) + textwrap.dedent(tests))
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)

    return run


@pytest.mark.parametrize("on", ["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def test_a_suite_of_links_runs_on_both_brokers(suite, on, request):
    options = [] if on == "embedded" else ["--catena-kafka", request.getfixturevalue("kafka").bootstrap]
    result = suite(
        """
        def test_lines_become_loud(catena_broker, run_link):
            lines, loud = catena_broker.topic("lines"), catena_broker.topic("loud", partitions=1)
            link = run_link(Shout(input_topics=lines, output_topics=loud))
            catena_broker.produce(lines, [("a", "one"), "two", Electron("c", "three", partition=3)])
            arrived = catena_broker.consume(loud, 3)
            assert {(electron.key, electron.value) for electron in arrived} == {("a", "ONE"), (None, "TWO"), ("c", "THREE")}
            assert {(electron.previous_topic, electron.partition) for electron in arrived} == {(loud, 0)}
            assert link.consumer_group.startswith("Shout-")

        def test_each_call_goes_on_where_the_last_one_ended(catena_broker):
            topic = catena_broker.topic("numbers", partitions=1)
            catena_broker.produce(topic, [1, 2, 3])
            assert [electron.value for electron in catena_broker.consume(topic, 2)] == [1, 2]
            assert [electron.value for electron in catena_broker.consume(topic, 1)] == [3]
            assert catena_broker.consume(topic, 0, settle=0.2) == []

        def test_dead_letters_can_be_awaited_before_there_is_such_a_topic(catena_broker, run_link):
            lines, loud = catena_broker.topic("lines"), catena_broker.topic("loud")
            link = run_link(Shout(input_topics=lines, output_topics=loud))
            catena_broker.produce(lines, [("k", "hush")])
            (letter,) = catena_broker.consume(link.dead_letters, 1)
            assert (letter.value, letter.headers["error"]) == ("hush", "too quiet")

        def test_instances_of_one_test_share_the_work(catena_broker, run_link):
            lines, loud = catena_broker.topic("lines", partitions=2), catena_broker.topic("loud")
            first, second = (run_link(Shout(input_topics=lines, output_topics=loud)) for _ in range(2))
            assert first.consumer_group == second.consumer_group
            catena_broker.produce(lines, [(f"k{n}", "v") for n in range(100)])
            catena_broker.consume(loud, 100, settle=0.2)

        def test_links_that_read_nothing_are_run_too(catena_broker, run_link):
            class Source(Link):
                def setup(self, word):
                    self.word = word

                def generator(self):
                    self.send(self.word)
                    self.wait(60)

            words = catena_broker.topic("words")
            run_link(Source(output_topics=words), setup_kwargs={"word": "hey"})
            assert catena_broker.consume(words, 1)[0].value == "hey"

        def test_json_of_other_programs_is_read_and_written(catena_broker):
            topic = catena_broker.topic("rows")
            catena_broker.produce(topic, [("k", {"a": 1})], value_format="json")
            (row,) = catena_broker.consume(topic, 1, value_format="json")
            assert row.value == {"a": 1} and "content-type" not in row.headers
        """,
        *options,
    )
    result.assert_outcomes(passed=6)


def test_what_went_wrong_is_said(suite):
    result = suite(
        """
        def test_too_few(catena_broker):
            topic = catena_broker.topic("numbers", partitions=1)
            catena_broker.produce(topic, [("k", 1), ("k", 1), ("k", "x")])
            catena_broker.consume(topic, 5, timeout=4)

        def test_too_many(catena_broker):
            topic = catena_broker.topic("numbers", partitions=1)
            catena_broker.produce(topic, [1, 2])
            catena_broker.consume(topic, 1, settle=0.5)

        def test_a_link_that_fails_fails_the_test_at_once(catena_broker, run_link):
            lines, loud = catena_broker.topic("lines"), catena_broker.topic("loud")
            run_link(Shout(input_topics=lines, output_topics=loud))
            catena_broker.produce(lines, ["break"])
            catena_broker.consume(loud, 1, timeout=240)

        def test_a_link_that_fails_unseen_fails_the_test_at_its_end(catena_broker, run_link):
            lines = catena_broker.topic("lines")
            link = run_link(Shout(input_topics=lines))
            catena_broker.produce(lines, ["anything"])
            assert link.join(120)
        """
    )
    result.assert_outcomes(failed=3, errors=1, passed=1)
    output = result.stdout.str()
    assert "5 electrons expected, 3 arrived in 4 s:\n" in output
    assert "'k': 1 (2 times)" in output
    assert "'k': 'x'" in output
    assert "1 electrons expected, 2 arrived within 0.5 s after" in output
    assert "UsageError: it is broken" in output
    assert "UsageError: the link has no topic to send to; name one with -o TOPIC" in output


def test_a_failure_that_is_expected_can_be_waited_for(suite):
    result = suite(
        """
        def test_it_breaks(catena_broker, run_link):
            lines = catena_broker.topic("lines")
            link = run_link(Shout(input_topics=lines))
            catena_broker.produce(lines, ["break"])
            with pytest.raises(UsageError, match="it is broken"):
                run_link.wait(link)

        def test_a_link_that_cannot_be_set_up_says_why_where_it_is_started(catena_broker, run_link):
            class Unready(Shout):
                def setup(self):
                    raise UsageError("no key was given")

            with pytest.raises(UsageError, match="no key was given"):
                run_link(Unready(input_topics=catena_broker.topic("lines")))

        def test_one_without_partitions_says_what_to_look_for(catena_broker, run_link):
            lines = catena_broker.topic("lines", partitions=1)
            run_link(Shout(input_topics=lines))
            with pytest.raises(CatenaError, match=f"no partition of {lines} .* as many partitions as"):
                run_link(Shout(input_topics=lines), timeout=0.5)
        """
    )
    result.assert_outcomes(passed=3)


def test_a_link_that_does_not_stop_is_named_with_its_threads(pytester, monkeypatch):
    monkeypatch.delenv("CATENA_TEST_KAFKA", raising=False)
    pytester.makepyfile(
        """
        import threading
        from catena_core.testing import broker
        from catena_core import Link

        broker._STOP_TIMEOUT = 0.5

        class Stuck(Link):
            def finish(self):
                threading.Event().wait(120)

        def test_it(run_link):
            run_link(Stuck())
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([".*Stuck did not stop within 0.5 s", "(?s).*in finish"], consecutive=False)


def test_an_address_where_no_kafka_answers_says_what_to_do(pytester):
    pytester.makepyfile("def test_it(catena_broker): pass")
    pytester.makeconftest(
        "import functools; from catena_core.testing import broker as on\n"
        "on.ensure = functools.partial(on.ensure, patience=0.1)"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--catena-kafka", "127.0.0.1:1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no Kafka broker answers at 127.0.0.1:1*"])
