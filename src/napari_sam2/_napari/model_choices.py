"""Which networks and devices can be chosen, known without loading torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2._model.registry import RELEASED, cache_dir

if TYPE_CHECKING:
    from napari_sam2._model.registry import ReleasedCheckpoint
    from napari_sam2._model.sam2 import Sam2

EMBEDDED = "nano"
OTHER_FILE = "A file ..."
DEVICES = ("auto", "cpu", "cuda", "mps")
"""What can be preferred, whatever machine the preference is used on."""


@dataclass(frozen=True)
class ModelChoice:
    """A network and where it runs.

    Attributes
    ----------
    name : str
        "nano", a released name, or the path of a file.
    device : str
        One of `DEVICES`, or another card, as "cuda:1".
    precision : str
        "auto", "float32" or "bfloat16".
    """

    name: str = EMBEDDED
    device: str = "auto"
    precision: str = "auto"

    @property
    def checkpoint(self) -> ReleasedCheckpoint | None:
        """The released file that it is read from; None for the embedded one and for files."""
        return RELEASED.get(self.name)

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded without a download."""
        checkpoint = self.checkpoint
        return checkpoint is None or (cache_dir() / checkpoint.file_name).is_file()

    @property
    def detail(self) -> str:
        """Size and where it comes from, as a sentence."""
        checkpoint = self.checkpoint
        if checkpoint is None:
            embedded = self.name == EMBEDDED
            return "Comes with the plugin; small and fast." if embedded else f"From {self.name}."
        size = f"{checkpoint.size / 1e6:.0f} MB, " if checkpoint.size else ""
        where = "on this computer" if self.is_here else "to be downloaded once"
        return f"{size}{checkpoint.licence}, {where}."

    def with_name(self, name: str) -> ModelChoice:
        """Return another network on the same device."""
        return replace(self, name=name)

    def with_device(self, device: str) -> ModelChoice:
        """Return the same network on another device."""
        return replace(self, device=device)


def load(choice: ModelChoice) -> Sam2:
    """Load a network; never on the GUI thread, since torch alone takes seconds."""
    from napari_sam2._model.weights import checksum, load_model

    model = load_model(choice.name, device=choice.device, precision=choice.precision)
    checksum(model)  # whoever saves needs it, and has to be quick
    return model


def devices_here() -> tuple[str, ...]:
    """Name the devices of this machine; never on the GUI thread, since torch alone takes seconds."""
    from napari_sam2.device import present_devices

    return present_devices()


def listed_devices(choice: ModelChoice, present: tuple[str, ...]) -> tuple[str, ...]:
    """Return the devices that can be chosen, and the chosen one also where it is not there."""
    return present if choice.device in present else (*present, choice.device)


def listed(choice: ModelChoice) -> tuple[str, ...]:
    """Return the names that can be chosen, a chosen file among them; the last one opens a file."""
    names = (EMBEDDED, *RELEASED)
    own = () if choice.name in names else (choice.name,)
    return (*names, *own, OTHER_FILE)


def shown_name(name: str) -> str:
    """Return a name as it is shown: of a file its last part."""
    return name if name in (EMBEDDED, OTHER_FILE) or name in RELEASED else Path(name).name
