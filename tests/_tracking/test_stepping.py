"""One frame of several objects, grouped by what they attend to; answers do not depend on the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch

from napari_sam2._model.results import Prediction, suppress_overlaps
from napari_sam2._model.sam2 import Sam2
from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.stepping import (
    Bank,
    Outcome,
    Row,
    Trace,
    encode_again,
    encode_prompted,
    gather_rows,
    memory_rules,
    predict_groups,
    recall_one,
)
from napari_sam2.grouping import Groups
from napari_sam2.placement import Box
from napari_sam2.window import Shift
from tests._model.small import DIM, GRID, MEMORY_DIM, features, normal, small_model
from tests.fakes import SHAPE, FakeModel
from tests.one_step import step_objects

FRAMES = 30
NOW = 12


def bank_of(model: object, obj: int, *, conditioning: tuple[int, ...] = (8,), tracked: int = 3) -> Bank:
    """Make up memories of one object, the last `tracked` frames among them."""
    bank: Bank = MemoryBank(memory_rules(model), FRAMES)  # type: ignore[arg-type]  # fakes have a configuration too
    for frame in conditioning:
        bank.add_conditioning(frame, *memory(obj, frame))
    for frame in range(NOW - tracked, NOW):
        bank.add_tracked(frame, *memory(obj, frame))
    return bank


def memory(obj: int, frame: int) -> tuple[torch.Tensor, torch.Tensor]:
    spatial = normal(f"{obj}-{frame}", 1, MEMORY_DIM, GRID, GRID).bfloat16()
    return spatial, normal(f"p{obj}-{frame}", 1, DIM)


def steps(model: object, banks: list[Bank], group_size: int) -> list[Outcome]:
    image = features(model)  # type: ignore[arg-type]
    return step_objects(model, image, NOW, banks, reverse=False, group_size=group_size)  # type: ignore[arg-type]


def test_rules_are_those_of_the_configuration() -> None:
    model = small_model(memory_frames=5, memory_stride=2, max_conditioning=3, max_pointers=9)
    rules = memory_rules(model)
    assert (rules.frames, rules.stride, rules.max_conditioning, rules.max_pointers) == (5, 2, 3, 9)
    assert (rules.rows, rules.past_pointers_only, rules.use_pointers) == (7, True, True)


@pytest.mark.parametrize("non_overlap_memory", [False, True])
def test_answers_do_not_depend_on_the_groups(non_overlap_memory: bool) -> None:
    model = small_model(non_overlap_memory=non_overlap_memory)
    banks = [bank_of(model, obj, conditioning=(4 + obj,), tracked=1 + obj % 2) for obj in range(5)]
    alone, *others = (steps(model, banks, size) for size in (1, 2, 5, 16))
    for grouped in others:
        for one, other in zip(alone, grouped, strict=True):
            torch.testing.assert_close(one.prediction.low_res, other.prediction.low_res, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(one.prediction.pointer, other.prediction.pointer, atol=1e-4, rtol=1e-4)
            assert one.memory is not None
            assert other.memory is not None
            torch.testing.assert_close(one.memory, other.memory, atol=0.05, rtol=0.02)


def test_no_more_masks_are_enlarged_than_are_remembered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An enlarged one has sixteen times the pixels."""
    model, seen = small_model(), list[int]()

    def enlarge(low_res: torch.Tensor) -> torch.Tensor:
        seen.append(len(low_res))
        return Sam2.enlarge(model, low_res)

    monkeypatch.setattr(model, "enlarge", enlarge)
    steps(model, [bank_of(model, obj) for obj in range(5)], 2)
    assert seen == [2, 2, 1]


def test_memories_that_lie_beside_the_window_are_seen_there() -> None:
    model = small_model()
    banks, image = [bank_of(model, obj) for obj in range(3)], features(model)
    lies = {8: Shift(0.25, -0.25), NOW - 1: Shift(0.0, 0.125)}

    def answers(size: int, shifts: Sequence[Mapping[int, Shift]]) -> list[Prediction]:
        groups, found = Groups(size, model.runtime.device), {}
        for some in predict_groups(
            model, [image] * 3, NOW, banks, reverse=False, groups=groups, shifts=shifts
        ):
            found.update(some)
        return [found[obj] for obj in range(3)]

    still, moved = answers(3, ()), answers(3, ({}, lies, {}))
    assert torch.equal(still[0].low_res, moved[0].low_res)
    assert not torch.allclose(still[1].low_res, moved[1].low_res, atol=1e-3)
    for one, other in zip(moved, answers(1, ({}, lies, {})), strict=True):
        torch.testing.assert_close(one.low_res, other.low_res, atol=1e-4, rtol=1e-4)
    seen = recall_one(model, image, NOW, banks[1], reverse=False, shifts=lies)
    assert not torch.allclose(seen, recall_one(model, image, NOW, banks[1], reverse=False), atol=1e-3)


def test_objects_share_a_batch_where_they_have_as_many_memories() -> None:
    """Whatever frames those are of."""
    fake = FakeModel()
    banks: list[Bank] = []
    for obj in range(5):
        bank: Bank = MemoryBank(memory_rules(fake.as_model()), FRAMES)
        bank.add_conditioning(8 + obj % 2, torch.zeros(1, 2, 4, 4), torch.full((1, 2), float(obj)))
        if obj > 2:
            bank.add_conditioning(2, torch.zeros(1, 2, 4, 4), torch.full((1, 2), float(obj)))
        banks.append(bank)
    image = fake.encode_image(torch.zeros(1, 3, 64, 64))
    step_objects(fake.as_model(), image, NOW, banks, reverse=False, group_size=2)
    assert fake.batches == [2, 1, 2]
    assert [row.codes for row in fake.attended] == [(0,), (1,), (2,), (3,), (4,)]


def test_answers_come_in_the_order_of_the_banks() -> None:
    model = small_model()
    banks = [bank_of(model, obj, tracked=1 + obj % 2) for obj in range(4)]
    together = steps(model, banks, 4)
    for bank, outcome in zip(banks, together, strict=True):
        (alone,) = steps(model, [bank], 1)
        torch.testing.assert_close(outcome.prediction.low_res, alone.prediction.low_res, atol=1e-4, rtol=1e-4)


def test_memories_can_be_kept_from_overlapping() -> None:
    model = small_model(non_overlap_memory=True)
    banks = [bank_of(model, obj) for obj in range(3)]
    outcomes = steps(model, banks, 3)
    image = features(model)
    with torch.no_grad():
        large = suppress_overlaps(model.enlarge(torch.cat([o.prediction.low_res for o in outcomes])))
        expected = model.encode_memory(
            image, large[1:2], outcomes[1].prediction.object_logits, binarize=False
        )
    assert outcomes[1].memory is not None
    torch.testing.assert_close(outcomes[1].memory, expected.bfloat16(), atol=0.05, rtol=0.02)


def test_image_mode_remembers_nothing() -> None:
    model = small_model(memory_frames=0)
    bank: Bank = MemoryBank(memory_rules(model), FRAMES)
    (outcome,) = steps(model, [bank], 1)
    assert outcome.memory is None
    assert outcome.prediction.low_res.shape == (1, 1, 4 * GRID, 4 * GRID)


def test_a_prompted_mask_is_binarised_in_memory_where_the_configuration_says_so() -> None:
    memories = []
    for binarize_clicked in (False, True):
        model = small_model(binarize_clicked=binarize_clicked)
        image = features(model)
        prediction = Prediction(
            raw_masks=(masks := normal("mask", 1, 1, 4 * GRID, 4 * GRID)),
            masks=masks,
            ious=torch.ones(1, 1),
            best=torch.zeros(1, dtype=torch.int64),
            object_logits=torch.ones(1, 1),
            pointer=normal("pointer", 1, DIM),
        )
        memories.append(encode_prompted(model, image, prediction))
    assert memories[0].dtype == torch.bfloat16
    assert memories[0].shape == (1, MEMORY_DIM, GRID, GRID)
    assert not torch.equal(*memories)


def test_conditioned_features_are_those_that_a_step_predicts_from() -> None:
    model = small_model()
    bank = bank_of(model, 1)
    image = features(model)
    embedding = recall_one(model, image, NOW, bank, reverse=False)
    with torch.no_grad():
        prediction = model.predict(embedding, image.high_res, points=None, mask_logits=None, multimask=True)
    (outcome,) = steps(model, [bank], 1)
    torch.testing.assert_close(prediction.low_res, outcome.prediction.low_res)


def test_memories_of_windows_of_two_resolutions_are_made_again_together() -> None:
    model = small_model()
    side = model.config.image_size
    with torch.no_grad():
        seen = [model.encode_image(normal("again", 1, 3, each, each)) for each in (side, side // 2)]
    trace = Trace(
        normal("mask", 1, 1, 4 * GRID, 4 * GRID), torch.ones(1, 1), Box(0, 0, 40, 40), binarize=False
    )
    windows = [Box(10, 10, 50, 50), Box(0, 0, 80, 80)]
    together = encode_again(model, seen, [trace, trace], windows)
    for features_of, window, memory_of in zip(seen, windows, together, strict=True):
        assert memory_of.shape[-1] == features_of.embedding.shape[-1]
        assert torch.equal(encode_again(model, [features_of], [trace], [window])[0], memory_of)


def test_a_result_lists_its_objects_in_order() -> None:
    fake = FakeModel()
    image = fake.encode_image(torch.zeros(1, 3, 64, 64))
    rows = []
    for obj in (7, 2):
        mask = torch.zeros(1, 1, 64, 64)
        mask[:, :, : 8 * obj] = 1
        rows.append(Row(obj, fake.predict_from_mask(image, mask)))
    result = gather_rows(5, rows, SHAPE)
    assert (result.frame, result.objects, result.origins) == (5, (2, 7), (None, None))
    assert result.masks[0].sum() < result.masks[1].sum()
    assert result.presence.dtype == result.iou.dtype == result.logits.dtype == "float32"
    assert ((result.presence > 0.99) & (result.presence <= 1)).all()
