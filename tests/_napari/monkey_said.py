"""What was said is there at rest, whatever came between, unless it was taken back or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from napari.utils.notifications import notification_manager

from napari_sam2._napari.work.painting import is_locked
from napari_sam2.prompts import PromptKey
from tests._napari.monkey_checks import MonkeyError, sequences
from tests._napari.monkey_hands import Act, Monkey

_CLICKS = frozenset({"click", "slow_click", "add_point"})
_TAKES_NOTHING = _CLICKS | {
    "slide",
    "slide_t",
    "hover",
    "live",
    "pause",
    "propagate",
    "cancel",
    "new_object",
    "sign",
    "each_click_new",
    "visit",
    "show_one",
    "other_view",
    "other_channel",
    "other_model",
    "save",
    "beat",
}


@dataclass(frozen=True)
class _Said:
    """A point, or a pixel that was painted; `corrected` where clicks came after, which refine the mask."""

    place: object
    frame: int
    yx: tuple[float, float]
    painted: int | None = None
    corrected: bool = False


class Promises:
    """What has to be there at the next rest.

    Parameters
    ----------
    monkey : Monkey
        Who says it.
    """

    def __init__(self, monkey: Monkey) -> None:
        self._monkey = monkey
        self._said: list[_Said] = []
        self._open = True  # nothing goes on that may take it back
        self._notes = len(notification_manager.records)

    def note(self, act: Act) -> None:
        """Note what is about to be said; called before each action."""
        if act.name in _CLICKS and self._open:
            shown = act.name != "add_point"
            self._add(self._monkey.frame if shown else self._monkey.any_frame(act.draws[2]), act)
        elif act.name in _CLICKS:
            self._said = [replace(each, corrected=True) for each in self._said if each.painted is not None]
        elif act.name not in _TAKES_NOTHING:
            self._said = []
            if act.name == "refine" or (act.name == "stroke" and act.draws[2] < 0.75):
                self._add_stroke(act)
            self._open = False

    def _add_stroke(self, act: Act) -> None:
        if self._open:
            self._add(self._monkey.frame, act, int(self._monkey.dock.layers.labels.selected_label))
            self._said = [replace(each, corrected=act.name == "refine") for each in self._said]

    def _add(self, frame: int, act: Act, painted: int | None = None) -> None:
        sequence = self._monkey.dock.controller.space.sequence
        if sequence is not None:
            place = sequence.geometry.position
            y, x = (float(each) for each in self._monkey.at(frame, *act.draws[:2])[-2:])
            if painted is None or int(self._monkey.shown[frame, round(y), round(x)]) != painted:
                self._said.append(_Said(place, frame, (y, x), painted))

    def check(self) -> None:
        """Raise `MonkeyError` if something was lost; called at rest, before errors are taken."""
        said, self._said, self._open = self._said, [], True
        notes = [record.message for record in notification_manager.records[self._notes :]]
        self._notes = len(notification_manager.records)
        if self._monkey.dock.failures or any("put back" in note for note in notes):
            return
        for each in said:
            if not self._is_there(each):
                raise MonkeyError("something said is lost", str(each))

    def _is_there(self, said: _Said) -> bool:
        sequence = sequences(self._monkey.dock).get(said.place)
        session = None if sequence is None else sequence.desk.session
        if session is None:
            return False
        if said.painted is not None:
            y, x = np.rint(said.yx).astype(int)
            shown, prompts = int(session.labels[said.frame][y, x]), session.prompts
            if said.corrected and not is_locked(session, said.painted, said.frame):
                there = prompts.get(PromptKey(said.painted, said.frame))
                return there is not None and there.mask is not None
            return shown == said.painted or (shown > 0 and is_locked(session, shown, said.frame))
        return any(said.yx in each.points for key, each in session.prompts.items() if key.frame == said.frame)
