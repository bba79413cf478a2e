"""Everything on the page of performance, measured one after the other, the cheapest first.

    python -m tests.benchmarks --list
    python -m tests.benchmarks --reference-python PATH
    python -m tests.benchmarks --only windows jobs --again

Each benchmark runs in a process of its own, and keeps what it measured in `results.json`; what is there
already is skipped unless `--again` is given, so that a run goes on where the last one ended. PATH is the
interpreter of an environment that has PyPI's sam2 and transformers; without it, what needs them is left out.
One that fails does not end the others: the exit status tells. `docs/performance.md` is written anew after
each. Nothing else may run meanwhile. A display is needed: on Linux without a screen, start it with
``xvfb-run -a``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.registry import BENCHMARKS, Benchmark
from tests.benchmarks.results import read_results
from tests.benchmarks.speed_page import write_page


@dataclass(frozen=True)
class Choice:
    """What was chosen on the command line.

    Attributes
    ----------
    threads : int
        Of each benchmark.
    reference_python : str or None
        Interpreter of an environment that has the references.
    again : bool
        Measure what is there, too.
    """

    threads: int
    reference_python: str | None = None
    again: bool = False

    def reason_to_skip(self, benchmark: Benchmark, results: dict[str, Any]) -> str | None:
        """Tell why one is not run; None if it is."""
        section, name = benchmark.kept
        if name in results.get(section, {}) and not self.again:
            return "is there"
        if benchmark.reference and self.reference_python is None:
            return "left out: it needs --reference-python"
        return None

    def command(self, benchmark: Benchmark) -> list[str]:
        """Return what is run."""
        module, *arguments = benchmark.argv
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
        command += ["--threads", str(self.threads)]
        if benchmark.reference and self.reference_python is not None:
            command += ["--reference-python", self.reference_python]
        return command


def chosen(names: Sequence[str] | None) -> list[Benchmark]:
    """Return those of some names, or all, the cheapest first."""
    wanted = [each for each in BENCHMARKS if names is None or each.name in names]
    return sorted(wanted, key=lambda each: each.minutes)


def run(benchmarks: Sequence[Benchmark], choice: Choice) -> list[str]:
    """Run what is missing; return the names of those that failed."""
    failed = []
    for each in benchmarks:
        reason = choice.reason_to_skip(each, read_results())
        say(each, reason or "begins")
        if reason is None and not _succeeds(choice.command(each), choice.threads):
            say(each, "failed")
            failed.append(each.name)
    return failed


def _succeeds(command: Sequence[str], threads: int) -> bool:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def say(benchmark: Benchmark, what: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{benchmark.name:32} {benchmark.minutes:5g} min  {what}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [each.name for each in BENCHMARKS]
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--again", action="store_true", help="measure what is there already, too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-python", metavar="PATH")
    told = parser.parse_args()
    choice = Choice(told.threads, told.reference_python, told.again)
    if told.list:
        for each in chosen(told.only):
            say(each, choice.reason_to_skip(each, read_results()) or "to be run")
        return
    failed = run(chosen(told.only), choice)
    write_page(read_results())
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
