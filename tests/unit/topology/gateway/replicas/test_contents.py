"""Contents that a view on disk has are not held in memory, and are found when it needs them again."""

from __future__ import annotations

from collections.abc import Mapping

from topology import records
from topology.gateway.replicas.contents import Decode, OfferingContents
from topology.records import CompressedOffering, Offering, OfferingHead

G = "urn:g"


class Topic:
    """The rows of a topic, and how often it was read again."""

    def __init__(self, **digests: str) -> None:
        self.rows = {address: offering(digest) for address, digest in digests.items()}
        self.times_read = 0

    def read_again(self, decode: Decode) -> Mapping[str, OfferingHead]:
        self.times_read += 1
        found = {address: decode(address, row) for address, row in self.rows.items()}
        return {address: row for address, row in found.items() if row is not None}


def offering(digest: str) -> str:
    return records.to_text(Offering(graph=G, digest=digest, claimed_at=1, triples=f'<urn:s> <urn:p> "{digest}" .\n'))


def test_a_content_that_the_view_has_is_left_out() -> None:
    contents = OfferingContents(Topic().read_again)
    contents.begin({G: "first"})

    assert not isinstance(contents.decode("0xa", offering("first")), CompressedOffering)
    other = contents.decode("0xa", offering("second"))
    assert contents.content("0xa", other) == '<urn:s> <urn:p> "second" .\n'


def test_no_content_is_left_out_once_the_table_is_complete() -> None:
    contents = OfferingContents(Topic().read_again)
    contents.begin({G: "first"})
    contents.complete()

    assert isinstance(contents.decode("0xa", offering("first")), CompressedOffering)


def test_a_content_that_was_left_out_is_read_from_the_topic_again() -> None:
    topic = Topic(**{"0xa": "first", "0xb": "first"})
    contents = OfferingContents(topic.read_again)
    contents.begin({G: "first"})
    claim = contents.decode("0xa", topic.rows["0xa"])
    contents.read_missing()
    assert topic.times_read == 0

    assert contents.content("0xa", claim) is None
    contents.read_missing()
    contents.read_missing()

    assert contents.content("0xa", claim) == '<urn:s> <urn:p> "first" .\n'
    assert topic.times_read == 1


def test_a_content_that_the_topic_no_longer_has_is_not_found() -> None:
    topic = Topic(**{"0xa": "second"})
    contents = OfferingContents(topic.read_again)
    contents.begin({G: "first"})
    claim = contents.decode("0xa", offering("first"))

    assert contents.content("0xa", claim) is None
    contents.read_missing()

    assert contents.content("0xa", claim) is None
