"""The definition of a link: everything that the library reads of the object that its author wrote."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from catena_core import mistakes
from catena_core.attributes import check_attributes
from catena_core.consuming.subscription import Subscription
from catena_core.errors import UsageError
from catena_core.options import LinkOptions, check_brokers, check_topics

if TYPE_CHECKING:
    from catena_core.link import Link


class LinkDefinition:
    """A link as its author wrote it, with the options in force.

    The library's own names are here and not on the link, so that an author may name his attributes as he likes.

    Args:
        link: The author's object; the library calls its hooks and reads its class attributes.
        base: The class that holds the hooks which do nothing.

    Attributes:
        link: As given.
        subscription: The topics that it reads now.
        initialised: Whether the constructor of Link has run.
        tables: The topics that it reads as tables.
    """

    def __init__(self, link: Link, base: type[Link]) -> None:
        self.link = link
        self._base = base
        self.subscription = Subscription()
        self.initialised = False
        self.tables: set[str] = set()

    @property
    def name(self) -> str:
        """The name of the link's class."""
        return type(self.link).__name__

    @property
    def description(self) -> str:
        """The docstring of the link's class."""
        return inspect.getdoc(type(self.link)) or ""

    @property
    def reads(self) -> bool:
        """True if the link consumes: it has its own transform."""
        return type(self.link).transform is not self._base.transform

    @property
    def prepares(self) -> bool:
        """True if it has its own preparation of batches."""
        return type(self.link).prepare_batch is not self._base.prepare_batch

    @property
    def is_concurrent(self) -> bool:
        """True if its transform is ``async``: many run at once."""
        transform = inspect.unwrap(type(self.link).transform)
        return inspect.iscoroutinefunction(transform) or inspect.isasyncgenfunction(transform)

    @property
    def keeps_order(self) -> bool:
        """True if each electron waits for the one before it."""
        return self.link.options.sequential or self.link.options.synchronous

    @property
    def generates(self) -> bool:
        """True if it has its own generator."""
        return type(self.link).generator is not self._base.generator

    @property
    def lane_count(self) -> int | str:
        """The number of its lanes by its options, or ``"partition"``."""
        options = self.link.options
        if options.sequential or options.synchronous:
            return 1
        return options.num_main_threads or self.link.lanes

    @property
    def default_topic(self) -> str | None:
        """The topic of electrons that name none."""
        return next(iter(self.link.options.output_topics), None)

    @property
    def default_key(self) -> str | None:
        """The key of electrons that have none, where the link keeps the order: one key stays in one partition."""
        options = self.link.options
        return self.link.uid if options.sequential or options.synchronous else None

    @property
    def dead_letter_topic(self) -> str:
        """The topic of dead letters."""
        return self.link.dead_letter_topic or f"{self.link.consumer_group}.dead-letters"

    def add_input_topic(self, topic: str) -> None:
        """Read one topic more from now on.

        Raises:
            UsageError: Kafka allows no such name, or the link has no transform.
        """
        if not self.reads:
            mistakes.check_inputs(type(self.link), self._base, (topic,))
        check_topics((topic,), patterns=True)
        self.subscription.add(topic)

    def check(self, options: LinkOptions) -> None:
        """Refuse, at its start, a link that would run with these options and do nothing, and put them into force.

        Raises:
            UsageError: Its class has a misspelt hook, or one that is no plain method, or an attribute of a value that it cannot
                have; or it has topics to read and no transform; or its constructor does not call that of Link; or Kafka cannot
                have such an address.
        """
        kind = type(self.link)
        if not self.initialised:
            raise UsageError(f"{self.name}.__init__ must call super().__init__(), with the options if it is given any")
        mistakes.check_hooks(kind, self._base, self.reads, self.generates)
        check_attributes(self.link)
        if not self.reads and not self.generates:
            mistakes.check_inputs(kind, self._base, options.input_topics)
        if options.kafka_endpoint is not None:
            check_brokers(options.kafka_endpoint)
        self.use(options)

    def check_single_lane(self) -> None:
        """Refuse a call between the electrons of a link that transforms several at once.

        Raises:
            UsageError: It has several lanes, or one for each partition.
        """
        if self.reads and self.lane_count != 1:
            raise UsageError("only a link with a single lane can have calls made between its electrons")

    def check_unread(self) -> None:
        """Refuse, after its setup, a link that reads some of its topics neither by a transform nor as a table.

        Raises:
            UsageError: There are such topics.
        """
        if not self.reads:
            unread = [topic for topic in self.subscription.topics if topic not in self.tables]
            mistakes.check_inputs(type(self.link), self._base, unread)

    def use(self, options: LinkOptions) -> None:
        """Put options into force.

        Raises:
            UsageError: They give a link that replays its topics more than one lane, or its class does.
        """
        if self.link.replay and self.link.lanes != 1:
            raise UsageError(f"{self.name} replays its topics, so it must have a single lane")
        if self.link.replay and (options.num_main_threads or 1) > 1:
            raise UsageError(
                f"{self.name} replays its topics, so it must have a single lane: leave out num_main_threads "
                "(--main-threads)"
            )
        self.link.options = options
        self.subscription.topics = options.input_topics
