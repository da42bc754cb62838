"""The state of an assigned partition."""

from confluent_kafka import TopicPartition

from catena_core.consuming.assignment import Assignment, size_of, topic_id_of
from catena_core.wire.message import Message


def assigned(committed, *offsets):
    """Give a partition that was read up to some offsets, each with an output that is not committed."""
    assignment = Assignment(("in", 0), replaying=False)
    assignment.tracker.dispatched(list(offsets))
    assignment.committed = committed
    assignment.outputs = [(offset, Message("out", b"old")) for offset in offsets]
    return assignment


def test_start_again_commits_from_the_new_log_and_keeps_outputs_of_the_old():
    assignment = assigned(198, 198)
    assignment.start_again(0)
    assignment.tracker.dispatched([0, 1])
    assignment.tracker.finished([0])
    assert assignment.tracker.next_offset == 1 > assignment.committed
    assert assignment.outputs == [(-1, Message("out", b"old"))]


def test_begin_again_keeps_outputs_that_are_sure_to_be_of_the_old_topic_and_drops_those_that_come_again():
    assignment = assigned(198, 198, 199, 200)
    assignment.verified = 200
    assignment.begin_again("new")
    assert assignment.outputs == [(-1, Message("out", b"old"))] * 2
    assert assignment.output_bytes == 2 * size_of(Message("out", b"old"))
    assert assignment.tracker.next_offset == -1  # nothing to commit
    late = [(199, Message("out", b"late")), (200, Message("out", b"ambiguous"))]
    assert assignment.of_old_topic(late) == [(-1, Message("out", b"late"))]


def test_a_log_that_starts_again_twice_drops_what_may_be_of_either():
    assignment = assigned(198, 198)
    assignment.verified = 198
    assignment.start_again(0)
    assignment.outputs.append((0, Message("out", b"new")))
    assignment.begin_again("new")
    assert assignment.outputs == [(-1, Message("out", b"old"))]


def test_a_committed_offset_names_the_topic_that_it_belongs_to():
    assignment = Assignment(("in", 0), replaying=False)
    assert topic_id_of(assignment.place(5)) == ""
    assignment.topic_id = "KfFi"
    place = assignment.place(5)
    assert (place.topic, place.partition, place.offset, topic_id_of(place)) == ("in", 0, 5, "KfFi")
    assert topic_id_of(TopicPartition("in", 0, 5, "of another tool")) == ""


def test_revoke_interrupts_lanes():
    assignment = Assignment(("in", 0), replaying=False)
    assert not assignment.interrupts
    assignment.revoke()
    assert assignment.revoked and assignment.interrupts


def test_size_of_counts_what_a_message_takes():
    assert size_of(Message("out", bytes(1000))) > 1000
    assert size_of(Message("out", None)) > 0
    assert size_of(lambda _error: None) > 0
