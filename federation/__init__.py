"""SPARQL over replicated catalogue nodes, answered exactly as one store would.

A query depends on its dataset only through its patterns. So the engine fetches the quads that its patterns can match, each
named graph from one node only, into a fresh store, and evaluates the original text of the query there. ``docs/federation.md``
tells why that is exact.

A query goes through these modules in this order; each calls the next, and none calls back:

- ``protocol``: ``sparql``, the SPARQL 1.1 Protocol, with the ``parameters`` and ``bodies`` of requests, content
  ``negotiation``, ``etag``, ``problems`` and ``service_description``; ``explain`` explains an answer;
- ``engine``: prepares a query and answers it, within its ``budget`` and with a ``trace`` of its steps; ``errors`` names what
  can go wrong;
- ``analysis``: ``plan_cache`` and ``query_template`` analyse each kind of query once. In a worker, ``lexer``, ``services``
  and ``analyse`` make the ``plan``: ``patterns`` finds the quads that the query can match, ``bgp_pushdown`` and
  ``filter_pushdown`` the joins and filters for nodes, ``portable_terms`` the constants that all servers read alike;
  ``reasons`` gives the reasons;
- ``source_selection``: a snapshot of the node that each graph is read from;
- ``execution``: the query over one snapshot, with ``describe`` for DESCRIBE;
- ``caching``: ``result_cache`` holds whole answers;
- ``view``: ``view``, a store of every graph, which answers where it can; its ``process`` holds the ``store`` and forks
  evaluators, as ``template`` asks with its ``messages``;
- ``fetching``: ``semi_join`` narrows joins over the default graph, ``subquery`` writes the requests, ``hedging`` sends them
  to the ``endpoints`` without waiting for slow ones, ``staleness`` finds what moved meanwhile, ``merge`` makes one copy of
  each graph;
- ``evaluation``: a ``pool`` of worker processes that the server can end, which run ``process``, with their ``messages`` and
  ``quads``.

This package imports nothing itself: a worker process loads only the modules that it needs."""
