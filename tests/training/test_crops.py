from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2.training.crops import CropRules, crop_clips
from napari_sam2.training.stacks import Stack, make_stack
from napari_sam2.training.synthetic import SyntheticBatch

PLAIN = CropRules(factor=(2.0, 2.0), drift=0.0, stride=0.0, light=False)


def _stack(frames: int = 6, seed: int = 0) -> Stack:
    """Three rectangles that move down; each has a grey value of its own, as its label has."""
    labels = np.zeros((frames, 90, 110), np.uint16)
    for frame in range(frames):
        labels[frame, 10 + 3 * frame : 30 + 3 * frame, 10:40] = 5
        labels[frame, 20 + 3 * frame : 44 + 3 * frame, 60:80] = 9
    labels[0, 60:90, 90:110] = 1000
    grey = {0: 20, 5: 90, 9: 160, 1000: 230}
    images = np.vectorize(grey.get)(labels).astype(np.uint8)
    return make_stack(f"made {seed}", images, labels)


def _clips(rules: CropRules = PLAIN, seed: int = 0, batch: int = 8, frames: int = 4) -> SyntheticBatch:
    return crop_clips((_stack(),), batch, frames, 64, torch.Generator().manual_seed(seed), rules)


def test_shapes_types_and_ranges() -> None:
    made = _clips(CropRules())
    assert made.images.shape == (8, 4, 3, 64, 64)
    assert made.labels.shape == (8, 4, 64, 64)
    assert made.images.dtype == torch.float32
    assert made.labels.dtype == torch.int32
    assert made.images.min() >= 0
    assert made.images.max() <= 255
    assert made.labels.max() <= 3


def test_the_state_of_the_generator_decides() -> None:
    first, again, other = _clips(CropRules()), _clips(CropRules()), _clips(CropRules(), seed=1)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other.images)


def test_images_and_labels_are_of_one_place() -> None:
    """Away from the edges, each object shows its own grey value alone."""
    made = _clips(batch=16)
    grey = made.images[:, :, 0]
    inner = torch.nn.functional.max_pool2d(made.labels.flatten(0, 1).float(), 3, 1, 1)
    inner_low = -torch.nn.functional.max_pool2d(-made.labels.flatten(0, 1).float(), 3, 1, 1)
    even = (inner == inner_low).view_as(made.labels)
    for clip in range(16):
        for obj in made.labels[clip].unique().tolist():
            values = grey[clip][(made.labels[clip] == obj) & even[clip]]
            if len(values) > 30 and obj:
                assert (values.median() - values).abs().float().quantile(0.9) < 4


def test_the_object_is_in_the_middle_of_the_first_frame_without_drift() -> None:
    made = _clips(batch=12)
    assert (made.labels[:, 0, 28:36, 28:36] > 0).flatten(1).all(1).all()


def test_every_object_of_every_stack_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    one = np.zeros((1, 40, 40), np.uint8)
    one[0, 10:20, 10:20] = 1
    bright = make_stack("bright", one * 200 + 50, one)
    made = crop_clips((_stack(), bright), 40, 1, 32, generator, PLAIN)
    middle = made.images[:, 0, 0, 14:18, 14:18].mean((1, 2)).round().int()
    assert {90, 160, 230, 250} <= set(middle.tolist())


def test_neighbouring_frames_follow_one_another() -> None:
    """Objects move three pixels a frame, in a window of 48 to 60 pixels that shows 64."""
    made = _clips(batch=10)
    for clip in range(10):
        mask = made.labels[clip] == made.labels[clip, 0, 32, 32]
        overlap = (mask[1:] & mask[:-1]).flatten(1).sum(1) / mask[:-1].flatten(1).sum(1).clamp(min=1)
        assert ((overlap > 0.6) | (overlap == 0)).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_stacks_are_played_to_and_fro(length: int) -> None:
    stack = _stack(length)
    made = crop_clips((stack,), 4, 7, 32, torch.Generator().manual_seed(0), PLAIN)
    assert made.labels.shape == (4, 7, 32, 32)
    period = max(2 * (length - 1), 1)
    assert torch.equal(made.labels[:, 0], made.labels[:, period])


def test_beyond_the_border_the_image_goes_on_and_objects_do_not() -> None:
    labels = np.zeros((1, 40, 40), np.uint8)
    labels[0, :20, :20] = 1
    stack = make_stack("corner", labels * 100 + 50, labels)
    made = crop_clips((stack,), 6, 1, 40, torch.Generator().manual_seed(0), PLAIN)
    for image, truth in zip(made.images[:, 0, 0], made.labels[:, 0], strict=True):
        assert (truth > 0).sum() == 400
        assert (image > 149).sum() > 800


def test_other_contrasts_are_stretched() -> None:
    labels = np.zeros((1, 40, 40), np.uint8)
    labels[0, 10:30, 10:30] = 1
    stack = make_stack("deep", labels.astype(np.uint16) * 4000 + 1000, labels)
    made = crop_clips((stack,), 2, 1, 40, torch.Generator().manual_seed(0), PLAIN)
    assert made.images.min() == 0
    assert made.images.max() == 255


def test_colours_stay_apart() -> None:
    labels = np.zeros((2, 40, 40), np.uint8)
    labels[:, 10:30, 10:30] = 1
    images = np.zeros((2, 40, 40, 3), np.uint8)
    images[..., 1] = 80
    made = crop_clips(
        (make_stack("green", images, labels),), 1, 2, 32, torch.Generator().manual_seed(0), PLAIN
    )
    assert made.images.amax((0, 1, 3, 4)).tolist() == [0, 80, 0]
