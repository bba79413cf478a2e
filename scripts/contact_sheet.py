"""Write a contact sheet of the synthetic sequences: images above, the same with outlines of the truth below.

python scripts/contact_sheet.py docs/images/training-data.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.segmentation import find_boundaries

from napari_sam2.training.layout import LayoutRules
from napari_sam2.training.synthetic import SyntheticBatch, SyntheticConfig, make_sequences

KINDS = ("blobs", "rods", "tiles", "organelles")


def main() -> None:
    """Draw some sequences of each kind, one sequence in a row of frames."""
    options = _arguments()
    torch.set_num_threads(1)
    kinds = KINDS if options.kind is None else (options.kind,)
    rows = []
    for kind in kinds:
        blobs, rods, tiles, organelles = (float(kind == other) for other in KINDS)
        rules = LayoutRules(kinds=(blobs, rods, tiles, organelles), diameter=(0.2, 0.6), max_objects=16)
        generator = torch.Generator().manual_seed(options.seed)
        made = make_sequences(SyntheticConfig(rules), options.rows, options.frames, options.size, generator)
        rows += [_strip(made, index, options.pairs) for index in range(options.rows)]
    columns = [np.concatenate(rows[start :: options.columns], axis=0) for start in range(options.columns)]
    Image.fromarray(np.concatenate(columns, axis=1)).save(options.out, optimize=True, quality=72)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kind", choices=KINDS, help="one kind of scene instead of all")
    parser.add_argument("--rows", type=int, default=4, help="sequences of each kind")
    parser.add_argument("--columns", type=int, default=2, help="sequences side by side")
    parser.add_argument("--frames", type=int, default=6, help="frames of each sequence")
    parser.add_argument("--size", type=int, default=128, help="side of a frame in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", action="store_true", help="show each frame without outlines, too")
    return parser.parse_args()


def _strip(made: SyntheticBatch, index: int, pairs: bool) -> np.ndarray:
    frames = []
    for image, labels in zip(made.images[index], made.labels[index].numpy(), strict=True):
        grey = image.permute(1, 2, 0).round().to(torch.uint8).numpy()
        outlined = grey.copy()
        outlined[find_boundaries(labels, mode="inner")] = (255, 90, 60)
        tile = np.concatenate((grey, outlined), axis=0) if pairs else outlined
        frames.append(np.pad(tile, ((1, 1), (1, 1), (0, 0))))
    return np.concatenate(frames, axis=1)


if __name__ == "__main__":
    main()
