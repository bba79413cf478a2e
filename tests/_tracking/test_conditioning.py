"""Prompts answered one after the other; what a first correction sets out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2._model.results import ImageFeatures, Points, Prediction
from napari_sam2._tracking.conditioning import Base, answer_prompts, to_model_points, whole_grid
from napari_sam2.placement import PlacedLogits
from napari_sam2.prompts import FramePrompts
from tests._model.small import features as small_features
from tests.fakes import Asked, FakeModel, seeing_model

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2

FRAME = (24, 30)
POINTS = ((4.0, 5.0), (12.0, 20.0), (20.0, 3.0))
SIGNS = (True, False, True)


def clicks(count: int, **others: object) -> FramePrompts:
    return FramePrompts(points=POINTS[:count], positive=SIGNS[:count], **others)  # type: ignore[arg-type]


def answer(model: Sam2, image: ImageFeatures, prompts: FramePrompts, base: Base | None = None) -> Prediction:
    with torch.no_grad():
        return answer_prompts(model, image, prompts, FRAME, base)


def asked_of_fake(fake: FakeModel, prompts: FramePrompts, base: Base | None = None) -> list[Asked]:
    answer(fake.as_model(), ImageFeatures(torch.zeros(1, 1, 4, 4), ()), prompts, base)
    return fake.asked


def a_base(model: Sam2, image: ImageFeatures) -> Base:
    grid = 4 * image.embedding.shape[-1]
    low_res = np.random.default_rng(3).normal(size=(grid, grid), scale=30).astype(np.float32)
    return Base(low_res, image.embedding[0].numpy() + 1)


def mask_of(*corners: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros(FRAME, bool)
    y0, x0, y1, x1 = corners
    mask[y0:y1, x0:x1] = True
    return mask


# ------------------------------------------------------------------ coordinates


def test_places_are_scaled_by_each_side_of_the_frame() -> None:
    places = to_model_points([(0, 0), (12, 15), (24, 30), (-0.5, 29.5)], FRAME, 64)
    np.testing.assert_allclose(places, [(0, 0), (32, 32), (64, 64), (29.5 / 30 * 64, -0.5 / 24 * 64)])
    assert places.dtype == np.float32


def test_no_places_are_an_empty_list() -> None:
    assert to_model_points([], FRAME, 64).shape == (0, 2)


# ------------------------------------------------------------------------ steps


def test_clicks_are_answered_as_if_given_one_after_the_other(fake_model: FakeModel) -> None:
    assert asked_of_fake(fake_model, clicks(3)) == [
        Asked(1, has_mask=False, multimask=True),
        Asked(2, has_mask=True, multimask=False),
        Asked(3, has_mask=True, multimask=False),
    ]


def test_a_box_comes_before_the_clicks(fake_model: FakeModel) -> None:
    assert asked_of_fake(fake_model, clicks(2, box=(1, 2, 9, 11))) == [
        Asked(2, has_mask=False, multimask=False),
        Asked(3, has_mask=True, multimask=False),
        Asked(4, has_mask=True, multimask=False),
    ]


def test_a_mask_comes_before_box_and_clicks_and_is_refined_by_them(fake_model: FakeModel) -> None:
    assert asked_of_fake(fake_model, clicks(1, mask=mask_of(2, 3, 9, 12))) == [
        Asked(1, has_mask=True, multimask=True)
    ]


def test_a_mask_alone_is_taken_as_given(fake_model: FakeModel) -> None:
    assert asked_of_fake(fake_model, FramePrompts(mask=mask_of(2, 3, 9, 12))) == []


def test_no_prompt_at_all_is_an_error(fake_model: FakeModel) -> None:
    with pytest.raises(ValueError, match="give a point, a box or a mask"):
        asked_of_fake(fake_model, FramePrompts())


def test_steps_are_those_of_the_network_by_hand() -> None:
    model = seeing_model()
    image = small_features(model)
    got = answer(model, image, clicks(2, box=(2, 3, 9, 14)))
    corners = to_model_points([(2, 3), (9, 14), *POINTS[:2]], FRAME, model.config.image_size)
    labels = [2, 3, 1, 0]
    previous = None
    with torch.no_grad():
        embedding = model.recall(image, None)
        for count in (2, 3, 4):
            points = Points(
                torch.from_numpy(corners[None, :count]), torch.tensor([labels[:count]], dtype=torch.int32)
            )
            expected = model.predict(
                embedding, image.high_res, points=points, mask_logits=previous, multimask=False
            )
            previous = expected.low_res.clamp(-32, 32)
    torch.testing.assert_close(got.low_res, expected.low_res)
    torch.testing.assert_close(got.pointer, expected.pointer)


@pytest.mark.parametrize("candidate", [0, 1, 2])
def test_a_candidate_is_chosen_at_the_first_click(candidate: int) -> None:
    model = seeing_model()
    image = small_features(model)
    best = answer(model, image, clicks(1))
    chosen = answer(model, image, clicks(1, candidate=candidate))
    torch.testing.assert_close(chosen.masks, best.masks)
    torch.testing.assert_close(chosen.low_res[0, 0], best.masks[0, candidate])
    assert chosen.best.item() == candidate


def test_a_later_click_goes_on_from_the_chosen_candidate() -> None:
    model = seeing_model()
    image = small_features(model)
    answers = [answer(model, image, clicks(2, candidate=c)).low_res for c in range(3)]
    assert not torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[1], answers[2])


def test_a_mask_gives_certain_logits_of_its_shape() -> None:
    model = seeing_model()
    got = answer(model, small_features(model), FramePrompts(mask=mask_of(0, 0, 12, 15)))
    side = got.low_res.shape[-1]
    torch.testing.assert_close(got.low_res[0, 0, : side // 2 - 1, : side // 2 - 1].min(), torch.tensor(10.0))
    torch.testing.assert_close(got.low_res[0, 0, side // 2 + 1 :, :].max(), torch.tensor(-10.0))
    assert got.object_logits.item() == 10


def test_a_mask_of_nothing_says_that_the_object_is_absent() -> None:
    model = seeing_model()
    got = answer(model, small_features(model), FramePrompts(mask=np.zeros(FRAME, bool)))
    torch.testing.assert_close(got.low_res, torch.full_like(got.low_res, -10))
    assert got.object_logits.item() == -10


def test_a_mask_can_go_through_the_prompt_encoder_instead() -> None:
    model = seeing_model(mask_as_output=False)
    image = small_features(model)
    got = answer(model, image, FramePrompts(mask=mask_of(2, 3, 9, 12)))
    other = answer(model, image, FramePrompts(mask=mask_of(9, 3, 20, 12)))
    assert got.low_res.abs().std() > 0.01
    assert not torch.equal(got.low_res, other.low_res)


# ------------------------------------------------------------------- correction


def test_a_correction_sets_out_from_what_was_tracked(fake_model: FakeModel) -> None:
    base = a_base(fake_model.as_model(), ImageFeatures(torch.zeros(1, 1, 4, 4), ()))
    assert asked_of_fake(fake_model, clicks(2), base) == [
        Asked(1, has_mask=True, multimask=True),
        Asked(2, has_mask=True, multimask=False),
    ]


def test_a_correction_uses_the_conditioned_features_and_the_limited_logits() -> None:
    model = seeing_model()
    image = small_features(model)
    base = a_base(model, image)
    assert base.embedding is not None
    assert np.abs(base.low_res).max() > 32
    got = answer(model, image, clicks(1), base)
    places = to_model_points(list(POINTS[:1]), FRAME, model.config.image_size)
    with torch.no_grad():
        expected = model.predict(
            torch.from_numpy(base.embedding)[None],
            image.high_res,
            points=Points(torch.from_numpy(places[None]), torch.tensor([[1]], dtype=torch.int32)),
            mask_logits=torch.from_numpy(base.low_res.clip(-32, 32))[None, None],
            multimask=True,
        )
    torch.testing.assert_close(got.low_res, expected.low_res)


def test_a_correction_is_not_ambiguous_where_tracking_is_not() -> None:
    model = seeing_model(multimask_when_tracking=False)
    image = small_features(model)
    assert answer(model, image, clicks(1)).masks.shape[1] == 3
    assert answer(model, image, clicks(1), a_base(model, image)).masks.shape[1] == 1


def test_clicks_that_a_base_answers_are_told_again_but_not_answered_alone(fake_model: FakeModel) -> None:
    low_res = np.zeros((16, 16), np.float32)
    base = Base(low_res, np.zeros((1, 4, 4), np.float32), answered=1)
    assert asked_of_fake(fake_model, clicks(3), base) == [
        Asked(2, has_mask=True, multimask=False),
        Asked(3, has_mask=True, multimask=False),
    ]


def test_a_base_of_another_network_lends_its_mask_alone() -> None:
    model = seeing_model()
    image = small_features(model)
    low_res = np.full((48, 48), -8, np.float32)
    low_res[10:30, 5:25] = 8
    got = answer(model, image, clicks(1), Base(low_res, None))
    assert got.low_res.shape == answer(model, image, clicks(1)).low_res.shape
    assert not torch.equal(got.low_res, answer(model, image, clicks(1)).low_res)


# ------------------------------------------------------------------- whole grid


def test_a_crop_goes_back_to_its_place_and_the_rest_is_background() -> None:
    logits = np.random.default_rng(0).uniform(-3, -1, size=(16, 16)).astype(np.float32)
    logits[5:9, 6:12] += 4
    placed = PlacedLogits(logits, (0, 0, *FRAME), FRAME).tight()
    assert placed is not None
    grid = whole_grid(placed, 16)
    assert ((grid > 0) == (logits > 0)).all()
    np.testing.assert_array_equal(grid[grid > 0], logits[logits > 0])
    assert grid.dtype == np.float32
    assert (grid == -10).any()
    assert grid.min() == -10


def test_nothing_tracked_is_far_below_zero() -> None:
    assert (whole_grid(None, 8) == -32).all()
