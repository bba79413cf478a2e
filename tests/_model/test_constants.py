from __future__ import annotations

import torch

from napari_sam2._model.constants import constant


def test_constants_are_brought_to_a_device_once() -> None:
    cpu = torch.device("cpu")
    with torch.inference_mode():
        found = constant(((1, 2), (3, 4)), cpu)
    assert torch.equal(found, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert constant(((1, 2), (3, 4)), cpu) is found
    # Training multiplies with what tracking has made.
    (torch.ones(2, requires_grad=True) * found).sum().backward()
