"""What goes into and comes out of the network: batches put together and taken apart."""

from __future__ import annotations

from dataclasses import fields

import torch

from napari_sam2._model.results import ImageFeatures, Prediction
from tests._model.small import features, memories, small_model


def held(*tensors: torch.Tensor) -> int:
    """Count the bytes that tensors keep in memory, those of others behind them too."""
    return sum(each.untyped_storage().nbytes() for each in tensors)


def test_rows_of_a_batch_do_not_hold_the_others() -> None:
    model = small_model()
    with torch.no_grad():
        together = model.step(features(model, count=3), memories(model, batch=3))
    row = together.row(1)
    for each in fields(Prediction):
        whole, own = getattr(together, each.name), getattr(row, each.name)
        assert torch.equal(own, whole[1:2])
        assert held(own) == own.numel() * own.element_size()


def test_what_a_prediction_lacks_its_rows_lack() -> None:
    model = small_model()
    with torch.no_grad():
        together = model.predict_from_mask(features(model, count=2), torch.ones(2, 1, 64, 64))
    assert together.tokens is None
    assert together.row(0).tokens is None


def test_features_are_taken_apart_and_put_together() -> None:
    model = small_model()
    both = features(model, count=2)
    rows = [both.row(index) for index in range(2)]
    for row in rows:
        assert held(row.embedding, *row.high_res) == row.nbytes
    again = ImageFeatures.stacked(rows)
    assert torch.equal(again.embedding, both.embedding)
    assert all(torch.equal(one, other) for one, other in zip(again.high_res, both.high_res, strict=True))


def test_the_same_features_are_shared_in_a_batch() -> None:
    one = features(small_model())
    many = ImageFeatures.stacked([one, one, one])
    assert many.embedding.shape[0] == 3
    assert held(many.embedding) == held(one.embedding)
