"""The SAM 2 base model: image features, prompts and memories in; masks, pointers and new memories out.

The network holds no video state. What a frame attends to is handed in as a `Recall`; `Tracker` decides what.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_sam2._model.constants import constant
from napari_sam2._model.derived import Derived
from napari_sam2._model.image_encoder import ImageEncoder
from napari_sam2._model.layers import Mlp, exactly, resize_logits
from napari_sam2._model.mask_decoder import MaskDecoder
from napari_sam2._model.memory_attention import MemoryAttention, MemoryTokens
from napari_sam2._model.memory_encoder import MemoryEncoder
from napari_sam2._model.placing import place_memories
from napari_sam2._model.positions import sine_map, sine_times
from napari_sam2._model.prompt_encoder import PromptEncoder
from napari_sam2._model.results import ImageFeatures, Points, Prediction, Recall, take_candidate
from napari_sam2.device import Runtime

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.config import Sam2Config
    from napari_sam2._model.mask_decoder import DecodedMasks

# A mask that is taken as it is gets these logits.
_CERTAIN_LOGIT = 10.0
# So sure is it that an object is there that the user, not the network, says is there.
_PRESENT_LOGIT = 2.0


class Sam2(nn.Module):
    """SAM 2 (Ravi et al. 2024, arXiv:2408.00714) under the parameter names of the released checkpoints.

    Parameters
    ----------
    config : Sam2Config
        Widths and options; `napari_sam2._model.weights.load_model` reads them with the weights.

    Attributes
    ----------
    runtime : Runtime
        Device and precision that the tracker runs it with.
    source : str or None
        Name or file that it was loaded from.
    digest : Derived
        For `napari_sam2._model.weights.checksum`.
    """

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.config = config
        dim, memory_dim = config.model_dim, config.memory_dim
        self.image_encoder = ImageEncoder(config)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(dim)
        self.sam_mask_decoder = MaskDecoder(config)
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(config.memory_rows, 1, 1, memory_dim))
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, dim))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, dim))
        if config.no_object_spatial:
            self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, memory_dim))
        if config.use_pointers:
            self._add_pointers(config)
        self.runtime = Runtime(torch.device("cpu"), torch.float32)
        self.source: str | None = None
        self.digest: Derived[str] = Derived()
        self._initialise()

    def _initialise(self) -> None:
        """Start the learned codes small; the other layers start as torch has them."""
        trunk = self.image_encoder.trunk
        codes = [
            trunk.pos_embed,
            trunk.pos_embed_window,
            self.maskmem_tpos_enc,
            self.no_mem_embed,
            self.no_mem_pos_enc,
        ]
        codes += [
            getattr(self, name) for name in ("no_obj_embed_spatial", "no_obj_ptr") if hasattr(self, name)
        ]
        for code in codes:
            nn.init.trunc_normal_(code, std=0.02)

    def _add_pointers(self, config: Sam2Config) -> None:
        dim = config.model_dim
        self.mask_downsample = nn.Conv2d(1, 1, 4, stride=4)
        self.obj_ptr_proj = Mlp((dim, dim, dim, dim)) if config.pointer_mlp else nn.Linear(dim, dim)
        if config.predict_presence:
            self.no_obj_ptr = nn.Parameter(torch.zeros(1, dim))
        if config.project_pointer_time:
            self.obj_ptr_tpos_proj = nn.Linear(dim, config.memory_dim)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encode normalised frames (B, 3, S, S); S may be any multiple of 32."""
        *high_res, embedding = self.image_encoder(images, self.sam_mask_decoder.narrowing)
        return ImageFeatures(embedding, tuple(high_res))

    def recall(self, features: ImageFeatures, memories: Recall | None) -> Tensor:
        """Condition a frame's features on memories.

        Parameters
        ----------
        features : ImageFeatures
            Of B frames.
        memories : Recall or None
            What to attend to; None on a frame whose prompts start an object.

        Returns
        -------
        Tensor
            (B, C, g, g).
        """
        embedding = features.embedding
        if self.config.memory_frames == 0:
            return embedding
        if memories is None and not self.config.attend_no_memory:
            return embedding + self.no_mem_embed[0, 0, :, None, None]
        batch, dim, grid, _ = embedding.shape
        tokens = self._memory_tokens(memories, batch, grid, embedding.device)
        code = sine_map(dim, grid, embedding.device).flatten(2).transpose(1, 2)
        conditioned: Tensor = self.memory_attention(embedding.flatten(2).transpose(1, 2), code, tokens)
        return conditioned.transpose(1, 2).unflatten(2, (grid, grid))

    def _memory_tokens(
        self, memories: Recall | None, batch: int, grid: int, device: torch.device
    ) -> MemoryTokens:
        if memories is None:
            return MemoryTokens(
                self.no_mem_embed.expand(batch, -1, -1), self.no_mem_pos_enc.expand(batch, -1, -1), unplaced=1
            )
        places = place_memories(memories, grid, self.config, self.maskmem_tpos_enc)
        values = [memory.float().flatten(2).transpose(1, 2) for memory in memories.spatial]
        codes = [code.expand(batch, -1, -1) for code in places.codes]
        unplaced = 0
        if self.config.use_pointers and memories.pointers:
            pointers = torch.stack(memories.pointers, dim=1).float()
            values.append(pointers.reshape(batch, -1, self.config.memory_dim))
            codes.append(self._pointer_codes(memories, device).expand(batch, -1, -1))
            unplaced = codes[-1].shape[1]
        return MemoryTokens(torch.cat(values, dim=1), torch.cat(codes, dim=1), unplaced, places.table)

    def _pointer_codes(self, memories: Recall, device: torch.device) -> Tensor:
        """Time codes of pointer tokens, (1 or B, P, M); every token of a pointer has the same one."""
        config = self.config
        if not config.encode_pointer_time:
            tokens = len(memories.pointers) * config.pointer_tokens
            return torch.zeros(1, tokens, config.memory_dim, device=device)
        distances = constant(memories.distances, device)
        times = (distances if config.sign_pointer_time else distances.abs()) / memories.span
        if config.project_pointer_time:
            with exactly(times):
                code = self.obj_ptr_tpos_proj(sine_times(times, config.model_dim))
        else:
            code = sine_times(times, config.memory_dim)
        return code.repeat_interleave(config.pointer_tokens, dim=1)

    def step(
        self,
        features: ImageFeatures,
        memories: Recall | None,
        *,
        points: Points | None = None,
        mask: Tensor | None = None,
        previous: Tensor | None = None,
        candidate: int | None = None,
    ) -> Prediction:
        """Predict objects on a frame: what the literature calls the track step, without encoding its memory.

        Parameters
        ----------
        features : ImageFeatures
            Of B frames or objects.
        memories : Recall or None
            None on a frame whose prompts start the objects.
        points : Points, optional
            Clicks and boxes of each object.
        mask : Tensor, optional
            (B, 1, S, S) of zeros and ones, the user's mask.
        previous : Tensor, optional
            (B, 1, 4g, 4g) logits of the answer that `points` correct.
        candidate : int, optional
            Which of three candidates an ambiguous prompt takes; by default the one of highest predicted IoU.
        """
        if mask is not None and self.config.mask_as_output:
            return self.predict_from_mask(features, mask)
        prompt = previous if mask is None else mask
        embedding = self.recall(features, memories)
        return self.predict(
            embedding,
            features.high_res,
            points=points,
            mask_logits=prompt,
            multimask=self.is_ambiguous(points, initial=memories is None),
            candidate=candidate,
        )

    def is_ambiguous(self, points: Points | None, *, initial: bool = True) -> bool:
        """Whether prompts of this many point tokens are answered by three candidates.

        Parameters
        ----------
        points : Points or None
            The prompts.
        initial : bool
            They start the object; otherwise the frame is tracked, or its tracked answer corrected.
        """
        count = 0 if points is None else points.count
        allowed = self.config.multimask and (initial or self.config.multimask_when_tracking)
        return allowed and self.config.multimask_min_points <= count <= self.config.multimask_max_points

    def predict(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        *,
        points: Points | None,
        mask_logits: Tensor | None,
        multimask: bool,
        candidate: int | None = None,
    ) -> Prediction:
        """Run prompt encoder and mask decoder on conditioned features.

        Parameters
        ----------
        embedding : Tensor
            (B, C, g, g), from `recall`.
        high_res : tuple of Tensor
            Of `encode_image`.
        points : Points or None
            None stands for "no prompt".
        mask_logits : Tensor or None
            (B, 1, h, w), resized to (4g, 4g) where it has another size.
        multimask : bool
            Three candidates, the one of highest predicted IoU chosen.
        candidate : int, optional
            Choose this one of the three instead.
        """
        grid = embedding.shape[-1]
        prompts = self.sam_prompt_encoder(
            points or Points.none(len(embedding), embedding.device), _fit(mask_logits, 4 * grid), grid=grid
        )
        code = self.sam_prompt_encoder.dense_positions(grid)
        decoded = self.sam_mask_decoder(embedding, code, prompts, high_res, multimask=multimask)
        return self._choose(decoded, candidate)

    def _choose(self, decoded: DecodedMasks, candidate: int | None) -> Prediction:
        raw = decoded.masks.float()
        present = decoded.object_logits > 0
        masks = raw
        if self.config.predict_presence:
            masks = torch.where(present[:, :, None, None], raw, self.config.no_object_logit)
        best = decoded.ious.argmax(dim=1)
        if candidate is not None and decoded.ious.shape[1] > 1:
            best = torch.full_like(best, candidate)
        token = take_candidate(decoded.tokens, best)
        return Prediction(
            raw_masks=raw,
            masks=masks,
            ious=decoded.ious.float(),
            best=best,
            object_logits=decoded.object_logits.float(),
            pointer=self._point_to(token, decoded.object_logits),
            tokens=decoded.tokens,
        )

    def choose(
        self, prediction: Prediction, best: Tensor | None = None, *, present: bool = False
    ) -> Prediction:
        """Take other candidates of a prediction than those of highest predicted IoU, or objects for present.

        Parameters
        ----------
        prediction : Prediction
            Of B objects, from `predict`; one from a mask is returned as it is.
        best : Tensor, optional
            Which of the candidates, (B,) int64; where there are none, it does not count.
        present : bool
            The masks are those that are drawn, also where the object is called absent.
        """
        if prediction.tokens is None:
            return prediction
        logits, masks = prediction.object_logits, prediction.masks
        if best is None or prediction.ious.shape[1] == 1:
            best = prediction.best
        if present:
            logits, masks = logits.clamp(min=_PRESENT_LOGIT), prediction.raw_masks
        pointer = self._point_to(take_candidate(prediction.tokens, best), logits)
        return replace(prediction, best=best, masks=masks, object_logits=logits, pointer=pointer)

    def _point_to(self, token: Tensor, object_logits: Tensor) -> Tensor:
        """Turn a mask token into an object pointer, the learned "no object" where the object is absent."""
        if not self.config.use_pointers:
            return torch.zeros_like(token)
        with exactly(token):
            pointer: Tensor = self.obj_ptr_proj(token)
        if not self.config.predict_presence:
            return pointer
        if self.config.soft_no_object_pointer:
            share = object_logits.sigmoid()
        else:
            share = (object_logits > 0).to(pointer.dtype)
        return self._mix_absence(pointer, share)

    def _mix_absence(self, pointer: Tensor, present: Tensor) -> Tensor:
        if self.config.fixed_no_object_pointer:
            pointer = present * pointer
        return pointer + (1 - present) * self.no_obj_ptr

    def predict_from_mask(self, features: ImageFeatures, mask: Tensor) -> Prediction:
        """Take the user's mask as it is; only its object pointer is predicted.

        Parameters
        ----------
        features : ImageFeatures
            Of B frames, without memory.
        mask : Tensor
            (B, 1, S, S) of zeros and ones.
        """
        mask = mask.float()
        side = 4 * features.embedding.shape[-1]
        logits = 2 * _CERTAIN_LOGIT * mask - _CERTAIN_LOGIT
        low_res = resize_logits(logits, (side, side), antialias=True)
        present = mask.flatten(1).any(dim=1, keepdim=True).float()
        return Prediction(
            raw_masks=low_res,
            masks=low_res,
            ious=torch.ones_like(present),
            best=torch.zeros(len(mask), dtype=torch.int64, device=mask.device),
            object_logits=2 * _CERTAIN_LOGIT * present - _CERTAIN_LOGIT,
            pointer=self._point_to_mask(features, mask, present),
        )

    def _point_to_mask(self, features: ImageFeatures, mask: Tensor, present: Tensor) -> Tensor:
        if not self.config.use_pointers:
            return features.embedding.new_zeros(len(mask), self.config.model_dim)
        prediction = self.predict(
            features.embedding,
            features.high_res,
            points=None,
            mask_logits=self.mask_downsample(mask),
            multimask=False,
        )
        if not self.config.predict_presence:
            return prediction.pointer
        return self._mix_absence(prediction.pointer, present)

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, object_logits: Tensor, *, binarize: bool
    ) -> Tensor:
        """Encode a frame's mask into a spatial memory.

        Parameters
        ----------
        features : ImageFeatures
            Of B frames, without memory.
        mask_logits : Tensor
            (B, 1, S, S).
        object_logits : Tensor
            (B, 1).
        binarize : bool
            Threshold the mask; asked for on prompted frames, done where the configuration says so.

        Returns
        -------
        Tensor
            (B, M, g, g).
        """
        thresholded = binarize and self.config.binarize_clicked
        share = (mask_logits > 0).float() if thresholded else mask_logits.sigmoid()
        scaled = share * self.config.memory_scale + self.config.memory_bias
        memory: Tensor = self.memory_encoder(features.embedding, scaled)
        if self.config.no_object_spatial:
            absent = (object_logits <= 0).to(memory.dtype)
            memory = memory + absent[:, :, None, None] * self.no_obj_embed_spatial[:, :, None, None]
        return memory

    def enlarge(self, low_res: Tensor) -> Tensor:
        """Resize (B, K, 4g, 4g) logits to the (16g, 16g) that memories are encoded from."""
        return resize_logits(low_res, (4 * low_res.shape[-2], 4 * low_res.shape[-1]))


def _fit(mask_logits: Tensor | None, side: int) -> Tensor | None:
    if mask_logits is None or mask_logits.shape[-2:] == (side, side):
        return mask_logits
    return resize_logits(mask_logits, (side, side), antialias=True)
