"""Feeds one target in a process that may die, and says what it found.

The input under way stands in a file, so that the parent can read it even if this process has crashed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from pathlib import Path
from typing import Any

_SLOW = 5.0
_MOST_FINDINGS = 10


def main() -> None:
    """Run the target that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--inputs", type=int, default=sys.maxsize, help="how many inputs at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long at most")
    parser.add_argument("--under-way", type=Path, required=True, help="file for the input under way")
    parser.add_argument("--guided", action="store_true", help="let atheris choose inputs by coverage")
    options = parser.parse_args()
    if options.guided:
        import atheris

        with atheris.instrument_imports(include=["topology", "federation", "catena_core"]):
            from tests.fuzz.targets import TARGETS
    else:
        from tests.fuzz.targets import TARGETS
    fuzzing = Fuzzing(TARGETS[options.target], options.under_way)
    if options.guided:
        fuzzing.guided(options.seed, options.seconds)
    else:
        fuzzing.run(options.seed, options.inputs, options.seconds)


class Fuzzing:
    """Feeds a target with inputs.

    Args:
        target: The target.
        under_way: The file for the input under way.
    """

    def __init__(self, target: Any, under_way: Path) -> None:
        self._target = target
        self._under_way = under_way.open("wb", buffering=0)
        self._inputs = 0
        self._findings: dict[str, dict[str, str]] = {}

    def run(self, seed: int, most: int, seconds: float) -> None:
        """Feed inputs made from a seed until there were so many, or until the time is up."""
        from tests.fuzz.mutation import inputs

        ends = time.monotonic() + seconds
        for data in inputs(self._target.samples, seed):
            if self._inputs >= most or time.monotonic() > ends or len(self._findings) >= _MOST_FINDINGS:
                break
            self.feed(data)
        self.report()

    def guided(self, seed: int, seconds: float) -> None:
        """Feed inputs that atheris chooses."""
        import atheris

        from tests.fuzz.mutation import mutated

        samples = self._target.samples

        def mutate(data: bytes, most: int, number: int) -> bytes:
            chance = random.Random(number)
            return mutated(data or chance.choice(samples), samples, chance)[:most]

        ends = time.monotonic() + seconds

        def feed(data: bytes) -> None:
            self.feed(data)
            if time.monotonic() > ends or len(self._findings) >= _MOST_FINDINGS:
                self.report()
                sys.stdout.flush()
                raise SystemExit  # atheris ends the process

        arguments = [sys.argv[0], f"-seed={seed % 2**31 or 1}", "-max_len=60000", "-len_control=0", "-verbosity=0"]
        arguments.append(f"-artifact_prefix={Path(self._under_way.name).parent}/")
        atheris.Setup(arguments, feed, custom_mutator=mutate)
        atheris.Fuzz()

    def feed(self, data: bytes) -> None:
        """Feed one input, and remember an error that none of the target's callers expects."""
        self._under_way.seek(0)
        self._under_way.write(data)
        self._under_way.truncate()
        self._inputs += 1
        started = time.process_time()
        try:
            self._target.read(data)
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self._found(
                f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}", data, traceback.format_exc()
            )
        if time.process_time() - started > _SLOW:
            self._found("slow", data, f"it takes {time.process_time() - started:.1f} s")

    def _found(self, name: str, data: bytes, said: str) -> None:
        self._findings.setdefault(name, {"finding": name, "said": said, "input": data.hex()})

    def report(self) -> None:
        """Print the number of inputs and the findings, as the last line."""
        print(json.dumps({"inputs": self._inputs, "findings": list(self._findings.values())}))


if __name__ == "__main__":
    main()
