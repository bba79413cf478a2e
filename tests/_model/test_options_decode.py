"""Candidates, presence and pointers: every option of the decoding half of the frame step, by its formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional

from napari_sam2._model.results import Points
from tests._model.small import DIM, GRID, SIZE, click, features, memories, normal, small_model

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.results import Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._model.two_way import TwoWayState

BATCH = 6
PRESENCE = ("sam_mask_decoder.obj_score_token", "sam_mask_decoder.pred_obj_score_head", "no_obj_ptr")


def clicks(count: int, batch: int = BATCH) -> Points:
    """Make clicks with one more object in each row's place."""
    coords = torch.rand(batch, count, 2, generator=torch.Generator().manual_seed(3)) * SIZE
    return Points(coords, torch.ones(batch, count, dtype=torch.int32))


@dataclass
class Heard:
    """What the decoder's transformer was given, (B, C, g, g) and (B, n, C), and what it gave."""

    image: Tensor
    tokens: Tensor
    state: TwoWayState


def listen(model: Sam2) -> list[Heard]:
    heard: list[Heard] = []

    def hook(_module: object, inputs: tuple[Tensor, ...], output: TwoWayState) -> None:
        heard.append(Heard(inputs[0], inputs[2], output))

    model.sam_mask_decoder.transformer.register_forward_hook(hook)
    return heard


def track(model: Sam2, *, points: Points | None = None) -> Prediction:
    """Step six objects, some present and some absent, with memories."""
    prediction = model.step(features(model, count=BATCH), memories(model, batch=BATCH), points=points)
    if model.config.predict_presence:
        present = prediction.object_logits > 0
        assert present.any()
        assert not present.all()
    return prediction


# ----------------------------------------------------------------- candidates


@pytest.mark.parametrize(
    ("options", "asked", "answer"),
    [
        ({}, {0: True, 1: True, 2: False, 3: False}, "initial"),
        ({}, {0: True, 1: True, 2: False}, "tracked"),
        ({"multimask": False}, {0: False, 1: False, 2: False}, "initial"),
        ({"multimask_when_tracking": False}, {0: True, 1: True, 2: False}, "initial"),
        ({"multimask_when_tracking": False}, {0: False, 1: False, 2: False}, "tracked"),
        ({"multimask_min_points": 1}, {0: False, 1: True, 2: False}, "initial"),
        (
            {"multimask_min_points": 2, "multimask_max_points": 3},
            {1: False, 2: True, 3: True, 4: False},
            "tracked",
        ),
        ({"multimask_max_points": 0}, {0: True, 1: False}, "tracked"),
    ],
)
def test_which_prompts_have_candidates(options: dict[str, Any], asked: dict[int, bool], answer: str) -> None:
    """Asked by the number of candidates that a step gives, on a first frame and on a tracked one."""
    model = small_model(**options)
    recalled = None if answer == "initial" else memories(model)
    for count, ambiguous in asked.items():
        points = clicks(count, batch=1) if count else None
        prediction = model.step(features(model), recalled, points=points)
        assert prediction.masks.shape == (1, 3 if ambiguous else 1, 4 * GRID, 4 * GRID), count


def test_a_box_counts_as_two_points() -> None:
    model = small_model()
    box = Points(torch.tensor([[[5.0, 6.0], [30.0, 40.0]]]), torch.tensor([[2, 3]], dtype=torch.int32))
    assert model.step(features(model), None, points=box).masks.shape[1] == 1


def test_best_candidate_is_taken_or_the_one_asked_for() -> None:
    model = small_model()
    best = track(model, points=clicks(1))
    for row in range(BATCH):
        index = max(range(3), key=lambda k: float(best.ious[row, k]))
        assert torch.equal(best.low_res[row, 0], best.masks[row, index])
        assert best.iou[row] == best.ious[row, index]
    assert len(set(best.best.tolist())) > 1
    asked = model.step(features(model, count=BATCH), None, points=clicks(1), candidate=2)
    assert torch.equal(asked.low_res[:, 0], asked.masks[:, 2])
    assert torch.equal(asked.iou, asked.ious[:, 2])


@pytest.mark.parametrize("options", [{}, {"pointer_from_multimask": False}, {"predict_presence": False}])
def test_another_candidate_can_be_taken_later(options: dict[str, Any]) -> None:
    model = small_model(**options)
    prediction = model.step(features(model, count=BATCH), None, points=clicks(1))
    for candidate in range(3):
        asked = model.step(features(model, count=BATCH), None, points=clicks(1), candidate=candidate)
        chosen = model.choose(prediction, asked.best)
        assert torch.equal(chosen.low_res, asked.low_res)
        assert torch.equal(chosen.iou, asked.iou)
        assert torch.equal(chosen.pointer, asked.pointer)


def test_where_there_is_no_candidate_nothing_is_chosen() -> None:
    model = small_model(multimask=False)
    single = model.step(features(model, count=BATCH), None, points=clicks(1))
    again = model.choose(single, single.best + 1)
    assert torch.equal(again.low_res, single.low_res)
    assert torch.equal(again.pointer, single.pointer)


@pytest.mark.parametrize("options", [{}, {"multimask": False}, {"soft_no_object_pointer": False}])
def test_an_object_can_be_taken_for_present(options: dict[str, Any]) -> None:
    model = small_model(**options)
    bias = model.state_dict()["sam_mask_decoder.pred_obj_score_head.layers.2.bias"]
    bias.fill_(-20)
    absent = model.step(features(model, count=BATCH), None, points=clicks(1))
    assert (absent.low_res == model.config.no_object_logit).all()
    bias.fill_(2 * 20)
    seen = model.step(features(model, count=BATCH), None, points=clicks(1))
    taken = model.choose(absent, present=True)
    assert torch.equal(taken.low_res, seen.low_res)
    assert (taken.object_logits > 0).all()
    assert torch.equal(model.choose(seen, present=True).pointer, seen.pointer)


def test_a_mask_that_is_its_own_answer_stays_one() -> None:
    model = small_model()
    given = model.predict_from_mask(features(model, count=BATCH), torch.zeros(BATCH, 1, 64, 64))
    assert model.choose(given, present=True) is given


def stability(mask: Tensor, delta: float) -> float:
    inner = sum(float(v) > delta for v in mask.flatten())
    outer = sum(float(v) > -delta for v in mask.flatten())
    return inner / outer if outer else 1.0


@pytest.mark.parametrize(("delta", "threshold"), [(0.05, 0.98), (0.5, 0.8), (0.5, 0.0), (2.0, 1.0)])
def test_unstable_single_masks_fall_back_to_the_best_candidate(delta: float, threshold: float) -> None:
    model = small_model(stability_delta=delta, stability_threshold=threshold)
    plain = small_model(stability_fallback=False)
    frame, points = features(model, count=BATCH), clicks(2)
    three = small_model(multimask_max_points=2).step(frame, None, points=points)
    first, got = plain.step(frame, None, points=points), model.step(frame, None, points=points)
    stable = [stability(first.raw_masks[row, 0], delta) >= threshold for row in range(BATCH)]
    for row in range(BATCH):
        wanted = first.raw_masks[row, 0] if stable[row] else three.raw_masks[row, three.best[row]]
        assert torch.equal(got.raw_masks[row, 0], wanted)
        assert got.iou[row] == (first.iou[row] if stable[row] else three.iou[row])
    assert all(stable) == (threshold == 0)
    assert torch.equal(got.pointer, first.pointer)


def test_training_keeps_unstable_masks() -> None:
    model = small_model(stability_delta=2.0, stability_threshold=1.0)
    frame, points = features(model), clicks(2, batch=1)
    kept = small_model(stability_fallback=False).step(frame, None, points=points)
    assert not torch.equal(model.step(frame, None, points=points).raw_masks, kept.raw_masks)
    assert torch.equal(model.train().step(frame, None, points=points).raw_masks, kept.raw_masks)


@pytest.mark.parametrize(
    ("inside", "between", "stable"),
    [(98, 2, True), (97, 3, False), (0, 0, True), (0, 1, False), (256, 0, True)],
)
def test_stability_is_the_share_of_certain_pixels(inside: int, between: int, stable: bool) -> None:
    mask = torch.full((256,), -1.0)
    mask[:inside], mask[inside : inside + between] = 1.0, 0.01
    got = small_model().sam_mask_decoder._is_stable(mask.view(1, 1, 16, 16))
    assert got.item() is stable


# ----------------------------------------------------- pointers and presence


def pointer_by_hand(model: Sam2, token: Tensor, object_logits: Tensor) -> Tensor:
    config = model.config
    pointer: Tensor = model.obj_ptr_proj(token)
    soft = 1 / (1 + torch.exp(-object_logits))
    share = soft if config.soft_no_object_pointer else (object_logits > 0) * 1.0
    if config.fixed_no_object_pointer:
        return share * pointer + (1 - share) * model.no_obj_ptr
    return pointer + (1 - share) * model.no_obj_ptr


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("from_multimask", [False, True])
def test_pointer(fixed: bool, soft: bool, from_multimask: bool) -> None:
    """From the token of the chosen candidate or else of the single mask, mixed with "no object"."""
    model = small_model(
        fixed_no_object_pointer=fixed, soft_no_object_pointer=soft, pointer_from_multimask=from_multimask
    )
    heard = listen(model)
    prediction = track(model, points=clicks(1))
    tokens = heard[0].state.queries[:, 2:6]
    chosen = prediction.best + 1 if from_multimask else torch.zeros(BATCH, dtype=torch.int64)
    token = torch.stack([tokens[row, chosen[row]] for row in range(BATCH)])
    torch.testing.assert_close(
        prediction.pointer, pointer_by_hand(model, token, prediction.object_logits), rtol=1e-5, atol=1e-5
    )


def test_pointer_of_a_single_mask_is_that_of_its_token_even_after_the_fallback() -> None:
    model = small_model(stability_threshold=1.0, stability_delta=2.0)
    heard = listen(model)
    prediction = track(model, points=clicks(2))
    wanted = pointer_by_hand(model, heard[0].state.queries[:, 2], prediction.object_logits)
    torch.testing.assert_close(prediction.pointer, wanted, rtol=1e-5, atol=1e-5)


def test_masks_of_absent_objects_are_emptied() -> None:
    prediction = track(small_model())
    for row in range(BATCH):
        if prediction.object_logits[row] > 0:
            assert torch.equal(prediction.masks[row], prediction.raw_masks[row])
        else:
            assert (prediction.masks[row] == -1024).all()
            assert prediction.raw_masks[row].std() > 0.1


def test_without_presence_objects_are_always_there() -> None:
    model = small_model(predict_presence=False, fixed_no_object_pointer=False)
    heard = listen(model)
    prediction = track(model)
    assert not [name for name in model.state_dict() if name.startswith(PRESENCE)]
    assert (prediction.object_logits == 10).all()
    assert torch.equal(prediction.masks, prediction.raw_masks)
    decoder = model.sam_mask_decoder
    expected = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight))
    assert torch.equal(heard[0].tokens[:, :5], expected.expand(BATCH, -1, -1))
    token = torch.stack([heard[0].state.queries[row, 2 + prediction.best[row]] for row in range(BATCH)])
    torch.testing.assert_close(prediction.pointer, model.obj_ptr_proj(token))
    torch.testing.assert_close(
        prediction.ious, decoder.iou_prediction_head(heard[0].state.queries[:, 0])[:, 1:].sigmoid()
    )


def test_without_presence_an_empty_mask_keeps_its_pointer() -> None:
    model = small_model(predict_presence=False, fixed_no_object_pointer=False)
    heard = listen(model)
    prediction = model.predict_from_mask(features(model), torch.zeros(1, 1, SIZE, SIZE))
    assert prediction.object_logits.item() == -10
    torch.testing.assert_close(prediction.pointer, model.obj_ptr_proj(heard[0].state.queries[:, 1]))


def test_linear_heads() -> None:
    """Presence and pointer by one linear layer each instead of three."""
    model = small_model(presence_mlp=False, pointer_mlp=False)
    state = model.state_dict()
    heard = listen(model)
    prediction = track(model)
    weight, bias = (state[f"sam_mask_decoder.pred_obj_score_head.{name}"] for name in ("weight", "bias"))
    assert weight.shape == (1, DIM)
    torch.testing.assert_close(prediction.object_logits, heard[0].state.queries[:, 0] @ weight.T + bias)
    token = torch.stack([heard[0].state.queries[row, 3 + prediction.best[row]] for row in range(BATCH)])
    projected = token @ state["obj_ptr_proj.weight"].T + state["obj_ptr_proj.bias"]
    present = (prediction.object_logits > 0)[:, 0]
    torch.testing.assert_close(prediction.pointer[present], projected[present])


def test_without_pointers_there_is_nothing_to_point() -> None:
    model = small_model(use_pointers=False)
    absent = ("obj_ptr_proj", "obj_ptr_tpos_proj", "no_obj_ptr", "mask_downsample")
    assert not [name for name in model.state_dict() if name.startswith(absent)]
    mask = torch.ones(BATCH, 1, SIZE, SIZE)
    for prediction in (track(model), model.predict_from_mask(features(model, count=BATCH), mask)):
        assert torch.equal(prediction.pointer, torch.zeros(BATCH, DIM))


# --------------------------------------------------------- fine maps and masks


@pytest.mark.parametrize("high_res", [True, False])
def test_upscaling_with_and_without_fine_maps(high_res: bool) -> None:
    model = small_model(high_res_features=high_res)
    heard = listen(model)
    frame = features(model, count=BATCH)
    assert len(frame.high_res) == (2 if high_res else 0)
    prediction = track(model)
    decoder, state = model.sam_mask_decoder, model.state_dict()
    assert ("sam_mask_decoder.conv_s0.weight" in state) is high_res
    weights = {name.split("output_upscaling.")[-1]: value for name, value in state.items()}
    image = heard[0].state.keys.transpose(1, 2).reshape(BATCH, DIM, GRID, GRID)
    x = functional.conv_transpose2d(image, weights["0.weight"], weights["0.bias"], stride=2)
    x = x + frame.high_res[1] if high_res else x
    normed = functional.layer_norm(
        x.permute(0, 2, 3, 1), (DIM // 4,), weights["1.weight"], weights["1.bias"], eps=1e-6
    )
    x = functional.gelu(normed.permute(0, 3, 1, 2))
    x = functional.conv_transpose2d(x, weights["3.weight"], weights["3.bias"], stride=2)
    x = functional.gelu(x + frame.high_res[0] if high_res else x)
    for k in range(3):
        kernel = decoder.output_hypernetworks_mlps[k + 1](heard[0].state.queries[:, 3 + k])
        wanted = torch.einsum("bc,bcyx->byx", kernel, x)
        torch.testing.assert_close(prediction.raw_masks[:, k], wanted, rtol=1e-4, atol=1e-4)


def shrink_by_hand(values: Tensor, factor: int = 4) -> Tensor:
    """Resize (B, 1, S, S) by triangles that reach to the next centres of the result, cut off at the edges."""
    side = values.shape[-1]
    centres = (torch.arange(side // factor)[:, None] + 0.5) * factor
    weights = (1 - (torch.arange(side) + 0.5 - centres).abs() / factor).clamp(min=0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights @ values @ weights.T


def some_masks() -> Tensor:
    """Make three masks, the last one empty."""
    mask = (functional.avg_pool2d(normal("mask", 3, 1, SIZE, SIZE), 9, stride=1, padding=4) > 0).float()
    mask[2] = 0
    return mask


@pytest.mark.parametrize("fixed", [True, False])
def test_mask_taken_as_output(fixed: bool) -> None:
    """Memory and clicks do not matter; the mask says once more whether the object is there."""
    model = small_model(fixed_no_object_pointer=fixed)
    heard = listen(model)
    frame, mask = features(model, count=3), some_masks()
    prediction = model.step(frame, memories(model, batch=3), mask=mask, points=clicks(1, batch=3))
    torch.testing.assert_close(prediction.low_res, shrink_by_hand(20 * mask - 10), rtol=1e-5, atol=1e-5)
    assert torch.equal(prediction.iou, torch.ones(3))
    assert torch.equal(prediction.object_logits, torch.tensor([[10.0], [10.0], [-10.0]]))
    hint = functional.conv2d(mask, model.mask_downsample.weight, model.mask_downsample.bias, stride=4)
    dense = model.sam_prompt_encoder.mask_downscaling(hint)
    torch.testing.assert_close(heard[0].image, frame.embedding + dense)
    nothing = model.sam_prompt_encoder.not_a_point_embed.weight
    assert torch.equal(heard[0].tokens[:, 6:], nothing.expand(3, 2, -1))
    once = pointer_by_hand(
        model,
        heard[0].state.queries[:, 2],
        model.sam_mask_decoder.pred_obj_score_head(heard[0].state.queries[:, 0]),
    )
    there = torch.tensor([[1.0], [1.0], [0.0]])
    wanted = (there * once if fixed else once) + (1 - there) * model.no_obj_ptr
    torch.testing.assert_close(prediction.pointer, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tracked", [False, True])
def test_mask_as_a_prompt(tracked: bool) -> None:
    """The mask goes through prompt encoder and decoder like any prompt, with memory and candidates."""
    model = small_model(mask_as_output=False)
    heard = listen(model)
    frame, mask = features(model, count=3), some_masks()
    recalled = memories(model, batch=3) if tracked else None
    prediction = model.step(frame, recalled, mask=mask)
    dense = model.sam_prompt_encoder.mask_downscaling(shrink_by_hand(mask))
    wanted = model.recall(frame, recalled) + dense
    torch.testing.assert_close(heard[0].image, wanted, rtol=1e-5, atol=1e-5)
    assert prediction.masks.shape[1] == 3
    assert (prediction.iou < 1).all()


def test_previous_answer_is_the_mask_prompt() -> None:
    model = small_model()
    heard = listen(model)
    frame, previous = features(model), normal("previous", 1, 1, 4 * GRID, 4 * GRID, scale=4)
    model.step(frame, None, points=click((3.0, 5.0)), previous=previous)
    model.step(frame, None, points=click((3.0, 5.0)))
    encoder = model.sam_prompt_encoder
    with_hint = model.recall(frame, None) + encoder.mask_downscaling(previous)
    torch.testing.assert_close(heard[0].image, with_hint)
    without = model.recall(frame, None) + encoder.no_mask_embed.weight.reshape(1, DIM, 1, 1)
    torch.testing.assert_close(heard[1].image, without)
