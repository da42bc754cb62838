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
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from federation.analysis.plan import DEFAULT_GRAPH, Pattern, PushedBGP, Walk
from federation.fetching.followed_path import MOST_TERMS, FollowedPath, Found, Narrowed
from federation.fetching.subquery import sent
from federation.fetching.terms import can_be_asked_for, iris_in

# Bytes in a form of 190,000, where a term stands once for each pattern that it narrows.
_MOST_SENT = 150_000
_MOST_ROUNDS = 4
_REMEMBERED = 2000
_MARKED = re.compile(r"\0(\d+)\0")


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
            iris = iris_in(terms)
            iris &= self._known.get(number, iris)
            if any(term.startswith("_:") for term in terms):  # subqueries cannot name these
                self._give_up(number)
            elif len(iris) > MOST_TERMS or not self._has_room_for(number, iris):
                self.wide.add(narrowed.bgp)
            elif all(map(can_be_asked_for, iris)):
                self._known[number] = iris
            else:
                self._give_up(number)

    def guess(self) -> dict[int, Narrowed]:
        """Return patterns that find within one graph what all rounds may find, by the place of the last one of each."""
        rounds, trial = list[dict[int, Narrowed]](), SemiJoin(self.join, self.wide, self.room)
        while chosen := trial.next_round():
            rounds.append(chosen)
            for n, narrowed in chosen.items():
                terms = {local: {f"<urn:guess:{number}>"} for local, number in enumerate(narrowed.numbers)}
                trial.found(n, narrowed, terms)
        guesses: dict[int, Narrowed] = {}
        for chosen in rounds:
            before = list(guesses)
            guesses |= {n: self._together([*before, n]) for n in chosen}
        return guesses

    def take(self, guesses: Mapping[int, Narrowed], terms: Mapping[PushedBGP, Found]) -> bool:
        """Take in what guesses have found in the place of rounds; return whether they have found enough to go on.

        Args:
            guesses: As from :meth:`guess`.
            terms: The terms that they matched.
        """
        while chosen := self.next_round():
            for n, narrowed in chosen.items():
                if n not in guesses or guesses[n].bgp not in terms:
                    return False
                matched = {number: terms[guesses[n].bgp][local] for local, number in enumerate(guesses[n].numbers)}
                self.found(n, narrowed, {local: matched[number] for local, number in enumerate(narrowed.numbers)})
        return True

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
            narrowed.bgp in found and iris_in(found[narrowed.bgp].get(local, frozenset())) <= terms
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
            sent(iris)
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
        return self._part([place], self._known)

    def _together(self, places: Sequence[int]) -> Narrowed:
        """Return the pattern in the last of some places, joined with those in the others that hang together with it."""
        *others, last = places
        ends = {n: self._joined(self._part([n], {})) for n in places}
        joined, reached = [last], set(ends[last])
        while near := [n for n in others if n not in joined and reached & ends[n]]:
            joined += near
            reached.update(*(ends[n] for n in near))
        return self._part(sorted(joined), {})

    def _part(self, places: Sequence[int], known: Mapping[int, frozenset[str]]) -> Narrowed:
        """Return some patterns of the join, with the terms that are known of their variables."""
        triples = [self.join.triples[place] for place in places]
        numbers = tuple(dict.fromkeys(int(term[1:]) for triple in triples for term in triple if term.startswith("?")))
        local = {number: n for n, number in enumerate(numbers)}
        values = {local[number]: frozenset(terms) for number, terms in self.join.values if number in local}
        for number in numbers:
            if number in known:
                values[local[number]] = values.get(local[number], known[number]) & known[number]
        filters = tuple(
            _MARKED.sub(lambda found: f"\0{local[int(found[1])]}\0", pushed_filter)
            for pushed_filter in self.join.filters
            if all(int(number) in local for number in _MARKED.findall(pushed_filter))
        )
        renamed = (
            [f"?{local[int(term[1:])]}" if term.startswith("?") else term for term in triple] for triple in triples
        )
        ordered = tuple((number, tuple(sorted(values[number]))) for number in sorted(values))
        return Narrowed(PushedBGP(self.join.graph, tuple((s, p, o) for s, p, o in renamed), ordered, filters), numbers)


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
        self._wide = wide
        self._shapes = [_shape(join) for join in joins]
        self._shapes += [PushedBGP(walk.graph, (), ((0, walk.forward), (1, walk.backward))) for walk in walks]
        self._guesses: list[dict[int, Narrowed]] = []
        self._asked: list[tuple[SemiJoin | FollowedPath, int, Narrowed]] = []

    def guesses(self) -> list[PushedBGP]:
        """Return patterns that find at once, within single graphs, what several rounds may find; none where rounds are better.

        Mostly all that hangs together stands in one graph. Where it did not, the next query of that shape does not guess.
        """
        if any(shape in self._wide for shape in self._shapes):
            return []
        self._guesses = [join.guess() for join in self._joins]
        needs_rounds = any(
            len(found.bgp.triples) > 1 or found.bgp.path for one in self._guesses for found in one.values()
        )
        can_guess = all(one or isinstance(join, SemiJoin) for one, join in zip(self._guesses, self._joins, strict=True))
        return [found.bgp for one in self._guesses for found in one.values()] if needs_rounds and can_guess else []

    def take(self, terms: Mapping[PushedBGP, Found]) -> bool:
        """Take in what the guesses have matched, by pattern; return whether they have found enough to go on."""
        return all(join.take(one, terms) for join, one in zip(self._joins, self._guesses, strict=True))

    def guessed_wrong(self) -> None:
        """Remember that the guesses were not all that there is."""
        for shape in self._shapes:
            self._wide.add(shape)

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


def _shape(join: PushedBGP) -> PushedBGP:
    """Return what joins have in common that differ in subjects, objects and conditions only."""
    ends = [[term if term.startswith("?") else "" for term in (s, o)] for s, _, o in join.triples]
    return PushedBGP(join.graph, tuple((s, p, o) for (s, o), (_, p, _) in zip(ends, join.triples, strict=True)))
