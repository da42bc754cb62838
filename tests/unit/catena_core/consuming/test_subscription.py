"""Which topics a link reads."""

from catena_core.consuming.subscription import Subscription


def test_topics_keep_the_order_in_which_they_were_added_and_none_is_there_twice():
    subscription = Subscription()
    for topic in ("b", "a", "b", "^c.*"):
        subscription.add(topic)
    assert subscription.topics == ("b", "a", "^c.*")


def test_a_removed_topic_may_be_added_again_at_the_end():
    subscription = Subscription()
    for topic in ("a", "b"):
        subscription.add(topic)
    subscription.remove("a")
    subscription.remove("no such topic")
    subscription.add("a")
    assert subscription.topics == ("b", "a")
