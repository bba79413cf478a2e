"""The side of transformers' Sam2VideoModel in a comparison; it runs where that is installed.

Its parameters have other names than the released ones; what is said here of them holds for version 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tests.benchmarks.speed_worker import Task, Tracked, serve

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Applied one after the other to each released name.
_NAMES = (
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"^sam_prompt_encoder\.pe_layer\..*", "prompt_encoder.shared_embedding.positional_embedding"),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^sam_mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^sam_mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"norm_final_attn", "layer_norm_final_attn"),
    (r"mask_downsampler\.encoder\.12\.", "mask_downsampler.final_conv."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"\.gamma$", ".scale"),
    (r"\.dwconv\.", ".depthwise_conv."),
    (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.norm(\d?)\.", r".layer_norm\1."),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
)
_POINTS = r"prompt_encoder\.point_embeddings\.\d\.weight"


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give released weights the names of transformers."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new = name
        for pattern, replacement in _NAMES:
            new = re.sub(pattern, replacement, new)
        found[_in_downsampler(_in_mlp(new, tensors, name))] = tensor
    rows = [found.pop(name) for name in sorted(found) if re.fullmatch(_POINTS, name)]
    code = found["prompt_encoder.shared_embedding.positional_embedding"]
    return {
        **found,
        "prompt_encoder.point_embed.weight": torch.cat(rows),
        "shared_image_embedding.positional_embedding": code,
    }


def _in_mlp(name: str, tensors: Mapping[str, Tensor], released: str) -> str:
    """First and last layer of an MLP have names there, those between count from 0."""
    layer = re.fullmatch(r"(.*(?:mlp|mlps\.\d|head|object_pointer_proj))\.layers\.(\d)\.(weight|bias)", name)
    if layer is None:
        return name
    stem, index, leaf = layer[1], int(layer[2]), layer[3]
    before, _, after = released.rpartition(f".{index}.")
    if index == 0:
        return f"{stem}.proj_in.{leaf}"
    is_last = f"{before}.{index + 1}.{after}" not in tensors
    return f"{stem}.proj_out.{leaf}" if is_last else f"{stem}.layers.{index - 1}.{leaf}"


def _in_downsampler(name: str) -> str:
    """A layer there is a convolution and its norm; in the released one each, and the activation, counts."""
    step = re.fullmatch(r"(.*mask_downsampler)\.encoder\.(\d+)\.(weight|bias)", name)
    if step is None:
        return name
    layer, part = divmod(int(step[2]), 3)
    return f"{step[1]}.layers.{layer}.{('conv', 'layer_norm')[part]}.{step[3]}"


def load(task: Task) -> Any:
    """Return the model with the task's weights, of its size and in its precision."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    model = Sam2VideoModel(Sam2VideoConfig(**_config(task)))
    weights = torch.load(task.folder / "weights.pt", weights_only=True)["model"]
    model.load_state_dict(renamed(weights), strict=True)
    dtype = torch.bfloat16 if task.precision == "bfloat16" else torch.float32
    return model.eval().to(task.device, dtype)


def _config(task: Task) -> dict[str, Any]:
    trunk, size = task.trunk, task.size
    widths = [trunk["embed_dim"] * 2**stage for stage in range(4)]
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "image_size": [size, size],
        "hidden_size": trunk["embed_dim"],
        "num_attention_heads": trunk["num_heads"],
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [trunk["num_heads"] * 2**stage for stage in range(4)],
        "blocks_per_stage": trunk["stages"],
        "global_attention_blocks": trunk["global_blocks"],
        "window_size_per_stage": trunk["windows"],
        "window_positional_embedding_background_size": trunk["background_size"],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": widths[::-1],
        "backbone_feature_sizes": [[size // step, size // step] for step in (4, 8, 16)],
    }
    return {
        "image_size": size,
        "vision_config": vision,
        "prompt_encoder_config": {"image_size": size},
        "memory_attention_rope_feat_sizes": [size // 16, size // 16],
    }


def read_video(task: Task, dtype: torch.dtype) -> Tensor:
    """Read all frames, (T, 3, H, W), normalised."""
    paths = sorted((task.folder / "frames").glob("*.jpg"))
    frames = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in paths]))
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (_MEAN, _DEVIATION))
    return ((frames.permute(0, 3, 1, 2).float() / 255 - mean) / deviation).to(dtype)


def start(task: Task) -> Iterator[Any]:
    """Click all objects, then track frame by frame."""
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    model = load(task)
    session = Sam2VideoInferenceSession(
        video=read_video(task, model.dtype),
        video_height=task.size,
        video_width=task.size,
        dtype=model.dtype,
        inference_device=task.device,
        inference_state_device=task.device,
        video_storage_device=task.device,
    )
    for index, (y, x) in enumerate(task.clicks):
        given = {
            "point_coords": torch.tensor([[[[x, y]]]], dtype=torch.float32),
            "point_labels": torch.ones(1, 1, 1, dtype=torch.int32),
        }
        session.add_point_inputs(session.obj_id_to_idx(index + 1), 0, given)
    session.obj_with_new_inputs = list(range(1, len(task.clicks) + 1))
    for output in model.propagate_in_video_iterator(session, start_frame_idx=0):
        shape = (task.size, task.size)
        logits = functional.interpolate(
            output.pred_masks.float(), shape, mode="bilinear", align_corners=False
        )
        yield Tracked(output.frame_idx, (logits[:, 0] > 0).cpu().numpy(), output.pred_masks[:, 0])


if __name__ == "__main__":
    serve("transformers", start)
