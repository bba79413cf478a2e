"""An OME-TIFF that lies in two files, as microscopes write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

UUIDS = tuple(f"urn:uuid:00000000-0000-0000-0000-00000000000{i}" for i in range(2))


def write_ome_files(data: NDArray[Any], *paths: Path) -> None:
    """Write (t, y, x) of 16 bits, the first half of the frames to the first file; each names both."""
    frames, height, width = data.shape
    each = frames // 2
    planes = "".join(
        f'<TiffData FirstT="{t}" IFD="{t % each}" PlaneCount="1">'
        f'<UUID FileName="{paths[t // each].name}">{UUIDS[t // each]}</UUID></TiffData>'
        for t in range(frames)
    )
    for i, path in enumerate(paths):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{UUIDS[i]}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
            f'SizeX="{width}" SizeY="{height}" SizeZ="1" SizeC="1" SizeT="{frames}" '
            f'PhysicalSizeX="0.5">{planes}</Pixels></Image></OME>'
        )
        with tifffile.TiffWriter(path) as tiff:
            for t in range(each):
                tiff.write(data[each * i + t], description=xml if t == 0 else None, metadata=None)
