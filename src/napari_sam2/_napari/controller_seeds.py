"""Prompts for many objects at once: from another layer, or from the masks of this index for the next one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_sam2._napari.desk import Answer
from napari_sam2._napari.notices import tell
from napari_sam2._napari.seeds import read_seeds
from napari_sam2.prompts import FramePrompts, PromptKey

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_sam2._napari.controller_prompts import PromptControl
    from napari_sam2._napari.desk import Desk
    from napari_sam2._napari.workspace import Workspace


class _Run:
    """Many things to say of which the first that fails ends all.

    Parameters
    ----------
    count : int
        How many objects.
    source : str
        Where they come from, for the user.
    """

    def __init__(self, count: int, source: str) -> None:
        self.count, self.source = count, source
        self.has_failed = False

    def say(self, key: PromptKey, prompts: FramePrompts, desk: Desk) -> Answer:
        """Say one of them, on the inference thread."""
        if self.has_failed:
            return Answer()
        try:
            return desk.seed(key, prompts, self)
        except Exception:
            self.has_failed = True
            raise


class SeedControl:
    """Seeds.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    prompts : PromptControl
        Draws the prompts.
    """

    def __init__(self, workspace: Workspace, prompts: PromptControl) -> None:
        self._space = workspace
        self._prompts = prompts

    def seed(self) -> None:
        """Read the selected layer, or the only one that there is, as prompts of new objects."""
        space = self._space
        layers, sequence = space.layers, space.sequence
        if layers is None or sequence is None:
            return
        chosen = self._chosen()
        if chosen is None:
            tell("Select the layer of points, shapes or labels to take the prompts from.")
            return
        seeds = read_seeds(chosen, layers.labels, sequence.geometry, space.frame)
        shift = self._shift(set(seeds))
        wanted = {
            PromptKey(obj + shift, frame): prompts
            for obj, frames in seeds.items()
            for frame, prompts in frames.items()
        }
        self._say(wanted, f"“{chosen.name}”")

    def _chosen(self) -> Layer | None:
        """Return the layer to read: one of the selected ones, else the only one."""
        viewer, layers = self._space.viewer, self._space.layers
        own = () if layers is None else (layers.points, layers.shapes, layers.labels)
        kinds = (Points, Shapes, Labels)
        fit = [each for each in viewer.layers if isinstance(each, kinds) and each not in own]
        selected = [each for each in fit if each in viewer.layers.selection]
        if len(selected) == 1:
            return selected[0]
        return fit[0] if len(fit) == 1 else None

    def _shift(self, wanted: set[int]) -> int:
        """Return what to add to ids so that they are free."""
        sequence = self._space.sequence
        declared = {} if sequence is None else sequence.declared
        used = {*self._space.picture.objects, *(key.obj for key in declared)}
        return max(used) if used & wanted else 0

    def _say(self, wanted: dict[PromptKey, FramePrompts], source: str) -> None:
        """Say all of it, each in a job of its own, so that clicks go between."""
        if not wanted:
            tell(f"There is nothing in {source} that lies on a frame of this image.")
            return
        self._prompts.freeze()
        run = _Run(len({key.obj for key in wanted}), source)
        self._space.reserved = max(key.obj for key in wanted)
        for key, prompts in wanted.items():
            self._space.ask(partial(run.say, key, prompts), label=f"Seeding from {source}")
        self._space.ask(lambda desk: desk.answer(), lambda _: self._said(run), label="Seeding")

    def _said(self, run: _Run) -> None:
        self._space.reserved = 0
        self._prompts.show()
        if not run.has_failed:
            tell(f"{run.count} object{'' if run.count == 1 else 's'} from {run.source}.")

    def seed_next(self) -> None:
        """Give the masks of this index as prompts to the next one along the other axis."""
        space = self._space
        layers, sequence = space.layers, space.sequence
        if layers is None or sequence is None:
            return
        axis = next(
            (axis for axis in sequence.geometry.index if axis != sequence.geometry.channel_axis), None
        )
        if axis is None or sequence.geometry.index[axis] + 1 >= sequence.geometry.shape[axis]:
            tell("There is no next index along another axis.")
            return
        wanted = self._masks()
        step = sequence.geometry.at({axis: sequence.geometry.index[axis] + 1})
        place = layers.labels.data_to_world(step.to_layer(space.frame, 0, 0))
        offset = space.viewer.dims.ndim - step.ndim
        space.viewer.dims.set_point(offset + axis, float(place[axis]))
        self._say(wanted, "the index before")

    def _masks(self) -> dict[PromptKey, FramePrompts]:
        """Return the masks of all objects on the frames that they were prompted on, else on the shown one."""
        layers, sequence, picture = self._space.layers, self._space.sequence, self._space.picture
        if layers is None or sequence is None:
            return {}
        frames = sequence.geometry.frames_of(layers.labels.data)
        masks: dict[PromptKey, FramePrompts] = {}
        for obj in picture.objects:
            prompted = [key.frame for key in picture.prompts if key.obj == obj] or [self._space.frame]
            for frame in prompted:
                mask = np.asarray(frames[frame] == obj)
                if mask.any():
                    masks[PromptKey(obj, frame)] = FramePrompts(mask=mask)
        return masks
