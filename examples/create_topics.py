"""Makes the topics of an example, with the number of partitions that its links are to share.

``python examples/create_topics.py -k localhost:9092 words:4 counts:4:compacted``; topics that exist are left as they are.
"""

from __future__ import annotations

import click

from catena_core.errors import CatenaError
from catena_core.topics import TopicSpec, ensure


def read_spec(text: str) -> TopicSpec:
    """Read a topic from ``NAME:PARTITIONS[:compacted]``.

    Raises:
        click.BadParameter: It is not written like that.
    """
    name, _, rest = text.partition(":")
    number, _, kind = rest.partition(":")
    if not name or not number.isdigit() or int(number) < 1 or kind not in ("", "compacted"):
        raise click.BadParameter(f"'{text}' should be NAME:PARTITIONS or NAME:PARTITIONS:compacted")
    return TopicSpec(name, int(number), kind == "compacted")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-k", "--kafka", envvar="KAFKA_ENDPOINT", required=True, metavar="HOST:PORT", help="Where Kafka answers.")
@click.argument("topics", nargs=-1, required=True, metavar="NAME:PARTITIONS[:compacted]…")
def main(kafka: str, topics: tuple[str, ...]) -> None:
    """Make topics that do not exist yet."""
    try:
        ensure(kafka, [read_spec(text) for text in topics])
    except CatenaError as error:
        raise click.ClickException(str(error))


if __name__ == "__main__":
    main()
