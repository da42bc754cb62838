"""The state of an assigned partition."""

from catena_core.consuming.assignment import Assignment, size_of
from catena_core.wire.message import Message


def test_start_again_commits_from_the_new_log_and_keeps_outputs_of_the_old():
    assignment = Assignment(("in", 0), replaying=False)
    assignment.tracker.dispatched([198, 199])
    assignment.committed = 198
    assignment.outputs = [(198, Message("out", b"old"))]
    assignment.tracker.dispatched([0, 1])
    assignment.start_again(0)
    assignment.tracker.finished([0])
    assert assignment.tracker.next_offset == 1 > assignment.committed
    assert assignment.outputs == [(-1, Message("out", b"old"))]


def test_revoke_interrupts_lanes():
    assignment = Assignment(("in", 0), replaying=False)
    assert not assignment.interrupts
    assignment.revoke()
    assert assignment.revoked and assignment.interrupts


def test_size_of_counts_what_a_message_takes():
    assert size_of(Message("out", bytes(1000))) > 1000
    assert size_of(Message("out", None)) > 0
    assert size_of(lambda _error: None) > 0
