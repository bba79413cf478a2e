"""All that a training run has to remember so that it can go on as if it had not stopped."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_sam2._model.layers import Doubling
from napari_sam2.tensor_file import save_tensors
from napari_sam2.training.ahead import ScenesAhead

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.training.dense import DenseHeads
    from napari_sam2.training.optimizer import SplitOptimizer

POINT_SCALE = 1.0
SELF_GAIN = 1.2
MATCH_GAIN = 2.5
CONTENT_SCALE = 0.4
NECK_SCALE = 0.15


@dataclass
class TrainState:
    """The changing parts of a run.

    Parameters
    ----------
    model
        The network that is trained.
    average
        Moving average of its weights, the one that is kept.
    heads
        Heads of the encoder's second task.
    optimizer
        AdamW with its moments.
    generator
        Source of the sequences and prompts.
    step
        Steps done.
    seconds
        Time spent in training, former runs included.
    scenes
        Sequences that are made already; a state that is saved has none.
    before
        The network before the first step, where it is held to some of its answers.
    """

    model: Sam2
    average: Sam2
    heads: DenseHeads
    optimizer: SplitOptimizer
    generator: torch.Generator
    step: int = 0
    seconds: float = 0.0
    scenes: ScenesAhead = field(default_factory=ScenesAhead)
    before: Sam2 | None = None

    def save(self, path: Path, settings: dict[str, object], generators: list[Tensor]) -> None:
        """Write all to a file, under a temporary name first; `generators` are those of all processes.

        Sequences that are made already are forgotten.
        """
        self.scenes.clear()
        content = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": generators,
            "step": self.step,
            "seconds": self.seconds,
            "settings": settings,
        }
        partial = path.with_suffix(".part")
        save_tensors(content, partial)
        partial.replace(path)

    def load(self, path: Path, settings: dict[str, object], *, rank: int = 0) -> None:
        """Go on from a file as process `rank`; one that was not there before keeps its own generator.

        Raises
        ------
        ValueError
            If the file comes from a run with other settings, or is damaged.
        """
        content = _read(path)
        other = {key for key, value in settings.items() if content["settings"].get(key) != value}
        if other:
            raise ValueError(
                f"{path} is of a run with other settings ({', '.join(sorted(other))}); choose another folder"
            )
        self.model.load_state_dict(content["model"])
        self.average.load_state_dict(content["average"])
        self.heads.load_state_dict(content["heads"])
        self.optimizer.load_state_dict(content["optimizer"])
        if rank < len(content["generators"]):
            self.generator.set_state(content["generators"][rank])
        self.step, self.seconds = content["step"], content["seconds"]

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the weights; faster while there have been few steps."""
        share = 1 - min(decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), share)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise ValueError(
            f"{path} is damaged: delete it, and the training begins anew, or choose another folder"
        ) from error
    return content


def initialise(model: Sam2, seed: int) -> None:
    """Give a new network its first weights, the same for the same seed.

    Linear layers and convolutions keep the variance of their input, so that attention is uneven from the
    first step and a click is felt through the decoder: with PyTorch's own, smaller scheme the masks stay
    empty for thousands of steps. Free parameters get small random values, and the layer scale of the memory
    encoder starts where a short training can use its blocks.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        _initialise_one(name, parameter, model, generator)
    _match_places(model)
    matrix = model.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    matrix.copy_(torch.randn(matrix.shape, generator=generator))


@torch.no_grad()
def _initialise_one(name: str, parameter: nn.Parameter, model: Sam2, generator: torch.Generator) -> None:
    owner = model.get_submodule(name.rpartition(".")[0])
    kind = name.rpartition(".")[2]
    if isinstance(owner, (nn.Linear, nn.Conv2d, Doubling)):
        inputs = owner.weight.shape[0] if isinstance(owner, Doubling) else owner.weight[0].numel()
        scale = 0.0 if kind == "bias" else 1 / math.sqrt(inputs)
        parameter.copy_(torch.randn(parameter.shape, generator=generator).clamp(-2.5, 2.5) * scale)
    elif isinstance(owner, nn.Embedding):
        scale = POINT_SCALE if "point_embeddings" in name else 1.0
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    elif kind == "gamma":
        parameter.fill_(0.1)
    elif kind not in ("weight", "bias"):
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)


@torch.no_grad()
def _match_places(model: Sam2) -> None:
    """Let queries and keys between prompts and image start alike, so that a click attends to its place.

    Their product is then the similarity of the position codes, if what else the tokens carry is small beside
    these. To find that out takes a random start most of its time.
    """
    for name, module in model.sam_mask_decoder.transformer.named_modules():
        if name.endswith(("token_to_image", "image_to_token", "self_attn")):
            module.q_proj.weight.mul_(SELF_GAIN if name.endswith("self_attn") else MATCH_GAIN)
            module.k_proj.weight.copy_(module.q_proj.weight)
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(CONTENT_SCALE)
    for convolution in model.image_encoder.neck.modules():
        if isinstance(convolution, nn.Conv2d):
            convolution.weight.mul_(NECK_SCALE)


def averaged_copy(model: Sam2) -> Sam2:
    """Copy a network; the copy takes no gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)
