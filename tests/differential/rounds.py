"""How many random queries are asked: a few hundred of each kind, always the same, or as many fresh ones as one likes.

CATENA_DIFFERENTIAL_EXAMPLES=5000 python -m pytest tests/differential/test_random.py
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = int(os.environ.get("CATENA_DIFFERENTIAL_EXAMPLES", "0"))
TIMEOUT = 0 if LONG else 900
"""Seconds for one test; 0: no end."""

rounds = settings(
    max_examples=LONG or 100,
    derandomize=not LONG,
    database=None,
    deadline=None,
    print_blob=bool(LONG),
    suppress_health_check=list(HealthCheck),
)
"""The settings of a test that asks random queries."""

few_rounds = settings(rounds, max_examples=LONG or 25)
"""The same for a test of which each round takes long."""
