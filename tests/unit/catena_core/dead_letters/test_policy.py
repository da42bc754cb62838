"""The limits of dead letters: from how many on the link itself is at fault."""

from __future__ import annotations

import pytest

from catena_core.dead_letters.policy import DeadLetterLimitError, DeadLetterLimits, DeadLetterPolicy


def failures(policy: DeadLetterPolicy, most: int = 1000) -> int:
    """Count the failures that a policy takes until it stops the link."""
    for count in range(most):
        try:
            policy.record_failure()
        except DeadLetterLimitError:
            return count
    return most


def test_a_run_of_failures_is_the_links_own_fault() -> None:
    assert failures(DeadLetterPolicy(DeadLetterLimits(run=20, share=None))) == 20


def test_a_success_begins_a_new_run() -> None:
    policy = DeadLetterPolicy(DeadLetterLimits(run=20, share=None))
    for _ in range(20):
        policy.record_failure()
    policy.record_success(0)
    with pytest.raises(DeadLetterLimitError, match="21 electrons in a row"):
        policy.record_failure()
    policy.record_success(1)
    assert failures(policy) == 20


def test_a_large_share_counts_once_there_were_enough_electrons() -> None:
    policy = DeadLetterPolicy(DeadLetterLimits(run=None, share=0.5, among=100))
    for _ in range(49):
        policy.record_failure()
        policy.record_success(1)
    assert failures(policy) == 1  # the next is the 51st of 100


def test_failures_long_ago_do_not_count() -> None:
    policy = DeadLetterPolicy(DeadLetterLimits(run=None, share=0.5, among=100))
    for _ in range(50):
        policy.record_failure()
    policy.record_success(100)
    assert failures(policy) == 50


@pytest.mark.parametrize("limits", [None, DeadLetterLimits(run=None, share=None)])
def test_without_limits_any_number_may_fail(limits: DeadLetterLimits | None) -> None:
    assert failures(DeadLetterPolicy(limits)) == 1000
