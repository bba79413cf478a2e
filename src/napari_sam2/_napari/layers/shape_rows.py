"""Rows of a Shapes layer: its features and colours, which napari does not always keep beside its shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Shapes


def trim_features(layer: Shapes) -> bool:
    """Drop the features of shapes that are gone, or the next shapes would take them; tell if there were any.

    Napari leaves them of a lasso that is too small, and where a script sets fewer shapes.
    """
    count = len(layer.data)
    if len(layer.features) <= count:
        return False
    layer.features = layer.features.iloc[:count]
    return True


def rebuild(layer: Shapes) -> bool:
    """Make shapes anew if colours of shapes that are gone are left; tell whether it was so.

    Napari leaves those of a lasso that is too small too, and no colours can be set then.
    """
    count = len(layer.data)
    if len(layer.edge_color) == len(layer.face_color) == count:
        return False
    shapes = list(zip(layer.data, layer.shape_type, strict=True))
    widths, depths, table = list(layer.edge_width), list(layer.z_index), layer.features
    layer.data = []
    if shapes:
        layer.add(shapes, edge_width=widths, z_index=depths)
    layer.features = table.iloc[:count]
    return True
