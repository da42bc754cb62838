"""A cache of plans, so that workers analyse each query once."""

from __future__ import annotations

import threading
from collections import OrderedDict

from federation.analysis.plan import Plan
from federation.analysis.query_template import template_of, with_parameters
from federation.budget import Budget
from federation.errors import QuerySyntaxError, TooLargeError
from federation.evaluation.pool import WorkerPool

_MAX_PLANS = 1000
_MAX_TEXT = 1024 * 1024
_MAX_CACHED_TEXT = 32 * 1024


class PlanCache:
    """Caches plans by the text of queries and of their templates. May be used by many threads.

    Args:
        workers: Analyse queries.
    """

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def plan(self, text: str, budget: Budget) -> Plan:
        """Return the plan of a query.

        Args:
            text: The query.
            budget: The query's budget.

        Raises:
            QuerySyntaxError: The text is not a SPARQL 1.1 query.
            QueryRefusedError: The query is not one to answer.
            QueryTimeoutError: No time was left to analyse it.
        """
        if len(text) > _MAX_TEXT:
            raise TooLargeError(f"the query has {len(text)} characters, more than {_MAX_TEXT}")
        if len(text) > _MAX_CACHED_TEXT:
            return self._workers.analyse(text, budget)
        if (plan := self._look_up(text)) is not None:
            return plan
        template = template_of(text)
        plan = self._look_up(template.text) if template.text != text else None
        if plan is None:
            try:
                plan = self._workers.analyse(template.text, budget)
            except QuerySyntaxError:
                if template.text == text:
                    raise
                return self._workers.analyse(text, budget)  # for the right place in the error
            self._store(template.text, plan)
        plan = with_parameters(plan, template.parameters)
        self._store(text, plan)
        return plan

    def _look_up(self, text: str) -> Plan | None:
        with self._lock:
            if text not in self._plans:
                return None
            self._plans.move_to_end(text)
            return self._plans[text]

    def _store(self, text: str, plan: Plan) -> None:
        with self._lock:
            self._plans[text] = plan
            while len(self._plans) > _MAX_PLANS:
                self._plans.popitem(last=False)
