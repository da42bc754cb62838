"""The gateway beside one store that holds everything, and beside Comunica, over the same catalogue nodes.

Run with ``make bench-federation``, or ``.venv/bin/python -m tests.bench.federation --help``. Three nodes hold sandbox
offerings, each on two of them; one more server of the same kind holds all, its default graph the union of all graphs. First
every answer of the gateway must equal that store's. Then all are asked the same queries by turns, over HTTP on kept-alive
connections, with other words and numbers in each repetition, so that no answer that was kept as a whole can serve again.
"""
