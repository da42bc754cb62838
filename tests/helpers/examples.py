"""Loads the programs of the examples, which are files of their own and not a package."""

import importlib.util
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("filter", "iss", "wordcount")


def load(path):
    """Load a file of the examples as a module, for instance ``load("wordcount/mapper")``."""
    name = "examples." + path.replace("/", ".")
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{path}.py")
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
