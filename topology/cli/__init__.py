"""The ``catena`` command."""

import catena_core  # noqa: F401  # first of all: Ctrl-C during the imports that follow ends quietly
