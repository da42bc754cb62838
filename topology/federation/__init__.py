"""SPARQL over replicated catalogue nodes, answered exactly as one store would.

A query sees data only through its patterns. So the quads that its patterns can match are pulled from the nodes, each named
graph from one node only, into a fresh store, and the original text of the query runs there. In the order in which a query
passes them:

- ``protocol``, ``forms``, ``formats``: the SPARQL 1.1 Protocol over HTTP;
- ``engine``: the story of one query;
- ``tokens``, ``analysis``, ``plan``: what the query can see;
- ``sources``, ``request``, ``nodes``, ``rows``: asking the nodes, and keeping one copy of each graph;
- ``describe``: DESCRIBE, which sees data beyond its patterns;
- ``worker``, ``workers``: processes that read and evaluate what strangers wrote, and can be ended.

Nothing is imported here: a worker process loads only what it needs.
"""
