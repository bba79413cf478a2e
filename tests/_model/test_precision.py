"""What autocast must not lower, and that what was computed first leaves no trace."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sam2._model.prompt_encoder import FourierPositions
from napari_sam2._model.results import ImageFeatures, Points
from napari_sam2._model.sam2 import Sam2
from tests._model.small import SIZE, memories, normal, small_model

LOWERED = torch.bfloat16
IMAGES = normal("images", 1, 3, SIZE, SIZE)
CLICK = Points(torch.tensor([[[20.0, 30.0]]]), torch.ones(1, 1, dtype=torch.int32))


def answer(model: Sam2, *, lowered: bool) -> list[Tensor]:
    """Encode, click, remember, and track onto the same picture."""
    with torch.inference_mode(), torch.autocast("cpu", LOWERED, enabled=lowered):
        features = model.encode_image(IMAGES)
        clicked = model.step(features, None, points=CLICK)
        tracked = model.step(features, memories(model))
        return [features.embedding.float(), clicked.raw_masks, tracked.raw_masks, tracked.pointer.float()]


def test_what_was_computed_first_does_not_matter() -> None:
    """Tables and folded weights are kept, and must not be those of another precision."""
    exact, low = answer(small_model(), lowered=False), answer(small_model(), lowered=True)
    model = small_model()
    for lowered in (True, False, True):
        for found, wanted in zip(answer(model, lowered=lowered), low if lowered else exact, strict=True):
            assert torch.equal(found, wanted)
    assert not torch.equal(low[1], exact[1])


def test_codes_of_places_are_never_rounded() -> None:
    """Angles are of many turns."""
    positions = FourierPositions(32)
    places = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", LOWERED):
        assert torch.equal(positions(places), positions(places).float())
        lowered = positions(places)
    assert torch.equal(lowered, positions(places))


def test_the_encoder_begins_and_ends_in_full_precision() -> None:
    model = small_model()
    encoder, narrowing = model.image_encoder, model.sam_mask_decoder.narrowing
    with torch.inference_mode():
        tokens = encoder.trunk.patch_embed(IMAGES)
        maps = encoder.trunk(IMAGES)
        exact = encoder.neck(maps, narrowing)
        with torch.autocast("cpu", LOWERED):
            assert torch.equal(encoder.trunk.patch_embed(IMAGES), tokens)
            found = encoder.neck(maps, narrowing)
    assert torch.equal(found[-1], exact[-1])
    for fine, wanted in zip(found[:-1], exact[:-1], strict=True):
        assert torch.equal(fine, wanted.to(LOWERED))


def test_what_is_kept_of_fine_maps_takes_half_the_room() -> None:
    model = small_model()
    sizes = []
    for lowered in (False, True):
        with torch.inference_mode(), torch.autocast("cpu", LOWERED, enabled=lowered):
            features: ImageFeatures = model.encode_image(IMAGES)
        sizes.append(sum(each.nbytes for each in features.high_res))
    assert sizes[0] == 2 * sizes[1]
