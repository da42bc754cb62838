"""SPARQL over replicated catalogue nodes, answered exactly as one store would.

A query sees data only through its patterns. So the quads that its patterns can match are pulled from the nodes, each named
graph from one node only, into a fresh store, and the original text of the query runs there. ``docs/federation.md`` tells why
that is exact. In the order in which a query passes them:

- ``protocol`` with ``forms``, ``bodies``, ``formats``: the SPARQL 1.1 Protocol over HTTP;
- ``engine``: the story of one query, with what it may use (``effort``) and what stands where (``sources``);
- ``shapes``: queries that differ in their words only are read once;
- ``tokens``, ``services``, ``analysis``, ``plan``: which servers the query calls, and what it can see; ``visible`` finds the
  patterns, ``blocks`` the joins and ``conditions`` the filters that are left to the nodes, and ``constants`` the terms that all
  of them know by the same name;
- ``results``: whole answers of earlier queries; ``keeping``, ``kept``, ``kept_store``: quads of earlier queries;
- ``attempt``: the query over one snapshot of the nodes; ``semi_joins``: joins over the default graph, in rounds;
- ``asking``, ``nodes``, ``request``: asking the nodes, without waiting for slow ones; ``rows``, ``terms``: keeping one copy of
  each graph;
- ``describe``: DESCRIBE, which sees data beyond its patterns;
- ``workers``, ``jobs``, ``worker``: processes that read and evaluate what strangers wrote, and can be ended;
- ``conditional``, ``errors``, ``problems``, ``service_description``: what HTTP is told;
- ``reasons``, ``explain``, ``query_layout``: why a query was answered in this way, and what was done for it.

Nothing is imported here: a worker process loads only what it needs.
"""
