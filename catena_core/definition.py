"""The definition of a link: everything that the library reads of the object that its author wrote."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from catena_core.consuming.subscription import Subscription
from catena_core.errors import UsageError
from catena_core.options import LinkOptions

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
    """

    def __init__(self, link: Link, base: type[Link]) -> None:
        self.link = link
        self._base = base
        self.subscription = Subscription()

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

    def use(self, options: LinkOptions) -> None:
        """Put options into force.

        Raises:
            UsageError: They give a link that replays its topics more than one lane.
        """
        if self.link.replay and (options.num_main_threads or 1) > 1:
            raise UsageError(
                f"{self.name} replays its topics, so it must have a single lane: leave out num_main_threads "
                "(--main-threads)"
            )
        self.link.options = options
        self.subscription.topics = options.input_topics
