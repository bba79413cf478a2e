"""Groups that shrink where memory runs out, and say so once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from napari_sam2._model.results import ImageFeatures, Prediction, Recall
from napari_sam2.grouping import Groups, is_out_of_memory
from napari_sam2.session import Session
from tests.fakes import FakeModel, click, plain_frames

CPU = torch.device("cpu")


class Narrow:
    """Does at most `most` items at once, and notes what it was given."""

    def __init__(self, most: int, error: BaseException | None = None) -> None:
        self.most = most
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.tried: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.tried.append(len(items))
        if len(items) > self.most:
            raise self.error
        return [10 * item for item in items]


@pytest.mark.filterwarnings("ignore:the memory of cpu")
@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_every_item_is_done_once_in_order_whatever_fits(most: int) -> None:
    work, groups = Narrow(most), Groups(8, CPU)
    answers = [answer for part in groups.run(range(11), work) for answer in part]
    assert answers == [10 * i for i in range(11)]
    assert groups.size == {1: 1, 2: 2, 3: 2, 8: 8}[most]


def test_what_was_found_not_to_fit_is_not_tried_again_and_told_once() -> None:
    work, groups = Narrow(2), Groups(8, CPU)
    with pytest.warns(UserWarning, match="for 8 at once: going on with groups of 4") as told:
        list(groups.run(range(12), work))
    assert len(told) == 1
    assert work.tried == [8, 4, 2, 2, 2, 2, 2, 2]


def test_too_little_for_one_is_an_error_that_says_what_to_do() -> None:
    groups = Groups(2, torch.device("cuda"))
    with (
        pytest.warns(UserWarning, match="going on with groups of 1"),
        pytest.raises(MemoryError, match="smaller model or a smaller image_size, or take device='cpu'"),
    ):
        list(groups.run([1, 2], Narrow(0)))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB)"),
    ],
)
def test_errors_of_every_device_are_known(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_other_errors_are_left_alone() -> None:
    groups = Groups(4, CPU)
    with pytest.raises(RuntimeError, match="shapes"):
        list(groups.run([1, 2], Narrow(0, RuntimeError("shapes cannot be multiplied"))))
    assert groups.size == 4


def test_an_allocation_that_the_processor_refuses_is_known() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


# -------------------------------------------------------------------- the tracker


class SmallCard(FakeModel):
    """Runs out of memory with more than `most` images or objects."""

    most = 2

    def step(self, features: ImageFeatures, memories: Recall) -> Prediction:
        self._check(len(features.embedding))
        return super().step(features, memories)

    def encode_image(self, images: torch.Tensor) -> ImageFeatures:
        self._check(len(images))
        return super().encode_image(images)

    def encode_memory(
        self,
        features: ImageFeatures,
        mask_logits: torch.Tensor,
        object_logits: torch.Tensor,
        *,
        binarize: bool,
    ) -> torch.Tensor:
        self._check(len(mask_logits))
        return super().encode_memory(features, mask_logits, object_logits, binarize=binarize)

    def _check(self, count: int) -> None:
        if count > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")


def tracked(model: FakeModel) -> Session:
    session = Session(plain_frames(8), model=model.as_model())
    session._tracker._advance._groups.size = 5
    for obj in range(1, 6):
        session.set_prompts(obj, 0, click(3 + 4 * obj, 8))
    list(session.propagate())
    return session


def test_tracking_goes_on_in_smaller_groups_with_the_same_labels() -> None:
    small = SmallCard()
    with pytest.warns(UserWarning, match="going on with groups of 2") as told:
        session = tracked(small)
    assert len(told) == 1
    assert set(small.batches) == {2, 1}
    np.testing.assert_array_equal(session.labels, tracked(FakeModel()).labels)
    assert session.labels.any(axis=(1, 2)).all()


def test_frames_are_encoded_in_smaller_groups() -> None:
    small = SmallCard()
    session = Session(plain_frames(8), model=small.as_model())
    cache = session._tracker.features
    cache._groups.size = 8
    with pytest.warns(UserWarning, match="for 5 at once"):
        cache.get_all([(frame, None) for frame in range(5)])
    assert len(small.encoded) == 3
    assert cache.encoded == 5


def test_nothing_is_told_where_memory_suffices() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracked(FakeModel())
