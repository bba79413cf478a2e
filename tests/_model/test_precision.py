"""What autocast must not lower, and that what was computed first leaves no trace."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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


TOKENS = ("self_attn", "mlp", "token_to_image.q_proj", "token_to_image.out_proj", "hypernetworks", "head")
MAPS = ("token_to_image.k_proj", "token_to_image.v_proj", "image_to_token")


def test_tokens_are_never_rounded() -> None:
    """They are few, and each decides on all pixels of a mask."""
    model, given = small_model(), dict[str, torch.dtype]()
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda *told, name=name: given.update({name: told[-1].dtype}))
    answer(model, lowered=True)
    told = {name: dtype for name, dtype in given.items() if name.startswith(("sam_mask_decoder", "obj_ptr"))}
    exact = {name for name, dtype in told.items() if dtype == torch.float32}
    assert exact == {
        name for name in told if name.startswith("obj_ptr") or any(part in name for part in TOKENS)
    }
    assert told.keys() - exact == {name for name in told if any(part in name for part in MAPS)}


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
