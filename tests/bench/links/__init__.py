"""What a link costs on Apache Kafka, beside a hand-written loop and beside other libraries.

Run with ``make bench-links``, or ``.venv/bin/python -m tests.bench.links --help``.

Every contender is a program of its own in ``contenders/``, with the same command line and the same work: read a topic of
four partitions, decode JSON, add one to a field, encode JSON, write it under the same key to a topic of four partitions.
How each library is configured stands in its file. All are measured from outside, in the same way:

- The input topic is filled beforehand. The clock is the broker's: output topics have
  ``message.timestamp.type=LogAppendTime``, because the time that a message carries otherwise is the client's, taken before
  it batches (one library passes on that of the input message), and says nothing about when the message arrived.
- The rate is what came after the first batch, by the time from the first to the last: neither start-up nor joining the
  consumer group counts.
- Every output is read back; their number and the sum of the changed field must be those of the inputs.
- Processor time is the contender's own, between the first outputs and the last, so that the broker and whatever else runs
  on the machine do not count. It is the figure to trust where cores are shared.
- Contenders take turns, round by round, and ratios are of the same round, so that a slow minute of the machine meets all.

This package imports nothing, so that its contenders run in environments that hold nothing but the library they show.
"""
