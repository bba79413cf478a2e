"""The command line as a module, ``python -m napari_sam2``: where no program of that name is on the path."""

from __future__ import annotations

from napari_sam2.cli import main

if __name__ == "__main__":
    main()
