"""The same session carried out by this package and by the released one, one object each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import build_model
from napari_sam2._tracking.state import Track
from napari_sam2.steps import result_of
from napari_sam2.tracker import Tracker
from tests._model.small import seeded_weights

if TYPE_CHECKING:
    import pytest
    from torch import Tensor

    from napari_sam2._tracking.stepping import Outcome
    from napari_sam2.passes import PassKey
    from napari_sam2.placement import PlacedLogits
    from napari_sam2.prompts import FramePrompts
    from tests.parity.video import Video

SIZE = 256
OBJECT = 1

# Where the released options lie, by the names of this package.
RELEASED_OPTIONS = {
    "memory_frames": "num_maskmem",
    "memory_stride": "memory_temporal_stride_for_eval",
    "max_conditioning": "max_cond_frames_in_attn",
    "use_pointers": "use_obj_ptrs_in_encoder",
    "max_pointers": "max_obj_ptrs_in_encoder",
    "past_pointers_only": "only_obj_ptrs_in_the_past_for_eval",
    "encode_pointer_time": "add_tpos_enc_to_obj_ptrs",
    "project_pointer_time": "proj_tpos_enc_in_obj_ptrs",
    "sign_pointer_time": "use_signed_tpos_enc_to_obj_ptrs",
    "pointer_from_multimask": "use_multimask_token_for_obj_ptr",
    "pointer_mlp": "use_mlp_for_obj_ptr_proj",
    "predict_presence": "pred_obj_scores",
    "presence_mlp": "pred_obj_scores_mlp",
    "fixed_no_object_pointer": "fixed_no_obj_ptr",
    "soft_no_object_pointer": "soft_no_obj_ptr",
    "no_object_spatial": "no_obj_embed_spatial",
    "memory_scale": "sigmoid_scale_for_mem_enc",
    "memory_bias": "sigmoid_bias_for_mem_enc",
    "binarize_clicked": "binarize_mask_from_pts_for_mem_enc",
    "mask_as_output": "use_mask_input_as_output_without_sam",
    "high_res_features": "use_high_res_features_in_sam",
    "multimask": "multimask_output_in_sam",
    "multimask_when_tracking": "multimask_output_for_tracking",
    "multimask_min_points": "multimask_min_pt_num",
    "multimask_max_points": "multimask_max_pt_num",
    "stability_fallback": "sam_mask_decoder_extra_args.dynamic_multimask_via_stability",
    "stability_delta": "sam_mask_decoder_extra_args.dynamic_multimask_stability_delta",
    "stability_threshold": "sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh",
}
_FILES = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}


@dataclass(frozen=True)
class Answer:
    """What is told of a frame, and what is kept of it if it was tracked.

    Attributes
    ----------
    low_res : array (4g, 4g)
        Logits.
    presence : float
        Probability of the object being there.
    pointer, memory : Tensor or None
        Of tracked frames.
    """

    low_res: np.ndarray[Any, Any]
    presence: float
    pointer: Tensor | None = None
    memory: Tensor | None = None


class Driver(Protocol):
    """Carries out a session."""

    def prompt(self, frame: int, prompts: FramePrompts) -> Answer:
        """Answer all prompts of a frame."""
        ...

    def track(self, *, reverse: bool = False, last: int | None = None) -> dict[int, Answer]:
        """Track from the first prompted frame (backwards: from the last one) to `last` or the end."""
        ...


def seeded_model(name: str, options: dict[str, Any], *, presence: float = 0.0) -> Sam2:
    """Make a network of a released size with seeded weights, `presence` added to its presence logits."""
    config = replace(RELEASED_CONFIGS[name], image_size=SIZE, **options)
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in Sam2(config).state_dict().items()}
    tensors = {key: seeded_weights(key, shape, 5).clone() for key, shape in shapes.items()}
    for key in tensors:
        if key.endswith(("pred_obj_score_head.bias", "pred_obj_score_head.layers.2.bias")):
            tensors[key] += presence
    return build_model(config, tensors)


# ---------------------------------------------------------------- this package


class Ours:
    """This package's tracker; outcomes of the frame step are listened to."""

    def __init__(self, model: Sam2, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
        self._tracker = Tracker(model, video, video.shape)
        self._video = video
        self._told: dict[int, tuple[PlacedLogits, PassKey]] = {}
        self._heard: dict[int, Answer] = {}
        self._revision = 0
        self._prompted: set[int] = set()
        remember = Track.remember

        def listen(track: Track, frame: int, outcome: Outcome) -> None:
            self._hear(frame, outcome)
            remember(track, frame, outcome)

        monkeypatch.setattr(Track, "remember", listen)

    def _hear(self, frame: int, outcome: Outcome) -> None:
        prediction, memory = outcome.prediction, outcome.memory
        self._heard[frame] = Answer(
            prediction.low_res[0, 0].numpy(),
            float(prediction.object_logits.sigmoid()),
            prediction.pointer,
            None if memory is None else memory.float(),
        )

    def prompt(self, frame: int, prompts: FramePrompts) -> Answer:
        base = None
        if frame in self._told and frame not in self._prompted:
            base = result_of(self._tracker.base_of(OBJECT, frame, *self._told[frame]))
        self._revision += 1
        self._prompted.add(frame)
        result = self._tracker.prompt(OBJECT, frame, prompts, revision=self._revision, base=base)
        return Answer(result.placed[0].logits, float(result.presence[0]))

    def track(self, *, reverse: bool = False, last: int | None = None) -> dict[int, Answer]:
        limits = None if last is None else range(last + 1)
        jobs = self._tracker.plan([OBJECT], "backward" if reverse else "forward", limits)
        self._heard = {}
        for result in self._tracker.track(jobs):
            if result.origins[0] is not None:
                self._told[result.frame] = (result.placed[0], result.origins[0])
        return dict(self._heard)


# --------------------------------------------------------- the released package


# What the released builder adds to its configuration files unless it is told not to.
_POSTPROCESSING = {
    "stability_fallback": True,
    "stability_delta": 0.05,
    "stability_threshold": 0.98,
    "binarize_clicked": True,
}


def build_released(model: Sam2, options: dict[str, Any]) -> Any:
    """Make the released predictor with a network's weights; only `options` differ from its own files."""
    from sam2.build_sam import build_sam2_video_predictor

    version, size = model.config.name.split("-", 1)
    given = {**_POSTPROCESSING, **options} if options else {}
    released = build_sam2_video_predictor(
        f"configs/{version}/{version}_hiera_{_FILES[size]}.yaml",
        device="cpu",
        apply_postprocessing=not options,
        hydra_overrides_extra=[
            f"++model.image_size={SIZE}",
            "++model.add_all_frames_to_correct_as_cond=true",
            *(f"++model.{RELEASED_OPTIONS[name]}={value}" for name, value in given.items()),
        ],
    )
    state = model.state_dict()
    kept, rows = model.config.memory_frames, state["maskmem_tpos_enc"]
    # It has one row a memory; this package has those of the weights, the last one for conditioning frames.
    state["maskmem_tpos_enc"] = torch.cat((rows[: max(kept - 1, 0)], rows[len(rows) - min(kept, 1) :]))
    released.load_state_dict(state, strict=True)
    # The released code fills holes with a CUDA extension only, and warns without it.
    released.fill_hole_area = 0
    return released


class Released:
    """The released video predictor."""

    def __init__(self, predictor: Any, video: Video) -> None:
        self._predictor = predictor
        self._remember_images()
        predictor.memory_attention.register_forward_pre_hook(_in_float32, with_kwargs=True)
        self._state = predictor.init_state(str(video.folder))

    def _remember_images(self) -> None:
        """Encode each frame once; the released predictor keeps the last one only."""
        real, kept = self._predictor.forward_image, {}

        def forward_image(image: Tensor) -> Any:
            key = image.sum().item(), image.std().item()
            if key not in kept:
                kept[key] = real(image)
            return {name: list(maps) if isinstance(maps, list) else maps for name, maps in kept[key].items()}

        self._predictor.forward_image = forward_image

    @property
    def _outputs(self) -> dict[str, dict[int, dict[str, Any]]]:
        outputs: dict[str, dict[int, dict[str, Any]]] = self._state["output_dict_per_obj"][0]
        return outputs

    def prompt(self, frame: int, prompts: FramePrompts) -> Answer:
        """Give the prompts one after the other: mask, box, clicks."""
        if prompts.mask is not None:
            self._predictor.add_new_mask(self._state, frame, OBJECT, prompts.mask)
        if prompts.box is not None:
            y0, x0, y1, x1 = prompts.box
            self._predictor.add_new_points_or_box(self._state, frame, OBJECT, box=[x0, y0, x1, y1])
        for index, ((y, x), positive) in enumerate(zip(prompts.points, prompts.positive, strict=True)):
            self._predictor.add_new_points_or_box(
                self._state,
                frame,
                OBJECT,
                points=[[x, y]],
                labels=[int(positive)],
                clear_old_points=index == 0 and prompts.box is None,
            )
        return _answer(self._state["temp_output_dict_per_obj"][0]["cond_frame_outputs"][frame])

    def track(self, *, reverse: bool = False, last: int | None = None) -> dict[int, Answer]:
        prompted = {*self._state["point_inputs_per_obj"][0], *self._state["mask_inputs_per_obj"][0]}
        start = max(prompted) if reverse else min(prompted)
        steps = None if last is None else abs(last - start)
        done = [
            frame
            for frame, _, _ in self._predictor.propagate_in_video(
                self._state, start_frame_idx=start, max_frame_num_to_track=steps, reverse=reverse
            )
        ]
        tracked = self._outputs["non_cond_frame_outputs"]
        return {frame: _answer(tracked[frame]) for frame in done if frame in tracked}


def _in_float32(
    _module: object, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Cast memories; without a pointer among them the released code mixes two precisions and fails."""
    return inputs, {**options, "memory": options["memory"].float()}


def _answer(output: dict[str, Any]) -> Answer:
    memory = output["maskmem_features"]
    return Answer(
        output["pred_masks"][0, 0].numpy(),
        float(output["object_score_logits"].sigmoid()),
        output["obj_ptr"],
        None if memory is None else memory.float(),
    )
