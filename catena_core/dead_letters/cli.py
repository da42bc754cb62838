"""``catena dead-letters``: list dead letters, show them, and replay them."""

from __future__ import annotations

import json
import pprint
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import click
import msgspec

from catena_core.cli import environment_properties
from catena_core.dead_letters.letter import DeadLetter
from catena_core.dead_letters.replay import DeadLetters, Replayed
from catena_core.errors import CatenaError, CodecError
from catena_core.monitoring import logs
from catena_core.options import check_brokers, split_properties
from catena_core.text import printable
from catena_core.wire import codec
from catena_core.wire.message import headers_of

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_SHOWN_CHARACTERS = 2000
_SHOWN_HEADER = 300


def _read_positions(values: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    positions = []
    for value in values:
        found = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,18})", value)
        if found is None:
            raise click.BadParameter(f"'{value}' should be PARTITION:OFFSET, as 'list' shows it, for instance 0:42")
        positions.append((int(found[1]), int(found[2])))
    return tuple(dict.fromkeys(positions))


def _read_since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Give the seconds since 1970 of a time, or of an age."""
    if value is None:
        return None
    age = re.fullmatch(r"([0-9]{1,6})([smhd])", value)
    if age is not None:
        return time.time() - int(age[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[age[2]]
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"'{value}' should be an age such as 30m, 12h, 7d, or a time such as 2026-01-31T18:00"
        ) from error


def _connection(command: Decorated) -> Decorated:
    """Add the options that say where the dead letters are."""
    for option in (
        click.option(
            "-X", "properties", multiple=True, metavar="NAME=VALUE", help="Any librdkafka property; may be repeated."
        ),
        click.option("-g", "--group", metavar="GROUP", help="The consumer group whose dead letters they are."),
        click.option(
            "-t", "--topic", metavar="TOPIC", help="The topic of dead letters.  [default: all that end in dead-letters]"
        ),
        click.option(
            "-k", "--kafka", envvar="KAFKA_ENDPOINT", show_envvar=True, metavar="HOST:PORT", help="Where Kafka answers."
        ),
    ):
        command = option(command)
    return command


def _filters(command: Decorated) -> Decorated:
    """Add the options that narrow the letters down."""
    for option in (
        click.option(
            "--since",
            callback=_read_since,
            metavar="AGE|TIME",
            help="Those that failed since then: 30m, 12h, 7d, or 2026-01-31T18:00.",
        ),
        click.option("--link", metavar="NAME", help="Those that this link gave up."),
        click.option("--error-type", metavar="NAME", help="Those with this type of error, for instance ValueError."),
    ):
        command = option(command)
    return command


@click.group("dead-letters", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def dead_letters() -> None:
    """Look at what failed for good, and put it back.

    An electron that a link cannot transform is tried again with growing waits; then it goes to the link's topic of dead
    letters, as it came, with the reason in headers. Mend the reason, then replay the letters: they return to the topic and
    partition they came from. Each letter is replayed once; 'replay' remembers in the topic of dead letters itself which were.

    \b
    A usual round:
      catena dead-letters list -k localhost:9092
      catena dead-letters show 0:42 -k localhost:9092
      catena dead-letters replay --error-type Timeout -k localhost:9092
    """
    logs.configure("warning")


@dead_letters.command("list")
@_connection
@_filters
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Show the newest N of them.", metavar="N"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines, errors in full.")
def list_command(
    kafka: str | None,
    topic: str | None,
    group: str | None,
    properties: tuple[str, ...],
    error_type: str | None,
    link: str | None,
    since: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """List dead letters, the newest last.

    \b
    Examples:
      catena dead-letters list -k localhost:9092 --since 12h
      catena dead-letters list -k localhost:9092 -g Sorter --error-type ValueError
      catena dead-letters list -k localhost:9092 --json | jq -r .error
    """
    with _Session(kafka, topic, group, properties) as session:
        found = [letter for letter in session.letters if _matches(letter, error_type, link, since)]
    shown = found[-limit:]
    if as_json:
        for letter in shown:
            click.echo(_as_json(letter, session.replayed))
        return
    if not found:
        click.echo(
            f"no dead letters{' like that' if session.letters else ''} in {', '.join(session.topics) or 'Kafka'}"
        )
        return
    _print_table(shown, session.replayed, session.topics)
    if len(found) > len(shown):
        click.echo(f"… and {len(found) - len(shown)} older; --limit {len(found)} shows them all")


@dead_letters.command("show")
@_connection
@click.argument("positions", nargs=-1, required=True, metavar="PARTITION:OFFSET…|all")
@click.option("--full", is_flag=True, help="Show values whole, however long.")
def show_command(
    kafka: str | None,
    topic: str | None,
    group: str | None,
    properties: tuple[str, ...],
    positions: tuple[str, ...],
    full: bool,
) -> None:
    """Show dead letters with headers, key and value: those at PARTITION:OFFSET, or all.

    Characters that a terminal would obey are shown as escapes.

    \b
    Examples:
      catena dead-letters show 0:42 -k localhost:9092
      catena dead-letters show all -k localhost:9092 -t Sorter.dead-letters | less
    """
    single = () if positions == ("all",) else _read_positions(positions)
    with _Session(kafka, topic, group, properties) as session:
        wanted = session.at(single) if single else session.letters
        for letter, message in session.client.messages(wanted):
            _print_letter(letter, message, letter in session.replayed, sys.maxsize if full else _SHOWN_CHARACTERS)


@dead_letters.command("replay")
@_connection
@_filters
@click.argument("positions", nargs=-1, metavar="[PARTITION:OFFSET…]")
@click.option("--all", "everything", is_flag=True, help="Replay all that were not replayed yet.")
@click.option("--to", metavar="TOPIC", help="Put them into this topic, by key, not where they came from.")
@click.option("--again", is_flag=True, help="Replay also those that were replayed already.")
@click.option(
    "--keep-timestamps", is_flag=True, help="With the times they had there, by which that topic's retention counts."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be replayed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def replay_command(
    kafka: str | None,
    topic: str | None,
    group: str | None,
    properties: tuple[str, ...],
    error_type: str | None,
    link: str | None,
    since: float | None,
    positions: tuple[str, ...],
    everything: bool,
    to: str | None,
    again: bool,
    keep_timestamps: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Put dead letters back: those at PARTITION:OFFSET, those that an option picks, or --all.

    Each goes to the topic and partition it came from, as it came, with a header 'replayed' that counts how often it was. The
    links that read that topic transform it as any other electron, also those that had no trouble with it.

    Each is replayed once. Which were is remembered by markers in the topic of dead letters, after Kafka has acknowledged them;
    if replay is killed in between, up to 500 are replayed again by the next one. --again replays regardless.

    \b
    Examples:
      catena dead-letters replay 0:42 0:43 -k localhost:9092
      catena dead-letters replay --all --dry-run -k localhost:9092
      catena dead-letters replay --error-type Timeout --since 12h --yes -k localhost:9092
      catena dead-letters replay --all -g Sorter --to orders.retry -k localhost:9092
    """
    picks = any(choice is not None for choice in (error_type, link, since))
    if not positions and not everything and not picks:
        raise click.UsageError("which ones? Name PARTITION:OFFSET, an option that picks them such as --link, or --all")
    if positions and (everything or picks):
        raise click.UsageError("either name single letters, or pick them by options")
    single = _read_positions(positions)
    with _Session(kafka, topic, group, properties) as session:
        found = session.at(single) if single else session.letters
        found = [letter for letter in found if _matches(letter, error_type, link, since)]
        fresh = [letter for letter in found if again or letter not in session.replayed]
        if len(fresh) < len(found):
            click.echo(f"{len(found) - len(fresh)} were replayed already; --again replays them, too")
        whole = [letter for letter in fresh if letter.complete]
        if len(whole) < len(fresh):
            click.echo(
                f"{len(fresh) - len(whole)} stand there without their value, which was too large, and are left out; "
                "'show' says where the original stands"
            )
        ready = [letter for letter in whole if to is not None or letter.original_topic is not None]
        if len(ready) < len(whole):
            click.echo(
                f"{len(whole) - len(ready)} do not say where they came from; --to TOPIC says where they are to go"
            )
        targets = Counter(to or letter.original_topic or "" for letter in ready)
        missing = sorted(name for name in targets if not session.client.exists(name))
        if missing:
            raise click.ClickException(
                f"there is no topic {', '.join(map(printable, missing))}; make it, or name another with --to TOPIC"
            )
        if not ready:
            click.echo("nothing to replay")
            return
        plan = ", ".join(f"{number} to {printable(name)}" for name, number in sorted(targets.items()))
        if dry_run:
            _print_table(ready, session.replayed, session.topics)
            click.echo(f"would replay {plan}")
            return
        if not yes:
            click.confirm(f"Replay {len(ready)} dead letters ({plan})?", abort=True)
        with click.progressbar(length=len(ready), label="replaying", file=sys.stderr, hidden=len(ready) < 500) as bar:
            replayed = session.client.replay(ready, to, bar.update, keep_timestamps)
    gone = len(ready) - replayed
    click.echo(f"replayed {replayed}" + (f"; {gone} are no longer there" if gone else ""))


class _Session:
    """The dead letters that a command is about, read once."""

    def __init__(self, kafka: str | None, topic: str | None, group: str | None, properties: tuple[str, ...]) -> None:
        if kafka is None:
            raise click.UsageError("no Kafka endpoint; name one with -k HOST:PORT or KAFKA_ENDPOINT")
        if topic is not None and group is not None:
            raise click.UsageError("-g GROUP stands for -t GROUP.dead-letters; give one of them")
        self._kafka = kafka
        self._topic = f"{group}.dead-letters" if group is not None else topic
        self._properties = properties

    def __enter__(self) -> _Session:
        try:
            check_brokers(self._kafka)
            # A program that has settings of its own brings a function that reads the properties there.
            own = (click.get_current_context().obj or environment_properties)()
            self.client = DeadLetters(self._kafka, {**own, **split_properties(self._properties)})
            self.topics = self.client.topics(self._topic)
            self.letters, self.replayed = self.client.read(self.topics)
        except CatenaError as error:
            raise click.ClickException(str(error)) from error
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.client.__exit__(kind, error, trace)
        if isinstance(error, CatenaError):
            raise click.ClickException(str(error)) from error

    def at(self, positions: Sequence[tuple[int, int]]) -> list[DeadLetter]:
        """Find the letters at these positions, each of which must hold one."""
        if len(self.topics) > 1:
            raise click.UsageError(f"in which topic? Say -t with one of {', '.join(self.topics)}")
        by_position = {(letter.partition, letter.offset): letter for letter in self.letters}
        missing = [f"{partition}:{offset}" for partition, offset in positions if (partition, offset) not in by_position]
        if missing:
            raise click.ClickException(f"no dead letter stands at {', '.join(missing)}; 'list' shows where they stand")
        return [by_position[position] for position in positions]


def _matches(letter: DeadLetter, error_type: str | None, link: str | None, since: float | None) -> bool:
    return (
        (error_type is None or letter.error_type == error_type)
        and (link is None or letter.link == link)
        and (since is None or letter.failed_at >= since)
    )


# Output. All of it may be a stranger's text.


def _text(data: bytes | None) -> str:
    return printable((data or b"").decode("utf-8", "backslashreplace"))


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}… {len(text) - characters} more characters"


def _as_json(letter: DeadLetter, replayed: Replayed) -> str:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=letter.failed_at)
    row = {
        **asdict(letter),
        "failed_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "replayed": letter in replayed,
    }
    return json.dumps(row)  # in ASCII, so that it is harmless on a terminal as well


def _when(letter: DeadLetter) -> str:
    return datetime.fromtimestamp(letter.failed_at).strftime("%Y-%m-%d %H:%M:%S")


def _print_table(letters: Sequence[DeadLetter], replayed: Replayed, topics: Sequence[str]) -> None:
    """Print one line a letter; on a terminal, cut the error, which comes last, at the end of the line."""
    rows = [("at", "failed", "link", "came from", "tries", "replayed", "error type", "error")]
    for letter in letters:
        source = letter.original_topic or "-"
        if letter.original_partition is not None and letter.original_offset is not None:
            source += f" {letter.original_partition}:{letter.original_offset}"
        rows.append(
            (
                (f"{letter.topic} " if len(topics) > 1 else "") + f"{letter.partition}:{letter.offset}",
                _when(letter),
                letter.link or "-",
                source,
                "-" if letter.attempts is None else str(letter.attempts),
                "yes" if letter in replayed else "",
                letter.error_type or "-",
                letter.error or "",
            )
        )
    table = [[printable(cell[:_SHOWN_HEADER]) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        room = max(shutil.get_terminal_size().columns - len(line) - 2, 20) if sys.stdout.isatty() else _SHOWN_HEADER
        error = row[-1] if len(row[-1]) <= room else row[-1][: room - 1] + "…"
        click.echo(f"{line}  {error}".rstrip())


def _print_letter(letter: DeadLetter, message: Any, replayed: bool, characters: int) -> None:
    click.secho(f"{printable(letter.topic)} {letter.partition}:{letter.offset}", bold=True)
    click.echo(f"  failed: {_when(letter)}{', replayed since' if replayed else ''}")
    for name, data in headers_of(message):
        click.echo(f"  {printable(name)}: {_cut(_text(data), max(characters // 2, _SHOWN_HEADER))}")
    click.echo(f"  key: {'none' if message.key() is None else _cut(_text(message.key()), _SHOWN_HEADER)}")
    value = message.value()
    if value is None:
        click.echo("  value: none (a tombstone)\n")
        return
    content_type = dict(headers_of(message)).get(codec.CONTENT_TYPE)
    kind = (content_type or b"").decode("utf-8", "replace") or None
    click.echo(f"  value: {len(value)} bytes{f', {printable(kind)}' if kind else ''}")
    text = _readable(value, kind)
    for line in text[:characters].split("\n"):
        click.echo(f"    {printable(line)}")
    if len(text) > characters:
        click.echo(f"    … {len(text) - characters} more characters; --full shows all")
    click.echo()


def _readable(value: bytes, content_type: str | None) -> str:
    """Write a value for people: JSON indented, MessagePack as Python would, all else as text with escapes."""
    # A malformed value, which may be the reason of the failure, is shown as well.
    with suppress(CodecError, UnicodeDecodeError, RecursionError):
        decoded = codec.decode(value, content_type)
        if content_type and codec.media_type(content_type)[0] == codec.JSON:
            return msgspec.json.format(value, indent=2).decode()
        if not isinstance(decoded, str | bytes):
            return pprint.pformat(decoded, width=100, sort_dicts=False)
    return value.decode("utf-8", "backslashreplace")
