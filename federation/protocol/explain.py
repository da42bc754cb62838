"""Explanations of answers, for people and for programs.

An :class:`Explanation` is a dictionary that can be written as JSON; :func:`as_text` makes it readable on a terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

from catena_core.text import printable
from federation.trace import PULL, PUSH_DOWN, VIEW

if TYPE_CHECKING:  # a client shows explanations of a gateway without loading the engine
    from federation.engine import Answer
    from federation.trace import Step

_TIERS = {
    PUSH_DOWN: "the patterns are joined and filtered at the nodes, and what they find is put together here (push-down)",
    PULL: "the triples that the patterns can match are pulled from the nodes, and the query runs here over one copy of each",
    VIEW: "the query runs here over the view, the gateway's own store of every graph",
}
_STEPS = {
    "ask": "a node answers a query",
    "sift": "of its rows, one copy of each graph is taken",
    "evaluate": "the query runs here",
}
_MOST_STEPS = 60
_MOST_QUERIES = 12
_MAX_CHARACTERS = 4000
_NARROWEST_NODE = 12
_WIDEST_WORD = 16
_LONGEST_REASON = 1000
# Columns of the table of steps: the one that shrinks where there is no room, and those that hold words.
_NODE = 2
_WORDS = (1, _NODE, 3)


class ExplainedStep(TypedDict):
    """One step.

    Attributes:
        what: ``ask``, ``sift``, ``evaluate``, or another word of the engine's.
        node: The node's id; ``None`` for steps of the gateway.
        query: The exact query that the node or the gateway evaluated; ``None`` where there was none.
        rows: The number of rows; ``None`` where nothing is counted.
        bytes: The number of bytes that came or went in.
        milliseconds: How long it took.
    """

    what: str
    node: str | None
    query: str | None
    rows: int | None
    bytes: int
    milliseconds: float


class Totals(TypedDict):
    """The cost of a query.

    Attributes:
        seconds: From the query to its answer; ``None`` where that was not measured.
        work_seconds: The sum of all steps. Simultaneous steps count each.
        requests: The number of queries that the nodes answered.
        rows: The number of rows that the nodes sent; ``None`` where nothing is counted.
        bytes_pulled: Bytes that the nodes sent, decompressed.
        bytes_of_result: Bytes of the answer.
    """

    seconds: float | None
    work_seconds: float
    requests: int
    rows: int | None
    bytes_pulled: int
    bytes_of_result: int


class Explanation(TypedDict):
    """The explanation of an answer.

    Attributes:
        form: ``SELECT``, ``ASK``, ``CONSTRUCT`` or ``DESCRIBE``.
        tier: ``A``, ``B`` or ``view``.
        meaning: The tier in words.
        reasons: The reasons for the tier.
        completeness: ``complete``, or ``partial`` when graphs may be missing.
        missing: Ids of the nodes whose graphs may be missing.
        cached: Whether the whole result was cached, so that this request took no further steps.
        content_type: The media type of the result.
        totals: The cost.
        steps: The steps, in the order in which they ended.
    """

    form: str
    tier: str
    meaning: str
    reasons: list[str]
    completeness: str
    missing: list[str]
    cached: bool
    content_type: str
    totals: Totals
    steps: list[ExplainedStep]


def explanation(answer: Answer, seconds: float | None = None, content_type: str = "") -> Explanation:
    """Explain an answer.

    Args:
        answer: The engine's answer.
        seconds: How long it took, where that was measured.
        content_type: The media type that the client would get; empty: the engine's name for it.
    """
    steps = list(answer.steps)  # a copy: late answers of nodes still add theirs
    sent = [step for step in steps if step.source and step.text]
    rows = [step.rows for step in sent if step.rows >= 0]
    return Explanation(
        form=answer.plan.form,
        tier=answer.tier,
        meaning=_TIERS.get(answer.tier, ""),
        reasons=list(answer.reasons),
        completeness="partial" if answer.missing else "complete",
        missing=list(answer.missing),
        cached=answer.cached,
        content_type=content_type or answer.media_type,
        totals=Totals(
            seconds=None if seconds is None else round(seconds, 6),
            work_seconds=round(sum(step.seconds for step in steps), 6),
            requests=len(sent),
            rows=sum(rows) if rows or not sent else None,
            bytes_pulled=sum(step.size for step in sent),
            bytes_of_result=len(answer.body),
        ),
        steps=[_explained(step) for step in steps],
    )


def _explained(step: Step) -> ExplainedStep:
    return ExplainedStep(
        what=step.what,
        node=step.source or None,
        query=step.text or None,
        rows=step.rows if step.rows >= 0 else None,
        bytes=step.size,
        milliseconds=round(step.seconds * 1000, 3),
    )


def as_text(explanation: Explanation, width: int = 100) -> str:
    """Write an explanation for a terminal.

    Args:
        explanation: The explanation.
        width: The characters of a line; queries may be longer.

    Returns:
        Lines, the last one ended, without characters that a terminal obeys.
    """
    width = max(width, 60)
    queries = _Queries(explanation["steps"])
    lines = [line for text in _header(explanation) for line in _wrapped(text, width)]
    if explanation["reasons"]:
        lines += ["", "Why"]
        for reason in explanation["reasons"]:
            lines += _wrapped(_sentence(reason[:_LONGEST_REASON]), width, "  - ", "    ")
    whose = " of that earlier request" if explanation["cached"] and explanation["steps"] else ""
    lines += ["", f"Steps{whose}, in the order in which they ended", *_table(explanation["steps"], queries, width)]
    lines += _legend(explanation["steps"], width)
    if queries.nodes:
        lines += ["", "Sent to the nodes", *queries.lines(width)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _header(explanation: Explanation) -> list[str]:
    """Write the answer in a line, the meaning of its tier, and its cost."""
    tier, meaning, missing = explanation["tier"], explanation["meaning"], explanation["missing"]
    how = f"tier {tier}" + (", kept as a whole from an earlier request" if explanation["cached"] else "")
    whole = explanation["completeness"]
    if whole != "complete":
        whole += f": graphs of {', '.join(missing) or 'some nodes'} may be missing"
    means = [f"Tier {tier}: {meaning}."] if meaning else []
    return [f"{explanation['form']}, {how}, {whole}", *means, _cost(explanation)]


def _cost(explanation: Explanation) -> str:
    totals = explanation["totals"]
    if totals["seconds"] is not None:
        took = f"{totals['seconds'] * 1000:,.1f} ms; "
    elif totals["work_seconds"]:
        took = f"{totals['work_seconds'] * 1000:,.1f} ms of work, what was done side by side counted each; "
    else:
        took = ""
    requests = totals["requests"]
    rows = "" if totals["rows"] is None else f"{_counted(totals['rows'], 'row')}, "
    pulled = f"{rows}{_counted(totals['bytes_pulled'], 'byte')} pulled in {_counted(requests, 'request')}"
    pulled = pulled if requests else "no node was asked"
    result = f"{_counted(totals['bytes_of_result'], 'byte')} of {explanation['content_type']}"
    return f"Cost: {took}{pulled}; the result has {result}."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def _wrapped(text: str, width: int, first: str = "", then: str = "") -> list[str]:
    return textwrap.wrap(
        printable(" ".join(text.split())),
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_on_hyphens=False,
    )


class _Queries:
    """The distinct queries that the nodes answered, numbered.

    Args:
        steps: The steps.

    Attributes:
        nodes: The nodes that answered each.
    """

    def __init__(self, steps: Iterable[ExplainedStep]) -> None:
        self.nodes: dict[str, list[str]] = {}
        for step in steps:
            if step["node"] and step["query"]:
                self.nodes.setdefault(step["query"], []).append(step["node"])
        self._numbers = {query: f"[{number}]" for number, query in enumerate(self.nodes, 1)}

    def number(self, step: ExplainedStep) -> str:
        """Return the name of a step's query; empty where no node got one."""
        return self._numbers[step["query"]] if step["node"] and step["query"] else ""

    def lines(self, width: int) -> list[str]:
        """Write each query, and the nodes that got it."""
        lines: list[str] = []
        for query, nodes in list(self.nodes.items())[:_MOST_QUERIES]:
            head = f"  {self._numbers[query]} "
            lines += _wrapped(f"to {', '.join(sorted(set(nodes)))}", width, head, " " * len(head))
            lines += [f"      {printable(line)}" for line in query[:_MAX_CHARACTERS].split("\n")]
            if len(query) > _MAX_CHARACTERS:
                left_out = len(query) - _MAX_CHARACTERS
                lines.append(f"      … {left_out:,} more characters; the explanation in JSON has them all")
        if len(self.nodes) > _MOST_QUERIES:
            lines.append(f"  … {len(self.nodes) - _MOST_QUERIES} more queries; the explanation in JSON has them all")
        return lines


def _table(steps: Sequence[ExplainedStep], queries: _Queries, width: int) -> list[str]:
    if not steps:
        return ["  none"]
    rows = [["", "what", "node", "query", "rows", "bytes", "ms"]]
    for number, step in enumerate(steps[:_MOST_STEPS], 1):
        rows.append(
            [
                str(number),
                _middle_cut(printable(step["what"]), _WIDEST_WORD),
                printable(step["node"] or "here"),
                queries.number(step),
                "" if step["rows"] is None else f"{step['rows']:,}",
                f"{step['bytes']:,}",
                f"{step['milliseconds']:,.1f}",
            ]
        )
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    widths[_NODE] = min(widths[_NODE], max(width - sum(widths) + widths[_NODE], _NARROWEST_NODE))
    lines = []
    for row in rows:
        row[_NODE] = _middle_cut(row[_NODE], widths[_NODE] - 2)
        cells = zip(row, widths, strict=True)
        lines.append(
            "".join(
                f"  {cell:<{size - 2}}" if place in _WORDS else f"{cell:>{size}}"
                for place, (cell, size) in enumerate(cells)
            )
        )
    if len(steps) > _MOST_STEPS:
        lines.append(f"  … {len(steps) - _MOST_STEPS} more steps; the explanation in JSON has them all")
    return lines


def _middle_cut(text: str, most: int) -> str:
    """Shorten a name, but keep its two ends, which tell it from others."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def _legend(steps: Iterable[ExplainedStep], width: int) -> list[str]:
    words = {step["what"]: _STEPS[step["what"]] for step in steps if step["what"] in _STEPS}
    return _wrapped("; ".join(f"{word}: {meaning}" for word, meaning in words.items()), width, "  ", "  ")
