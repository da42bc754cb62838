"""The reference says what the docstrings say."""

import importlib.util
from dataclasses import fields

from catena_core import errors
from catena_core.options import LinkOptions
from tests.helpers.documents import ROOT


def test_it_is_up_to_date_and_complete():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "docs/reference.md").read_text()
    assert text == module.reference(), "run python docs/make_reference.py"
    for option in fields(LinkOptions):
        assert f"| `{option.name}` |" in text
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.CatenaError):
            assert f"- `{name}`: " in text
