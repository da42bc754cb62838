"""Semi-joins over the default graph, whose triples may come from different nodes: fetched in rounds, narrow patterns first.

The terms that a round finds for a variable narrow the patterns that share it: nodes send only those matches of a pattern whose
terms were found (Bernstein and Chiu, "Using Semi-Joins to Solve Relational Queries", JACM 28(1), 1981). The rounds only find
these terms. The last subquery asks for everything, patterns that found them included, so that each node answers it all from one
state of its data. Should that state have another term, the query does not rely on the rounds.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import pyoxigraph

from federation.analysis.plan import DEFAULT_GRAPH, Pattern, PushedBGP, Walk
from federation.fetching.forms import quoted

MOST_TERMS = 1000
# Bytes in a form of 190,000, where a term stands once for each pattern that it narrows.
_MOST_SENT = 150_000
_MOST_ROUNDS = 4
_MOST_STEPS = 16
_REMEMBERED = 2000
_MARKED = re.compile(r"\0(\d+)\0")

Found = Mapping[int, Set[str]]
"""The terms that each variable of a pattern has in the matches of one node or all."""


class Narrowed(NamedTuple):
    """One pattern of a join, narrowed.

    Attributes:
        bgp: The pattern on its own.
        numbers: The numbers that its variables have in the join.
    """

    bgp: PushedBGP
    numbers: tuple[int, ...]


class WidePatterns:
    """Patterns that matched more than can narrow others. May be used by many threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[PushedBGP, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, bgp: PushedBGP) -> None:
        """Remember a pattern."""
        with self._lock:
            self._seen[bgp] = None
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def __contains__(self, bgp: PushedBGP) -> bool:
        return bgp in self._seen


@dataclass
class SemiJoin:
    """The progress of one join.

    Attributes:
        join: The patterns, joined in the default graph.
        wide: Patterns to begin with only when there are no others.
        room: The number of bytes that terms may take in a request.
    """

    join: PushedBGP
    wide: WidePatterns
    room: int = _MOST_SENT
    _asked: dict[int, tuple[Narrowed, Found]] = field(default_factory=dict)
    _known: dict[int, frozenset[str]] = field(default_factory=dict)
    _hopeless: set[int] = field(default_factory=set)
    _rounds: int = 0

    def next_round(self) -> dict[int, Narrowed]:
        """Return the patterns to find more terms with, by their place in the join; none when it is time for all of them."""
        left = [n for n in range(len(self.join.triples)) if n not in self._asked]
        if self._rounds == _MOST_ROUNDS:
            return {}
        self._rounds += 1
        chosen = {n: narrowed for n in left if self._is_narrow(narrowed := self._narrowed(n))}
        others = {number for n in left if n not in chosen for number in self._narrowed(n).numbers}
        return {n: narrowed for n, narrowed in chosen.items() if others & self._joined(narrowed)}

    def found(self, place: int, narrowed: Narrowed, found: Found) -> None:
        """Take in the terms that a pattern matched.

        Args:
            place: Its place in the join.
            narrowed: The pattern as it was requested.
            found: The terms of its variables.
        """
        self._asked[place] = narrowed, found
        for local, terms in found.items():
            number = narrowed.numbers[local]
            if number in self._hopeless or number not in self._joined(narrowed):
                continue
            iris = _iris(terms)
            iris &= self._known.get(number, iris)
            if any(term.startswith("_:") for term in terms):  # subqueries cannot name these
                self._give_up(number)
            elif len(iris) > MOST_TERMS or not self._has_room_for(number, iris):
                self.wide.add(narrowed.bgp)
            elif all(map(can_be_asked_for, iris)):
                self._known[number] = iris
            else:
                self._give_up(number)

    def all(self) -> list[Narrowed]:
        """Return all patterns, each as narrow as it can be; those that found terms as they did that."""
        return [self._asked[n][0] if n in self._asked else self._narrowed(n) for n in range(len(self.join.triples))]

    def finders(self) -> list[PushedBGP]:
        """Return the patterns that found terms, as they were requested."""
        return [narrowed.bgp for narrowed, _ in self._asked.values()]

    def holds(self, found: Mapping[PushedBGP, Found]) -> bool:
        """Return whether the patterns that found terms match no others by now.

        Args:
            found: The terms that they matched in the end.
        """
        return all(
            narrowed.bgp in found and _iris(found[narrowed.bgp].get(local, frozenset())) <= terms
            for narrowed, was in self._asked.values()
            for local, terms in was.items()
            if narrowed.numbers[local] in self._known
            or narrowed.numbers[local] in self._hopeless  # it may have narrowed some
        )

    def plainly(self) -> list[Pattern]:
        """Return the patterns as they are fetched without semi-joins."""
        return [
            Pattern(DEFAULT_GRAPH, *(None if term.startswith("?") else term for term in triple))
            for triple in self.join.triples
        ]

    def _has_room_for(self, number: int, terms: Set[str]) -> bool:
        """Return whether a request can name some terms of a variable, besides those of other variables."""
        known = {**self._known, number: terms}
        return self.room >= sum(
            _sent(iris)
            * sum(f"?{variable}" in triple for n, triple in enumerate(self.join.triples) if n not in self._asked)
            for variable, iris in known.items()
        )

    def _give_up(self, number: int) -> None:
        """Narrow nothing more by a variable."""
        self._hopeless.add(number)
        self._known.pop(number, None)

    def _is_narrow(self, narrowed: Narrowed) -> bool:
        bgp = narrowed.bgp
        (triple,) = bgp.triples
        values = {f"?{number}" for number, _ in bgp.values}
        ends = not triple[0].startswith("?") or not triple[2].startswith("?") or bool(values & {triple[0], triple[2]})
        return (ends or bool(bgp.filters)) and bgp not in self.wide

    def _joined(self, narrowed: Narrowed) -> set[int]:
        """Return the variables that a pattern shares with others, by number; none that could be a literal."""
        triples = self.join.triples
        return {
            number
            for number in narrowed.numbers
            if sum(f"?{number}" in triple for triple in triples) > 1
            and any(f"?{number}" in triple[:2] for triple in triples)
        }

    def _narrowed(self, place: int) -> Narrowed:
        triple = self.join.triples[place]
        numbers = tuple(dict.fromkeys(int(term[1:]) for term in triple if term.startswith("?")))
        local = {number: n for n, number in enumerate(numbers)}
        values = {local[number]: frozenset(terms) for number, terms in self.join.values if number in local}
        for number in numbers:
            if number in self._known:
                values[local[number]] = values.get(local[number], self._known[number]) & self._known[number]
        filters = tuple(
            _MARKED.sub(lambda found: f"\0{local[int(found[1])]}\0", pushed_filter)
            for pushed_filter in self.join.filters
            if all(int(number) in local for number in _MARKED.findall(pushed_filter))
        )
        terms = [f"?{local[int(term[1:])]}" if term.startswith("?") else term for term in triple]
        ordered = tuple((number, tuple(sorted(values[number]))) for number in sorted(values))
        return Narrowed(PushedBGP(self.join.graph, ((terms[0], terms[1], terms[2]),), ordered, filters), numbers)


class FollowedPath:
    """The progress of one path that is followed from a constant, a step in each round.

    Args:
        walk: The path.
        room: As in ``SemiJoin``.
    """

    def __init__(self, walk: Walk, room: int) -> None:
        self._walk = walk
        self._room = room
        self._reached = frozenset({walk.start})
        self._next = self._reached
        self._rounds = 0
        self._is_hopeless = False

    def next_round(self) -> dict[int, Narrowed]:
        """Return the patterns of the next steps; none at its end, or when it goes too far."""
        self._is_hopeless |= self._rounds == _MOST_STEPS and bool(self._next)
        if self._is_hopeless or not self._next:
            return {}
        self._rounds += 1
        asked, self._next = self._steps_from(self._next), frozenset()
        return dict(enumerate(asked))

    def found(self, place: int, narrowed: Narrowed, found: Found) -> None:
        """Take in the terms at the ends of a step; see :meth:`SemiJoin.found`."""
        ends = self._ends(narrowed, found)
        self._is_hopeless |= ends is None
        self._next |= (ends or frozenset()) - self._reached
        self._reached |= self._next
        self._is_hopeless |= len(self._reached) > MOST_TERMS or _sent(self._reached) > self._room

    def all(self) -> list[Narrowed]:
        """Return the patterns of all steps."""
        return self._steps_from(None if self._is_hopeless else self._reached)

    def finders(self) -> list[PushedBGP]:
        """Return the patterns that have to lead nowhere else in the end."""
        return [] if self._is_hopeless else [narrowed.bgp for narrowed in self.all()]

    def holds(self, found: Mapping[PushedBGP, Found]) -> bool:
        """Return whether the steps lead nowhere else by now; see :meth:`SemiJoin.holds`."""
        return self._is_hopeless or all(
            narrowed.bgp in found
            and (ends := self._ends(narrowed, found[narrowed.bgp])) is not None
            and ends <= self._reached
            for narrowed in self.all()
        )

    def plainly(self) -> list[Pattern]:
        """Return the patterns as they are fetched without following the path."""
        return [Pattern(self._walk.graph, None, term) for term in (*self._walk.forward, *self._walk.backward)]

    def _steps_from(self, terms: frozenset[str] | None) -> list[Narrowed]:
        """Return the patterns of the steps from some terms; ``None``: any."""
        ways = ((0, self._walk.forward), (2, self._walk.backward))
        return [
            Narrowed(
                PushedBGP(
                    self._walk.graph,
                    (("?0", "?1", "?2"),),
                    tuple(sorted(((1, predicates), *([] if terms is None else [(place, tuple(sorted(terms)))])))),
                ),
                (2 - place,),
            )
            for place, predicates in ways
            if predicates
        ]

    def _ends(self, narrowed: Narrowed, found: Found) -> frozenset[str] | None:
        """Return the terms to go on from; ``None`` where nodes cannot be asked for one of them."""
        (far,) = narrowed.numbers
        terms = found.get(far, frozenset())
        ends = _iris(terms)
        if len(ends) < len(terms) and (self._walk.backward or any(term.startswith("_:") for term in terms)):
            return None  # backwards, the path goes on from literals too
        return ends if all(map(can_be_asked_for, ends)) else None


class SemiJoins:
    """The semi-joins and followed paths of one query, fetched together.

    Args:
        joins: The patterns of each, joined in the default graph.
        wide: As in ``SemiJoin``.
        walks: As in ``Plan.walks``.
    """

    def __init__(self, joins: Iterable[PushedBGP], wide: WidePatterns, walks: Iterable[Walk] = ()) -> None:
        joins, walks = tuple(joins), tuple(walks)
        room = _MOST_SENT // max(len(joins) + len(walks), 1)
        self._joins: list[SemiJoin | FollowedPath] = [SemiJoin(join, wide, room) for join in joins]
        self._joins += [FollowedPath(walk, room) for walk in walks]
        self._asked: list[tuple[SemiJoin | FollowedPath, int, Narrowed]] = []

    def next_round(self) -> list[PushedBGP]:
        """Return the patterns to find more terms with; none when it is time to fetch all of them."""
        self._asked = [(join, n, narrowed) for join in self._joins for n, narrowed in join.next_round().items()]
        return [narrowed.bgp for _, _, narrowed in self._asked]

    def found(self, terms: Mapping[PushedBGP, Found]) -> None:
        """Take in the terms that the patterns of the last round matched, by pattern."""
        for join, n, narrowed in self._asked:
            join.found(n, narrowed, terms.get(narrowed.bgp, {}))

    def narrowed(self) -> list[PushedBGP]:
        """Return all patterns, each as narrow as it can be; those that found terms as they did that."""
        return [narrowed.bgp for join in self._joins for narrowed in join.all()]

    def finders(self) -> list[PushedBGP]:
        """Return the patterns that found terms, as they were requested."""
        return [bgp for join in self._joins for bgp in join.finders()]

    def hold(self, terms: Mapping[PushedBGP, Found]) -> bool:
        """Return whether the patterns that found terms match no others by now.

        Args:
            terms: The terms that they matched in the end.
        """
        return all(join.holds(terms) for join in self._joins)

    def patterns(self) -> list[Pattern]:
        """Return the patterns as they are fetched without semi-joins."""
        return [pattern for join in self._joins for pattern in join.plainly()]


def _iris(terms: Set[str]) -> frozenset[str]:
    return frozenset(term for term in terms if term.startswith("<"))


def _sent(terms: Iterable[str]) -> int:
    """Return the number of bytes that terms take in a form."""
    return len(quoted(" ".join(terms))) + 1


def can_be_asked_for(term: str) -> bool:
    """Return whether a term is a valid IRI: some servers hold invalid ones, which would break the syntax of a subquery."""
    try:
        return term.startswith("<") and bool(pyoxigraph.NamedNode(term[1:-1]))
    except ValueError:
        return False
