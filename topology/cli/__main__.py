"""Runs the ``catena`` command as ``python -m topology.cli``."""

from topology.cli.main import main

main()
