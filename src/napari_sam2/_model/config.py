"""Configurations: every width and every option of the network, released ones and our own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TrunkConfig:
    """Widths of the Hiera trunk (Ryali et al. 2023, arXiv:2306.00989).

    Attributes
    ----------
    embed_dim, num_heads : int
        Channels and heads of the first stage; both double at each later one.
    stages : tuple of int
        Number of blocks of each of the four stages.
    global_blocks : tuple of int
        Blocks (counted from 0) that attend over the whole map instead of over windows.
    windows : tuple of int
        Window side of each stage, in tokens.
    background_size : tuple of int
        Rows and columns of the positional embedding that is stretched over the map.
    """

    embed_dim: int
    num_heads: int
    stages: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int]
    background_size: tuple[int, int]

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four stages."""
        return tuple(self.embed_dim * 2**stage for stage in range(4))


@dataclass(frozen=True)
class Sam2Config:
    """All that shapes the network and its frame step; defaults are those of the released SAM 2.1.

    The fields are SAM 2's options (Ravi et al. 2024, arXiv:2408.00714) under names that say what they do.

    Attributes
    ----------
    name : str
        Public name, such as ``"sam2.1-tiny"``.
    trunk : TrunkConfig
        The image encoder's trunk.
    image_size : int
        Side of the square that frames are resized to; a multiple of 32.
    exposure : float
        Part of the way that each image is stretched to its own range of values, see `expose`; 0, as released,
        leaves it as it is.
    model_dim, memory_dim : int
        Channels of image features and of spatial memories.
    attention_layers, attention_mlp_dim : int
        Layers of memory attention and the width of their MLPs.
    decoder_mlp_dim, decoder_depth, decoder_heads : int
        The mask decoder's two-way transformer.
    fuser_layers : int
        ConvNeXt blocks of the memory encoder.
    memory_rows : int
        Rows of the temporal embedding of memories that the weights hold.
    memory_frames : int
        Number of memories that a frame attends to, the conditioning ones counted as one; 0 is image mode.
    memory_stride : int
        Temporal stride of the memories before the last one.
    max_conditioning : int
        Limit of conditioning frames attended at once; -1 is no limit.
    attend_no_memory : bool
        On a frame without memory attend to the single token ``no_mem_embed`` instead of adding it to the
        features (the released ``directly_add_no_mem_embed`` turned off); needs equal widths.
    use_pointers, max_pointers, past_pointers_only : bool, int, bool
        Object pointers: attended at all, the longest distance, conditioning ones from the past only.
    encode_pointer_time, project_pointer_time, sign_pointer_time : bool
        Temporal sine code of pointers, through a linear layer, with sign.
    pointer_from_multimask, pointer_mlp : bool
        Pointer from the token of the chosen candidate; projected by an MLP instead of one linear layer.
    predict_presence, presence_mlp : bool
        Object score token and head.
    fixed_no_object_pointer, soft_no_object_pointer, no_object_spatial : bool
        What an absent object leaves in memory.
    memory_scale, memory_bias : float
        Applied to a mask probability before it is encoded into memory.
    binarize_clicked : bool
        Masks of clicked frames are thresholded before they are encoded into memory.
    non_overlap_memory : bool
        Memories of objects on one frame do not overlap.
    mask_as_output : bool
        A mask prompt is the frame's mask; otherwise it goes through the prompt encoder.
    high_res_features : bool
        Strides 4 and 8 enter the decoder's upscaling.
    multimask, multimask_when_tracking : bool
        Three candidates for an ambiguous prompt, and on frames without any.
    multimask_min_points, multimask_max_points : int
        Number of point tokens (a box has two) for which a prompt counts as ambiguous.
    stability_fallback, stability_delta, stability_threshold : bool, float, float
        Where the single mask is unstable, take the best of the three.
    """

    name: str
    trunk: TrunkConfig
    image_size: int = 1024
    exposure: float = 0.0
    model_dim: int = 256
    memory_dim: int = 64
    attention_layers: int = 4
    attention_mlp_dim: int = 2048
    decoder_mlp_dim: int = 2048
    decoder_depth: int = 2
    decoder_heads: int = 8
    fuser_layers: int = 2
    memory_rows: int = 7
    memory_frames: int = 7
    memory_stride: int = 1
    max_conditioning: int = -1
    attend_no_memory: bool = False
    use_pointers: bool = True
    max_pointers: int = 16
    past_pointers_only: bool = True
    encode_pointer_time: bool = True
    project_pointer_time: bool = True
    sign_pointer_time: bool = True
    pointer_from_multimask: bool = True
    pointer_mlp: bool = True
    predict_presence: bool = True
    presence_mlp: bool = True
    fixed_no_object_pointer: bool = True
    soft_no_object_pointer: bool = False
    no_object_spatial: bool = True
    memory_scale: float = 20.0
    memory_bias: float = -10.0
    binarize_clicked: bool = True
    non_overlap_memory: bool = False
    mask_as_output: bool = True
    high_res_features: bool = True
    multimask: bool = True
    multimask_when_tracking: bool = True
    multimask_min_points: int = 0
    multimask_max_points: int = 1
    stability_fallback: bool = True
    stability_delta: float = 0.05
    stability_threshold: float = 0.98
    no_object_logit: float = field(default=-1024.0, repr=False)

    def __post_init__(self) -> None:
        """Check what the network could only fail on later, and obscurely."""
        self._check_widths()
        self._check_memory()

    def _check_widths(self) -> None:
        if self.image_size <= 0 or self.image_size % 32:
            raise ValueError(f"image_size must be a positive multiple of 32; got {self.image_size}.")
        if not 0 <= self.exposure <= 1:
            raise ValueError(f"exposure must be 0 to 1; got {self.exposure}.")
        if self.model_dim % self.memory_dim:
            raise ValueError(f"model_dim {self.model_dim} is not a multiple of memory_dim {self.memory_dim}.")
        if self.attend_no_memory and self.model_dim != self.memory_dim:
            raise ValueError("attend_no_memory needs memory_dim equal to model_dim.")

    def _check_memory(self) -> None:
        if not 0 <= self.memory_frames <= self.memory_rows:
            raise ValueError(f"memory_frames must be 0 to {self.memory_rows}; got {self.memory_frames}.")
        if self.memory_stride < 1:
            raise ValueError(f"memory_stride must be at least 1; got {self.memory_stride}.")
        if self.max_conditioning != -1 and self.max_conditioning < 2:
            raise ValueError(
                f"max_conditioning must be -1 (no limit) or at least 2; got {self.max_conditioning}."
            )

    @property
    def grid(self) -> int:
        """Side of the stride-16 feature map."""
        return self.image_size // 16

    @property
    def is_narrow(self) -> bool:
        """Whether it has fewer channels than the released networks, so that a processor is quick with it."""
        return self.model_dim < 256

    @property
    def pointer_tokens(self) -> int:
        """Memory tokens that one object pointer is cut into."""
        return self.model_dim // self.memory_dim

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sam2Config:
        """Build a configuration from `to_json`'s mapping.

        Raises
        ------
        ValueError
            If a field is unknown to this version of the program.
        """
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(
                f"Configuration has unknown fields {sorted(unknown)}; it was written by a newer version."
            )
        trunk: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values["trunk"].items()
        }
        return cls(**{**values, "trunk": TrunkConfig(**trunk)})


def _released_trunks() -> dict[str, TrunkConfig]:
    return {
        "tiny": TrunkConfig(96, 1, (1, 2, 7, 2), (5, 7, 9), (8, 4, 14, 7), (7, 7)),
        "small": TrunkConfig(96, 1, (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), (7, 7)),
        "base-plus": TrunkConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), (8, 4, 14, 7), (14, 14)),
        "large": TrunkConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), (7, 7)),
    }


def _as_version_2_0(config: Sam2Config, name: str) -> Sam2Config:
    """Turn off what SAM 2.1 added: time codes of pointers and the spatial embedding of absence."""
    return replace(
        config,
        name=name,
        no_object_spatial=False,
        encode_pointer_time=False,
        project_pointer_time=False,
        sign_pointer_time=False,
    )


def _released_configs() -> dict[str, Sam2Config]:
    configs: dict[str, Sam2Config] = {}
    for size, trunk in _released_trunks().items():
        newer = Sam2Config(f"sam2.1-{size}", trunk)
        configs[f"sam2-{size}"] = _as_version_2_0(newer, f"sam2-{size}")
        configs[newer.name] = newer
    return configs


RELEASED_CONFIGS: Mapping[str, Sam2Config] = MappingProxyType(_released_configs())

# The embedded model: SAM 2.1's options at widths for two CPU cores and windows of 128 pixels.
NANO_CONFIG = Sam2Config(
    name="nano",
    trunk=TrunkConfig(32, 1, (1, 2, 5, 2), (5, 7), (8, 4, 8, 4), (7, 7)),
    image_size=128,
    exposure=0.5,
    model_dim=128,
    memory_dim=32,
    attention_layers=2,
    attention_mlp_dim=512,
    decoder_mlp_dim=1024,
)
