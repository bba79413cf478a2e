"""Checkpoints: every released key list loads strictly; what does not fit is refused by name, never run."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam2._model import registry, weights
from napari_sam2._model.config import NANO_CONFIG, RELEASED_CONFIGS
from napari_sam2._model.errors import CheckpointError
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import build_model, checksum, infer_config, load_model, save_model
from tests._model.golden import SHARED, manifest, needs_shared
from tests._model.small import SMALL_CONFIG, click, features, small_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

LISTS = {
    "sam2_hiera_tiny": "sam2-tiny",
    "sam2_hiera_small": "sam2-small",
    "sam2_hiera_base_plus": "sam2-base-plus",
    "sam2_hiera_large": "sam2-large",
    "sam2.1_hiera_tiny": "sam2.1-tiny",
    "sam2.1_hiera_small": "sam2.1-small",
    "sam2.1_hiera_base_plus": "sam2.1-base-plus",
    "sam2.1_hiera_large": "sam2.1-large",
    "medsam2_512": "sam2-tiny",
}


def flat(shapes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Make tensors of these shapes that share one stored number each."""
    return {name: torch.tensor(0.5).expand(tuple(shape)) for name, shape in shapes.items()}


def released_shapes(name: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: tensor.shape for key, tensor in Sam2(RELEASED_CONFIGS[name]).state_dict().items()}


@pytest.fixture
def small_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the small network's tensors be told apart like those of a released one."""
    config = replace(SMALL_CONFIG, name="sam2.1-small")
    monkeypatch.setattr(weights, "RELEASED_CONFIGS", {config.name: config})


# -------------------------------------------------------------------- key lists


@needs_shared
def test_all_lists_are_known() -> None:
    assert {path.stem for path in (SHARED / "manifests").glob("*.json")} == set(LISTS)


@needs_shared
@pytest.mark.parametrize(("file", "name"), LISTS.items())
def test_released_key_lists_load_strictly(file: str, name: str) -> None:
    tensors = flat(manifest(file))
    config = infer_config(tensors)
    assert config == RELEASED_CONFIGS[name]
    loaded = build_model(config, tensors).state_dict()
    assert {key: list(tensor.shape) for key, tensor in loaded.items()} == manifest(file)


@pytest.mark.parametrize("name", RELEASED_CONFIGS)
def test_size_and_version_are_told_from_the_tensors(name: str) -> None:
    assert infer_config(flat(released_shapes(name))) is RELEASED_CONFIGS[name]


def test_other_trunks_need_their_configuration() -> None:
    shapes = released_shapes("sam2-tiny")
    fewer = {name: shape for name, shape in shapes.items() if ".blocks.11." not in name}
    with pytest.raises(CheckpointError, match=r"11 blocks at 96 channels.*carries its configuration"):
        infer_config(flat(fewer))
    with pytest.raises(CheckpointError, match="no SAM 2 network"):
        infer_config({"weight": torch.ones(2)})


# ------------------------------------------------------------ what does not fit


def small_tensors() -> dict[str, Tensor]:
    return dict(small_model().state_dict())


def test_missing_keys_are_named() -> None:
    tensors = small_tensors()
    del tensors["no_mem_embed"]
    with pytest.raises(CheckpointError, match=r"do not fit small: missing: no_mem_embed\.$"):
        build_model(SMALL_CONFIG, tensors)


def test_foreign_keys_are_named() -> None:
    tensors = {**small_tensors(), "head.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"do not fit small: foreign: head\.weight\.$"):
        build_model(SMALL_CONFIG, tensors)


def test_keys_of_another_shape_are_named() -> None:
    tensors = {**small_tensors(), "no_obj_ptr": torch.ones(1, 7)}
    with pytest.raises(CheckpointError, match=r"do not fit small: of another shape: no_obj_ptr\.$"):
        build_model(SMALL_CONFIG, tensors)


def test_long_lists_of_keys_are_cut() -> None:
    with pytest.raises(CheckpointError, match=r"missing: [^,]+, [^,]+, [^,]+, [^,]+ and \d+ more"):
        build_model(SMALL_CONFIG, {})


def test_version_2_0_tensors_do_not_fit_2_1() -> None:
    tensors = flat(released_shapes("sam2-tiny"))
    with pytest.raises(CheckpointError, match=r"missing: no_obj_embed_spatial, obj_ptr_tpos_proj\.bias"):
        build_model(RELEASED_CONFIGS["sam2.1-tiny"], tensors)


# ------------------------------------------------------------------------ files


@pytest.mark.parametrize("layout", ["under model", "bare"])
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_torch_files(tmp_path: Path, layout: str, suffix: str) -> None:
    path = tmp_path / f"tiny{suffix}"
    tensors = flat(released_shapes("sam2.1-tiny"))
    torch.save({"model": tensors} if layout == "under model" else tensors, path)
    model = load_model(path, device="cpu")
    assert model.config == RELEASED_CONFIGS["sam2.1-tiny"]
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@needs_shared
def test_medsam2_at_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "medsam2.pt"
    torch.save({"model": flat(manifest("medsam2_512"))}, path)
    model = load_model(str(path), device="cpu", image_size=512)
    assert model.config.name == "sam2-tiny"
    assert model.config.image_size == 512
    assert model.config.grid == 32


@pytest.mark.usefixtures("small_is_released")
def test_safetensors_without_configuration(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_file(small_tensors(), path)
    model = load_model(path, device="cpu", image_size=96)
    assert model.config.name == "sam2.1-small"
    assert model.config.image_size == 96
    assert checksum(model) == checksum(small_model())
    assert model.step(features(model), None, points=click((5.0, 5.0))).masks.shape == (1, 3, 24, 24)


@pytest.mark.usefixtures("small_is_released")
def test_half_precision_torch_file(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save({name: tensor.half() for name, tensor in small_tensors().items()}, path)
    model = load_model(path, device="cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_truncated_torch_file(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.pt"
    torch.save(small_tensors(), path)
    cut(path, kept)
    with pytest.raises(CheckpointError, match=r"cut\.pt is .*fetch it again, or choose another file"):
        load_model(path, device="cpu")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "closed.pt"
    path.touch()
    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(CheckpointError, match=r"closed\.pt cannot be opened: ask for the right"):
        load_model(path, device="cpu")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_truncated_safetensors_file(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.safetensors"
    save_model(small_model(), path)
    cut(path, kept)
    with pytest.raises(CheckpointError, match=r"cut\.safetensors is not a whole safetensors file"):
        load_model(path, device="cpu")


def cut(path: Path, kept: float) -> None:
    """Keep so many bytes, or that share of them, or all but the last."""
    content = path.read_bytes()
    length = len(content) + int(kept) if kept < 0 else int(len(content) * kept if 0 < kept < 1 else kept)
    path.write_bytes(content[:length])


@pytest.mark.parametrize(
    "content", [b"x", b"000", b"0" * 9, b"]q", b"\x80\x02M\x01", b"PK\x03\x04" + bytes(40)]
)
def test_garbage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"garbage\.pt"):
        load_model(path, device="cpu")


class Touching:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o755)


@pytest.mark.parametrize("kind", ["torch", "torch nested", "pickle"])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, kind: str) -> None:
    path, touched = tmp_path / "code.pt", tmp_path / "touched"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"model": Touching(touched)}))
    else:
        content = {**small_tensors(), "extra": Touching(touched)}
        torch.save({"model": content} if kind == "torch nested" else content, path)
    with pytest.raises(CheckpointError, match=r"code\.pt .*nothing of it was run"):
        load_model(path, device="cpu")
    assert not touched.exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": None}, {"model": {"a": 1}}, {"epoch": 3}, "text"])
def test_torch_files_without_tensors(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"other\.pt holds no state dict"):
        load_model(path, device="cpu")


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"name": "small"}', '{"trunk": {}, "fancy": 1}'])
def test_unreadable_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "new.safetensors"
    save_file({"weight": torch.ones(1)}, path, metadata={"napari_sam2_config": text})
    with pytest.raises(CheckpointError, match=r"new\.safetensors holds a configuration that this version"):
        load_model(path, device="cpu")


def test_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'sam3' is neither a model \(nano, sam2-tiny, .*sam2\.1-large\)"):
        load_model("sam3", device="cpu")
    with pytest.raises(CheckpointError, match=r"no checkpoint file .*absent\.pt"):
        load_model(tmp_path / "absent.pt", device="cpu")
    asked: list[str] = []

    def download(name: str) -> Path:
        asked.append(name)
        torch.save({"model": flat(released_shapes(name))}, tmp_path / "file.pt")
        return tmp_path / "file.pt"

    monkeypatch.setattr(registry, "download", download)
    assert load_model("sam2-tiny", device="cpu").config.name == "sam2-tiny"
    assert asked == ["sam2-tiny"]
    assert set(registry.RELEASED) == set(RELEASED_CONFIGS)


def test_wrong_options(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_model(small_model(), path)
    with pytest.raises(ValueError, match=r"multiple of 32; got 100"):
        load_model(path, device="cpu", image_size=100)
    with pytest.raises(ValueError, match="'fast'"):
        load_model(path, device="cpu", precision="fast")
    with pytest.raises(ValueError, match="'quantum'"):
        load_model(path, device="quantum")


# ----------------------------------------------------------------------- saving


def test_saved_in_half_precision_with_its_configuration(tmp_path: Path) -> None:
    model = small_model(memory_frames=3, max_conditioning=4, no_object_spatial=False, memory_scale=7.5)
    path = tmp_path / "small.safetensors"
    save_model(model, path)
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    loaded = load_model(path, device="cpu", precision="float32")
    assert loaded.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    assert path.stat().st_size < 2.2 * sum(p.numel() for p in model.state_dict().values()) + 40_000
    assert [p.name for p in tmp_path.iterdir()] == ["small.safetensors"]


def test_saved_whole(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "small.safetensors"
    save_model(model, path, half=False)
    assert checksum(load_model(path, device="cpu")) == checksum(model)
    frame = features(model)
    again = load_model(path, device="cpu").step(frame, None, points=click((9.0, 9.0)))
    assert torch.equal(again.masks, model.step(frame, None, points=click((9.0, 9.0))).masks)


def test_saving_replaces_only_by_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.safetensors"
    save_model(small_model(), path)
    before = path.read_bytes()

    def fail(_tensors: object, target: Path, **_more: object) -> None:
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(weights, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(small_model(seed=1), path)
    assert path.read_bytes() == before


def test_checksum_tells_weights_apart() -> None:
    one, other = small_model(), small_model()
    assert checksum(one) == checksum(other)
    with torch.no_grad():
        other.no_mem_embed[0, 0, 0] += 1e-6
    assert checksum(one) != checksum(other)


def test_configuration_survives_json() -> None:
    config = small_model(memory_stride=3, use_pointers=False).config
    assert type(config).from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_narrow_network_stays_in_float32_on_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    narrow, wide = tmp_path / "narrow.safetensors", tmp_path / "wide.safetensors"
    for path, dim in ((narrow, 128), (wide, 256)):
        save_model(Sam2(replace(NANO_CONFIG, model_dim=dim, memory_dim=32)), path)
    assert load_model(narrow, device="cpu").runtime.dtype == torch.float32
    assert load_model(narrow, device="cpu", precision="bfloat16").runtime.dtype == torch.bfloat16
    assert load_model(wide, device="cpu").runtime.dtype == torch.bfloat16
    assert load_model(wide, device="cpu", precision="float32").runtime.dtype == torch.float32
