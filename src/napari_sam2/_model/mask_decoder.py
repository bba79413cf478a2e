"""Mask decoder: tokens and features to candidate masks, their scores and the object score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from napari_sam2._model.layers import Doubling, LayerNorm2d, Mlp, exactly
from napari_sam2._model.results import take_candidate
from napari_sam2._model.two_way import TwoWayTransformer

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config
    from napari_sam2._model.prompt_encoder import PromptTokens

_CANDIDATES = 3


@dataclass(frozen=True)
class DecodedMasks:
    """What the decoder gives for a batch of objects.

    Attributes
    ----------
    masks : Tensor
        Logits, (B, K, 4g, 4g): K = 3 candidates, or the single mask.
    ious : Tensor
        Predicted intersection over union, (B, K).
    tokens : Tensor
        Mask tokens that pointers are made of, (B, K, C).
    object_logits : Tensor
        (B, 1).
    """

    masks: Tensor
    ious: Tensor
    tokens: Tensor
    object_logits: Tensor


class MaskDecoder(nn.Module):
    """SAM's decoder with SAM 2's object score and high-resolution features."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        dim = config.model_dim
        self.config = config
        self.transformer = TwoWayTransformer(config)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(1 + _CANDIDATES, dim)
        if config.predict_presence:
            self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            Doubling(dim, dim // 4),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            Doubling(dim // 4, dim // 8),
            nn.GELU(),
        )
        if config.high_res_features:
            self.conv_s0 = nn.Conv2d(dim, dim // 8, 1)
            self.conv_s1 = nn.Conv2d(dim, dim // 4, 1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            Mlp((dim, dim, dim, dim // 8)) for _ in range(1 + _CANDIDATES)
        )
        self.iou_prediction_head = Mlp((dim, dim, dim, 1 + _CANDIDATES))
        if config.predict_presence:
            self.pred_obj_score_head = Mlp((dim, dim, dim, 1)) if config.presence_mlp else nn.Linear(dim, 1)

    @property
    def narrowing(self) -> tuple[nn.Conv2d, ...]:
        """What narrows the maps of strides 4 and 8 to what the upscaling adds; done once a frame."""
        return (self.conv_s0, self.conv_s1) if self.config.high_res_features else ()

    def forward(
        self,
        embedding: Tensor,
        image_code: Tensor,
        prompts: PromptTokens,
        high_res: tuple[Tensor, ...],
        *,
        multimask: bool,
    ) -> DecodedMasks:
        """Decode masks of a batch of objects.

        Parameters
        ----------
        embedding : Tensor
            (B, C, g, g).
        image_code : Tensor
            (1, C, g, g), code of the cell centres.
        prompts : PromptTokens
            Of each object.
        high_res : tuple of Tensor
            Maps of strides 4 and 8 narrowed by `narrowing`, or empty.
        multimask : bool
            Three candidates instead of the single mask.
        """
        everything = self._decode_all(embedding, image_code, prompts, high_res)
        if not multimask:
            return self._take_single(everything)
        tokens = everything.tokens[:, 1:]
        if not self.config.pointer_from_multimask:
            tokens = everything.tokens[:, :1].expand_as(tokens)
        return DecodedMasks(everything.masks[:, 1:], everything.ious[:, 1:], tokens, everything.object_logits)

    def _decode_all(
        self, embedding: Tensor, image_code: Tensor, prompts: PromptTokens, high_res: tuple[Tensor, ...]
    ) -> DecodedMasks:
        tokens = torch.cat((self._output_tokens(len(embedding)), prompts.sparse), dim=1)
        state = self.transformer(embedding + prompts.dense, image_code, tokens)
        first = 1 if self.config.predict_presence else 0
        mask_tokens = state.queries[:, first + 1 : first + 2 + _CANDIDATES]
        upscaled = self._upscale(state.keys.unflatten(1, embedding.shape[2:]), high_res)
        with exactly(mask_tokens):
            ious = self.iou_prediction_head(state.queries[:, first]).sigmoid()
            masks = self._mix(mask_tokens, upscaled.to(mask_tokens.dtype))
            return DecodedMasks(masks, ious, mask_tokens, self._score_object(state.queries[:, 0]))

    def _output_tokens(self, batch: int) -> Tensor:
        tokens = [self.iou_token.weight, self.mask_tokens.weight]
        if self.config.predict_presence:
            tokens.insert(0, self.obj_score_token.weight)
        return torch.cat(tokens)[None].expand(batch, -1, -1)

    def _upscale(self, image: Tensor, high_res: tuple[Tensor, ...]) -> Tensor:
        """Upscale (B, g, g, C) to (B, 4g, 4g, C/8), adding the fine maps (B, ..., 4g, 4g) on the way."""
        first, norm, _, second, _ = self.output_upscaling
        fine = tuple(each.permute(0, 2, 3, 1) for each in high_res)
        x = first(image)
        if fine:
            x = x + fine[1]
        x = second(functional.gelu(cast("LayerNorm2d", norm).channels_last(x)))
        if fine:
            x = x + fine[0]
        return functional.gelu(x)

    def _mix(self, mask_tokens: Tensor, upscaled: Tensor) -> Tensor:
        """Weigh the channels of a map (B, h, w, C/8) by what each mask token says, (B, M, h, w)."""
        weights = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=2
        )
        mixed = upscaled.flatten(1, 2) @ weights
        return mixed.transpose(1, 2).unflatten(2, upscaled.shape[1:3]).contiguous()

    def _score_object(self, token: Tensor) -> Tensor:
        if not self.config.predict_presence:
            return token.new_full((len(token), 1), 10.0)
        score: Tensor = self.pred_obj_score_head(token)
        return score

    def _take_single(self, everything: DecodedMasks) -> DecodedMasks:
        """Keep mask 0, or the best candidate where it is unstable; its token stays the pointer's."""
        masks, ious = everything.masks[:, :1], everything.ious[:, :1]
        if self.config.stability_fallback and not self.training:
            best = everything.ious[:, 1:].argmax(dim=1)
            stable = self._is_stable(masks)
            masks = torch.where(
                stable[:, :, None, None], masks, take_candidate(everything.masks[:, 1:], best)[:, None]
            )
            ious = torch.where(stable, ious, take_candidate(everything.ious[:, 1:], best)[:, None])
        return DecodedMasks(masks, ious, everything.tokens[:, :1], everything.object_logits)

    def _is_stable(self, masks: Tensor) -> Tensor:
        """Whether the mask hardly changes when its threshold moves by the configured delta, (B, 1)."""
        inner = (masks > self.config.stability_delta).sum(dim=(2, 3)).float()
        outer = (masks > -self.config.stability_delta).sum(dim=(2, 3)).float()
        stability = torch.where(outer > 0, inner / outer.clamp(min=1), 1.0)
        return stability >= self.config.stability_threshold
