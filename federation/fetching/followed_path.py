"""Paths of any length that are followed from a constant."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

from federation.analysis.plan import Pattern, PushedBGP, Walk
from federation.fetching.subquery import sent
from federation.fetching.terms import can_be_asked_for, iris_in

MOST_TERMS = 1000
"""The number of terms by which a variable can be narrowed."""

_MOST_STEPS = 16

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
        self._is_hopeless |= len(self._reached) > MOST_TERMS or sent(self._reached) > self._room

    def guess(self) -> dict[int, Narrowed]:
        """Return the pattern of all steps within one graph; none where some lead backwards, for one step at a time."""
        walk = self._walk
        if walk.backward:
            return {}
        path = f"{walk.start} ({'|'.join(walk.forward)})*"
        return {0: Narrowed(PushedBGP(walk.graph, (("?0", "?1", "?2"),), ((1, walk.forward),), path=path), (2,))}

    def take(self, guesses: Mapping[int, Narrowed], terms: Mapping[PushedBGP, Found]) -> bool:
        """Take in what a guess has found in the place of steps; see :meth:`SemiJoin.take`."""
        found = terms.get(guesses[0].bgp) if guesses else None
        ends = None if found is None else self._ends(guesses[0], found)
        if ends is None:
            return False
        self._reached, self._next = self._reached | ends, frozenset()
        return len(self._reached) <= MOST_TERMS and sent(self._reached) <= self._room

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
        ends = iris_in(terms)
        if len(ends) < len(terms) and (self._walk.backward or any(term.startswith("_:") for term in terms)):
            return None  # backwards, the path goes on from literals too
        return ends if all(map(can_be_asked_for, ends)) else None
