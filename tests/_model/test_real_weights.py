"""Real SAM 2.0-tiny weights on a real micrograph give the masks that the released network gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.pixels import normalise
from napari_sam2._model.results import ImageFeatures, Points
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import build_model
from tests._model.golden import SHARED, load_recipe, manifest, needs_shared

if TYPE_CHECKING:
    from napari_sam2._model.results import Prediction

pytestmark = needs_shared
CASES = ("pt", "pos_neg", "box", "box_pt", "pt_maskinput")
# The weights beside the repository are rounded to float16; the recorded masks come from unrounded ones.
LOGITS, MAPS, IOU, OVERLAP = 0.05, 1e-3, 2e-3, 0.995
LIMIT = 32.0


@dataclass(frozen=True)
class Encoded:
    """The network, the recorded arrays and the features of the recorded image."""

    model: Sam2
    recorded: dict[str, np.ndarray[Any, Any]]
    features: ImageFeatures

    def predict(self, case: str) -> Prediction:
        coords, labels = (torch.from_numpy(self.recorded[f"{case}/{name}"]) for name in ("coords", "labels"))
        hint = self.recorded.get(f"{case}/mask_input")
        with torch.inference_mode():
            return self.model.predict(
                self.model.recall(self.features, None),
                self.features.high_res,
                points=Points(coords, labels.int()),
                mask_logits=None if hint is None else torch.from_numpy(hint),
                multimask=True,
            )


def real_weights() -> Sam2:
    """Fill what is not there (memory, presence, pointers) with seeds; objects are always present."""
    state = {
        name: torch.from_numpy(v) for name, v in load_recipe().state_dict(manifest("sam2_hiera_tiny")).items()
    }
    state |= load_file(SHARED / "weights" / "sam2_hiera_tiny_image_path.safetensors")
    head = "sam_mask_decoder.pred_obj_score_head.layers.2"
    state[f"{head}.weight"] = torch.zeros_like(state[f"{head}.weight"])
    state[f"{head}.bias"] = torch.full_like(state[f"{head}.bias"], 5.0)
    return build_model(RELEASED_CONFIGS["sam2-tiny"], state)


@pytest.fixture(scope="module")
def encoded() -> Encoded:
    recorded = dict(np.load(SHARED / "golden" / "sam2_hiera_tiny_real_nuclei.npz"))
    model = real_weights()
    image = torch.from_numpy(recorded["image_u8"]).float()[None, None].expand(1, 3, -1, -1)
    square = torch.nn.functional.interpolate(image, (1024, 1024), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        return Encoded(model, recorded, model.encode_image(normalise(square)))


def overlap(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("name", ["image_embed", "high_res_feats_0", "high_res_feats_1"])
def test_maps(encoded: Encoded, name: str) -> None:
    maps = {
        "image_embed": encoded.model.recall(encoded.features, None),
        "high_res_feats_0": encoded.features.high_res[0],
        "high_res_feats_1": encoded.features.high_res[1],
    }
    recorded, got = encoded.recorded, maps[name].numpy()
    assert got.shape == tuple(recorded[f"{name}_shape"])
    wanted = recorded[f"{name}_slice"]
    assert np.abs(got[:, ::4, ::4, ::4] - wanted).max() < MAPS * np.ptp(got)
    assert np.abs(got).mean() == pytest.approx(float(recorded[f"{name}_meanabs"]), rel=MAPS)


@pytest.mark.parametrize("case", CASES)
def test_masks(encoded: Encoded, case: str) -> None:
    prediction = encoded.predict(case)
    got, wanted = prediction.masks.clamp(-LIMIT, LIMIT).numpy(), encoded.recorded[f"{case}/masks"]
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < LOGITS
    assert np.abs(prediction.ious.numpy() - encoded.recorded[f"{case}/iou"]).max() < IOU
    for candidate in range(3):
        assert overlap(got[0, candidate] > 0, wanted[0, candidate] > 0) >= OVERLAP


@pytest.mark.parametrize("case", CASES)
def test_the_chosen_mask_is_the_nucleus(encoded: Encoded, case: str) -> None:
    """The image, its truth and the network's grid are all 256 x 256 here."""
    mask = encoded.predict(case).low_res[0, 0].numpy() > 0
    assert overlap(mask, encoded.recorded["gt"]) > 0.9


def test_every_recorded_case_is_compared(encoded: Encoded) -> None:
    assert {key.split("/")[0] for key in encoded.recorded if "/" in key} == set(CASES)
