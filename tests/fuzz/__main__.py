"""The long run: ``python -m tests.fuzz --seconds 600``; by coverage where atheris is installed."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from tests.fuzz.campaign import ROOT, fuzz
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz all targets, or those that the command line names; the status is 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "targets", nargs="*", default=list(TARGETS), help=f"which of {', '.join(TARGETS)}; default: all"
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long in all (default 600)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the inputs (default: the time)")
    options = parser.parse_args()
    guided = importlib.util.find_spec("atheris") is not None
    print(f"seed {options.seed}; inputs by {'coverage (atheris)' if guided else 'mutation; atheris is not installed'}")
    total = findings = 0
    for target in options.targets:
        # atheris finds what is new, mutation alone is twenty times as fast: each has half of the time.
        for by_coverage in (True, False) if guided else (False,):
            seconds = options.seconds / len(options.targets) / (1 + guided)
            outcome = fuzz(target, options.seed, seconds=seconds, guided=by_coverage)
            total += outcome.inputs
            how = "by coverage" if by_coverage else "by mutation"
            print(f"{target:12} {how}: {outcome.inputs:>9,} inputs, {len(outcome.findings)} findings", flush=True)
            for said, data in outcome.findings:
                findings += 1
                path = _kept(target, data)
                print(f"  {path.relative_to(ROOT)}: {said}", flush=True)
    print(f"{total:,} inputs, {findings} findings")
    sys.exit(findings > 0)


def _kept(target: str, data: bytes) -> Path:
    folder = ROOT / ".cache" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}-{abs(hash(data)):x}"
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    main()
