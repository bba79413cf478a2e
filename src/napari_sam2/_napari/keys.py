"""Keys on the plugin's own layers, clear of those that napari uses there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer


class Command(Enum):
    """What a key asks for."""

    NEW_OBJECT = "new_object"
    TOGGLE_SIGN = "toggle_sign"
    NEXT_CANDIDATE = "next_candidate"
    PROPAGATE = "propagate"
    CANCEL = "cancel"
    BEGINS_HERE = "begins_here"
    ENDS_HERE = "ends_here"
    DIVIDES_HERE = "divides_here"
    NEXT_DOUBTFUL = "next_doubtful"
    LOCK = "lock"
    UNDO = "undo"
    REDO = "redo"


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes
    ----------
    command : Command
        What it asks for.
    binding : str
        As napari writes keys.
    description : str
        For tooltips and the documentation.
    """

    command: Command
    binding: str
    description: str

    @property
    def label(self) -> str:
        """The key as people write it, "Ctrl+Shift+Z"."""
        return self.binding.replace("Control", "Ctrl").replace("-", "+")


KEYS = (
    Key(Command.NEW_OBJECT, "N", "New object"),
    Key(Command.TOGGLE_SIGN, "Q", "Switch between positive and negative points"),
    Key(Command.NEXT_CANDIDATE, "W", "Which mask: the next candidate of an ambiguous click"),
    Key(Command.PROPAGATE, "G", "Propagate"),
    Key(Command.CANCEL, "Shift-G", "Cancel the propagation and keep what is done"),
    Key(Command.BEGINS_HERE, ",", "The object begins on this frame"),
    Key(Command.ENDS_HERE, ".", "The object ends on this frame"),
    Key(Command.DIVIDES_HERE, "U", "The object divides on this frame"),
    Key(Command.NEXT_DOUBTFUL, "J", "Jump to the next doubtful frame"),
    Key(Command.LOCK, "K", "Keep (lock) the object's mask on this frame, or release it"),
    Key(Command.UNDO, "Control-Z", "Undo"),
    Key(Command.REDO, "Control-Shift-Z", "Redo"),
)
"""All keys; `MODIFIERS` has what is held while clicking."""

COPY, PASTE = "Control-C", "Control-V"
PAN = "Space"

MODIFIERS = {
    "Shift": "Click: a negative point (so does the right button)",
    "Control": "Click or draw: refine the active object, where each click would be a new one",
}
"""What modifiers do, as napari names them."""


def key_of(command: Command) -> Key:
    """Return the key of a command."""
    return next(key for key in KEYS if key.command is command)


def bind_keys(layer: Layer, asked: Callable[[Command], None]) -> None:
    """Bind all keys on one layer; `asked` is told of the commands."""
    for key in KEYS:
        layer.bind_key(key.binding, _teller(key.command, asked), overwrite=True)


def bind_copies(layer: Layer, copy: Callable[[], None], paste: Callable[[], None]) -> None:
    """Bind copying and pasting of points: that of napari 0.9 fails where the data have sliders."""
    layer.bind_key(COPY, lambda _layer: copy(), overwrite=True)
    layer.bind_key(PASTE, lambda _layer: paste(), overwrite=True)


def unbind_keys(layer: Layer) -> None:
    """Take back `bind_keys` and `bind_copies`."""
    for binding in (*(key.binding for key in KEYS), COPY, PASTE):
        layer.bind_key(binding, None)


def block_pan(layer: Layer) -> None:
    """Keep the key that moves the view from doing so: napari takes another mode while it is held."""
    layer.bind_key(PAN, _nothing, overwrite=True)


def unblock_pan(layer: Layer) -> None:
    """Take back `block_pan`."""
    layer.bind_key(PAN, None)


def block_keys(layer: Layer) -> None:
    """Keep napari's own keys for such layers from doing anything to one that is only to be looked at."""
    for kind in type(layer).__mro__:
        for binding in getattr(kind, "class_keymap", {}):
            # napari's `...` would block the key too, but fails when it asks which keys may be repeated.
            layer.bind_key(binding, _nothing, overwrite=True)


def _nothing(_layer: Any) -> None:  # noqa: ANN401 - the layer that napari passes
    """Do nothing."""


def _teller(command: Command, asked: Callable[[Command], None]) -> Callable[[Any], None]:
    def tell(_layer: Any) -> None:  # noqa: ANN401 - the layer that napari passes
        asked(command)

    return tell
