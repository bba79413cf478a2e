"""Plans as they are written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_sam2.batch import ModelChoice, Options, Plan, SequencePlan, read_plan
from napari_sam2.batch.plan import is_image, sequence_name
from napari_sam2.batch.plan_file import parse_frames
from napari_sam2.cleanup import Cleanup
from tests.ome_files import write_ome_files

EVERYTHING = """
output = "out"
images = "images/*.tif"
session = "one.sam2.json"
frames = "2:9"
direction = "forward"
format = "tif"
save_sessions = true
checkpoint_seconds = 5.0
feature_folder = "features"
feature_gigabytes = 3.0

[model]
name = "sam2.1-tiny"
device = "cuda"
image_size = 512
precision = "float32"

[image]
axis = 1
index = { 0 = 2 }
channel = "rgb"
contrast = [100, 4000]
level = 1

[cleanup]
fill_holes = 20

[[sequence]]
images = "else/c.ome.zarr"
name = "special"
seeds = "seeds/{name}.tif"
seeds_frame = 4
"""


def files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def plan(folder: Path, text: str, name: str = "plan.toml") -> Plan:
    (folder / name).write_text(text)
    return read_plan(folder / name)


def test_all_that_can_be_said(tmp_path: Path) -> None:
    files(tmp_path, "images/a.tif", "images/b.tif", "images/b.txt")
    read = plan(tmp_path, EVERYTHING)
    session = tmp_path / "one.sam2.json"
    special = SequencePlan(
        "special", tmp_path / "else/c.ome.zarr", None, tmp_path / "seeds/special.tif", seeds_frame=4
    )
    others = [SequencePlan(name, tmp_path / f"images/{name}.tif", session) for name in "ab"]
    assert read.sequences == (special, *others)
    assert read.output == tmp_path / "out"
    assert read.model == ModelChoice("sam2.1-tiny", "cuda", 512, "float32")
    volume = {"axis": 1, "index": {0: 2}, "channel": "rgb", "contrast": (100, 4000)}
    options = Options(volume, None, 1, (2, 9), "forward", "tif", True, Cleanup(fill_holes=20), 5.0)
    kept: dict[str, Any] = {"feature_folder": tmp_path / "features", "feature_gigabytes": 3.0}
    assert read.options == replace(options, **kept)
    assert read.options.keeping == {"feature_folder": tmp_path / "features", "feature_bytes": 3 * 2**30}
    assert read.options.matter() == options.matter()
    assert read.result("a") == tmp_path / "out" / "a_labels.tif"
    json.dumps(read.options.matter())


def test_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "day [1] é"
    files(folder, "pos 1.tif", "pos[2].tif")
    read = plan(folder, "images = ['pos 1*', 'pos[2].tif']")
    assert [each.images for each in read.sequences] == [folder / "pos 1.tif", folder / "pos[2].tif"]


def test_a_pattern_leaves_out_what_is_no_image(tmp_path: Path) -> None:
    files(tmp_path, "a.tif", "a_seeds.tif", "a_labels.tif", "a.sam2.json", "b_labels.tif")
    read = plan(tmp_path, "images = '*'")
    assert read.sequences == (SequencePlan("a", tmp_path / "a.tif", session=tmp_path / "a.sam2.json"),)
    assert plan(tmp_path, "images = 'b_labels.tif'").sequences[0].images == tmp_path / "b_labels.tif"
    with pytest.raises(FileNotFoundError, match=r"nothing is called \*_seeds.tif that holds images"):
        plan(tmp_path, "images = '*_seeds.tif'")


def test_the_model_lies_beside_the_plan(tmp_path: Path) -> None:
    files(tmp_path, "models/x.pt")
    for name, expected in (
        ("models/x.pt", str(tmp_path / "models/x.pt")),
        ("nano", "nano"),
        ("y.pt", "y.pt"),
    ):
        read = plan(tmp_path, f"[model]\nname = '{name}'\n[[sequence]]\nimages = 'a.tif'")
        assert read.model.name == expected


def test_json_says_the_same(tmp_path: Path) -> None:
    said = {"sequence": [{"images": "a.tif", "session": "s.sam2.json"}], "image": {"index": {"1": 0}}}
    read = plan(tmp_path, json.dumps(said), "plan.json")
    assert read.sequences == (SequencePlan("a", tmp_path / "a.tif", tmp_path / "s.sam2.json"),)
    assert read.options.volume == {"index": {1: 0}}
    assert read.output == tmp_path / "results"
    assert read_plan(tmp_path / "plan.json", output=tmp_path / "x").output == tmp_path / "x"


def test_a_folder(tmp_path: Path) -> None:
    files(tmp_path, "a.tif", "a.sam2.json", "a.sam2.zarr/zarr.json", "b.ome.tif", "b_seeds.tif", "notes.txt")
    files(tmp_path, "c.npy", ".hidden.tif", "d/t0.tif", "old_RES/mask000.tif", "a_labels.tif", "e/x.txt")
    files(tmp_path, "f.ome.zarr/zarr.json", "results/g.tif", "g.btf", "h.lsm")
    read = read_plan(tmp_path)
    assert read.sequences == (
        SequencePlan("a", tmp_path / "a.tif", session=tmp_path / "a.sam2.json"),
        SequencePlan("b", tmp_path / "b.ome.tif", seeds=tmp_path / "b_seeds.tif"),
        SequencePlan("c", tmp_path / "c.npy"),
        SequencePlan("d", tmp_path / "d"),
        SequencePlan("f", tmp_path / "f.ome.zarr"),
        SequencePlan("g", tmp_path / "g.btf"),
        SequencePlan("h", tmp_path / "h.lsm"),
    )
    assert read.output == tmp_path / "results"
    given = read.with_prompts(session=tmp_path / "one.sam2.json")
    assert [each.session and each.session.name for each in given.sequences] == [
        "a.sam2.json",
        None,
        *["one.sam2.json"] * 5,
    ]


def test_an_image_in_several_files_is_one_sequence(tmp_path: Path) -> None:
    write_ome_files(np.zeros((4, 24, 20), np.uint16), tmp_path / "a_1.ome.tif", tmp_path / "a_2.ome.tif")
    files(tmp_path, "b.tif")
    for read in (read_plan(tmp_path), plan(tmp_path, "images = '*.tif'")):
        assert [each.name for each in read.sequences] == ["a_1", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images = [1]", "images must be a pattern"),
        ("images = 'x/*.tif'", r"nothing is called x/\*.tif"),
        ("", "there is nothing to do"),
        ("imges = 'a'", "imges is not understood; known are output, images"),
        ("[model]\nnam = 'nano'", "model: nam is not understood"),
        ("model = 'nano'", "model must be a table of name"),
        ("[[sequence]]\nname = 'a'", r"each \[\[sequence\]\] needs images"),
        ("[[sequence]]\nimages = 'a.tif'\n[[sequence]]\nimages = 'b/a.tif'", "both be called a"),
        ("seeds_frame = 'x'\n[[sequence]]\nimages = 'a.tif'", "seeds_frame must be a whole number"),
        ("frames = '3'\n[[sequence]]\nimages = 'a.tif'", "frames must be A:B"),
        ("direction = 'up'\n[[sequence]]\nimages = 'a.tif'", "direction must be one of both"),
        ("format = 'png'\n[[sequence]]\nimages = 'a.tif'", "format must be one of zarr"),
        ("[image]\nindex = 3\n[[sequence]]\nimages = 'a.tif'", "index must be a table"),
        (
            "output = '.'\nformat = 'tif'\n[[sequence]]\nimages = 'a_labels.tif'\nname='a'",
            "would be replaced",
        ),
        ("[", "plan.toml cannot be read"),
        ("checkpoint_seconds = 'a'", "checkpoint_seconds must be a number; got 'a'"),
        ("feature_gigabytes = 'a'", "feature_gigabytes must be a number"),
        ("save_sessions = 'no'", "save_sessions must be true or false; got 'no'"),
        ("model.precision = 'half'", "precision must be one of auto, float32, bfloat16; got 'half'"),
        ("[image]\ncontrast = 5", "contrast must be two numbers"),
        ("[image]\naxis = true", "axis must be a whole number"),
        ("[model]\nname = 5", "name must be a text in quotes"),
        ("[[sequence]]\nimages = 'a.tif'\nname = '../a'", "cannot be called '../a'.*without slashes"),
        ("[[sequence]]\nimages = 'a.tif'\nname = ''", "cannot be called ''"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        plan(tmp_path, text)


def test_what_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no plan"):
        read_plan(tmp_path / "x.toml")
    with pytest.raises(ValueError, match=r"a plan is a \.toml or \.json file"):
        plan(tmp_path, "", "plan.yaml")
    with pytest.raises(ValueError, match="it holds list"):
        plan(tmp_path, "[]", "plan.json")
    with pytest.raises(ValueError, match="has no images"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("text", "frames"), [("2:9", (2, 9)), (":9", (None, 9)), ("2:", (2, None)), (":", (None, None))]
)
def test_frames(text: str, frames: tuple[Any, Any]) -> None:
    assert parse_frames(text) == frames
    limits = Options(frames=frames).limits(12)
    assert limits == range(frames[0] or 0, frames[1] or 12)


def test_frames_beyond_the_sequence() -> None:
    with pytest.raises(ValueError, match="frames 2:9: the sequence has the frames 0:8"):
        Options(frames=(2, 9)).limits(8)
    assert Options().limits(8) is None


def test_names(tmp_path: Path) -> None:
    for name in ("a.tif", "a.ome.tif", "a.OME.TIFF", "a.ome.zarr", "a.npy", "a"):
        assert sequence_name(Path(name)) == "a"
    assert sequence_name(Path("a.b.tif")) == "a.b"
    tifffile.imwrite(tmp_path / "t0.tif", np.zeros((3, 3), np.uint8))
    assert is_image(tmp_path)


def test_results_of_an_earlier_run_are_no_images(tmp_path: Path) -> None:
    files(tmp_path, "a.tif", "results/a_labels.tif", "results/report.csv", "old/b_RES/mask000.tif")
    read = read_plan(tmp_path, output=tmp_path / "others")
    assert [each.name for each in read.sequences] == ["a"]


def test_what_patterns_have_in_common_is_done_once(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy", "c.npy"):
        (tmp_path / name).touch()
    (tmp_path / "plan.toml").write_text(
        """
        images = ["[ab].npy", "*.npy"]
        seeds = "{name}_seeds.npy"
        [[sequence]]
        images = "b.npy"
        seeds_frame = 3
        [[sequence]]
        images = "c.npy"
        name = "other"
        """
    )
    found = read_plan(tmp_path / "plan.toml").sequences
    assert [(each.name, each.seeds_frame) for each in found] == [("b", 3), ("other", 0), ("a", 0), ("c", 0)]


def test_the_time_between_states_is_not_negative() -> None:
    with pytest.raises(ValueError, match="checkpoint_seconds must be 0 or more"):
        Options(checkpoint_seconds=-1.0)
