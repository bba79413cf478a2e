"""Samples: what they promise about objects over time, and that images show what the labels say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.samples import (
    SAMPLES,
    SampleSequence,
    drifting_cells,
    nuclei_stack,
    sample,
)

NAMES = sorted(SAMPLES)


@cache
def made(name: str) -> SampleSequence:
    return sample(name)


def frames_of(labels: NDArray[np.uint16], obj: int) -> list[int]:
    return np.flatnonzero((labels == obj).any(axis=(1, 2))).tolist()


def ids_on(labels: NDArray[np.uint16]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    sequence = made(name)
    assert sequence.name == name
    assert sequence.images.shape == sequence.labels.shape
    assert sequence.images.shape[1:] == (256, 256)
    assert sequence.images.dtype in (np.uint8, np.uint16)
    assert sequence.labels.dtype == np.uint16
    assert len(sequence.scale) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_all(name: str) -> None:
    make = SAMPLES[name]
    one, same, other = (make(3, (64, 72), 2, seed) for seed in (5, 5, 6))
    assert one.images.shape == (3, 64, 72)
    assert (one.images == same.images).all()
    assert (one.labels == same.labels).all()
    assert (one.labels != other.labels).any()


@pytest.mark.parametrize("name", NAMES)
def test_objects_last_without_gaps_and_in_one_piece(name: str) -> None:
    labels = made(name).labels
    for obj in ids_on(labels):
        seen = frames_of(labels, obj)
        assert seen == list(range(seen[0], seen[-1] + 1))
        for t in seen:
            parts, count = ndimage.label(labels[t] == obj, structure=np.ones((3, 3)))
            assert np.bincount(parts.ravel())[1:].max() > 0.9 * (labels[t] == obj).sum(), (obj, t, count)


@pytest.mark.parametrize("name", NAMES)
def test_objects_move_by_less_than_their_size(name: str) -> None:
    labels = made(name).labels
    for obj in ids_on(labels):
        for t in frames_of(labels, obj)[:-1]:
            now, then = labels[t] == obj, labels[t + 1] == obj
            smaller = min(now.sum(), then.sum())
            assert (now & then).sum() > 0.4 * smaller or smaller < 60


@pytest.mark.parametrize(
    ("name", "sign"), [("drifting_cells", 1), ("nuclei_stack", 1), ("dividing_rods", -1)]
)
def test_the_images_show_the_objects(name: str, sign: int) -> None:
    sequence = made(name)
    middle = len(sequence.images) // 2
    image, labels = sequence.images[middle].astype(float), sequence.labels[middle]
    background = image[ndimage.binary_dilation(labels > 0, iterations=12) == 0]
    for obj in ids_on(labels):
        inside = ndimage.binary_erosion(labels == obj)
        if inside.sum() > 30:
            assert sign * (image[inside].mean() - background.mean()) > 4 * background.std()


@pytest.mark.parametrize(
    ("name", "sign"), [("drifting_cells", 1), ("nuclei_stack", 1), ("dividing_rods", -1)]
)
def test_edges_lie_where_the_labels_have_them(name: str, sign: int) -> None:
    sequence = made(name)
    middle = len(sequence.images) // 2
    image = sign * ndimage.gaussian_filter(sequence.images[middle].astype(float), 0.7)
    objects = sequence.labels[middle] > 0
    just_in = objects & ~ndimage.binary_erosion(objects, iterations=2)
    just_out = ndimage.binary_dilation(objects, iterations=3) & ~ndimage.binary_dilation(objects)
    assert np.percentile(image[just_in], 25) > np.percentile(image[just_out], 75)


def test_cells_meet_and_one_leaves() -> None:
    labels = made("drifting_cells").labels
    assert ids_on(labels[0]) == set(range(1, 7))
    assert len(ids_on(labels[-1])) == 5
    assert touching_pairs(labels[0]) == 0
    assert max(touching_pairs(frame) for frame in labels) >= 1


def touching_pairs(labels: NDArray[np.uint16]) -> int:
    """Number of pairs with at least four pixels side by side."""
    pairs: dict[tuple[int, int], int] = {}
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meeting = (a != b) & (a > 0) & (b > 0)
        for first, second in zip(a[meeting].tolist(), b[meeting].tolist(), strict=True):
            pair = (min(first, second), max(first, second))
            pairs[pair] = pairs.get(pair, 0) + 1
    return sum(count >= 4 for count in pairs.values())


def test_cells_change_shape() -> None:
    labels = made("drifting_cells").labels
    for obj in ids_on(labels[-1]):
        first, last = centred(labels[0] == obj), centred(labels[-1] == obj)
        assert 0.5 < (first & last).sum() / (first | last).sum() < 0.9


def centred(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    y, x = ndimage.center_of_mass(mask)
    return np.roll(mask, (128 - round(y), 128 - round(x)), axis=(0, 1))


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_leaves_whatever_the_seed(seed: int) -> None:
    labels = drifting_cells(frames=20, shape=(96, 128), cells=4, seed=seed).labels
    assert len(ids_on(labels[-1])) == 3


def test_cells_stay_out_once_they_are_out() -> None:
    labels = drifting_cells(frames=60, shape=(64, 64), cells=3).labels
    assert len(ids_on(labels[-1])) == 2


def test_nuclei_begin_and_end_within_the_stack() -> None:
    sequence = made("nuclei_stack")
    assert sequence.axis == "z"
    assert sequence.scale == (2.0, 1.0, 1.0)
    assert len(ids_on(sequence.labels)) == 16
    spans = [frames_of(sequence.labels, obj) for obj in ids_on(sequence.labels)]
    assert sum(span[0] > 0 and span[-1] < 31 for span in spans) >= 10
    assert all(len(span) >= 4 for span in spans)


def test_crowded_nuclei_keep_their_room() -> None:
    crowd = nuclei_stack(slices=6, shape=(64, 64), nuclei=40)
    areas = np.bincount(crowd.labels.ravel())[1:]
    assert 20 <= len(areas) <= 40
    assert areas.min() > 10


def test_deeper_slices_are_dimmer() -> None:
    sequence = made("nuclei_stack")
    mean = [sequence.images[t][sequence.labels[t] > 0].mean() for t in (8, 24)]
    assert mean[1] < mean[0]


def test_a_mother_ends_and_two_daughters_take_her_place() -> None:
    labels = made("dividing_rods").labels
    assert ids_on(labels[0]) == {1, 2, 3}
    assert len(ids_on(labels[-1])) >= 8
    divisions = 0
    for obj in ids_on(labels):
        end = frames_of(labels, obj)[-1]
        if end < len(labels) - 1:
            heirs, counts = np.unique(labels[end + 1][labels[end] == obj], return_counts=True)
            daughters = {h for h, n in zip(heirs.tolist(), counts.tolist(), strict=True) if h and n > 20}
            assert len(daughters - ids_on(labels[end])) == 2
            divisions += 1
    assert divisions >= 5


def test_rods_grow() -> None:
    labels = made("dividing_rods").labels
    seen = frames_of(labels, 1)
    areas = (labels == 1).sum(axis=(1, 2))[seen]
    assert areas[-1] > areas[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_sequences(name: str) -> None:
    sequence = SAMPLES[name](1, (32, 40), 1)
    assert sequence.images.shape == (1, 32, 40)
    assert ids_on(sequence.labels) == {1}


@pytest.mark.parametrize(
    ("frames", "shape", "count", "message"),
    [
        (0, (64, 64), 3, "3 objects on 0 frames"),
        (4, (64, 64), 0, "at least one of each"),
        (4, (64, 31), 3, "at least 32 pixels"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_impossible_wishes(name: str, frames: int, shape: tuple[int, int], count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SAMPLES[name](frames, shape, count)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"no sample 'cats': choose one of drifting_cells"):
        sample("cats")
