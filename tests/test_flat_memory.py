"""With labels on disk, what is held does not grow with the sequence."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_sam2._labels.spill import SpillStore
from napari_sam2.io import StreamedLabels, create_labels
from napari_sam2.keeping import Keeping
from napari_sam2.session import Session
from napari_sam2.window import View
from tests.fakes import SHAPE, FakeModel, click, plain_frames

STOPS = {1: (100, 300), 16: (45, 65)}
"""Two frames in between, for so many objects."""
MEASURED = {1: 1050, 16: 230}
"""Bytes for each object and frame. About 880 are of the frame, however many objects are on it."""


@dataclass(frozen=True)
class Held:
    """Counts of what grows easily."""

    tracks: int
    memories: int
    traces: int
    features: int
    read_ahead: int
    archived: int
    label_frames: int
    undo_steps: int
    answers: bool


def held_by(session: Session, labels: StreamedLabels) -> Held:
    """Count what bank, caches, tracker and session hold."""
    tracker, state = session._tracker, session._state
    tracks = tracker.held.values()
    return Held(
        tracks=len(tracks),
        memories=sum(len(each.bank.tracked) + len(each.bank.tracked_pointers) for each in tracks),
        traces=sum(len(each.traces) + len(each.encoded) for each in tracks),
        features=len(tracker.features._kept),
        read_ahead=len(tracker.features._ahead),
        archived=tracker._sweeps._memories.nbytes,
        label_frames=len(labels._frames),
        undo_steps=len(state.history._done),
        answers=state.labels._store.bytes_in_memory <= 2**20,
    )


@pytest.fixture
def labels(tmp_path: Path) -> StreamedLabels:
    return create_labels(tmp_path / "labels.ome.zarr", (302, *SHAPE))


def propagated(
    labels: StreamedLabels,
    stops: tuple[int, int],
    objects: int,
    view: View,
    store: SpillStore | None = None,
) -> Iterator[tuple[int, Session]]:
    """Track objects and stop at two frames in between, with another store of logits if one is given."""
    frames = np.tile(plain_frames(100), (4, 1, 1))[:302]
    fake = FakeModel()
    session = Session(frames, model=fake.as_model(), labels=labels, view=view)
    if store is not None:
        session._state.labels._store = store
    for obj in range(1, objects + 1):
        session.set_prompts(obj, 0, click(3 + 5 * obj % 20, 2 + 7 * obj % 16))
    for result in session.propagate():
        for notes in (fake.attended, fake.asked, fake.batches, fake.encoded):
            notes.clear()
        if result.frame in stops:
            yield result.frame, session
        if result.frame == stops[-1]:
            return


@pytest.mark.parametrize(("objects", "view"), [(1, "frame"), (16, "window")])
def test_what_is_held_after_many_frames_is_what_is_held_after_some(
    labels: StreamedLabels, objects: int, view: View
) -> None:
    stops = STOPS[objects]
    early, late = (held_by(session, labels) for _, session in propagated(labels, stops, objects, view))
    assert early == late
    assert view == "window" or late.features == Keeping().beside(labels).most_frames
    assert late.answers
    assert labels[stops[1]].any()


@pytest.mark.parametrize(("objects", "view"), [(1, "window"), (16, "frame")])
def test_what_is_known_of_a_mask_takes_little(labels: StreamedLabels, objects: int, view: View) -> None:
    """All that is allocated for a further frame, its step of undo included: no picture, no logits."""
    sizes, (early, late) = [], STOPS[objects]
    tracemalloc.start()
    for _ in propagated(labels, (early, late), objects, view, SpillStore(0)):
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    held = (sizes[1] - sizes[0]) / (late - early) / objects
    assert held < 1.15 * MEASURED[objects], held


def test_labels_in_memory_keep_more_for_whoever_corrects_them() -> None:
    everything = Keeping()
    assert everything.beside(None) == everything.beside(np.zeros((1, 2, 2))) == everything
    assert everything.memories > 0 == everything.beside(object()).memories
