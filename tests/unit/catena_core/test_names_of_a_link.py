"""An author may name the attributes of his link as he likes: the library keeps its own names elsewhere."""

from confluent_kafka import Producer

from catena_core import Electron, Link
from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.testing import LinkDriver
from tests.helpers.waiting import eventually

OLD_NAMES = ("reads", "generates", "lane_count", "default_topic", "dead_letters", "life", "close_stores", "use")
INTERNAL_NAMES = ("lifecycle", "runtime", "definition", "handle", "subscription", "stores", "clock", "failed", "launch")
NAMES = (*OLD_NAMES, *INTERNAL_NAMES, *(f"_{name}" for name in (*OLD_NAMES, *INTERNAL_NAMES)), "_link", "_logged")


class Named(Link):
    """Has an attribute of each name that the library uses, or used, for itself."""

    inputs, outputs = ("in",), ("out",)

    def __init__(self, **given):
        super().__init__(**given)
        for name in NAMES:
            setattr(self, name, f"my {name}")

    def setup(self):
        self.ticks = []
        self.loop(self.ticks.append, ("tick",), interval=60)

    def transform(self, electron):
        self.send("seen")
        return Electron(electron.key, " ".join(getattr(self, name) for name in NAMES))

    def finish(self):
        self.finished = True


class NamedByTheClass(Link):
    """Has them as class attributes."""

    reads: str
    life: str

    def transform(self, electron):
        return [self.reads, self.life]


for _name in NAMES:
    setattr(NamedByTheClass, _name, f"my {_name}")

VALUE = " ".join(f"my {name}" for name in NAMES)


def test_own_attributes_of_any_name_do_not_disturb_a_driven_link():
    named = Named()
    driver = LinkDriver(named, now=0)
    assert [electron.value for electron in driver.transform("value")] == ["seen", VALUE]
    driver.advance(1)
    driver.finish()
    assert named.ticks == ["tick"] and named.finished


def test_own_class_attributes_of_any_name_do_not_disturb_a_driven_link():
    driver = LinkDriver(NamedByTheClass(input_topics="in", output_topics="out"))
    assert [electron.value for electron in driver.transform("value")] == ["my reads", "my life"]


def test_own_attributes_of_any_name_do_not_disturb_a_link_on_a_broker():
    with EmbeddedBroker() as broker:
        for topic in ("in", "out", "Named.dead-letters"):
            broker.create_topic(topic, 1)
        link = Named(kafka_endpoint=broker.endpoint, properties=CLIENT_PROPERTIES)
        link.start(embedded=True)
        assert link.wait_until_ready(30)
        table = link.table("out")
        producer = Producer({"bootstrap.servers": broker.endpoint, "log_level": 0})
        producer.produce("in", b"value", b"key")
        assert producer.flush(10) == 0
        eventually(lambda: table.get("key") == VALUE)
        link.add_input_topic("more")
        assert link.input_topics == ("in", "more")
        link.stop()
        assert link.join(120) and link.failure is None and link.finished


def test_dead_letters_names_their_topic_unless_the_author_uses_the_name():
    assert Link(consumer_group="shop").dead_letters == "shop.dead-letters"
    assert Named().dead_letters == "my dead_letters"
