"""Messages as Kafka's client gives them."""


class Message:
    """What links use of a message of confluent-kafka."""

    def __init__(
        self, headers=(), offset=42, value=b"value", key=None, topic="Sorter.dead-letters", partition=3, error=None
    ):
        self._headers, self._offset, self._value, self._key, self._topic = headers, offset, value, key, topic
        self._partition, self._error = partition, error

    def __len__(self):
        return len(self._value or b"")

    def topic(self):
        return self._topic

    def key(self):
        return self._key

    def partition(self):
        return self._partition

    def error(self):
        return self._error

    def offset(self):
        return self._offset

    def timestamp(self):
        return 1, 1_700_000_000_500

    def headers(self):
        return list(self._headers) or None

    def value(self):
        return self._value
