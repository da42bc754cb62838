"""Discovery of a node's endpoints, by asking it.

SEDIMARK catalogues, Fuseki, Oxigraph, RDF4J and others speak the same protocols at different paths. The list of nodes may name
further ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import pyoxigraph as ox

from catena_core.text import bounded
from topology.clients.http import Response, UnsafeError, WebClient
from topology.clients.node import NodeClient, ask_anything, is_boolean, with_parameter
from topology.clients.node_status import FailedError, check_trouble
from topology.records import Endpoints, NodeProtocol

# The paths of SEDIMARK catalogues and Fuseki, of Oxigraph, of RDF4J repositories, of Virtuoso, and of Neptune.
_SPARQL = ("/sparql", "/query", "")
_GRAPH_STORES = ("/data", "/store", "/rdf-graphs/service", "/sparql-graph-crud", "/sparql/gsp/")
_UPDATES = ("/update", "/statements")
_GRAPH_FORMATS = {"Accept": "application/n-triples, text/turtle;q=0.5"}


_Probe = Callable[[WebClient, str], Response | None]
"""Returns nothing if an address is what it is asked for, else its answer."""


class UndetectedError(FailedError):
    """A node answers, but at none of the known paths as it should; the message names them."""


class Discovery(NamedTuple):
    """The ways to read from a node and to write to it.

    Attributes:
        protocol: The protocol for whole graphs.
        endpoints: Its endpoints.
    """

    protocol: NodeProtocol
    endpoints: Endpoints


def discover(
    url: str,
    web: WebClient,
    given: Endpoints = Endpoints(),  # noqa: B008 (it is frozen)
    protocol: NodeProtocol | Literal["auto"] | None = "auto",
) -> Discovery:
    """Find a node's endpoints.

    Args:
        url: The node's address.
        web: The HTTP client.
        given: Endpoints that are known; they are only checked.
        protocol: The protocol for whole graphs, ``auto`` to ask for it; ``None`` looks for the endpoint of queries alone.

    Raises:
        UndetectedError: The node takes no queries at the known paths, or no writes.
        FailedError: The node answers with an error of its own, which leaves its protocols open.
        WebError: The node does not answer.
    """
    url = url.rstrip("/")
    sparql = _first(web, "takes SPARQL queries", '"sparql"', _candidates(url, given.sparql, _SPARQL), _ask)
    if protocol is None:
        return Discovery("graph-store", Endpoints(sparql))
    if protocol == "auto":
        protocol = "graph-store" if given.graph_store else NodeClient(url, web).detect_protocol()
    update = _find(web, _candidates(url, given.update, _UPDATES), _update)[0]
    if given.update and not update:
        raise UndetectedError(f'{given.update} takes no SPARQL updates; correct "update" in the list of nodes')
    if protocol == "sedimark":
        return Discovery(protocol, Endpoints(sparql, given.graph_store, update))
    stores = _candidates(url, given.graph_store, _GRAPH_STORES)
    graph_store = _find(web, stores, _read_default)[0] or _find(web, stores, _put_nothing)[0]
    if given.graph_store and not graph_store:
        _first(web, "takes graphs", '"graph_store"', stores, _put_nothing)
    # Last, since servers with an address of their own for updates may fail on one here.
    if not graph_store and not update and _is_update_as_well(web, sparql):
        update = sparql
    if not graph_store and not update:
        _first(
            web, "takes graphs", '"graph_store", or one that takes SPARQL updates as "update",', stores, _put_nothing
        )
    return Discovery(protocol, Endpoints(sparql, graph_store, update))


def _candidates(url: str, given: str, paths: Sequence[str]) -> list[str]:
    return [given] if given else [url + path for path in paths]


def _first(web: WebClient, does: str, key: str, candidates: Sequence[str], probe: _Probe) -> str:
    found, answers = _find(web, candidates, probe)
    if not found:
        advice = f"name the right one as {key} in the list of nodes"
        if any(answer.endswith(("status 401)", "status 403)")) for answer in answers):
            advice += ", or give its user and password in NODE_CREDENTIALS"
        raise UndetectedError(f"none of these paths {does}: {', '.join(answers)}; {advice}")
    return found


def _find(web: WebClient, candidates: Sequence[str], probe: _Probe) -> tuple[str, list[str]]:
    """Return the first address that passes a probe, or nothing, with the answers of those before."""
    answers: list[str] = []
    for candidate in candidates:
        response = probe(web, candidate)
        if response is None:
            return candidate, answers
        check_trouble(response)
        kind = response.headers.get("content-type", "").split(";")[0] if response.status == 200 else ""
        answers.append(f"{candidate} ({f'{bounded(kind, 40)}, ' if kind else ''}status {response.status})")
    return "", answers


def _ask(web: WebClient, url: str) -> Response | None:
    response = ask_anything(web, url)
    return None if is_boolean(response) else response


def _read_default(web: WebClient, url: str) -> Response | None:
    """Read the default graph, which every graph store has."""
    try:
        response = web.request("GET", f"{url}{'&' if '?' in url else '?'}default", headers=_GRAPH_FORMATS)
    except UnsafeError:  # it is larger than any answer that is read, so it is there
        return None
    media_type = response.headers.get("content-type", "").split(";")[0].strip()
    is_graph = response.status == 204 or (
        response.status == 200 and ox.RdfFormat.from_media_type(media_type) is not None
    )
    return None if is_graph else response


def _put_nothing(web: WebClient, url: str) -> Response | None:
    """Put an empty graph under a new name and delete it: some servers say of an empty default graph that there is none."""
    graph = with_parameter(url, "graph", f"urn:uuid:{uuid.uuid4()}")
    response = web.request("PUT", graph, headers={"Content-Type": "application/n-triples"}, body=b"")
    if response.status >= 300:
        return response
    web.request("DELETE", graph)
    return None


def _update(web: WebClient, url: str, text: bytes = b"INSERT DATA {}") -> Response | None:
    """Insert nothing."""
    headers = {"Content-Type": "application/sparql-update"}
    response = web.request("POST", url, headers=headers, body=text)
    return None if response.status < 300 else response


def _is_update_as_well(web: WebClient, url: str) -> bool:
    """Tell whether an address of queries takes updates, as Blazegraph's does, and not just any request."""
    return _update(web, url) is None and _update(web, url, b"no update") is not None
