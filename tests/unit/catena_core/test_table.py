"""The rows of a table, as the messages of its topic make them."""

import pytest

from catena_core.table import TableContent


@pytest.fixture
def changes():
    return []


def test_table_content_shows_the_last_value_of_each_key():
    rows = TableContent()
    for key, value in [("a", 1), ("b", 2), ("a", 3), ("b", None), ("never", None)]:
        rows.apply(key, value)

    assert rows == {"a": 3}
    assert (len(rows), list(rows), rows.get("b")) == (1, ["a"], None)


def test_table_content_decodes_values_and_leaves_out_what_decode_leaves_out():
    rows = TableContent(decode=lambda key, value: f"{key}{value}" if value else None)
    for key, value in [("a", 1), ("b", 0), ("c", 2), ("c", 0)]:
        rows.apply(key, value)

    assert rows == {"a": "a1"}


def test_table_content_keeps_the_old_row_unless_the_new_one_is_accepted(changes):
    rows = TableContent(
        accept=lambda _, old, new: old is None or new > old, on_change=lambda *change: changes.append(change)
    )
    for value in (2, 1, 3, None):
        rows.apply("a", value)

    assert changes == [("a", None, 2), ("a", 2, 3), ("a", 3, None)]


def test_table_content_of_a_key_that_moved_ignores_the_tombstone_of_its_former_partition(changes):
    rows = TableContent(on_change=lambda *change: changes.append(change))
    rows.apply("a", "old", partition=0)
    rows.apply("a", "new", partition=1)
    rows.apply("a", None, partition=0)

    assert rows == {"a": "new"}
    rows.apply("a", None, partition=1)
    assert rows == {}
    assert changes[-1] == ("a", "new", None)


def test_table_content_copies_are_of_one_moment():
    rows = TableContent()
    rows.apply("a", 1)
    copies = rows.copy(), rows.items(), list(rows.values())
    rows.apply("b", 2)

    assert [len(copy) for copy in copies] == [1, 1, 1]
