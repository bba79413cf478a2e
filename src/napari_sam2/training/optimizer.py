"""Muon for the matrices of linear layers, AdamW for everything else, as one optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import AdamW, Optimizer

from napari_sam2.training.muon import StackedMuon

if TYPE_CHECKING:
    from torch import Tensor

_BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class SplitOptimizer:
    """Optimisers of disjoint parameters that act together.

    Parameters
    ----------
    parts
        The optimisers.
    """

    parts: tuple[Optimizer, ...]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of all parts; changes take effect."""
        return [group for part in self.parts for group in part.param_groups]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of all parts."""
        for group in self.param_groups:
            group["lr"] = rate

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Make one step with each part."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same parts."""
        for part, own in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(own)


def make_optimizer(model: nn.Module, heads: nn.Module, rate: float, decay: float) -> SplitOptimizer:
    """Make the optimiser of a network and its heads; what takes no gradients is left out.

    Muon (Jordan et al. 2024) turns the momentum of a matrix into the nearest orthogonal one, so that all its
    directions learn alike. Its steps are scaled to the size that AdamW's have (Liu et al. 2025,
    arXiv:2502.16982), so that both share one rate. Weight decay acts on what has two dimensions or more.
    """
    linear = _linear_weights(model, heads)
    known = {id(weight) for weight in linear}
    rest = [p for p in (*model.parameters(), *heads.parameters()) if p.requires_grad and id(p) not in known]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    others = AdamW(groups, lr=rate, betas=_BETAS)
    if not linear:
        return SplitOptimizer((others,))
    return SplitOptimizer((StackedMuon(linear, rate, decay), others))


def _linear_weights(*networks: nn.Module) -> list[Tensor]:
    modules = [module for network in networks for module in network.modules()]
    return [m.weight for m in modules if isinstance(m, nn.Linear) and m.weight.requires_grad]
