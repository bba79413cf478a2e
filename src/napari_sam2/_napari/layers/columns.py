"""Columns of the feature tables of layers: whose each point or shape is, and the sign of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Points, Shapes

OBJECT, POSITIVE = "object", "positive"
_NEGATIVE_WORDS = frozenset({"", "0", "0.0", "n", "no", "f", "false", "neg", "negative", "-"})


def _column(table: Any, name: str, count: int) -> npt.NDArray[Any]:  # noqa: ANN401 - a data frame
    """Return a column of a feature table; a script may have dropped it."""
    if name not in table:
        return np.full(count, None)
    return np.asarray(table[name].to_numpy())


def object_column(table: Any, count: int, default: int) -> npt.NDArray[np.int64]:  # noqa: ANN401
    """Return the object ids of a feature table (count,); what is no id is `default`."""
    values = _column(table, OBJECT, count)
    if values.dtype.kind not in "iu":
        values = np.array([_id(value, default) for value in values], np.int64)
    return np.where(values >= 1, values, default).astype(np.int64)


def fill_objects(layer: Points | Shapes, default: int) -> bool:
    """Write down whose each point or shape is that says it of none; tell whether there were any.

    Else it would belong to another object with each one that is made active.
    """
    table = layer.features
    objects = object_column(table, len(layer.data), default)
    if OBJECT in table and np.array_equal(table[OBJECT].to_numpy(), objects):
        return False
    layer.features = table.assign(**{OBJECT: objects})
    return True


def _id(value: object, default: int) -> int:
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]  # whatever a script has put there
    except (TypeError, ValueError, OverflowError):
        return default


def sign_column(table: Any, count: int) -> npt.NDArray[np.bool_]:  # noqa: ANN401
    """Return the signs of a feature table (count,); what is none is positive, words such as "no" are not."""
    values = _column(table, POSITIVE, count)
    if values.dtype.kind == "b":
        return values
    return np.array([_sign(value) for value in values], np.bool_)


def _sign(value: Any) -> bool:  # noqa: ANN401 - whatever a script or a file has put there
    if isinstance(value, str):
        return value.strip().lower() not in _NEGATIVE_WORDS
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return missing or bool(value)
