"""Triples in the default graph of a node: queries read named graphs only, so the operator has to hear of them."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import UnsafeError, WebClient, WebError

# The default graph of some servers is the union of their named graphs, which queries see; a few triples tell.
_QUERY = "ASK { { SELECT ?s ?p ?o { ?s ?p ?o } LIMIT 100 } FILTER NOT EXISTS { GRAPH ?g { ?s ?p ?o } } }"
_PROBLEM = "its default graph has triples, which queries do not see; put them into a named graph"


class _Answer(msgspec.Struct):
    boolean: bool


class DefaultGraphCheck:
    """Finds out whether a node has triples in its default graph, and logs it once.

    Args:
        name: The node's id.
        web: The HTTP client, whose time-out bounds the check.
        logger: Logs that there are such triples.

    Attributes:
        problem: What queries do not see; empty if there is nothing.
    """

    def __init__(self, name: str, web: WebClient, logger: LinkLogger) -> None:
        self.problem = ""
        self._name = name
        self._web = web
        self._logger = logger

    def check(self, sparql_url: str) -> None:
        """Ask the node; without a clear answer everything stays as it was.

        Args:
            sparql_url: Its endpoint for queries.
        """
        try:
            url = f"{sparql_url}{'&' if '?' in sparql_url else '?'}query={quote(_QUERY)}"
            response = self._web.request("GET", url, headers={"Accept": "application/sparql-results+json"})
            has_triples = msgspec.json.decode(response.body, type=_Answer).boolean
        except (WebError, UnsafeError, msgspec.MsgspecError, RecursionError):
            return
        if has_triples and not self.problem:
            self._logger.log(f"{self._name}: {_PROBLEM}", level="warning")
        self.problem = _PROBLEM if has_triples else ""
