"""W3C Trace Context: https://www.w3.org/TR/trace-context/."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core.monitoring.tracing import TraceParent, child, parse

EXAMPLE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def identifiers(digits):
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


parents = st.builds(TraceParent, identifiers(32), identifiers(16), st.integers(0, 255))


@given(parents)
def test_what_is_written_is_read_back(parent):
    assert parse(str(parent)) == parent


@given(parents, st.text(max_size=600))
def test_a_child_stays_in_its_trace_and_has_a_parent_of_its_own(parent, state):
    context = child({"traceparent": str(parent), "tracestate": state, "other": "header"})
    assert context is not None
    own = parse(context["traceparent"])
    assert own is not None
    assert own.trace_id == parent.trace_id
    assert own.parent_id != parent.parent_id
    assert own.flags == parent.flags & 0b11  # the specification wants flags without a meaning sent as zero
    assert context["tracestate"] == state
    assert set(context) == {"traceparent", "tracestate"}


@given(parents, st.integers(1, 254), st.text(max_size=20))
def test_a_later_version_counts_as_far_as_this_one_goes(parent, version, more):
    text = f"{version:02x}" + str(parent)[2:]
    assert parse(text) == parent
    assert parse(f"{text}-{more}") == parent
    context = child({"traceparent": f"{text}-{more}"})
    assert context is not None and context["traceparent"].startswith(f"00-{parent.trace_id}-")


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE.upper(),
        EXAMPLE + "-",
        EXAMPLE + "-more",
        EXAMPLE + "\n",
        " " + EXAMPLE,
        EXAMPLE[:-1],
        "ff" + EXAMPLE[2:],
        "01" + EXAMPLE[2:] + "more",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        EXAMPLE.replace("-01", "-0x"),
        EXAMPLE.replace("4", "\u0664"),
    ],
)
def test_what_is_malformed_is_ignored_and_its_state_with_it(text):
    assert parse(text) is None
    assert child({"traceparent": text, "tracestate": "a=1"}) is None
    assert (child({"traceparent": text, "tracestate": "a=1"}, new=True) or {}).keys() == {"traceparent"}


@given(st.text() | st.text("0123456789abcdef-", min_size=50, max_size=60))
def test_whatever_a_stranger_sends_is_read_or_ignored(text):
    parent = parse(text)
    assert parent is None or re.fullmatch("[0-9a-f]{32}", parent.trace_id)


def test_without_a_trace_there_is_none_unless_one_is_started():
    assert child({}) is None
    assert child({"tracestate": "a=1"}) is None
    one, other = (parse((child({}, new=True) or {})["traceparent"]) for _ in range(2))
    assert one and other
    assert one.flags == 1
    assert one.trace_id != other.trace_id
