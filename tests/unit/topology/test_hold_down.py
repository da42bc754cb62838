"""Holding down nodes that come and go: twice as long each time, and not for ever."""

from __future__ import annotations

from topology.hold_down import HoldDown

INTERVAL = 30.0


def returned_after(hold_down: HoldDown, now: float) -> float:
    """Leave, answer again at once, and wait until the node may return; how long that took."""
    hold_down.leave(now)
    start = now
    while not hold_down.may_return(now):
        now += 1
    return now - start


def test_first_return_is_not_held_down() -> None:
    assert returned_after(HoldDown(INTERVAL, 0), 1000) == 0


def test_returns_in_a_row_are_held_down_twice_as_long_each_time_up_to_a_limit() -> None:
    hold_down, now, pauses = HoldDown(INTERVAL, 0), 1000.0, []
    for _ in range(9):
        pauses.append(returned_after(hold_down, now))
        now += pauses[-1] + INTERVAL

    assert pauses == [0, 30, 60, 120, 240, 480, 480, 480, 480]


def test_node_that_was_up_for_long_has_made_up_for_its_past() -> None:
    hold_down, now = HoldDown(INTERVAL, 0), 1000.0
    for _ in range(5):
        now += returned_after(hold_down, now) + 1

    assert returned_after(hold_down, now + 20 * INTERVAL) == 0


def test_node_that_fails_while_it_is_held_down_is_held_down_again_once_that_is_over() -> None:
    hold_down = HoldDown(INTERVAL, 0)
    hold_down.leave(0)
    assert hold_down.may_return(1)
    hold_down.leave(2)
    assert not hold_down.may_return(3)
    until = hold_down.until
    hold_down.fail()
    assert not hold_down.may_return(until - 1)
    assert hold_down.until == until, "what was shown stays true"

    assert not hold_down.may_return(until)
    assert hold_down.until == until + 2 * INTERVAL
    assert hold_down.may_return(until + 2 * INTERVAL)


def test_hold_down_that_another_monitor_began_goes_on() -> None:
    hold_down = HoldDown(INTERVAL, 0, until=50)

    assert not hold_down.may_return(49)
    assert hold_down.may_return(50)


def test_end_that_another_monitor_gave_is_no_later_than_any_of_its_own() -> None:
    """The clock of that monitor was a day ahead."""
    hold_down = HoldDown(INTERVAL, 0, until=86_400)

    assert not hold_down.may_return(479)
    assert hold_down.may_return(480)
