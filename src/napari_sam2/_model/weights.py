"""Reading and writing networks: the embedded one, released ones, any checkpoint of the architecture."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_sam2._model import registry
from napari_sam2._model.config import RELEASED_CONFIGS, Sam2Config
from napari_sam2._model.errors import CheckpointError
from napari_sam2._model.sam2 import Sam2
from napari_sam2.device import choose_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_sam2.device import Runtime

EMBEDDED = "nano"
_CONFIG_KEY = "napari_sam2_config"
_SHOWN_KEYS = 4


def load_model(
    name_or_path: str | Path = EMBEDDED,
    *,
    device: str = "auto",
    image_size: int | None = None,
    precision: str = "auto",
) -> Sam2:
    """Load a network, ready for inference.

    Parameters
    ----------
    name_or_path : str or Path
        ``"nano"`` (embedded), a released name such as ``"sam2.1-tiny"`` (downloaded once), or the path of a
        ``.pt`` or ``.safetensors`` file.
    device : str
        ``"auto"`` or the name of a torch device.
    image_size : int, optional
        Side that frames are resized to, a multiple of 32. Default: what the file says, else 1024.
    precision : str
        ``"float32"`` gives the reference's numbers, ``"bfloat16"`` runs in autocast. ``"auto"`` takes
        bfloat16 where it is faster: on GPUs that compute in it, for released models also on such processors.

    Raises
    ------
    ValueError
        If the name, the device, the size or the precision is unknown.
    CheckpointError
        If the file cannot be fetched or read, or does not fit the network.
    """
    runtime = choose_runtime(device, precision)
    checkpoint = read_checkpoint(_locate(name_or_path))
    config = checkpoint.config if image_size is None else replace(checkpoint.config, image_size=image_size)
    model = build_model(config, checkpoint.tensors)
    model.runtime, model.source = _suited(runtime, precision, config), str(name_or_path)
    return model.to(runtime.device)


def _suited(runtime: Runtime, precision: str, config: Sam2Config) -> Runtime:
    """Leave a narrow network in float32 on a processor: there bfloat16 is slower for it, and less exact."""
    if precision == "auto" and runtime.device.type == "cpu" and config.is_narrow:
        return replace(runtime, dtype=torch.float32)
    return runtime


def model_names() -> tuple[str, ...]:
    """Names that `load_model` knows."""
    return (EMBEDDED, *RELEASED_CONFIGS)


def _locate(name_or_path: str | Path) -> Path:
    if name_or_path == EMBEDDED:
        return embedded_path()
    if str(name_or_path) in registry.RELEASED:
        return registry.download(str(name_or_path))
    return checkpoint_file(name_or_path)


def checkpoint_file(name_or_path: str | Path) -> Path:
    """Return the file of a checkpoint that is neither embedded nor released.

    Raises
    ------
    ValueError
        If that is no name of such a file.
    CheckpointError
        If it is not there.
    """
    path = Path(name_or_path)
    if path.suffix not in {".pt", ".pth", ".safetensors"}:
        raise ValueError(
            f"{str(name_or_path)!r} is neither a model ({', '.join(model_names())}) "
            "nor a .pt or .safetensors file."
        )
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file {path}.")
    return path


def embedded_path() -> Path:
    """Path of the weights in the package."""
    return Path(str(resources.files("napari_sam2._model") / f"{EMBEDDED}.safetensors"))


@dataclass(frozen=True)
class Checkpoint:
    """Tensors of a file and the configuration that they belong to.

    Attributes
    ----------
    config : Sam2Config
        Read from the file, or told from the tensors.
    tensors : Mapping
        Name to tensor.
    """

    config: Sam2Config
    tensors: Mapping[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.pt`` or ``.safetensors`` file without running anything that it may contain.

    Raises
    ------
    CheckpointError
        If the file is truncated, holds more than tensors or is no SAM 2 network.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    tensors = _read_pickle(path)
    return Checkpoint(infer_config(tensors), tensors)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}): fetch it again, or choose another file."
        ) from error
    if _CONFIG_KEY not in metadata:
        return Checkpoint(infer_config(tensors), tensors)
    try:
        config = Sam2Config.from_json(json.loads(metadata[_CONFIG_KEY]))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} holds a configuration that this version cannot read: {error}"
        ) from error
    return Checkpoint(config, tensors)


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # remarks on pickles that are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message tells how to run the code in the file all the same; nobody should.
        raise CheckpointError(
            f"{path} is no checkpoint, or holds more than weights (code, perhaps); nothing of it was run: "
            "fetch it again, or choose another file."
        ) from error
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be opened: ask for the right to read it.") from error
    except Exception as error:
        # Damaged bytes lead the unpickler to errors of any kind.
        raise CheckpointError(
            f"{path} is truncated or no checkpoint: fetch it again, or choose another file."
        ) from error
    tensors = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise CheckpointError(
            f"{path} holds no state dict: expected tensors by name, or those under 'model'."
        )
    return tensors


def infer_config(tensors: Mapping[str, Tensor]) -> Sam2Config:
    """Tell size and version of a released architecture from its tensors.

    Raises
    ------
    CheckpointError
        If no released trunk has this width and number of blocks.
    """
    stem = tensors.get("image_encoder.trunk.patch_embed.proj.weight")
    if stem is None:
        raise CheckpointError(
            "These tensors are no SAM 2 network: image_encoder.trunk.patch_embed.proj.weight is missing."
        )
    blocks = {name.split(".")[3] for name in tensors if name.startswith("image_encoder.trunk.blocks.")}
    version = "sam2.1" if "no_obj_embed_spatial" in tensors else "sam2"
    for config in RELEASED_CONFIGS.values():
        if config.name.startswith(f"{version}-") and _fits(config, len(stem), len(blocks)):
            return config
    raise CheckpointError(
        f"No SAM 2 trunk has {len(blocks)} blocks at {len(stem)} channels; models of other widths need a "
        ".safetensors file that carries its configuration."
    )


def _fits(config: Sam2Config, width: int, blocks: int) -> bool:
    return config.trunk.embed_dim == width and sum(config.trunk.stages) == blocks


def build_model(config: Sam2Config, tensors: Mapping[str, Tensor]) -> Sam2:
    """Make a network of these weights, in float32, on the CPU and for inference.

    Raises
    ------
    CheckpointError
        If a tensor is missing, foreign or of another shape; the message names it.
    """
    with torch.device("meta"):
        model = Sam2(config)
    _check_tensors(config, model.state_dict(), tensors)
    model.load_state_dict(
        {name: _aligned(tensor) for name, tensor in tensors.items()}, strict=True, assign=True
    )
    return model.requires_grad_(requires_grad=False).eval()


def _aligned(tensor: Tensor) -> Tensor:
    """Return float32 values as torch itself would lay them out.

    Tensors of a safetensors file lie anywhere in it; matrix kernels give other last bits for them.
    """
    values = tensor.float()
    return values if values.data_ptr() % 64 == 0 else values.clone()


def _check_tensors(config: Sam2Config, expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> None:
    problems = [
        _list_keys("missing", sorted(set(expected) - set(got))),
        _list_keys("foreign", sorted(set(got) - set(expected))),
        _list_keys(
            "of another shape",
            [n for n in sorted(set(expected) & set(got)) if expected[n].shape != got[n].shape],
        ),
    ]
    if any(problems):
        raise CheckpointError(f"The weights do not fit {config.name}: {'; '.join(filter(None, problems))}.")


def _list_keys(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return f"{what}: {', '.join(keys[:_SHOWN_KEYS])}{more}"


def save_model(model: Sam2, path: str | Path, *, half: bool = True) -> None:
    """Write weights and configuration as safetensors.

    Parameters
    ----------
    model : Sam2
        Network to save.
    path : str or Path
        Ends in ``.safetensors``; replaced only once the new file is whole.
    half : bool
        Store float16 instead of float32.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: t.detach().to("cpu", dtype).contiguous() for name, t in model.state_dict().items()}
    target = Path(path)
    partial = target.with_name(f"{target.name}.partial")
    save_file(tensors, partial, metadata={_CONFIG_KEY: json.dumps(model.config.to_json())})
    partial.replace(target)


def checksum(model: Sam2) -> str:
    """Sha256 over names and values of all weights, independent of the file that they came from.

    It is kept until a weight changes.
    """
    weights = dict(sorted(model.state_dict().items()))
    return model.digest.get(tuple(weights.values()), partial(_digest, weights))


def _digest(weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
