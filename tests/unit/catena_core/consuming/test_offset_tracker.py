"""What may be committed: everything before the lowest unfinished offset."""

from hypothesis import given
from hypothesis import strategies as st

from catena_core.consuming.offset_tracker import OffsetTracker


def test_nothing_dispatched_commits_nothing():
    assert OffsetTracker().next_offset == -1


def test_what_finishes_out_of_order_waits_for_the_lowest():
    tracker = OffsetTracker()
    tracker.dispatched([10, 11, 12])
    tracker.finished([11, 12])
    assert tracker.next_offset == 10
    tracker.finished([10])
    assert tracker.next_offset == 13


def test_the_next_offset_is_one_beyond_the_last_finished_one():
    """An offset that is off by one loses or repeats an electron at each restart."""
    tracker = OffsetTracker()
    tracker.dispatched([41])
    assert tracker.next_offset == 41
    tracker.finished([41])
    assert tracker.next_offset == 42


def test_offsets_that_a_compacted_topic_left_out_do_not_hold_it_up():
    tracker = OffsetTracker()
    tracker.dispatched([5, 10**12])
    tracker.finished([5])
    assert tracker.next_offset == 10**12


def test_a_partition_that_begins_anew_is_followed_from_there():
    tracker = OffsetTracker()
    tracker.dispatched([500, 501])
    tracker.dispatched([0, 1])
    tracker.finished([500, 501])
    assert tracker.next_offset == 0
    tracker.finished([0, 1])
    assert tracker.next_offset == 2


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=8), max_size=30), st.randoms())
def test_it_agrees_with_a_plain_set(batches, random):
    tracker, offset, open_offsets = OffsetTracker(), 100, []
    for gaps in batches:
        batch = []
        for gap in gaps:
            offset += gap
            batch.append(offset)
        tracker.dispatched(batch)
        open_offsets += batch
        done = sorted(random.sample(open_offsets, random.randint(0, len(open_offsets))))
        open_offsets = sorted(set(open_offsets) - set(done))
        tracker.finished(done)
        assert tracker.next_offset == (min(open_offsets) if open_offsets else offset + 1)
        assert tracker.in_flight == len(open_offsets)
        assert tracker.span >= tracker.in_flight
        assert (tracker.span > 0) == bool(open_offsets)


def test_reached_moves_past_marks_of_transactions_once_all_is_finished():
    tracker = OffsetTracker()
    tracker.dispatched([3, 4])
    tracker.reached(6)
    assert tracker.next_offset == 3
    tracker.finished([3, 4])
    assert tracker.next_offset == 6
    tracker.reached(5)
    assert tracker.next_offset == tracker.next_dispatch == 6
