"""Trace context: the request or event that caused a message, handed on from link to link.

W3C Trace Context (https://www.w3.org/TR/trace-context/), in the headers ``traceparent`` and ``tracestate``. A link makes no
spans of its own; it gives each electron's outputs a parent of their own in the same trace, so that tools which do see them
joined.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from typing import NamedTuple

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_FORM = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
# The flags that have a meaning, sampled and random trace-id; all others must be sent as zero.
_KNOWN_FLAGS = 0b11
_SAMPLED = 0b01

# Apart from the module's own generator, which a link may seed; a forked process must not repeat its parent's identifiers.
_generator = random.Random()
os.register_at_fork(after_in_child=_generator.seed)


class TraceParent(NamedTuple):
    """One ``traceparent``.

    Attributes:
        trace_id: Names the whole trace: 32 hexadecimal digits in lower case, not all zero.
        parent_id: Names the step that sent this: 16 such digits, not all zero.
        flags: From 0 to 255; bit 0 says that the trace is recorded.
    """

    trace_id: str
    parent_id: str
    flags: int

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags:02x}"


def parse(text: str) -> TraceParent | None:
    """Read a ``traceparent``; one of a later version counts as far as this one goes.

    Returns:
        Its parts; ``None`` when it is malformed, and so to be ignored.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    if rest is not None and version == "00":
        return None
    return TraceParent(trace_id, parent_id, int(flags, 16))


def child(headers: Mapping[str, str], new: bool = False) -> dict[str, str] | None:
    """Make the trace headers of the outputs that a message causes.

    Args:
        headers: The message's own.
        new: Whether to start a trace, recorded, where the message has none.

    Returns:
        ``traceparent`` with the same trace-id and flags and a new parent-id, and ``tracestate`` as it came if it did;
        ``None`` when there is no trace.
    """
    text = headers.get(TRACEPARENT)
    parent = parse(text) if text is not None else None
    if parent is None:
        return {TRACEPARENT: str(TraceParent(_random(32), _random(16), _SAMPLED))} if new else None
    context = {TRACEPARENT: str(TraceParent(parent.trace_id, _random(16), parent.flags & _KNOWN_FLAGS))}
    state = headers.get(TRACESTATE)
    if state is not None:
        context[TRACESTATE] = state
    return context


def _random(digits: int) -> str:
    return f"{_generator.randrange(1, 16**digits):0{digits}x}"
