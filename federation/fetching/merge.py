"""The merge of nodes' rows into one copy of each graph.

SPARQL 1.1 Results in TSV write terms nearly as N-Quads does. So columns of rows become columns of N-Quads. pyoxigraph's TSV
parser and its ``Quad``s take several times as long, JSON more.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import compress, count
from typing import NamedTuple

from federation.analysis.plan import PushedBGP
from federation.errors import BadAnswerError, TooLargeError, UnreadableQuadsError, UnreadableRowsError
from federation.evaluation.quads import read_quads
from federation.fetching.terms import in_full, iri, is_iri, is_name, is_plain, readable
from federation.source_selection import Source

_TO_DEFAULT, _TO_NAMED = 1, 2
_QUADS = PushedBGP("", (("?0", "?1", "?2"),))
# Stands for terms that do not count; no node can know it.
_HIDDEN = f"urn:x-catena:{secrets.token_hex(8)}:".encode()
# Bytes of a table to read at once: a list of short cells takes many times as much.
_PORTION = 256 * 1024
_WRITTEN_IN_FULL = (b"<", b'"', b"_", b"")


class MergedQuads:
    """The quads fetched for one query.

    Args:
        default_graphs: The graphs whose triples belong into the default graph; ``None``: all.
        named_graphs: The graphs that GRAPH can reach; ``None``: all.
        skolem: The prefix of IRIs that stand for blank nodes; these become blank nodes here.
        max_quads: The largest number of quads.
        watched: Basic graph patterns whose variables' terms are to be collected.

    Attributes:
        default: Triples of the default graph: N-Triples lines without the final dot.
        named: Quads of named graphs: N-Quads lines without the final dot.
        graphs: IRIs of named graphs that are known to exist.
        is_cut: Whether a node may have had more to send.
        terms: The terms of each variable of the watched patterns, as the nodes know them.
    """

    def __init__(
        self,
        default_graphs: frozenset[str] | None,
        named_graphs: frozenset[str] | None,
        skolem: str,
        max_quads: int,
        watched: Iterable[PushedBGP] = (),
    ) -> None:
        self._default_graphs = default_graphs
        self._named_graphs = named_graphs
        self._skolem = b"<" + skolem.encode()
        self._max_quads = max_quads
        self.default: list[bytes] = []
        self.named: list[bytes] = []
        self.graphs: set[str] = set()
        self.terms: dict[PushedBGP, dict[int, set[str]]] = {}
        self.is_cut = False
        self._watched = frozenset(watched)
        self._origins: list[tuple[Source, int, int]] = []
        self._numbers = count()

    def add(
        self,
        source: Source,
        number: int,
        body: bytes,
        counts: Callable[[str], bool],
        bgps: Mapping[bytes, PushedBGP] | None = None,
    ) -> None:
        """Merge the rows of the graphs that the query reads from a node.

        Args:
            source: The node.
            number: A number that no other answer has in this query.
            body: Its answer: TSV rows of ``Subquery.columns``.
            counts: Returns whether the query reads a graph from this answer.
            bgps: As in ``Subquery.bgps``.

        Raises:
            UnreadableRowsError: The rows are invalid.
            TooLargeError: The quads are too many.
        """
        try:
            places = _Places(self, counts)
            self._add(_Answer(places, number, b"_:" in body or self._skolem in body), body, bgps or {})
        except (ValueError, LookupError) as error:
            raise UnreadableRowsError(f"node {source.id} sends rows that are no quads: {error}", [source.id]) from error
        self._origins.append((source, len(self.default), len(self.named)))
        self._check_size()

    def _add(self, answer: _Answer, body: bytes, bgps: Mapping[bytes, PushedBGP]) -> None:
        """Add the rows that count, column by column: to look at each cell in Python would take several times as long."""
        alone = bgps.get(b"") if bgps else _QUADS
        for bgp in self._watched.intersection(bgps.values()):
            known = self.terms.setdefault(bgp, {})
            for variable in range(bgp.width):
                known.setdefault(variable, set())
        width = len(alone.shown) if alone else 1 + max(len(_QUADS.shown), *(bgp.width for bgp in bgps.values()))
        for columns in _portions(body, width + 1):
            if len(self) > 2 * self._max_quads:
                break
            flags = answer.places.of(columns[-1])
            if not all(flags):
                columns, flags = [list(compress(column, flags)) for column in columns], list(filter(None, flags))
            if alone:
                self._add_matches(alone, columns, flags, answer)
                continue
            for kind in set(columns[0]):
                rows = list(map(kind.__eq__, columns[0]))
                of_kind = [list(compress(column, rows)) for column in columns[1:]]
                self._add_matches(bgps[kind] if kind else _QUADS, of_kind, list(compress(flags, rows)), answer)

    def _add_matches(self, bgp: PushedBGP, columns: list[list[bytes]], flags: list[int], answer: _Answer) -> None:
        """Add the quads of some matches of a basic graph pattern, with a new term for each that is hidden.

        Args:
            bgp: The pattern.
            columns: The terms of each of its variables that is shown, perhaps empty columns, and the graphs.
            flags: The places of the graphs.
            answer: The answer that they are from.
        """
        *columns, graphs = columns
        if bgp is _QUADS and b"" in columns[0]:
            columns, graphs, flags = self._without_names(columns, graphs, flags)
        table = dict(zip(bgp.shown, columns, strict=False))
        if bgp in self._watched:
            for variable, column in table.items():
                terms = (term if term[:1] in _WRITTEN_IN_FULL else in_full(term) for term in set(column))
                self.terms[bgp][variable].update(term.decode() for term in terms)
        for variable in bgp.hidden:
            table[variable] = [b"<%b%d>" % (_HIDDEN, next(self._numbers)) for _ in graphs]
        if answer.places.odd:
            graphs = list(map(answer.places.odd.get, graphs, graphs))
        written: dict[tuple[str, int], list[bytes]] = {}
        for triple in bgp.triples:
            parts = []
            for place, term in enumerate(triple):
                key = (term, place)
                if key not in written:
                    column = table[int(term[1:])] if term.startswith("?") else [term.encode()] * len(graphs)
                    written[key] = self._written(column, place, answer, may_be_blank=not term.startswith("?"))
                parts.append(written[key])
            self._place(parts, graphs, flags, is_repeated=len(bgp.triples) > 1)

    def _place(self, parts: list[list[bytes]], graphs: list[bytes], flags: list[int], is_repeated: bool) -> None:
        """Add triples to the graphs that they belong into."""
        for wanted, lines, columns in (
            (_TO_DEFAULT, self.default, parts),
            (_TO_NAMED, self.named, [*parts, graphs]),
        ):
            chosen = list(map(wanted.__and__, flags))
            if not any(chosen):
                continue
            rows = zip(*columns, strict=True)
            found = map(b"\t".join, rows if all(chosen) else compress(rows, chosen))
            lines.extend(dict.fromkeys(found) if is_repeated else found)

    def _without_names(
        self, columns: list[list[bytes]], graphs: list[bytes], flags: list[int]
    ) -> tuple[list[list[bytes]], list[bytes], list[int]]:
        """Take out the rows that say that a graph exists."""
        is_quad = [any(cells) for cells in zip(*columns[:3], strict=True)]
        self.graphs.update(iri(graph) for graph, quad in zip(graphs, is_quad, strict=True) if not quad)
        kept = [list(compress(column, is_quad)) for column in columns]
        return kept, list(compress(graphs, is_quad)), list(compress(flags, is_quad))

    def _written(self, column: list[bytes], place: int, answer: _Answer, may_be_blank: bool = False) -> list[bytes]:
        """Write the terms of a column as N-Quads does.

        Args:
            column: The terms.
            place: The place of the terms in triples: 0, 1 or 2.
            answer: The answer that they are from.
            may_be_blank: Whether blank nodes may be among them although the answer has none.

        Raises:
            ValueError: One cannot stand there.
        """
        test = (is_name, is_iri, is_plain)[place]
        has_blank = place != 1 and (may_be_blank or answer.has_blank)
        changed = {}
        for term in set(column):
            is_right = test(term)
            if is_right and not (has_blank and (term[:2] == b"_:" or term.startswith(self._skolem))):
                continue
            if is_right:
                changed[term] = self._labelled(term, answer.number)
                continue
            written = readable(term, _unchanged) if place == 1 else self._readable(term, answer.number)
            if place != 2 and not test(written):
                raise ValueError(f"{term[:100]!r} is no {('subject', 'predicate')[place]}")
            changed[term] = written
        return list(map(changed.get, column, column)) if changed else column

    def _readable(self, term: bytes, number: int) -> bytes:
        if is_plain(term):
            return self._labelled(term, number)
        return readable(term, lambda inner: self._labelled(inner, number))

    def retain(self, subjects: Iterable[str]) -> None:
        """Drop the triples of the default graph about anything else, which a wider subquery brought along.

        Args:
            subjects: IRIs in angle brackets, as the nodes know them.
        """
        wanted = {self._labelled(subject.encode(), 0) for subject in subjects}
        left: list[bytes] = []
        origins, start = [], 0
        for source, end, named in self._origins:
            left += [line for line in self.default[start:end] if line[: line.find(b"\t")] in wanted]
            origins.append((source, len(left), named))
            start = end
        self.default, self._origins = left, origins

    def quads(self) -> bytes:
        """Return all quads as N-Quads, with labels that tell all blank nodes apart."""
        return _document([*self.default, *self.named])

    def check(self) -> None:
        """Find the node that sends invalid RDF.

        Raises:
            BadAnswerError: There is one.
        """
        starts = (0, 0)
        for source, *ends in self._origins:
            for lines, start, end in zip((self.default, self.named), starts, ends, strict=True):
                if problem := _unreadable(lines[start:end]):
                    raise BadAnswerError(f"node {source.id} sends what is no RDF: {problem}", [source.id])
            starts = (ends[0], ends[1])

    def blank_objects(self) -> Iterator[str]:
        """Yield the labels of the blank nodes that are objects in the default graph, without ``_:``."""
        for line in self.default:
            object_ = line[line.rfind(b"\t") + 1 :]
            if object_.startswith(b"_:"):
                yield object_[2:].decode()

    def place(self, name: str) -> int:
        """Return the places of a graph's rows, as flags; 0: none."""
        in_default = self._default_graphs is None or name in self._default_graphs
        is_named = self._named_graphs is None or name in self._named_graphs
        return _TO_DEFAULT * in_default + _TO_NAMED * is_named

    def __len__(self) -> int:
        return len(self.default) + len(self.named)

    def _check_size(self) -> None:
        if len(self.default) + len(self.named) > self._max_quads:
            raise TooLargeError(
                f"this query would have to look through more than {self._max_quads} triples; make its patterns narrower"
            )

    def _labelled(self, term: bytes, number: int) -> bytes:
        if term.startswith(self._skolem):
            return b"_:" + skolem_label(term[len(self._skolem) : -1])
        if term.startswith(b"_:"):
            return b"_:n%d_%b" % (number, term[2:])
        return term


def _portions(body: bytes, width: int) -> Iterator[list[list[bytes]]]:
    """Yield the columns of some rows, until all rows were among them.

    Args:
        body: Rows of cells with tabs between them; empty lines are none.
        width: The number of columns.

    Raises:
        ValueError: A row has another number of cells.
    """
    start = 0
    while start < len(body):
        end = body.rfind(b"\n", start, start + _PORTION) + 1 or body.find(b"\n", start) + 1 or len(body)
        rows, start = body[start:end].strip(b"\n"), end
        while b"\n\n" in rows:
            rows = rows.replace(b"\n\n", b"\n")
        if not rows:
            continue
        # A cell of its own for the end of each line tells whether all rows have the same number of cells.
        cells, ends = rows.replace(b"\n", b"\t\n\t").split(b"\t"), rows.count(b"\n")
        if len(cells) != (ends + 1) * (width + 1) - 1 or cells[width :: width + 1].count(b"\n") != ends:
            raise ValueError(f"a row has not {width} columns")
        yield [cells[column :: width + 1] for column in range(width)]


def _unchanged(term: bytes) -> bytes:
    return term


class _Places(dict[bytes, int]):
    """The places of each graph's rows, as flags, found once for each.

    Attributes:
        odd: For names that N-Quads does not allow: what to write in their place.
    """

    def __init__(self, rows: MergedQuads, counts: Callable[[str], bool]) -> None:
        super().__init__()
        self.odd: dict[bytes, bytes] = {}
        self._rows = rows
        self._counts = counts

    def of(self, graphs: list[bytes]) -> list[int]:
        """Return the places of some graphs' rows, as flags; 0: none."""
        new = list(set(graphs).difference(self))
        names = _names(new)
        counted = list(map(self._counts, names))
        places = [self._rows.place(name) if counts else 0 for name, counts in zip(names, counted, strict=True)]
        self.update(zip(new, places, strict=True))
        self.odd.update((graph, readable(graph, _unchanged)) for graph in compress(new, places) if not is_iri(graph))
        return list(map(self.__getitem__, graphs))


def _names(graphs: list[bytes]) -> list[str]:
    """Return the IRIs in some terms: those of many graphs are read at once."""
    text = b"".join(graphs).decode()
    names = text[1:-1].split("><")
    if (
        "\\" in text
        or len(names) != len(graphs)
        or not all(graph[:1] == b"<" and graph[-1:] == b">" for graph in graphs)
    ):
        return list(map(iri, graphs))
    return names


class _Answer(NamedTuple):
    """An answer of a node.

    Attributes:
        places: The places of its graphs.
        number: A number that no other answer has.
        has_blank: Whether blank nodes may be among its terms.
    """

    places: _Places
    number: int
    has_blank: bool


def _document(lines: list[bytes]) -> bytes:
    return b" .\n".join([*lines, b""])


def _unreadable(lines: list[bytes]) -> str:
    """Return the first error in lines of N-Quads; empty when there is none."""
    try:
        for _ in read_quads(_document(lines)):
            pass
    except UnreadableQuadsError as error:
        return str(error)
    return ""


def skolem_label(suffix: bytes) -> bytes:
    """Return the label of the blank node that an IRI stands for.

    Args:
        suffix: The IRI without the prefix of such IRIs.
    """
    if suffix.replace(b"/", b"").isalnum():
        return b"g" + suffix.replace(b"/", b"_2F")
    return b"g" + re.sub(rb"[^0-9A-Za-z]", lambda found: b"_%02X" % found[0][0], suffix)


def skolem_suffix(label: str) -> str | None:
    """Invert ``skolem_label``; ``None`` for any other label."""
    if not label.startswith("g"):
        return None
    suffix = re.sub(rb"_([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), label[1:].encode())
    return suffix.decode()
