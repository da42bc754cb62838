"""JSON files that people write: their objects, and their mistakes with line and column."""

from __future__ import annotations

import msgspec
import pytest

from topology.json_file import misspelt, read_entries, read_json_object


@pytest.mark.parametrize("content", [b'{"a": 1}', b'\xef\xbb\xbf{"a": 1}', b'\n {"a": 1} \r\n'])
def test_read_json_object_one_object_is_read(content: bytes) -> None:
    assert read_json_object(content) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"a": 1,\n "b": 2', "line 2, column 8"),
        (b'{"a": 1,\n}', "line 2, column 1: there is a comma before the closing }"),
        (b'{"a": [1, 2,]}', "line 1, column 13: there is a comma before the closing ]"),
        (b'{"a": 1 // one\n}', "line 1, column 9: there are no comments in JSON"),
        (b'{"a": {"b": 1}', "line 1, column 15: the file ends here"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": 1} {', "line 1, column 10"),
        (b"{\n\xff}", "byte 3 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'["a"]', "it holds a list, not an object"),
        (b'"a"', "it holds a text"),
        (b"null", "it holds null"),
        (b'{"a": {"b": 1, "b": 2}}', "names 'b' twice"),
    ],
)
def test_read_json_object_mistake_is_named_with_its_place(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_json_object(content)


class Login(msgspec.Struct, forbid_unknown_fields=True):
    user: str = ""
    password: str = ""


def test_read_entries_gives_structs_by_name() -> None:
    assert read_entries(b'{"a": {"user": "u"}, "b": {}}', Login) == {"a": Login("u"), "b": Login()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": {}}}', "line 1, column 10"),
        (b'{"a": {}, "a": {}}', "names 'a' twice"),
        (b'{"a": {"pasword": "hunter2"}}', "^a: there is no 'pasword'; did you mean 'password'"),
        (b'{"a": {"name": "hunter2"}}', "^a: Object contains unknown field `name`"),
        (b'{"a": {"user": 5}}', r"^a: Expected `str`, got `int` - at `\$\.user`"),
        (b'{"a": "hunter2"}', "^a: Expected `object`, got `str`"),
    ],
)
def test_read_entries_mistake_is_named_without_values(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        read_entries(content, Login)
    assert "hunter2" not in str(refused.value)


def test_misspelt_only_a_close_name_counts() -> None:
    known = ("catalogue_url", "weight", "id")

    assert misspelt(["weigth"], known) == ("weigth", "weight")
    assert misspelt(["Catalogue_URL"], known) == ("Catalogue_URL", "catalogue_url")
    assert misspelt(["weight", "comment", "operator", "notes"], known) is None
