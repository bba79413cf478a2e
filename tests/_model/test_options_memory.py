"""What is kept of a frame: every option of encoding memories, and corrections as conditioning frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2._model.results import ImageFeatures
from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.stepping import Bank, Outcome, encode_prompted, memory_rules
from napari_sam2.prompts import FramePrompts
from napari_sam2.steps import result_of
from napari_sam2.tracker import Tracker
from tests._model.small import DIM, GRID, MEMORY_DIM, SIZE, click, features, memories, normal, small_model
from tests.one_step import step_objects

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.memory_attention import MemoryTokens
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.frame_result import FrameResult

SHAPE = (24, 48, 80)
# A seed whose objects are on every frame.
ALWAYS_THERE = 4


def listen_to_masks(model: Sam2) -> list[Tensor]:
    """Record the scaled masks that the memory encoder is given."""
    heard: list[Tensor] = []
    downsampler = model.memory_encoder.mask_downsampler
    downsampler.register_forward_hook(lambda _module, inputs, _output: heard.append(inputs[0]))
    return heard


def some_logits(count: int = 2) -> Tensor:
    return normal("logits", count, 1, SIZE, SIZE, scale=3)


# ------------------------------------------------------------------- one mask


@pytest.mark.parametrize(("scale", "bias"), [(20.0, -10.0), (1.0, 0.0), (5.0, 2.0)])
def test_scale_and_bias_of_the_mask(scale: float, bias: float) -> None:
    model = small_model(memory_scale=scale, memory_bias=bias)
    heard = listen_to_masks(model)
    logits = some_logits()
    model.encode_memory(features(model, count=2), logits, torch.ones(2, 1), binarize=False)
    torch.testing.assert_close(heard[0], scale / (1 + torch.exp(-logits)) + bias)


@pytest.mark.parametrize("option", [True, False])
@pytest.mark.parametrize("clicked", [True, False])
def test_clicked_masks_are_thresholded(option: bool, clicked: bool) -> None:
    model = small_model(binarize_clicked=option)
    heard = listen_to_masks(model)
    logits = some_logits()
    model.encode_memory(features(model, count=2), logits, torch.ones(2, 1), binarize=clicked)
    share = (logits > 0) * 1.0 if option and clicked else 1 / (1 + torch.exp(-logits))
    torch.testing.assert_close(heard[0], 20 * share - 10)


def test_memory_of_a_prompted_frame_is_that_of_its_enlarged_answer() -> None:
    """Thresholded after the enlargement, from the chosen candidate, and kept in bfloat16."""
    model = small_model(ALWAYS_THERE)
    heard = listen_to_masks(model)
    frame = features(model)
    prediction = model.step(frame, None, points=click((20.0, 30.0)))
    memory = encode_prompted(model, frame, prediction)
    assert prediction.object_logits > 0
    large = torch.nn.functional.interpolate(prediction.low_res, (SIZE, SIZE), mode="bilinear")
    assert torch.equal(heard[0], 20.0 * (large > 0) - 10)
    assert 0.02 < (large > 0).float().mean() < 0.98
    assert memory.dtype == torch.bfloat16
    assert memory.shape == (1, MEMORY_DIM, GRID, GRID)


@pytest.mark.parametrize("option", [True, False])
def test_absent_objects_are_marked_in_spatial_memory(option: bool) -> None:
    """A logit of exactly 0 is an absent object."""
    model, plain = small_model(no_object_spatial=option), small_model(no_object_spatial=False)
    logits, presence = some_logits(4), torch.tensor([[2.0], [-1.0], [0.0], [0.1]])
    frame = features(model, count=4)
    memory = model.encode_memory(frame, logits, presence, binarize=False)
    unmarked = plain.encode_memory(frame, logits, presence, binarize=False)
    mark = torch.zeros(4, MEMORY_DIM, 1, 1)
    if option:
        mark[1:3] = model.no_obj_embed_spatial[0, :, None, None]
    torch.testing.assert_close(memory, unmarked + mark)


def test_memory_is_of_the_frame_without_memory() -> None:
    """The encoder sees the raw features: features and mask are added, fused and narrowed."""
    model = small_model()
    frame, logits = features(model), some_logits(1)
    encoder = model.memory_encoder
    mask = encoder.mask_downsampler(20 * logits.sigmoid() - 10)
    block: Any = encoder.fuser.layers[0]
    x = encoder.pix_feat_proj(frame.embedding) + mask
    y = torch.nn.functional.conv2d(x, block.dwconv.weight, block.dwconv.bias, padding=3, groups=DIM)
    y = (y - y.mean(1, keepdim=True)) / (y.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    y = (y.permute(0, 2, 3, 1) * block.norm.weight + block.norm.bias) @ block.pwconv1.weight.T
    y = torch.nn.functional.gelu(y + block.pwconv1.bias) @ block.pwconv2.weight.T + block.pwconv2.bias
    wanted = encoder.out_proj(x + (block.gamma * y).permute(0, 3, 1, 2))
    got = model.encode_memory(frame, logits, torch.ones(1, 1), binarize=False)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


# --------------------------------------------------------- objects on one frame


def banks(model: Sam2, count: int) -> list[Bank]:
    """Make objects that were prompted on frame 0, each with other memories."""
    made = []
    for index in range(count):
        bank: Bank = MemoryBank(memory_rules(model), 9)
        recalled = memories(model, frames=1, tag=f"object{index}")
        bank.add_conditioning(0, recalled.spatial[0].bfloat16(), recalled.pointers[0])
        made.append(bank)
    return made


def step(model: Sam2, *, group_size: int = 3, count: int = 4) -> list[Outcome]:
    return step_objects(model, features(model), 1, banks(model, count), reverse=False, group_size=group_size)


@pytest.mark.parametrize("group_size", [1, 3, 8])
def test_memories_of_objects_may_not_overlap(group_size: int) -> None:
    """Each pixel is left to the object of highest logit; the others are at most -10 there."""
    model = small_model(non_overlap_memory=True)
    heard = listen_to_masks(model)
    outcomes = step(model, group_size=group_size)
    large = model.enlarge(torch.cat([o.prediction.low_res for o in outcomes])).numpy()
    assert (sum(mask > 0 for mask in large) > 1).any()
    wanted = large.copy()
    for y in range(SIZE):
        for x in range(SIZE):
            winner = max(range(len(large)), key=lambda k: float(large[k, 0, y, x]))
            for k in range(len(large)):
                if k != winner:
                    wanted[k, 0, y, x] = min(wanted[k, 0, y, x], -10)
    got = torch.cat(heard)
    torch.testing.assert_close(got, 20 * torch.from_numpy(wanted).sigmoid() - 10, rtol=1e-5, atol=1e-5)


def test_memories_overlap_by_default() -> None:
    model = small_model()
    heard = listen_to_masks(model)
    outcomes = step(model)
    large = model.enlarge(torch.cat([o.prediction.low_res for o in outcomes]))
    torch.testing.assert_close(torch.cat(heard), 20 * large.sigmoid() - 10)


def test_one_object_alone_overlaps_nothing() -> None:
    memory, plain = (
        step(small_model(non_overlap_memory=option), count=1)[0].memory for option in (True, False)
    )
    assert memory is not None
    assert plain is not None
    assert torch.equal(memory, plain)


@pytest.mark.parametrize("non_overlap", [True, False])
def test_groups_do_not_matter(non_overlap: bool) -> None:
    model = small_model(non_overlap_memory=non_overlap)
    apart, together = step(model, group_size=1), step(model, group_size=8)
    for one, other in zip(apart, together, strict=True):
        torch.testing.assert_close(one.prediction.masks, other.prediction.masks, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one.memory, other.memory, rtol=1e-2, atol=1e-2)


# ---------------------------------------------------------------- corrections


class Frames:
    """Noise of the sequence's shape."""

    def __init__(self) -> None:
        self._frames = np.random.default_rng(0).integers(0, 256, (*SHAPE, 1), dtype=np.uint8)

    def frame(self, index: int) -> np.ndarray:
        frame: np.ndarray = self._frames[index]
        return frame


def remembered(model: Sam2, frame: ImageFeatures, answer: FrameResult) -> Tensor:
    """Encode the memory of a prompted frame from what was told of it, (g g, M)."""
    large = model.enlarge(torch.tensor(answer.placed[0].logits)[None, None])
    presence = torch.tensor([[float(answer.presence[0]) - 0.5]])
    memory = model.encode_memory(frame, large, presence, binarize=True).bfloat16().float()
    return memory[0].flatten(1).T


def test_a_corrected_frame_is_attended_as_a_conditioning_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model(ALWAYS_THERE)
    follower = Tracker(model, Frames(), SHAPE)
    first = follower.prompt(1, 0, FramePrompts(points=((20, 30),), positive=(True,)))
    tracked = list(follower.track(follower.plan([1], "forward", range(4))))[-1]
    assert tracked.frame == 3
    assert tracked.origins[0] is not None
    base = result_of(follower.base_of(1, 3, tracked.placed[0], tracked.origins[0]))
    corrected = follower.prompt(
        1, 3, FramePrompts(points=((10, 60),), positive=(False,)), revision=1, base=base
    )
    heard: list[MemoryTokens] = []
    real = model.memory_attention.forward

    def forward(current: Tensor, code: Tensor, memory: MemoryTokens) -> Tensor:
        heard.append(memory)
        return real(current, code, memory)

    monkeypatch.setattr(model.memory_attention, "forward", forward)
    again = follower.plan([1], "forward", range(8))
    results = {result.frame: result for result in follower.track(again)}
    assert np.array_equal(results[3].placed[0].logits, corrected.placed[0].logits)
    assert sorted(results) == list(range(8))
    cells = GRID * GRID
    for tokens, frame in zip(heard, (1, 2, 4, 5, 6, 7), strict=True):
        for index, (t, answer) in enumerate(((0, first), (3, corrected))):
            part = slice(index * cells, (index + 1) * cells)
            wanted = remembered(model, follower.features.get(t), answer)
            torch.testing.assert_close(tokens.values[0, part], wanted, rtol=1e-2, atol=1e-2)
        number_of_tracked = min(len([t for t in range(1, frame) if t != 3]), 6)
        assert tokens.values.shape[1] - tokens.unplaced == (2 + number_of_tracked) * cells
        assert torch.equal(tokens.codes[:, :cells], tokens.codes[:, cells : 2 * cells])


@pytest.mark.parametrize("frame", [1, 3, 20])
def test_a_correction_sets_out_from_the_tracked_answer(frame: int) -> None:
    """Its mask prompt is the tracked mask, its features are those that the mask was predicted from."""
    model = small_model(ALWAYS_THERE)
    images: list[Tensor] = []
    model.sam_mask_decoder.transformer.register_forward_hook(
        lambda _module, inputs, _output: images.append(inputs[0])
    )
    follower = Tracker(model, Frames(), SHAPE)
    follower.prompt(1, 0, FramePrompts(points=((20, 30),), positive=(True,)))
    tracked = list(follower.track(follower.plan([1], "forward", range(frame + 1))))[-1]
    assert tracked.origins[0] is not None
    assert tracked.presence[0] > 0.5
    plain = model.sam_prompt_encoder.no_mask_embed.weight.reshape(1, DIM, 1, 1)
    recalled = images[-1] - plain
    base = result_of(follower.base_of(1, frame, tracked.placed[0], tracked.origins[0]))
    follower.prompt(1, frame, FramePrompts(points=((10, 60),), positive=(False,)), revision=1, base=base)
    previous = torch.tensor(tracked.placed[0].logits)[None, None].clamp(-32, 32)
    wanted = recalled + model.sam_prompt_encoder.mask_downscaling(previous)
    torch.testing.assert_close(images[-1], wanted, rtol=1e-4, atol=1e-4)
