from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2._model.config import Sam2Config
from napari_sam2._model.sam2 import Sam2
from napari_sam2.training.clicks import Targets
from napari_sam2.training.clips import (
    Answer,
    Memory,
    Plan,
    PromptKind,
    draw_plan,
    encode_clips,
    mean_jaccard,
    recall_memories,
    run_clip,
)
from napari_sam2.training.draws import Draws
from napari_sam2.training.state import initialise


@pytest.fixture
def model(tiny_config: Sam2Config) -> Sam2:
    model = Sam2(tiny_config)
    initialise(model, 0)
    return model.eval()


@pytest.fixture
def targets() -> Targets:
    truth = torch.zeros(2, 4, 64, 64, dtype=torch.bool)
    truth[0, :, 10:30, 10:30] = True
    truth[1, :2, 30:50, 20:60] = True
    return Targets(torch.tensor([0, 0]), truth, torch.tensor([True, True]))


def _images(frames: int = 4) -> torch.Tensor:
    return torch.rand(1, frames, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


def _draws() -> Draws:
    return Draws(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prompt", ["click", "box", "mask"])
def test_every_frame_gets_an_answer(model: Sam2, targets: Targets, prompt: PromptKind) -> None:
    answers = run_clip(model, encode_clips(model, _images()), targets, Plan(prompt=prompt), _draws())
    assert [a.frame for a in answers] == [0, 1, 2, 3]
    assert [a.trained for a in answers] == [prompt != "mask", True, True, True]
    assert [a.prediction.masks.shape[1] for a in answers] == [1 if prompt in ("box", "mask") else 3, 3, 3, 3]


def test_corrections_add_answers(model: Sam2, targets: Targets) -> None:
    answers = run_clip(
        model, encode_clips(model, _images()), targets, Plan(corrections=2, corrected=2), _draws()
    )
    assert [a.frame for a in answers] == [0, 0, 0, 1, 2, 2, 3]
    assert answers[1].prediction.masks.shape[1] == 1


def test_a_tracked_frame_may_be_corrected_more_than_once(model: Sam2, targets: Targets) -> None:
    plan = Plan(corrected=2, again=2)
    answers = run_clip(model, encode_clips(model, _images()), targets, plan, _draws())
    assert [a.frame for a in answers] == [0, 1, 2, 2, 2, 2, 3]
    assert [a.prediction.masks.shape[1] for a in answers[2:6]] == [3, 3, 1, 1]


def test_gradients_reach_all_parts(tiny_config: Sam2Config, targets: Targets) -> None:
    model = Sam2(tiny_config).train()
    initialise(model, 0)
    with torch.no_grad():
        # The pointer of an object that is told absent has no gradient.
        for name, parameter in model.sam_mask_decoder.pred_obj_score_head.named_parameters():
            if name == "layers.2.bias":
                parameter.fill_(5.0)
    answers = run_clip(
        model, encode_clips(model, _images()), targets, Plan(prompt="mask", corrected=1), _draws()
    )
    sum(a.prediction.raw_masks.square().mean() + a.prediction.ious.mean() for a in answers).backward()  # type: ignore[union-attr]
    for name in ("image_encoder", "memory_attention", "memory_encoder", "sam_mask_decoder", "obj_ptr_proj"):
        grads = [p.grad for p in model.get_submodule(name).parameters()]
        assert any(g is not None and g.abs().sum() > 0 for g in grads), name


def test_memories_have_the_rows_of_the_reference(model: Sam2) -> None:
    def memory(frame: int, *, conditioning: bool = False) -> Memory:
        return Memory(frame, torch.full((1,), float(frame)), torch.full((1,), float(frame)), conditioning)

    kept = [memory(0, conditioning=True), *(memory(t) for t in range(1, 10))]
    recall = recall_memories(kept, 10, model)
    assert [int(m) for m in recall.spatial] == [0, 4, 5, 6, 7, 8, 9]
    assert recall.rows == (6, 5, 4, 3, 2, 1, 0)
    assert recall.distances == ((10, 9, 8, 7, 6, 5, 4, 3, 2, 1),)
    assert recall.span == 15


def test_memories_say_where_their_windows_lie(model: Sam2) -> None:
    kept = [Memory(t, torch.zeros(2, 4, 8, 8), torch.zeros(2, 4), conditioning=t == 0) for t in range(3)]
    places = torch.tensor([[[1.0, 2.0], [1.0, 2.5], [1.25, 2.5], [1.5, 2.5]]]).expand(2, -1, -1)
    recall = recall_memories(kept, 3, model, places)
    # Eight cells a side: what was seen half a side further up lies four cells up.
    assert [shift[0].tolist() for shift in recall.shifts] == [[-4.0, -4.0], [-4.0, 0.0], [-2.0, 0.0]]
    assert recall_memories(kept, 3, model).shifts == ()


def test_windows_that_lie_still_are_frames(model: Sam2, targets: Targets) -> None:
    encoded = encode_clips(model, _images())
    still = replace(targets, places=torch.ones(2, 4, 2))
    with torch.no_grad():
        plain, placed = (run_clip(model, encoded, each, Plan(), _draws()) for each in (targets, still))
    for one, other in zip(plain, placed, strict=True):
        assert torch.allclose(one.prediction.raw_masks, other.prediction.raw_masks, atol=1e-4)


def test_plans_fit_their_clips() -> None:
    draws = _draws()
    single = [draw_plan(1, 0.0, draws) for _ in range(40)]
    assert all(p.prompt != "mask" and p.corrected is None for p in single)
    clips = [draw_plan(5, 1.0, draws) for _ in range(60)]
    assert {p.prompt for p in clips} == {"click", "box", "mask"}
    assert {p.corrected for p in clips} == {None, 1, 2, 3, 4}
    assert {p.again for p in clips} == {0, 1, 2}
    assert all(p.teacher for p in clips)


def test_mean_jaccard_counts_the_last_answer_of_a_frame(model: Sam2, targets: Targets) -> None:
    answer = run_clip(model, encode_clips(model, _images()), targets, Plan(), _draws())[0]
    quarter = torch.nn.functional.avg_pool2d(targets.truth[:, 0].float().unsqueeze(1), 4)
    right = (quarter * 2 - 1) * 20
    wrong = Answer(0, replace(answer.prediction, masks=-right, best=torch.zeros(2, dtype=torch.int64)))
    good = Answer(0, replace(answer.prediction, masks=right, best=torch.zeros(2, dtype=torch.int64)))
    assert mean_jaccard((wrong, good), targets, model) > 0.8
    assert mean_jaccard((good, wrong), targets, model) < 0.05


def test_absent_and_predicted_absent_is_right(model: Sam2, targets: Targets) -> None:
    answer = run_clip(model, encode_clips(model, _images()), targets, Plan(), _draws())[3]
    empty = replace(answer.prediction, masks=torch.full_like(answer.prediction.masks, -1024.0))
    assert mean_jaccard((Answer(3, empty),), targets, model) == pytest.approx(0.5)
