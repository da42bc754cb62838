"""SPARQL over replicated catalogue nodes, answered exactly as one store would.

A query sees data only through its patterns. So the quads that its patterns can match are pulled from the nodes, each named
graph from one node only, into a fresh store, and the original text of the query runs there. ``docs/federation.md`` tells why
that is exact. In the order in which a query passes them:

- ``http``: ``protocol`` with ``forms``, ``bodies``, ``formats``: the SPARQL 1.1 Protocol; ``conditional``, ``problems``,
  ``service_description``: what else HTTP is told; ``explain``, ``query_layout``: what was done for a query;
- ``engine``: the story of one query, with what it may use (``budget``), what stands where (``sources``), and what can go wrong
  (``errors``);
- ``plans``: each query is read once; ``reading``: ``shapes``: those that differ in their words only are as well;
  ``tokens``, ``services``, ``analysis``, ``plan``: which servers the query calls, and what it can see; ``visible`` finds the
  patterns, ``blocks`` the joins and ``conditions`` the filters that are left to the nodes, ``constants`` the terms that all of
  them know by the same name; ``reasons``: why so;
- ``keeping``: ``results``: whole answers of earlier queries; ``keeping``, ``kept``: quads of earlier queries;
- ``attempt``: the query over one snapshot of the nodes; ``describe``: DESCRIBE, which sees data beyond its patterns;
- ``pulling``: ``semi_joins``: joins over the default graph, in rounds; ``requests``, ``nodes``, ``request``: asking the nodes,
  without waiting for slow ones; ``rows``, ``terms``: keeping one copy of each graph;
- ``evaluating``: ``workers``, ``jobs``, ``worker``, ``kept_store``: processes that read and evaluate what strangers wrote, and
  can be ended.

Nothing is imported here: a worker process loads only what it needs.
"""
