"""Settings of a training run, as the command line takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path  # the command line reads the annotations

import torch

from napari_sam2._model.config import NANO_CONFIG, RELEASED_CONFIGS, Sam2Config
from napari_sam2.device import computes_bfloat16
from napari_sam2.training.schedule import (
    Stage,
    correcting_stages,
    default_stages,
    tuning_stages,
    wide_stages,
)
from napari_sam2.training.steps import StepRules

_TUNING_SIZE = 256
_CORRECTING_SIZE = 128
_NUMBERS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "rate": (lambda value: value > 0, "positive"),
    "warmup": (lambda value: 0 <= value <= 1, "a share between 0 and 1"),
    "decay": (lambda value: value >= 0, "0 or more"),
    "clip": (lambda value: value > 0, "positive"),
    "average": (lambda value: 0 <= value < 1, "0 or more and less than 1"),
    "synthetic": (lambda value: 0 <= value <= 1, "a share between 0 and 1"),
    **dict.fromkeys(("checkpoint_minutes", "validate_minutes"), (lambda value: value >= 0, "0 or more")),
    **dict.fromkeys(("log_steps", "threads", "ahead"), (lambda value: value >= 1, "at least 1")),
}
"""What numbers have to be, and how to say it."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Parameters
    ----------
    out
        Folder of the log (`log.jsonl`) and its picture (`curve.png`), of the state (`last.pt`) and of the
        averaged weights (`model.safetensors`).
    start
        Name of a configuration (then weights are random) or path of a checkpoint to go on from.
    minutes
        How long to train, runs that were stopped included; the alternative is `steps`.
    steps
        How many steps to train; the result does not depend on the speed of the machine then.
    stages
        What is trained when: SHARE of the budget, SIZE of frames in pixels, FRAMES of a clip, clips of a
        BATCH, OBJECTS of a clip. May be repeated. By default it depends on the device and on whether the
        weights are random.
    rate
        Peak learning rate; lower it if losses jump. By default 5e-4 for random weights, 1e-3 for corrections,
        else 1e-4.
    warmup
        Part of the budget, 0 to 1, in which the learning rate rises; longer if the first losses jump.
    decay
        Weight decay of matrices; more of it holds a network back that learns few data by heart.
    clip
        Largest norm of the gradient of a step; lower it if single steps spoil the network.
    average
        Decay of the moving average of the weights for each step, 0 to 1; lower for runs of few steps.
    seed
        Of the first weights, the sequences and the prompts.
    device
        Where to train: cpu, cuda, mps, or auto, the best of them.
    bfloat16
        Whether to run the network in autocast; by default where the device is faster in it.
    checkpoint_minutes
        Minutes between writings of the state, which a killed run goes on from; the end of the run writes it
        always.
    validate_minutes
        Minutes between validations; more of them where one takes long. The end of the run has one always.
    log_steps
        The log has a line of mean losses for so many steps.
    threads
        CPU threads of each process; by default as many as PyTorch takes.
    workers
        Processes that train together on one machine, on a CPU: each makes the `batch` clips of a stage, and
        their gradients are averaged. Two processes of one thread do almost twice the work of one of two.
    pretrained
        Name of a model or path of a checkpoint whose weights are tuned; `start` does not count then.
    data
        Folder of labelled stacks to train on: NAME.npz with `images` and `labels`, or NAME.tif beside
        NAME_labels.tif.
    synthetic
        Share of the steps, 0 to 1, that are on synthetic sequences all the same, so that nothing is
        forgotten.
    freeze_encoder
        Leave the image encoder as it is: less memory, faster, less to be spoilt by few data.
    ahead
        For how many steps synthetic sequences are made at once; by default four on a GPU, one elsewhere.
    corrections
        Learn what clicks change of an answer that is there, and boxes: first clicks and tracking stay as they
        are, to the bit. Of weights that are there, see `start`.
    """

    out: Path
    start: str = "nano"
    minutes: float | None = None
    steps: int | None = None
    stages: tuple[Stage, ...] | None = None
    rate: float | None = None
    warmup: float = 0.02
    decay: float = 0.05
    clip: float = 1.0
    average: float = 0.998
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool | None = None
    checkpoint_minutes: float = 5.0
    validate_minutes: float = 10.0
    log_steps: int = 20
    threads: int | None = None
    workers: int = 1
    pretrained: str | None = None
    data: Path | None = None
    synthetic: float = 0.25
    freeze_encoder: bool = False
    ahead: int | None = None
    corrections: bool = False

    def __post_init__(self) -> None:
        """Check the budget and the numbers.

        Raises
        ------
        ValueError
            If there is no budget, or two, or it is not positive, or there are no stages, or a number leads
            nowhere.
        """
        if (self.minutes is None) == (self.steps is None):
            raise ValueError(
                f"give either minutes or steps, got minutes={self.minutes} and steps={self.steps}"
            )
        if (self.minutes or self.steps or 0) <= 0:
            raise ValueError(f"the budget must be positive, got minutes={self.minutes}, steps={self.steps}")
        if self.stages is not None and not self.stages:
            raise ValueError("give at least one stage")
        if self.corrections and not all(stage.corrections for stage in self.stages or ()):
            raise ValueError("stages in which corrections are learned need rounds of corrections")
        for name, (fits, words) in _NUMBERS.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise ValueError(f"{name} must be {words}, got {value}")
        if self.workers < 1 or (self.workers > 1 and self.device != "cpu"):
            raise ValueError(
                f"workers must be 1, or more on the CPU; got {self.workers} on device {self.device!r}"
            )

    @property
    def rules(self) -> StepRules:
        """How a step is made."""
        ahead = self.ahead or (4 if self._on_gpu else 1)
        bfloat16 = computes_bfloat16(torch.device(self.device)) if self.bfloat16 is None else self.bfloat16
        return StepRules(self.clip, self.average, bfloat16, self.synthetic, ahead)

    @property
    def course(self) -> tuple[Stage, ...]:
        """What is trained when, also where it was not said."""
        if self.stages is not None:
            return self.stages
        if self.corrections:
            return correcting_stages(
                _TUNING_SIZE if self.pretrained in RELEASED_CONFIGS else _CORRECTING_SIZE
            )
        if self.pretrained is not None:
            return tuning_stages(_TUNING_SIZE)
        fresh = self.start in named_configs()
        return wide_stages(fresh=fresh) if self._on_gpu else default_stages(fresh=fresh)

    @property
    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def peak_rate(self) -> float:
        """Peak learning rate, also where it was not said."""
        usual = 5e-4 if self.pretrained is None else 1e-4
        return self.rate or (1e-3 if self.corrections else usual)

    def settings(self) -> dict[str, object]:
        """Tell what a run that goes on must share with the one before; the rest may change."""
        return {
            "start": self.start,
            "seed": self.seed,
            "pretrained": self.pretrained,
            "corrections": self.corrections,
            "freeze_encoder": self.freeze_encoder or None,  # states of earlier versions do not tell
        }


def named_configs() -> dict[str, Sam2Config]:
    """Networks whose shape is known by a name; their weights are random then."""
    return {NANO_CONFIG.name: NANO_CONFIG, **RELEASED_CONFIGS}
