"""``catena topics``: makes, checks and lists topics, reads messages from them, and sends some."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import Any, BinaryIO

import click
import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from catena_core.errors import CatenaError
from catena_core.kafka.watermarks import watermarks
from catena_core.text import bounded, printable
from catena_core.topics import TopicSpec, ensure, is_embedded, is_topic
from catena_core.wire import codec
from catena_core.wire.message import headers_of
from topology import topics as catalogue
from topology.cli.kafka import TIMEOUT, Connection, Sender, connection, kafka_errors, kafka_options

_LONGEST_VALUE = 2000
_LOOK_BACK_FURTHER = 8
_MOST_LINE_BYTES = 16 * 1024 * 1024
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")


@click.group("topics")
def topics() -> None:
    """Make, check and list topics; read messages from them, and send some.

    \b
    Examples:
      catena topics check -k kafka:9092           # are the catalogue's topics as they should be?
      catena topics create orders --partitions 12
      echo hello | catena topics send orders
      catena topics cat orders --last 10
    """


@topics.command("list")
@click.option("--internal", is_flag=True, help="Kafka's own topics, too.")
@_json_option
@kafka_options
def list_topics(kafka: str | None, properties: tuple[str, ...], internal: bool, as_json: bool) -> None:
    """List the topics with their partitions and messages.

    Compaction and transactions leave gaps, so a topic may hold fewer messages than are counted.

    \b
    Examples:
      catena topics list
      catena topics list --json | jq -r 'select(.messages == 0).topic'
    """
    cluster = connection(kafka, properties)
    with kafka_errors(), closing(cluster.consumer()) as consumer:
        known = cluster.metadata(consumer).topics
        rows = [
            {"topic": name, "partitions": len(known[name].partitions), "messages": _messages(consumer, known[name])}
            for name in sorted(known)
            if internal or not name.startswith("__")
        ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    width = max((len(printable(str(row["topic"]))) for row in rows), default=0)
    click.echo(f"{'topic':{width}}  partitions  messages")
    for row in rows:
        click.echo(f"{printable(str(row['topic'])):{width}}  {row['partitions']:10,}  {row['messages']:8,}")


def _messages(consumer: Consumer, topic: Any) -> int:
    bounds = [watermarks(consumer, topic.topic, number, TIMEOUT) for number in topic.partitions]
    return sum(end - first for first, end in bounds)


@topics.command()
@click.argument("names", nargs=-1, metavar="[TOPIC]...")
@click.option(
    "--partitions", type=click.IntRange(1, 10000), default=12, show_default=True, help="Of each topic that is named."
)
@click.option("--compacted", is_flag=True, help="Keep the newest message of each key for ever.")
@kafka_options
def create(
    kafka: str | None, properties: tuple[str, ...], names: tuple[str, ...], partitions: int, compacted: bool
) -> None:
    """Make the topics named, or all of the catalogue's; those that exist stay as they are.

    Links make the catalogue's topics themselves. This command is for clusters where only an operator may do so.

    \b
    Examples:
      catena topics create -k kafka:9092
      catena topics create prices --partitions 6 --compacted
    """
    if wrong := [name for name in names if not is_topic(name)]:
        raise click.UsageError(
            f"Kafka takes no topic '{bounded(wrong[0], 100)}': a name has 1 to 249 letters, digits, dots, hyphens or "
            "underscores"
        )
    if not names and (compacted or partitions != 12):
        raise click.UsageError("--partitions and --compacted are for topics that you name; the catalogue knows its own")
    specs = [TopicSpec(name, partitions, compacted) for name in names] or list(catalogue.SPECS)
    cluster = connection(kafka, properties)
    with kafka_errors():
        metadata = cluster.metadata(AdminClient(cluster.client()))
        ensure(cluster.endpoint, specs, cluster.properties)
    for spec in specs:
        if spec.name not in metadata.topics:
            click.echo(f"{spec.name} made")
            continue
        has = len(metadata.topics[spec.name].partitions)
        # The embedded broker gives each topic that is named the same number.
        is_right = has == spec.partitions or is_embedded(metadata)
        click.echo(f"{spec.name} exists{'' if is_right else f', with {has} partitions, not {spec.partitions}'}")


@topics.command()
@_json_option
@kafka_options
def check(kafka: str | None, properties: tuple[str, ...], as_json: bool) -> None:
    """Compare the catalogue's topics with what the links need.

    Compared are partitions, clean-up policy and the largest message. The status is 1 if one differs. A topic that does not
    exist yet is fine: the first link makes it.

    \b
    Example:
      catena topics check -k kafka:9092
    """
    cluster = connection(kafka, properties)
    with kafka_errors():
        found = list(_compare(cluster))
    for topic, state, said in found:
        row = {"topic": topic, "state": state, "said": said}
        click.echo(json.dumps(row) if as_json else f"{state:8} {topic}{': ' if said else ''}{printable(said)}")
    sys.exit(1 if any(state == "wrong" for _, state, _ in found) else 0)


def _compare(cluster: Connection) -> Iterator[tuple[str, str, str]]:
    admin = AdminClient(cluster.client())
    metadata = cluster.metadata(admin)
    present = [spec for spec in catalogue.SPECS if spec.name in metadata.topics]
    # The embedded broker has no such settings.
    configured = {} if is_embedded(metadata) else _configuration(admin, [spec.name for spec in present])
    for spec in catalogue.SPECS:
        if spec not in present:
            yield spec.name, "missing", "the first link makes it"
            continue
        faults = []
        partitions = len(metadata.topics[spec.name].partitions)
        if partitions != spec.partitions:
            faults.append(f"it has {partitions} partitions, not {spec.partitions}: delete it before anything uses it")
        given = configured.get(spec.name, {})
        if given and (given["cleanup.policy"] == "compact") != spec.compacted:
            wanted = "compact" if spec.compacted else "delete"
            faults.append(f"cleanup.policy is {given['cleanup.policy']}: set it to {wanted}")
        if given and spec.max_message_bytes and int(given["max.message.bytes"]) < spec.max_message_bytes:
            faults.append(f"max.message.bytes is {given['max.message.bytes']}: raise it to {spec.max_message_bytes}")
        yield spec.name, "wrong" if faults else "ok", "; ".join(faults)


def _configuration(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    found = {}
    for resource, future in asked.items():
        if (error := future.exception(TIMEOUT)) is not None:
            raise error
        found[resource.name] = {name: entry.value for name, entry in future.result().items()}
    return found


@topics.command()
@click.argument("topic")
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N messages of each partition.")
@click.option("--key", help="Only messages of this key.")
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all headers and the whole value.")
@kafka_options
def cat(
    kafka: str | None,
    properties: tuple[str, ...],
    topic: str,
    last: int | None,
    key: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the messages of a topic, one a line: partition:offset, key, value.

    Order holds within a partition. A value that was sent as JSON or MessagePack is shown as JSON. No group is joined, and
    nothing is committed, so links get all of it all the same.

    \b
    Examples:
      catena topics cat catena.ring --last 1 --json | jq '.value | fromjson | .epoch'
      catena topics cat catena.writes.node_1 --key https://provider.example/offerings/1
      catena topics cat orders --follow
    """
    cluster = connection(kafka, properties)
    with kafka_errors(), closing(cluster.consumer()) as consumer:
        for message in _read(cluster, consumer, topic, last, follow):
            shown_key = codec.decode_key(message.key())
            if key is not None and shown_key != key:
                continue
            click.echo(_as_json(message) if as_json else _line(message, shown_key))


def _read(cluster: Connection, consumer: Consumer, topic: str, last: int | None, follow: bool) -> Iterator[Any]:
    known = cluster.metadata(consumer).topics
    if topic not in known:
        raise CatenaError(f"there is no topic {topic}; 'catena topics list' shows those that there are")
    places = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in known[topic].partitions]
    if last:
        places = [_start_of_last(consumer, place, last) for place in places]
    consumer.assign(places)
    open_partitions = {place.partition for place in places}
    try:
        while open_partitions or follow:
            message = _poll(consumer)
            if message is None:
                continue
            if message.error() is None:
                yield message
            else:
                open_partitions.discard(message.partition())
    except KeyboardInterrupt:
        return


def _start_of_last(consumer: Consumer, place: TopicPartition, last: int) -> TopicPartition:
    """Return the place of the last messages of a partition.

    Compacted messages and the marks of transactions leave gaps in the offsets, so it looks back further until there are enough.
    """
    first, end = watermarks(consumer, place.topic, place.partition, TIMEOUT)
    span = last
    while True:
        start = max(first, end - span)
        offsets: deque[int] = deque(maxlen=last)
        consumer.assign([TopicPartition(place.topic, place.partition, start)])
        while not offsets or offsets[-1] < end - 1:
            message = _poll(consumer)
            if message is None:
                continue
            if message.error() is not None:
                break
            offsets.append(message.offset())
        if len(offsets) == last or start == first:
            return TopicPartition(place.topic, place.partition, offsets[0] if offsets else start)
        span *= _LOOK_BACK_FURTHER


def _poll(consumer: Consumer) -> Any:
    """Return a message, the end of a partition as one with an error, or ``None``.

    Raises:
        CatenaError: The topic cannot be read.
    """
    message = consumer.poll(0.5)
    error = message.error() if message is not None else None
    if message is not None and error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise CatenaError(f"{message.topic()} cannot be read: {error.str()}")
    return message


def _decoded(message: Any) -> Any:
    content_type = dict(headers_of(message)).get(codec.CONTENT_TYPE)
    try:
        return codec.decode(message.value(), content_type.decode() if content_type else None)
    except (CatenaError, UnicodeDecodeError):
        return message.value()


def _line(message: Any, key: Any) -> str:
    value = _decoded(message)
    if value is not None and not isinstance(value, str | bytes):
        value = msgspec.json.encode(value, enc_hook=repr)
    text = "(tombstone)" if value is None else value if isinstance(value, str) else value.decode("utf-8", "replace")
    shown_key = "-" if key is None else key if isinstance(key, str) else repr(key)
    place = f"{message.partition()}:{message.offset()}"
    return f"{place}  {bounded(shown_key, 200)}  {bounded(text, _LONGEST_VALUE)}"


def _as_json(message: Any) -> str:
    kind, at = message.timestamp()
    key = codec.decode_key(message.key())
    row = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "at": datetime.fromtimestamp(at / 1000, timezone.utc).isoformat() if kind else None,
        "key": _text(key) if isinstance(key, bytes) else key,
        "headers": {name: _text(value) for name, value in headers_of(message)},
        "value": _decoded(message),
    }
    return json.dumps(row, default=_text)  # in ASCII, so that it is harmless on a terminal as well


def _text(value: Any) -> str | None:
    return (
        None
        if value is None
        else value.decode("utf-8", "backslashreplace")
        if isinstance(value, bytes)
        else repr(value)
    )


@topics.command()
@click.argument("topic")
@click.argument("value", required=False)
@click.option("-f", "--file", type=click.File("rb"), metavar="FILE", help="Send each line of a file; -: of stdin.")
@click.option("--key", help="The key of all messages.")
@click.option("--json", "as_json", is_flag=True, help="Each value is JSON; links get it decoded.")
@kafka_options
def send(
    kafka: str | None,
    properties: tuple[str, ...],
    topic: str,
    value: str | None,
    file: BinaryIO | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Send VALUE, or each line of a file, or of stdin.

    The topic must exist. The status is 1 if Kafka has not taken all messages.

    \b
    Examples:
      catena topics send lines 'hello world' --key greeting
      seq 1000 | catena topics send numbers
      catena topics send orders --json '{"item": "tea", "price": 3}'
    """
    if value is not None and file is not None:
        raise click.UsageError("give one of the two: a value, or -f FILE")
    cluster = connection(kafka, properties)
    lines = [value.encode()] if value is not None else _lines(file or sys.stdin.buffer)
    headers = [(codec.CONTENT_TYPE, codec.JSON.encode())] if as_json else []
    sent = 0
    with kafka_errors():
        if topic not in cluster.metadata(AdminClient(cluster.client())).topics:
            raise CatenaError(f"there is no topic {topic}; 'catena topics create {topic}' makes it")
        # The embedded broker would take them, and no link could read them.
        if key is None and any(spec.name == topic and spec.compacted for spec in catalogue.SPECS):
            raise CatenaError(f"{topic} is compacted, so it takes no message without a key; name one with --key")
        sender = Sender(cluster)
        try:
            for line in lines:
                if as_json:
                    _check_json(line, sent + 1)
                sender.send(topic, line, key, headers=headers)
                sent += 1
        finally:
            sender.flush()
    click.echo(f"sent {sent:,} {'message' if sent == 1 else 'messages'} to {topic}", err=True)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_MOST_LINE_BYTES):
        yield line.rstrip(b"\r\n")


def _check_json(line: bytes, number: int) -> None:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CatenaError(f"value {number} is no JSON: {error}") from error
