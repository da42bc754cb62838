"""The plans of queries, each read once."""

from __future__ import annotations

import threading
from collections import OrderedDict

from federation.analysis.plan import Plan
from federation.analysis.query_template import shape_of, with_words
from federation.budget import Budget
from federation.errors import QuerySyntaxError, TooLargeError
from federation.evaluation.pool import Workers

_PLANS_KEPT = 1000
_MOST_TEXT = 1024 * 1024
_MOST_TEXT_KEPT = 32 * 1024


class Plans:
    """Plans by the text of queries, and by what is left of it without its words. May be used by many threads.

    Args:
        workers: Read queries.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._kept: OrderedDict[str, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, text: str, budget: Budget) -> Plan:
        """What a query can see.

        Args:
            text: The query.
            budget: What it may use.

        Raises:
            QuerySyntaxError: It is no SPARQL 1.1 query.
            QueryRefusedError: It is not one to answer.
            QueryTimeoutError: No time was left to read it.
        """
        if len(text) > _MOST_TEXT:
            raise TooLargeError(f"the query has {len(text)} characters, more than {_MOST_TEXT}")
        if (plan := self._look_up(text)) is not None:
            return plan
        shape = shape_of(text)
        plan = self._look_up(shape.text) if shape.text != text else None
        if plan is None:
            try:
                plan = self._workers.analyse(shape.text, budget)
            except QuerySyntaxError:
                if shape.text == text:
                    raise
                return self._workers.analyse(text, budget)  # which tells the right place
            self._keep(shape.text, plan)
        plan = with_words(plan, shape.words)
        self._keep(text, plan)
        return plan

    def _look_up(self, text: str) -> Plan | None:
        with self._lock:
            if text not in self._kept:
                return None
            self._kept.move_to_end(text)
            return self._kept[text]

    def _keep(self, text: str, plan: Plan) -> None:
        if len(text) > _MOST_TEXT_KEPT:
            return
        with self._lock:
            self._kept[text] = plan
            while len(self._kept) > _PLANS_KEPT:
                self._kept.popitem(last=False)
