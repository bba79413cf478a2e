"""A monkey at the dock: random actions, often without waiting, and what has to hold after them. Run by hand.

    QT_QPA_PLATFORM=offscreen python -m tests.benchmarks.monkey --sequences 100 --seed 0
    ... --steps 60 --setting stack
    ... --replay FAILED.json

Each sequence has a seed of its own, counted from the first. One that fails is made shorter while it still
fails, and printed; `--keep` writes it into a folder, from where it can be played again.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import time
import traceback
from collections.abc import Collection, Sequence
from dataclasses import astuple
from pathlib import Path

from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from tests._napari.monkey_checks import MonkeyError
from tests._napari.monkey_hands import Act
from tests._napari.monkey_play import SETTINGS, draw, play, shrink

STUCK = 300.0
PACES = (0.0, 0.001, 0.004)


def say(text: str) -> None:
    """Print something."""
    print(text, flush=True)  # noqa: T201


def played(acts: Sequence[Act], setting: str, seconds: float) -> MonkeyError | None:
    """Play a sequence; threads that are stuck are shown."""
    faulthandler.dump_traceback_later(STUCK)
    failure = play(acts, setting, seconds=seconds)
    faulthandler.cancel_dump_traceback_later()
    notification_manager.records.clear()
    return failure


def again(acts: Sequence[Act], setting: str, seconds: float, kind: str) -> bool:
    """Tell whether a sequence fails in the same way, once in three times."""
    failures = (played(acts, setting, seconds) for _ in range(3))
    return any(failure is not None and failure.kind == kind for failure in failures)


def tell(acts: Sequence[Act]) -> None:
    """Print a sequence."""
    for act in acts:
        say(f"    {act.name} {act.draws} {act.then}")


def run(seed: int, setting: str, steps: int, keep: Path | None, known: Collection[str]) -> str:
    """Play one sequence; return what does not hold, or nothing. What is known is not made shorter again."""
    acts, pace, start = draw(seed, steps), PACES[seed % len(PACES)], time.monotonic()
    failure = played(acts, setting, pace)
    said = "clean" if failure is None else f"FAILED: {failure}"
    say(f"{setting}, seed {seed}: {said} ({time.monotonic() - start:.1f} s)")
    if failure is None or failure.kind in known:
        return "" if failure is None else failure.kind
    say("".join(traceback.format_exception(failure)))
    kind = failure.kind
    shorter = shrink(acts, lambda some: again(some, setting, pace, kind))
    say(f"  {len(shorter)} of {len(acts)} actions, {1000 * pace:.0f} ms a frame:")
    tell(shorter)
    if keep is not None:
        kept = {"setting": setting, "seconds": pace, "acts": [astuple(act) for act in shorter]}
        (keep / f"{setting}-{seed}.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return kind


def replay(file: Path) -> None:
    """Play a sequence that was kept."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    acts = [Act(name, (draws[0], draws[1], draws[2]), then) for name, draws, then in kept["acts"]]
    tell(acts)
    failure = played(acts, kept["setting"], kept["seconds"])
    say("clean" if failure is None else "".join(traceback.format_exception(failure)))


def main() -> None:
    """Play sequences, and count those that fail."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--setting", choices=SETTINGS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--replay", type=Path)
    chosen = parser.parse_args()
    application = QApplication([])
    if chosen.replay is not None:
        replay(chosen.replay)
        return
    kinds: list[str] = []
    for seed in range(chosen.seed, chosen.seed + chosen.sequences):
        setting = chosen.setting or SETTINGS[seed % 2]
        kinds += [run(seed, setting, chosen.steps, chosen.keep, kinds)]
    say(f"{kinds.count('')} of {len(kinds)} sequences were clean: {sorted({*kinds} - {''})}")
    application.quit()


if __name__ == "__main__":
    main()
