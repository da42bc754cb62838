"""What may be committed: everything before the lowest unfinished offset."""

from hypothesis import given
from hypothesis import strategies as st

from catena_core.offsets import OffsetTracker


def test_nothing_dispatched_commits_nothing():
    tracker = OffsetTracker()
    assert tracker.to_commit() is None
    assert tracker.next_offset == -1


def test_what_finishes_out_of_order_waits_for_the_lowest():
    tracker = OffsetTracker()
    for offset in (10, 11, 12):
        tracker.dispatched(offset)
    tracker.finished([11, 12])
    assert tracker.to_commit() is None
    tracker.finished([10])
    assert tracker.to_commit() == 13
    assert tracker.to_commit() is None


def test_offsets_that_a_compacted_topic_left_out_do_not_hold_it_up():
    tracker = OffsetTracker()
    tracker.dispatched(5)
    tracker.dispatched(900)
    tracker.finished([5])
    assert tracker.next_offset == 900


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60), st.randoms())
def test_it_agrees_with_a_plain_set(steps, random):
    tracker, offset, open_offsets = OffsetTracker(), 100, []
    dispatched = []
    for gap, finish in steps:
        offset += gap
        tracker.dispatched(offset)
        dispatched.append(offset)
        open_offsets.append(offset)
        if finish:
            done = random.choice(open_offsets)
            open_offsets.remove(done)
            tracker.finished([done])
        expected = min(open_offsets) if open_offsets else offset + 1
        assert tracker.next_offset == expected
        assert tracker.in_flight == len(open_offsets)
