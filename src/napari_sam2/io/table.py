"""Tables as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_sam2.io.atomic import replacing


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    path : str or Path
        ``.csv`` at its end.
    columns : sequence of str
        Their names.
    rows : iterable of sequences
        A value for each column; written as `str` gives it.

    Raises
    ------
    ValueError
        If the name does not end with ``.csv``, or a row has another length.
    FileExistsError
        If there is a folder of that name.
    OSError
        If it cannot be written; nothing is left under the name then.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise ValueError(f"a table is called something.csv, got {path.name}")
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder, not a table: choose another name")
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"a row of {len(row)} values came for {len(columns)} columns: {row}")
            writer.writerow(row)
