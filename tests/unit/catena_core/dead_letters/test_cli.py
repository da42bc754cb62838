"""How `catena dead-letters` shows values."""

import pytest

from catena_core.dead_letters.cli import _readable
from catena_core.wire import codec


@pytest.mark.parametrize(
    ("value", "content_type", "shown"),
    [
        (b'{"a":[1,2]}', codec.JSON, '{\n  "a": [\n    1,\n    2\n  ]\n}'),
        (b'{"a":', codec.JSON, '{"a":'),
        (b'{"a":1}', None, '{"a":1}'),
        ("é".encode(), None, "é"),
        (b"\xff\x00a", None, "\\xff\x00a"),
        (b"\xff\x00a", codec.BYTES, "\\xff\x00a"),
        (codec.encode((1, {2}))[0], codec.MESSAGE_PACK, "(1, {2})"),
        (b"[" * 100_000, codec.JSON, "[" * 100_000),
        (b"[" * 100_000 + b"]" * 100_000, codec.JSON, "[" * 100_000 + "]" * 100_000),
        (b"\x91" * 100_000 + b"\x01", codec.MESSAGE_PACK, "\\x91" * 100_000 + "\x01"),
    ],
)
def test_values_are_shown_by_content_type_or_else_as_text(value, content_type, shown):
    assert _readable(value, content_type) == shown
