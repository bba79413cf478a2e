"""The Points layer: positive and negative clicks of many objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from psygnal import Signal
from qtpy.QtGui import QGuiApplication

from napari_sam2._napari.layers.colours import NEGATIVE, POSITIVE
from napari_sam2._napari.layers.columns import OBJECT, fill_objects, object_column, sign_column
from napari_sam2._napari.layers.columns import POSITIVE as POSITIVE_FEATURE
from napari_sam2._napari.layers.declared import Clicks
from napari_sam2._napari.notices import tell
from napari_sam2._napari.wiring import Connections
from napari_sam2.prompts import PromptKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from napari.components import Dims

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.colours import ObjectColours
    from napari_sam2.prompts import FramePrompts

_SIZE_ON_SCREEN, _NO_POINT = (9.0, 14.0), (0.0, 14.0)


def _pixel_ratio() -> float:
    """Return how many pixels of the screen are one of Qt's; napari counts those of the screen."""
    app = QGuiApplication.instance()
    return app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0


class PointsView:
    """Keeps a Points layer whose features say of each point whose it is and whether it is positive.

    Parameters
    ----------
    geometry : SequenceGeometry
        Of the sequence that is worked on.
    colours : ObjectColours
        Of the objects, for the rings around points.
    options : dict
        Further options of the layer.
    dims : Dims
        The sliders of the viewer.

    Attributes
    ----------
    layer : Points
    touched : Signal
        Something happened that may have changed the points.
    defaults_changed : Signal(int, bool)
        Somebody else set what the next point is, object and sign.
    """

    touched = Signal()
    defaults_changed = Signal(int, bool)

    def __init__(
        self, geometry: SequenceGeometry, colours: ObjectColours, options: dict[str, Any], dims: Dims
    ) -> None:
        self.geometry, self._colours, self._dims = geometry, colours, dims
        self._obj, self._positive = 1, True
        self._setting = self._selecting = False
        self._unmeant: set[PromptKey] = set()
        self._copied: tuple[npt.NDArray[Any], ...] | None = None
        self.layer = Points(
            np.zeros((0, geometry.ndim)),
            features={OBJECT: np.zeros(0, np.int64), POSITIVE_FEATURE: np.zeros(0, np.bool_)},
            feature_defaults={OBJECT: 1, POSITIVE_FEATURE: True},
            face_color=POSITIVE_FEATURE,
            face_color_cycle={True: POSITIVE, False: NEGATIVE},
            border_color="white",
            border_width=0.25,
            size=6,
            canvas_size_limits=_NO_POINT,
            **options,
        )
        self._wires = Connections()
        events = self.layer.events
        for emitter in (events.data, events.features, events.properties, events.set_data, events.mode):
            self._wires.connect(emitter, self._on_touched)
        for emitter in (events.data, dims.events.point, dims.events.order, dims.events.ndisplay):
            self._wires.connect_last(emitter, self._fit_size)
        for emitter in (events.current_size, events.current_border_width, events.current_symbol):
            self._wires.connect(emitter, self._on_size)
        self._wires.connect(events.feature_defaults, self._on_defaults)
        self._wires.connect(self.layer.selected_data.events.items_changed, self._on_touched)
        self.set_next(1, positive=True)

    def _fit_size(self, _event: object = None) -> None:
        """Keep points large enough on the screen.

        Where a slice has none napari draws one of no size in the corner, so none may then be made larger.
        """
        smallest, largest = _SIZE_ON_SCREEN if self._any_on_slice() else _NO_POINT
        ratio = _pixel_ratio()
        limits = ratio * smallest, ratio * largest
        if self.layer.canvas_size_limits != limits:
            self.layer.canvas_size_limits = limits

    def _any_on_slice(self) -> bool:
        offset = self._dims.ndim - self.layer.ndim
        sliced = [axis for axis in range(self.layer.ndim) if axis + offset not in self._dims.displayed]
        at = np.rint(self.layer.world_to_data(np.asarray(self._dims.point, float)))
        near = (np.rint(self.layer.data)[:, sliced] == at[sliced]).all(axis=1)
        return bool((near & self.layer.shown).any())

    def _on_touched(self, _event: object = None) -> None:
        self.touched.emit()

    # --- what the next point is

    def set_next(self, obj: int, *, positive: bool) -> None:
        """Say whose the next point is, and whether it is positive."""
        self._obj, self._positive = obj, positive
        self.restore_next()

    def restore_next(self) -> None:
        """Say it again: napari takes the values of a point that is selected."""
        self._setting, self._selecting = True, False
        try:
            obj = object_column(self.layer.feature_defaults, 1, 0)[0]  # 0 after all points were removed
            if (obj, self._defaults()[1]) != (self._obj, self._positive):
                self.layer.feature_defaults = {OBJECT: self._obj, POSITIVE_FEATURE: self._positive}
            with self.layer.block_update_properties():  # else selected points would take the colour
                self.layer.current_border_color = self._colours.colour(self._obj)
        finally:
            self._setting = False

    def _defaults(self) -> tuple[int, bool]:
        table = self.layer.feature_defaults
        return (
            int(object_column(table, 1, self._obj)[0]),
            bool(sign_column(table, 1)[0]),
        )

    def _on_size(self, _event: object = None) -> None:
        self._selecting = True  # napari takes size, width and symbol of points that it selects, then features

    def _on_defaults(self, _event: object = None) -> None:
        selecting, self._selecting = self._selecting, False
        if self._setting or self._defaults() == (self._obj, self._positive):
            return
        if selecting and self._are_of_selection():
            self.restore_next()
        else:
            self.defaults_changed.emit(*self._defaults())

    def _are_of_selection(self) -> bool:
        """Whether the next point is as the selected ones are: napari says so of itself when it selects."""
        rows = [row for row in self.layer.selected_data if row < len(self.layer.data)]
        selected = zip(self.objects()[rows].tolist(), self.positive()[rows].tolist(), strict=True)
        return set(selected) == {self._defaults()}

    # --- reading and showing

    def tidy(self) -> None:
        """Write down whose each point is, and take out those outside of the image, which say nothing."""
        if fill_objects(self.layer, self._obj):
            self.restore_next()
        places = self.geometry.to_places(self.layer.data)
        outside = ~places.inside & self.geometry.same_index(self.layer.data)
        if outside.any():
            self.layer.remove(np.flatnonzero(outside).tolist())
            tell("A point outside of the image says nothing: it was taken out.")

    def objects(self) -> npt.NDArray[np.int64]:
        """Return whose each point is (n,)."""
        return object_column(self.layer.features, len(self.layer.data), self._obj)

    def positive(self) -> npt.NDArray[np.bool_]:
        """Return whether each point is positive (n,)."""
        return sign_column(self.layer.features, len(self.layer.data))

    def read(self) -> dict[PromptKey, Clicks]:
        """Read the points of the sequence, in any view; those outside the frames say nothing."""
        places = self.geometry.to_places(self.layer.data)
        rows = np.flatnonzero(places.inside)
        found: dict[PromptKey, Clicks] = {}
        values = zip(
            self.objects()[rows].tolist(),
            places.frame[rows].tolist(),
            places.yx[rows].tolist(),
            self.positive()[rows].tolist(),
            strict=True,
        )
        for obj, frame, (y, x), positive in values:
            clicks = found.setdefault(PromptKey(obj, frame), Clicks())
            clicks.points.append((y, x))
            clicks.positive.append(positive)
        return found

    def show(self, prompts: Mapping[PromptKey, FramePrompts]) -> None:
        """Show these points and no others of this sequence; those at other positions stay."""
        now = {key: (tuple(each.points), tuple(each.positive)) for key, each in self.read().items()}
        wanted = {key: (each.points, each.positive) for key, each in prompts.items() if each.points}
        if now == wanted:
            return
        stays = ~self.geometry.to_places(self.layer.data).inside
        counts = [len(points) for points, _ in wanted.values()]
        frames = np.repeat([key.frame for key in wanted], counts)
        yx = np.array([point for points, _ in wanted.values() for point in points], float)
        objects = np.repeat([key.obj for key in wanted], counts).astype(np.int64)
        signs = np.array([sign for _, signs in wanted.values() for sign in signs], np.bool_)
        self._replace(
            np.concatenate([self.layer.data[stays], self.geometry.to_layers(frames, yx)]),
            np.concatenate([self.objects()[stays], objects]),
            np.concatenate([self.positive()[stays], signs]),
        )

    def _replace(
        self, data: npt.NDArray[Any], objects: npt.NDArray[np.int64], positive: npt.NDArray[np.bool_]
    ) -> None:
        self.layer.selected_data = set()
        self.layer.data = data
        self.layer.features = {OBJECT: objects, POSITIVE_FEATURE: positive}
        self.restore_next()
        self.show_colours()

    def _show_signs(self) -> None:
        """Draw points in the colour of their sign, whatever colour napari was told to draw them in."""
        faces = np.where(self.positive()[:, None], POSITIVE, NEGATIVE)
        named = (POSITIVE_FEATURE,) if POSITIVE_FEATURE in self.layer.features else ()
        for colour in (*named, faces):  # by the feature, so that the next point has its colour at once
            if len(faces) and not np.allclose(self.layer.face_color, faces, atol=1e-6):
                self.layer.face_color = colour

    def show_colours(self) -> None:
        """Draw the rings in the colours of the objects, and hide the points of hidden objects."""
        self._show_signs()
        objects = self.objects().tolist()
        known = {obj: self._colours.colour(obj) for obj in set(objects)}
        rings = np.array([known[obj] for obj in objects], float).reshape(-1, 4)
        if len(rings) and not np.allclose(self.layer.border_color, rings):
            self.layer.border_color = rings
        shown = np.array([self._colours.is_shown(obj) for obj in objects], np.bool_)
        if not np.array_equal(self.layer.shown, shown):
            self.layer.shown = shown
            self._fit_size()

    # --- copies

    def copy_selected(self) -> None:
        """Keep the selected points for `paste`."""
        rows = sorted(self.layer.selected_data)
        places = self.geometry.to_places(self.layer.data[rows])
        self._copied = (places.yx, self.objects()[rows], self.positive()[rows])

    def paste(self, frame: int) -> None:
        """Give the copied points on a frame, to the objects that they were copied from, and select them."""
        if self._copied is None or not len(self._copied[0]):
            return
        yx, objects, positive = self._copied
        before = len(self.layer.data)
        self._replace(
            np.concatenate([self.layer.data, self.geometry.to_layers(frame, yx)]),
            np.concatenate([self.objects(), objects]),
            np.concatenate([self.positive(), positive]),
        )
        self.layer.selected_data = set(range(before, before + len(yx)))

    def take_back_last(self) -> None:
        """Remove the point that was given last, which was not meant."""
        last = len(self.layer.data) - 1
        places = self.geometry.to_places(self.layer.data[last:])
        self._unmeant |= {PromptKey(int(self.objects()[last]), int(frame)) for frame in places.frame}
        self.layer.remove([last])

    def take_unmeant(self) -> set[PromptKey]:
        """Return where points were taken back that were not meant, and forget it."""
        unmeant, self._unmeant = self._unmeant, set()
        return unmeant

    def close(self) -> None:
        """Let the layer go."""
        self._wires.close()
