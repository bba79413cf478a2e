"""Tools are layers and modes, where the view lets them be used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.state import Tool
from napari_sam2.prompts import PromptKey
from tests._napari.hand import settle
from tests._napari.prompting import Desk, point


@pytest.fixture
def desk(model: ViewerModel) -> Iterator[Desk]:
    desk = Desk(model)
    yield desk
    desk.layers.close(remove_layers=True)


@pytest.mark.parametrize(
    ("tool", "layer", "mode"),
    [
        (Tool.POINT, "points", "add"),
        (Tool.BOX, "shapes", "add_rectangle"),
        (Tool.OUTLINE, "shapes", "add_polygon_lasso"),
        (Tool.BRUSH, "labels", "paint"),
        (Tool.ERASER, "labels", "erase"),
        (Tool.PAN, "points", "pan_zoom"),
    ],
)
def test_tools_activate_layer_and_mode(desk: Desk, tool: Tool, layer: str, mode: str) -> None:
    told: list[Tool] = []
    desk.layers.set_tool(Tool.POINT)
    desk.layers.tool_changed.connect(told.append)
    desk.layers.set_tool(tool)
    settle()
    assert desk.model.layers.selection.active is getattr(desk.layers, layer)
    assert str(getattr(desk.layers, layer).mode) == mode
    assert desk.layers.tools.tool is tool
    assert told == ([] if tool is Tool.POINT else [tool])


def test_a_hidden_layer_is_shown_when_its_tool_is_taken(desk: Desk) -> None:
    desk.layers.points.visible = False
    desk.layers.set_tool(Tool.POINT)
    assert desk.layers.points.visible
    assert str(desk.layers.points.mode) == "add"


def test_modes_chosen_in_napari_are_followed(desk: Desk) -> None:
    told: list[Tool] = []
    desk.layers.set_tool(Tool.POINT)
    desk.layers.tool_changed.connect(told.append)
    desk.model.layers.selection.active = desk.layers.labels
    desk.layers.labels.mode = "erase"
    settle()
    desk.model.layers.selection.active = desk.image
    settle()
    assert told == [Tool.ERASER, Tool.PAN]


def test_a_layer_with_other_data_is_not_drawn_on_in_another_view(desk: Desk) -> None:
    desk.model.dims.order = (1, 0, 2)
    settle()
    desk.layers.labels.data = desk.layers.labels.data.astype(np.uint32)  # as for a large id
    settle()
    assert not desk.layers.labels.editable
    assert desk.tool() is not Tool.BRUSH
    desk.model.dims.order = (0, 1, 2)
    settle()
    assert desk.layers.labels.editable


def test_boxes_and_brushes_need_the_flat_view_of_frames(desk: Desk) -> None:
    told: list[str] = []
    desk.layers.blocked_changed.connect(told.append)
    assert desk.layers.tools.blocked_reason() == ""
    desk.layers.set_tool(Tool.BRUSH)
    desk.model.dims.order = (1, 0, 2)
    settle()
    assert "roll the axes" in desk.layers.tools.blocked_reason()
    assert not desk.layers.labels.editable
    assert desk.tool() is Tool.PAN
    desk.layers.set_tool(Tool.BOX)
    assert desk.tool() is Tool.PAN
    desk.layers.set_tool(Tool.POINT)
    assert desk.tool() is Tool.POINT
    desk.layers.set_tool(Tool.BRUSH)
    desk.model.dims.order = (0, 1, 2)
    settle()
    assert desk.tool() is Tool.BRUSH
    assert desk.layers.labels.editable
    assert [bool(reason) for reason in told] == [True, False]


def test_the_volume_view_is_for_looking(desk: Desk) -> None:
    desk.layers.set_tool(Tool.POINT)
    desk.model.dims.ndisplay = 3
    settle()
    assert "2D view" in desk.layers.tools.blocked_reason()
    assert desk.tool() is Tool.PAN
    desk.layers.points.add([2, 1, 1])  # a script's points count in any view
    assert PromptKey(1, 2) in desk.last()
    desk.model.dims.ndisplay = 2
    settle()
    assert desk.tool() is Tool.POINT
    assert str(desk.layers.points.mode) == "add"


def test_points_count_while_the_axes_are_rolled(desk: Desk) -> None:
    desk.model.dims.order = (1, 0, 2)
    settle()
    desk.layers.points.add([4, 10, 20])
    assert desk.last() == {PromptKey(1, 4): point(10, 20)}
