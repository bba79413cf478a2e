"""Named results: views of one frame, moves, chosen candidates."""

from __future__ import annotations

import torch

from napari_sam2._model.results import ImageFeatures, Points, Prediction, take_candidate
from tests._model.small import features, normal, small_model


def test_expanded_features_are_views_of_one_frame() -> None:
    frame = features(small_model())
    many = frame.expand(3)
    assert [x.shape[0] for x in (many.embedding, *many.high_res)] == [3, 3, 3]
    assert many.embedding.data_ptr() == frame.embedding.data_ptr()
    assert torch.equal(many.high_res[1][2], frame.high_res[1][0])


def test_selected_features() -> None:
    frames = features(small_model(), count=3)
    for index in (slice(1, 2), torch.tensor([1])):
        one = frames.select(index)
        assert torch.equal(one.embedding, frames.embedding[1:2])
        assert all(torch.equal(a, b[1:2]) for a, b in zip(one.high_res, frames.high_res, strict=True))


def test_cast_features_and_their_bytes() -> None:
    frames = ImageFeatures(torch.zeros(1, 4, 2, 2), (torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 4, 4)))
    assert frames.nbytes == 4 * (16 + 64 + 32)
    half = frames.to(dtype=torch.float16)
    assert half.nbytes == frames.nbytes // 2
    assert {x.dtype for x in (half.embedding, *half.high_res)} == {torch.float16}
    assert frames.to(device=torch.device("meta")).embedding.device.type == "meta"
    assert ImageFeatures(frames.embedding, ()).expand(2).high_res == ()


def test_no_points_are_one_padding_token() -> None:
    nothing = Points.none(3, torch.device("cpu"))
    assert nothing.count == 1
    assert nothing.coords.shape == (3, 1, 2)
    assert nothing.labels.flatten().tolist() == [-1, -1, -1]


def test_chosen_candidate_of_each_object() -> None:
    masks, ious = normal("masks", 2, 3, 4, 4), normal("ious", 2, 3)
    prediction = Prediction(
        raw_masks=masks + 1,
        masks=masks,
        ious=ious,
        best=torch.tensor([2, 0]),
        object_logits=torch.ones(2, 1),
        pointer=torch.zeros(2, 8),
    )
    assert torch.equal(prediction.low_res, torch.stack((masks[0, 2:], masks[1, :1])))
    assert torch.equal(prediction.iou, torch.stack((ious[0, 2], ious[1, 0])))
    assert torch.equal(take_candidate(masks, prediction.best)[1], masks[1, 0])
