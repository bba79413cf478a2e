"""Where prompts are answered: the window a click, a box, a mask or an earlier answer leads to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2._model.results import Prediction
from napari_sam2._tracking.aiming import Aim
from napari_sam2._tracking.conditioning import Base
from napari_sam2._tracking.sighting import Answer, Sighting
from napari_sam2.features import FeatureCache
from napari_sam2.grouping import Groups
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules, Windows
from tests.seeing import Phantom, SeeingFake, phantom

RULES = WindowRules("window", factor=3, smallest=24)


@dataclass(frozen=True)
class Sight:
    """An aim, what it looks with, and at what."""

    aim: Aim
    model: SeeingFake
    features: FeatureCache
    windows: Windows
    seen: Phantom


def sight(seen: Phantom, rules: WindowRules = RULES, *, image_size: int = 64) -> Sight:
    model = SeeingFake(image_size=image_size)
    _frames, height, width = seen.frames.shape
    windows = Windows(rules, (height, width), model.config.image_size)
    features = FeatureCache(model.as_model(), Volume(seen.frames), windows=windows)
    return Sight(Aim(model.as_model(), features, windows), model, features, windows, seen)


def disc(radius: float = 10, centre: tuple[float, float] = (70, 90)) -> Phantom:
    return phantom((160, 200), [centre], [radius])


def click(y: float, x: float, *more: tuple[float, float], candidate: int | None = None) -> FramePrompts:
    points = ((y, x), *more)
    return FramePrompts(points=points, positive=(True,) * len(points), candidate=candidate)


def holds(window: Box, seen: Phantom) -> bool:
    rows, columns = np.nonzero(seen.truth[0])
    hull = Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    return window.intersection(hull) == hull


def answer_with(masks: np.ndarray, ious: list[float], window: Box) -> Answer:
    logits = torch.from_numpy(np.where(masks, 8.0, -8.0).astype(np.float32))[None]
    prediction = Prediction(
        raw_masks=logits,
        masks=logits,
        ious=torch.tensor([ious]),
        best=torch.zeros(1, dtype=torch.int64),
        object_logits=torch.ones(1, 1),
        pointer=torch.zeros(1, 2),
    )
    return Answer(prediction, window)


def square_mask(side: int, y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[y0:y1, x0:x1] = True
    return mask


# ---------------------------------------------------------------- clicks


@settings(max_examples=25, deadline=None)
@given(radius=st.floats(7, 45), y=st.integers(0, 159), x=st.integers(0, 199))
def test_a_click_leads_to_a_window_that_holds_the_object_and_suits_its_size(
    radius: float, y: int, x: int
) -> None:
    seen = disc(radius, (y, x))
    looked = sight(seen)
    answer = looked.aim.answer(0, click(y, x), None)
    assert holds(answer.window, seen) or answer.window == looked.windows.whole
    extent = looked.windows.extent(looked.aim.box_of(answer) or answer.window)
    assert looked.windows.extent(answer.window) <= max(4 * extent, RULES.smallest + 1, 3.2 * 2 * radius)


def test_the_answer_is_a_function_of_the_prompts_alone() -> None:
    looked = sight(disc())
    first = looked.aim.answer(0, click(70, 90), None)
    looked.aim.answer(0, click(10, 10), None)
    again = looked.aim.answer(0, click(70, 90), None)
    assert again.window == first.window
    assert torch.equal(again.prediction.low_res, first.prediction.low_res)


@pytest.mark.parametrize(
    "prompts", [click(70, 90), click(70, 90, (72, 90)), FramePrompts(box=(60, 80, 80, 100))]
)
def test_no_step_of_an_answer_is_longer_than_an_encode_or_a_decode(prompts: FramePrompts) -> None:
    at_once = sight(disc(30)).aim.answer(0, prompts, None)
    looked = sight(disc(30))
    steps, work = looked.aim.answering(0, prompts, None), [0]
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer = end.value
            break
        work.append(looked.features.encoded + looked.model.asked)
    assert len(work) > 2
    assert max(np.diff(work)) == 1
    assert answer.window == at_once.window
    assert torch.equal(answer.prediction.low_res, at_once.prediction.low_res)


def test_the_last_answer_is_kept_for_who_asks_again() -> None:
    looked = sight(disc())
    first = looked.aim.answer(0, click(70, 90), None)
    asked = looked.model.asked
    assert looked.aim.answer(0, click(70, 90), None) is first
    assert next(looked.aim.answering(0, click(70, 90), None), None) is None
    assert looked.model.asked == asked
    base = Base(first.prediction.low_res[0, 0].numpy(), None, first.window)
    for frame, prompts, of in ((0, click(70, 91), None), (0, click(70, 90), base)):
        looked.aim.answer(0, click(70, 90), None)
        asked = looked.model.asked
        assert looked.aim.answer(frame, prompts, of) is not first
        assert looked.model.asked > asked


@pytest.mark.parametrize(
    ("rules", "prompts", "start"),
    [
        (WindowRules("frame"), click(70, 90, (72, 90), (74, 91)), 1),
        (RULES, click(70, 90, (72, 90), (74, 91)), 1),
        (RULES, click(70, 90, (72, 90), candidate=1), 1),
        (RULES, FramePrompts(points=((70, 90), (72, 91)), positive=(True,) * 2, box=(60, 80, 81, 101)), 0),
        (RULES, FramePrompts(points=((70, 90),), positive=(True,), mask=disc().truth[0]), 0),
    ],
    ids=["in the frame", "in windows", "a candidate", "after a box", "after a mask"],
)
def test_one_more_click_is_one_more_question(rules: WindowRules, prompts: FramePrompts, start: int) -> None:
    looked = sight(disc(), rules)
    for count in range(start, len(prompts.points) + 1):
        asked = looked.model.asked
        said = replace(prompts, points=prompts.points[:count], positive=prompts.positive[:count])
        answer = looked.aim.answer(0, said, None)
        assert count == start or looked.model.asked == asked + 1
    at_once = sight(disc(), rules).aim.answer(0, prompts, None)
    assert answer.window == at_once.window
    assert torch.equal(answer.prediction.low_res, at_once.prediction.low_res)


def test_in_the_frame_view_only_the_whole_frame_is_looked_at() -> None:
    looked = sight(disc(), WindowRules("frame"))
    answer = looked.aim.answer(0, click(70, 90), None)
    assert answer.window == looked.windows.whole
    assert looked.features.encoded == 1


@pytest.mark.parametrize(
    "prompts", [click(70, 90), click(70, 90, (72, 90)), FramePrompts(box=(60, 80, 80, 100))]
)
def test_a_network_for_frames_answers_in_the_whole_frame_as_in_the_frame_view(prompts: FramePrompts) -> None:
    looked = sight(disc(), WindowRules("window", 32), image_size=128)
    frame_view = sight(disc(), WindowRules("frame"), image_size=128)
    answer = looked.aim.answer(0, prompts, None)
    assert answer.window == looked.windows.whole
    same = frame_view.aim.answer(0, prompts, None).prediction.low_res
    assert torch.equal(answer.prediction.low_res, same)
    assert (looked.features.encoded, looked.model.asked) == (1, frame_view.model.asked)


@pytest.mark.parametrize(
    "prompts", [click(270, 90), click(270, 90, (272, 90)), FramePrompts(box=(260, 80, 280, 100))]
)
def test_a_network_for_frames_answers_in_part_of_a_large_frame_as_if_that_were_all(
    prompts: FramePrompts,
) -> None:
    seen = phantom((400, 300), [(270.0, 90.0), (30.0, 250.0)], [6.0, 9.0])
    looked = sight(seen, WindowRules("window", 32), image_size=64)
    field = looked.windows.field_at(prompts.place)
    assert field is not None
    assert field.shape == (128, 128)
    answer = looked.aim.answer(0, prompts, None)
    assert answer.window == field
    part = Volume(seen.frames[(slice(None), *field.slices)])
    windows = Windows(WindowRules("frame"), field.shape, 64)
    alone = Aim(
        looked.model.as_model(), FeatureCache(looked.model.as_model(), part, windows=windows), windows
    )
    moved = FramePrompts(
        points=[(y - field.y0, x - field.x0) for y, x in prompts.points],
        positive=prompts.positive,
        box=prompts.box and [edge - field[i % 2] for i, edge in enumerate(prompts.box)],
    )
    same = alone.answer(0, moved, None).prediction.low_res
    assert torch.equal(answer.prediction.low_res, same)
    assert looked.features.encoded == 1


def test_an_object_that_a_field_cuts_is_seen_in_a_larger_one() -> None:
    seen = phantom((400, 300), [(128.0, 90.0)], [70.0])
    looked = sight(seen, WindowRules("window", 32), image_size=64)
    answer = looked.aim.answer(0, click(80, 90), None)
    assert holds(answer.window, seen)
    assert looked.windows.resolution(answer.window) == 64


def test_a_box_and_clicks_in_two_fields_are_answered_in_one_that_holds_them() -> None:
    looked = sight(disc(), WindowRules("window", 32), image_size=32)
    for prompts in (click(10, 10, (150, 190)), FramePrompts(box=(10, 10, 150, 190))):
        window = looked.aim.answer(0, prompts, None).window
        assert window.intersection(Box(10, 10, 150, 190)) == Box(10, 10, 150, 190)


def test_all_sizes_around_a_click_are_encoded_once() -> None:
    looked = sight(disc())
    looked.aim.answer(0, click(70, 90), None)
    encoded = looked.features.encoded
    assert encoded <= len(looked.windows.around((70, 90))) + 1 + 2  # the fitted one, widened twice at most
    Aim(looked.model.as_model(), looked.features, looked.windows).answer(0, click(70, 90), None)
    assert looked.features.encoded == encoded


@pytest.mark.parametrize("size", [2, 5, 16])
def test_windows_around_a_click_may_be_answered_together(size: int) -> None:
    alone, prompts = sight(disc()), click(70, 90)
    together, count = sight(disc()), len(alone.windows.around((70, 90)))
    groups = Groups(size, torch.device("cpu"))
    aim = Aim(together.model.as_model(), together.features, together.windows, groups)
    steps = iter(aim.answering(0, prompts, None))
    while together.model.asked == 0:
        next(steps)
    assert together.model.asked == 1
    assert together.features.encoded == count
    answer, wanted = aim.answer(0, prompts, None), alone.aim.answer(0, prompts, None)
    assert answer.window == wanted.window
    torch.testing.assert_close(answer.prediction.low_res, wanted.prediction.low_res)
    assert alone.model.asked - together.model.asked == count - -(-count // size)


def test_a_click_on_nothing_is_answered_in_the_largest_window() -> None:
    looked = sight(phantom((160, 200), [(400.0, 400.0)], [5.0]))
    answer = looked.aim.answer(0, click(20, 30), None)
    assert answer.window == looked.windows.around((20, 30))[0]
    assert looked.aim.box_of(answer) is None


def test_a_chosen_candidate_is_left_to_the_user() -> None:
    looked = sight(disc())
    assert int(looked.aim.answer(0, click(70, 90, candidate=2), None).prediction.best) == 2
    assert int(looked.aim.answer(0, click(70, 90), None).prediction.best) == 0


def test_a_second_click_far_away_is_within_the_window() -> None:
    looked = sight(disc())
    window = looked.aim.answer(0, click(70, 90, (150, 190)), None).window
    assert window.y0 <= 150 < window.y1
    assert window.x0 <= 190 < window.x1


# ---------------------------------------------------------------- other prompts


def test_a_box_and_a_mask_lead_to_the_window_of_what_they_hold() -> None:
    looked = sight(disc())
    around = Box(60, 80, 81, 101)
    boxed = looked.aim.answer(0, FramePrompts(box=(60.0, 80.0, 81.0, 101.0)), None)
    masked = looked.aim.answer(0, FramePrompts(mask=looked.seen.truth[0]), None)
    assert boxed.window == looked.windows.fit(around)
    assert holds(masked.window, looked.seen)
    assert abs(looked.windows.extent(masked.window) - 3 * 19) <= 3


def test_an_empty_mask_is_answered_without_a_fault() -> None:
    looked = sight(disc())
    answer = looked.aim.answer(0, FramePrompts(mask=np.zeros((160, 200), bool)), None)
    assert looked.aim.box_of(answer) is None


def test_a_box_that_cuts_the_object_is_widened() -> None:
    looked = sight(disc(30))
    answer = looked.aim.answer(0, FramePrompts(box=(65.0, 85.0, 75.0, 95.0)), None)
    start = looked.windows.fit(Box(65, 85, 75, 95))
    assert looked.windows.extent(answer.window) > looked.windows.extent(start)


def test_a_correction_stays_in_the_window_of_what_it_corrects() -> None:
    looked = sight(disc())
    window = Box(40, 60, 100, 120)
    base = Base(np.full((16, 16), -5, np.float32), None, window)
    assert looked.aim.answer(0, click(70, 90), base).window == window


def test_a_base_is_moved_when_the_correction_lies_outside_its_window() -> None:
    looked = sight(disc())
    base = Base(np.full((16, 16), -5, np.float32), None, Box(0, 0, 40, 40))
    answer = looked.aim.answer(0, click(70, 90), base)
    assert holds(answer.window, looked.seen)


# ---------------------------------------------------------------- sightings


def test_what_is_found_again_elsewhere_agrees_and_what_is_not_does_not() -> None:
    windows = Windows(RULES, (64, 64), 64)
    wide, near = Box(0, 0, 64, 64), Box(16, 16, 48, 48)
    masks = np.stack([square_mask(16, 6, 6, 10, 10), square_mask(16, 0, 0, 3, 3)])
    first = Sighting.of(answer_with(masks, [0.9, 0.8], wide), windows)
    other = Sighting.of(answer_with(square_mask(16, 4, 4, 12, 12)[None], [0.7], near), windows)
    agreed = first.agreement(other)
    assert agreed[0] > 0.8
    assert agreed[1] < 0.05
    assert other.agreement(first)[0] == pytest.approx(agreed[0], abs=0.1)


def test_what_the_window_cuts_has_no_place() -> None:
    windows = Windows(RULES, (64, 64), 64)
    inner = Box(16, 16, 48, 48)
    masks = np.stack([square_mask(16, 0, 4, 6, 8), square_mask(16, 4, 4, 8, 8), np.zeros((16, 16), bool)])
    found = Sighting.of(answer_with(masks, [0.9, 0.8, 0.1], inner), windows)
    assert [box is None for box in found.boxes] == [True, False, True]
    # The frame's own border cuts nothing.
    whole = Sighting.of(answer_with(masks[:1], [0.9], windows.whole), windows)
    assert whole.boxes[0] is not None


def test_scores_are_those_of_the_network() -> None:
    windows = Windows(RULES, (64, 64), 64)
    answer = answer_with(square_mask(16, 4, 4, 8, 8)[None], [0.25], Box(16, 16, 48, 48))
    found = Sighting.of(answer, windows)
    assert found.scores.tolist() == [0.25]
    assert found.window_area == 32 * 32
    assert replace(found, scores=np.ones(1)).boxes == found.boxes
