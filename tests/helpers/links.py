"""Links of the tests, joined to a broker."""


def link(kind, broker, source=(), target=(), properties=None, **given):
    """A link of this class on this broker.

    Args:
        kind: Its class.
        broker: The broker, as the fixture gives it.
        source: What it reads: a topic, or several.
        target: What it writes: a topic, or several.
        properties: librdkafka properties beside the broker's own.
        given: Its further options.
    """
    return kind(
        **{
            "kafka_endpoint": broker.endpoint,
            "input_topics": source,
            "output_topics": target,
            "consumer_group": broker.group(),
            "properties": {**broker.properties, **(properties or {})},
            **given,
        }
    )


def arguments(broker, source="", target="", properties=None):
    """The same as arguments of a link's command line."""
    given = ["-k", broker.endpoint, "-g", broker.group()]
    given += ["-i", source] if source else []
    given += ["-o", target] if target else []
    for name, value in {**broker.properties, **(properties or {})}.items():
        given += ["-X", f"{name}={value}"]
    return given


def keeps_offsets_of_transactions(broker):
    """Whether a group finds what was committed in transactions: the embedded broker takes such offsets, and forgets them."""
    return not broker.properties
