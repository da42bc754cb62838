"""The ``catena`` command."""
