"""The command line that all contenders share: that of a link, and what they are run for."""

from __future__ import annotations

import argparse


class Arguments(argparse.Namespace):
    """What a contender is told.

    Attributes:
        endpoint: Kafka's ``host:port``.
        source: The topic to read, from its start.
        target: The topic to write.
        group: The consumer group.
        latency: Whether to be set up for low latency, where the library's documentation tells how, not for throughput.
    """

    endpoint: str
    source: str
    target: str
    group: str
    latency: bool


def parse() -> Arguments:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", dest="endpoint", required=True)
    parser.add_argument("-i", dest="source", required=True)
    parser.add_argument("-o", dest="target", required=True)
    parser.add_argument("-g", dest="group", required=True)
    parser.add_argument("--latency", action="store_true")
    return parser.parse_args(namespace=Arguments())
