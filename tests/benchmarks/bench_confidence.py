"""How well doubt finds what is wrong, on labelled sequences from one click per object; a script, on request.

    python -m tests.benchmarks.bench_confidence DATA
    ... DATA --sequences z_cells3d_nuclei,z_cells3d_nuclei:m --rounds 3

A sequence is an .npz file with the arrays `images` and `labels`; ``:m`` mirrors it, ``:t`` exchanges rows
and columns. A tracked mask is wrong where its intersection over union with the truth is below 0.5. Told are
the share of the wrong ones that is doubtful, and the share of the doubtful ones that is wrong, the same for
masks with a score below 0.5 or a jump, and how often a wrong one is less sure than a right one, by confidence
and by the score alone (area under the curve).

With `--rounds` each object is looked at in the middle of its longest doubtful stretch (``stretch``), on its
first frame that jumps, is lost or scores below 0.5 (``score``), or where most of its pixels are wrong, which
takes the truth (``truth``): a mask with 0.8 or more is confirmed, another one gets a click into its largest
error. Then all is tracked again. Told are the mean J after each round, and how many looks were at a mask with
less than 0.8.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from napari_sam2 import Session, load_model
from napari_sam2._cli.scoring import click_objects, most_wrong_frame, score_session, with_click
from napari_sam2._model.sam2 import Sam2
from napari_sam2.doubt import beside, find, find_jumps, status_of, stretches
from napari_sam2.metrics import ProtocolObject, choose_objects, correction_click, jaccard
from napari_sam2.summary import CellStatus
from tests.benchmarks.bench_memory_choice import CHOSEN_ON, CLOSING

Labels = NDArray[np.integer[Any]]
Marks = NDArray[np.bool_]
WRONG, GOOD, LOW_SCORE = 0.5, 0.8, 0.5
BINS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.01)


@dataclass(frozen=True, eq=False)
class Case:
    """A sequence that was tracked from one click for each object."""

    session: Session
    truth: Labels
    objects: tuple[ProtocolObject, ...]

    def j(self, obj: int, frame: int) -> float:
        """Intersection over union of an object's own mask."""
        return jaccard(self.session.mask(obj, frame), self.truth[frame] == obj)

    def propagate(self) -> float:
        """Track what is not up to date; return the mean J."""
        for _ in self.session.propagate():
            pass
        return float(np.mean([each.j for each in score_session(self.session, self.truth, self.objects)]))


def open_case(folder: Path, name: str, model: Sam2) -> Case:
    """Read a sequence, turned as its name says, and click its objects."""
    stem, _, turn = name.partition(":")
    with np.load(folder / f"{stem}.npz") as arrays:
        images, truth = (_turned(arrays[each], turn) for each in ("images", "labels"))
    session, objects = Session(images, model=model, view="window"), choose_objects(truth, every=False)
    click_objects(session, objects)
    return Case(session, truth, tuple(objects))


def _turned(array: NDArray[Any], turn: str) -> NDArray[Any]:
    array = array[..., ::-1] if "m" in turn else array
    return np.ascontiguousarray(array.swapaxes(1, 2) if "t" in turn else array)


@dataclass(frozen=True, eq=False)
class Masks:
    """Tracked masks, one after the other: how good they are, and what is said of them."""

    j: NDArray[np.float64]
    confidence: NDArray[np.float64]
    score: NDArray[np.float64]
    doubtful: Marks
    by_score: Marks


def masks_of(case: Case) -> Masks:
    """Compare all tracked masks with the truth."""
    summary = case.session.summary()
    cells = summary.cells
    rows, frames = np.nonzero((cells.status == CellStatus.TRACKED) & (cells.area > 0))
    j = [case.j(summary.objects[row], int(frame)) for row, frame in zip(rows, frames, strict=True)]
    doubtful = find(cells, status_of(summary)).doubtful
    by_score = find_jumps(cells) | (cells.score < LOW_SCORE)
    at = rows, frames
    sure, score = (array[at].astype(np.float64) for array in (cells.confidence, cells.score))
    return Masks(np.array(j), sure, score, doubtful[at], by_score[at])


def auc(values: NDArray[np.float64], wrong: Marks) -> float:
    """How often a wrong one has less than a right one."""
    count = int(wrong.sum())
    ranks = rankdata(-values)[wrong].sum() - count * (count + 1) / 2
    return float(ranks / (count * (len(wrong) - count)))


def tell_marks(name: str, masks: Masks) -> None:
    """Write a row of the table."""
    wrong = masks.j < WRONG
    shares = [
        f"{marks[wrong].mean():.2f} | {wrong[marks].mean():.2f}" for marks in (masks.doubtful, masks.by_score)
    ]
    curves = f"{auc(masks.confidence, wrong):.2f}, {auc(masks.score, wrong):.2f}"
    say(f"| {name} | {len(wrong)} | {wrong.sum()} | {' | '.join(shares)} | {curves} |")


def tell_bins(masks: list[Masks]) -> None:
    """Write the mean J of masks by their confidence."""
    j, sure = (np.concatenate([getattr(each, name) for each in masks]) for name in ("j", "confidence"))
    for low, high in pairwise(BINS):
        there = (sure >= low) & (sure < high)
        if there.any():
            say(f"| {low:.1f} to {min(high, 1):.1f} | {there.sum()} | {j[there].mean():.2f} |")


def place(case: Case, obj: int, way: str) -> int | None:
    """Choose the frame on which an object is looked at; None where nothing is to be seen."""
    if way == "truth":
        return most_wrong_frame(case.session, case.truth, obj)
    summary = case.session.summary()
    cells, row = summary.cells, summary.objects.index(obj)
    tracked = cells.status == CellStatus.TRACKED
    if way == "score":
        marks = tracked & (find_jumps(cells) | (cells.score < LOW_SCORE))
        lost = tracked & (cells.area == 0) & beside(cells.area > 0)
        found = np.flatnonzero((marks & (cells.area > 0) | lost)[row])
        return int(found[0]) if len(found) else None
    mine = [each for each in stretches(summary) if each.obj == obj and cells.area[row, each.middle.frame]]
    return max(mine, key=lambda each: each.last - each.first).middle.frame if mine else None


def look(case: Case, obj: int, frame: int) -> bool:
    """Confirm a mask or correct it by a click; return whether there was anything to be corrected."""
    mask, truth = case.session.mask(obj, frame), case.truth[frame] == obj
    click = correction_click(truth, mask)
    if case.j(obj, frame) >= GOOD or click is None:
        if mask.any():
            case.session.lock(obj, frame)
        return False
    case.session.set_prompts(obj, frame, with_click(case.session, obj, frame, click))
    return True


def tell_rounds(folder: Path, name: str, model: Sam2, rounds: int) -> None:
    """Look and correct again and again, each way from the start."""
    for way in ("stretch", "score", "truth"):
        case = open_case(folder, name, model)
        j, looks, corrected = [case.propagate()], 0, 0
        for _ in range(rounds):
            frames = {each.id: place(case, each.id, way) for each in case.objects}
            there = {obj: frame for obj, frame in frames.items() if frame is not None}
            looks += len(there)
            corrected += sum([look(case, *each) for each in there.items()])
            j.append(case.propagate())
        say(f"| {name} | {way} | {' | '.join(f'{each:.3f}' for each in j)} | {corrected} of {looks} |")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and write the tables, row by row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--sequences", default=",".join((*CHOSEN_ON, *CLOSING)))
    parser.add_argument("--rounds", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model, names = load_model(chosen.model, device="cpu"), chosen.sequences.split(",")
    if chosen.rounds:
        for name in names:
            tell_rounds(chosen.data, name, model, chosen.rounds)
        return
    found: list[Masks] = []
    for name in names:
        case = open_case(chosen.data, name, model)
        case.propagate()
        found.append(masks_of(case))
        tell_marks(name, found[-1])
    tell_bins(found)


if __name__ == "__main__":
    main()
