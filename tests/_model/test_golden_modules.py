"""Every module gives the released implementation's numbers on seeded weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_sam2._model.memory_attention import MemoryTokens
from napari_sam2._model.positions import rotary_table, rotate, sine_map, sine_times
from napari_sam2._model.prompt_encoder import PromptTokens
from napari_sam2._model.results import ImageFeatures, Points
from tests._model.golden import CASES, GRID, SIZE, Case, Golden, needs_shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2._model.sam2 import Sam2

pytestmark = needs_shared
N = GRID * GRID
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.config)
def golden(request: pytest.FixtureRequest) -> Golden:
    case: Case = request.param
    return Golden(case)


@pytest.fixture(scope="module")
def model(golden: Golden) -> Iterator[Sam2]:
    with torch.inference_mode():
        yield golden.model()


def check(golden: Golden, **outputs: torch.Tensor) -> None:
    for key, value in outputs.items():
        name = key.replace("__", ".")
        assert golden.difference(name, value) < TOLERANCE, name
        assert golden.sum_difference(name, value) < TOLERANCE, name


def padded_point(golden: Golden) -> tuple[Points, torch.Tensor]:
    places = [[[10.25, 20.5], [SIZE - 7.0, 30.0], [40.0, 50.0], [60.0, 90.0], [0.0, 0.0]]]
    coords = torch.tensor(places, device=golden.device)
    labels = torch.tensor([[1, 0, 2, 3, -1]], dtype=torch.int32, device=golden.device)
    return Points(coords, labels), golden.input("pmask", 1, 1, 4 * GRID, 4 * GRID, scale=4)


def decoder_inputs(golden: Golden) -> ImageFeatures:
    dim = 256
    high_res = (
        golden.input("hr0", 2, dim // 8, 4 * GRID, 4 * GRID),
        golden.input("hr1", 2, dim // 4, 2 * GRID, 2 * GRID),
    )
    return ImageFeatures(golden.input("src", 2, dim, GRID, GRID), high_res)


def test_image_encoder(golden: Golden, model: Sam2) -> None:
    image = golden.input("img", 1, 3, SIZE, SIZE)
    maps = model.image_encoder.trunk(image)
    check(golden, **{f"hiera__out{i}": x for i, x in enumerate(maps)})
    check(golden, hiera__pos=model.image_encoder.trunk.positions(SIZE // 4, SIZE // 4))
    features = model.encode_image(image)
    check(golden, fpn0=features.high_res[0], fpn1=features.high_res[1], fpn2=features.embedding)


def test_position_codes(golden: Golden, model: Sam2) -> None:
    check(golden, sine256=sine_map(256, GRID, golden.device), sine64=sine_map(64, GRID, golden.device))
    check(golden, sine1d=sine_times(torch.arange(-5, 11, device=golden.device) / 15, 256))
    check(golden, dense_pe=model.sam_prompt_encoder.dense_positions(GRID))


def test_rotary_positions(golden: Golden) -> None:
    table = rotary_table(256, GRID, golden.device)
    q, k = golden.input("rq", 1, 1, N, 256), golden.input("rk", 1, 1, 2 * N, 256)
    check(golden, rope__q=rotate(q, table), rope__k=rotate(k, table))


def test_prompt_encoder(golden: Golden, model: Sam2) -> None:
    points, mask = padded_point(golden)
    tokens = model.sam_prompt_encoder(points, mask, grid=GRID)
    check(golden, prompt__sparse=tokens.sparse, prompt__dense_mask=tokens.dense)
    first = Points(points.coords[:, :1], points.labels[:, :1])
    check(golden, prompt__sparse1=model.sam_prompt_encoder(first, None, grid=GRID).sparse)


@pytest.mark.parametrize("multimask", [True, False])
def test_mask_decoder(golden: Golden, model: Sam2, multimask: bool) -> None:
    inputs = decoder_inputs(golden)
    points, _ = padded_point(golden)
    one = model.sam_prompt_encoder(Points(points.coords[:, :1], points.labels[:, :1]), None, grid=GRID)
    prompts = PromptTokens(one.sparse.expand(2, -1, -1), one.dense.expand(2, -1, -1, -1))
    code = model.sam_prompt_encoder.dense_positions(GRID)
    decoded = model.sam_mask_decoder(inputs.embedding, code, prompts, inputs.high_res, multimask=multimask)
    kind = "multi" if multimask else "single"
    outputs = {
        "masks": decoded.masks,
        "iou": decoded.ious,
        "tok": decoded.tokens,
        "obj": decoded.object_logits,
    }
    check(golden, **{f"decoder__{kind}__{name}": value for name, value in outputs.items()})


def test_memory_attention(golden: Golden, model: Sam2) -> None:
    length = 3 * N + 12
    memory = golden.input("mem", length, 2, 64).transpose(0, 1)
    codes = golden.input("mp", length, 2, 64, scale=0.5).transpose(0, 1)
    current = golden.input("cur", N, 2, 256).transpose(0, 1)
    code = sine_map(256, GRID, golden.device).flatten(2).transpose(1, 2)
    conditioned = model.memory_attention(current, code, MemoryTokens(memory, codes, unplaced=12))
    check(golden, memattn=conditioned.transpose(0, 1))


@pytest.mark.parametrize(("key", "binarize"), [("memenc", False), ("memenc.bin", True)])
def test_memory_encoder(golden: Golden, model: Sam2, key: str, binarize: bool) -> None:
    embedding = golden.input("cur", N, 2, 256).permute(1, 2, 0).unflatten(2, (GRID, GRID))
    logits = golden.input("hm", 2, 1, SIZE, SIZE, scale=6)
    memory = model.encode_memory(
        ImageFeatures(embedding, ()),
        logits,
        torch.tensor([[1.0], [-1.0]], device=golden.device),
        binarize=binarize,
    )
    check(golden, **{key: memory})


def test_mask_taken_as_output(golden: Golden, model: Sam2) -> None:
    inputs = decoder_inputs(golden).select(slice(0, 1))
    mask = (golden.input("mi", 1, 1, SIZE, SIZE) > 1).float()
    prediction = model.predict_from_mask(inputs, mask)
    check(golden, maskout__low=prediction.low_res, maskout__ptr=prediction.pointer)
    check(golden, maskout__score=prediction.object_logits)


def test_every_module_output_is_covered(golden: Golden) -> None:
    """The end-to-end arrays are those that the tracker's test compares."""
    covered = {
        "hiera.pos",
        "fpn0",
        "fpn1",
        "fpn2",
        "sine256",
        "sine64",
        "dense_pe",
        "sine1d",
        "rope.q",
        "rope.k",
    }
    covered |= {f"hiera.out{i}" for i in range(4)} | {"memattn", "memenc", "memenc.bin"}
    covered |= {"prompt.sparse", "prompt.sparse1", "prompt.dense_mask"} | {
        f"maskout.{k}" for k in ("low", "ptr", "score")
    }
    covered |= {f"decoder.{m}.{k}" for m in ("multi", "single") for k in ("masks", "iou", "tok", "obj")}
    assert {key for key in golden.keys if not key.startswith("e2e.")} == covered
