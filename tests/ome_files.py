"""An OME-TIFF that lies in two files, as microscopes write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

_OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
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


def write_companion(data: NDArray[Any], companion: Path, *paths: Path) -> None:
    """Write (t, y, x) of 16 bits to files of as many frames each, which know of the companion file alone."""
    write_ome_files(data, *paths)
    with tifffile.TiffFile(paths[0]) as tiff:
        companion.write_text(str(tiff.ome_metadata).replace(f'UUID="{UUIDS[0]}"', 'UUID="urn:uuid:c"', 1))
    each = len(data) // len(paths)
    for i, path in enumerate(paths):
        elsewhere = f'<BinaryOnly MetadataFile="{companion.name}" UUID="urn:uuid:c"/>'
        own = f'<OME {_OME} UUID="{UUIDS[i]}">{elsewhere}</OME>'
        with tifffile.TiffWriter(path) as tiff:
            for t in range(each):
                tiff.write(data[each * i + t], description=own if t == 0 else None, metadata=None)
