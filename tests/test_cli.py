"""The program as it is called: exit statuses, messages, files; a stand-in for the network knows the truth."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_sam2 import cli
from napari_sam2.doubt import Stretch
from napari_sam2.prompts import FramePrompts, PromptKey
from tests._cli.fake_session import FakeSession, two_squares


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    """A session for every command that opens one, and no network."""
    session = FakeSession(two_squares())
    for command in ("segment", "evaluate"):
        monkeypatch.setattr(f"napari_sam2._cli.{command}.open_model", lambda options: options)
        monkeypatch.setattr(f"napari_sam2._cli.{command}.open_session", lambda *_, **__: session)
    return session


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    truth = two_squares()
    np.savez(tmp_path / "squares.npz", images=(truth > 0).astype(np.uint8) * 200, labels=truth)
    return tmp_path / "squares.npz"


Answer = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Answer:
    """Run the program; give its exit status, standard output and standard error."""

    def answer(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main([str(each) for each in arguments])
        out, err = capfd.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out, err

    return answer


def segment(sequence: Path, *more: object) -> list[object]:
    return ["segment", sequence, sequence.with_name("labels.tif"), *more]


class TestProgram:
    def test_help_is_quick_to_import(self) -> None:
        heavy = ("torch", "napari", "scipy", "skimage", "zarr")
        code = f"import sys, napari_sam2.cli; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == "[]"

    def test_it_runs_as_a_module(self) -> None:
        command = [sys.executable, "-m", "napari_sam2", "segment", "nothing.tif", "labels.tif"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (2, "napari-sam2: There is no file nothing.tif.\n")

    def test_names_that_the_output_cannot_show_are_no_failure(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "napari_sam2", "models", "path"]
        places = dict.fromkeys(("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME"), str(tmp_path / "ü"))
        there = os.environ | places | {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run(command, check=False, capture_output=True, env=there)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\\xfc" in done.stdout

    def test_to_import_the_module_runs_nothing(self) -> None:
        command = [sys.executable, "-c", "import napari_sam2.__main__"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_ctrl_c_before_the_tracking_says_so(
        self, call: Answer, sequence: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def pressed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("napari_sam2._cli.segment.open_model", pressed)
        status, _, err = call(*segment(sequence, "--click", "1:0,8,8"))
        assert (status, err) == (130, "napari-sam2: stopped by Ctrl-C before it was done.\n")

    def test_help_names_every_command(self, call: Answer) -> None:
        status, out, _ = call("--help")
        assert status == 0
        for command in ("demo", "segment", "evaluate", "models", "train"):
            assert command in out

    @pytest.mark.parametrize("command", ["demo", "segment", "evaluate", "models", "train"])
    def test_every_command_has_help(self, call: Answer, command: str) -> None:
        status, out, _ = call(command, "--help")
        assert status == 0
        assert f"napari-sam2 {command}" in out

    @pytest.mark.parametrize("command", ["demo", "segment", "batch", "evaluate", "train"])
    def test_every_option_says_what_it_is(self, command: str) -> None:
        app = cli.build()[command]
        said = {
            each.names[0]: (each.parameter.help or "").strip()
            for each in app.assemble_argument_collection(parse_docstring=True)
            if not each.children
        }
        shared = {text for text, count in Counter(said.values()).items() if count > 1}
        assert {name for name, text in said.items() if not text or text in shared} == set()

    def test_version(self, call: Answer) -> None:
        status, out, _ = call("--version")
        assert status == 0
        assert out.strip() == "0.1.0"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["segmnt"], "segmnt"),
            (["segment"], "IMAGES"),
            (["segment", "a.tif", "b.tif", "--clik", "1:2,3,4"], "--clik"),
            (["evaluate", "a.npz", "--clicks", "many"], "many"),
            (["models", "path", "sam3"], "sam3"),
        ],
    )
    def test_mistakes_are_one_line(self, call: Answer, arguments: list[str], message: str) -> None:
        status, out, err = call(*arguments)
        assert status == 2
        assert not out
        assert err.startswith("napari-sam2: ")
        assert err.count("\n") == 1
        assert message in err

    def test_traceback_is_there_on_request(self) -> None:
        with pytest.raises(RuntimeError, match="sam3"):
            cli.run(["models", "path", "sam3", "--traceback"])

    def test_ctrl_c_before_the_work(self, monkeypatch: pytest.MonkeyPatch, call: Answer) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(cli, "build", interrupted)
        status, _, err = call("demo")
        assert (status, err) == (130, "napari-sam2: stopped by Ctrl-C before it was done.\n")


class TestModels:
    @pytest.mark.parametrize("command", ["path", "download"])
    def test_the_model_of_the_package_is_there(self, call: Answer, command: str) -> None:
        status, out, _ = call("models", command, "nano")
        assert status == 0
        assert Path(out.strip()).is_file()

    def test_list(self, call: Answer) -> None:
        status, out, _ = call("models", "list")
        assert status == 0
        for name in ("nano", "sam2-tiny", "sam2.1-large"):
            assert name in out
        assert "Apache-2.0" in out
        assert "napari-sam2" in out.splitlines()[-1]

    def test_path(self, call: Answer) -> None:
        _, folder, _ = call("models", "path")
        _, path, _ = call("models", "path", "sam2-small")
        assert Path(path.strip()) == Path(folder.strip()) / "sam2_hiera_small.pt"

    def test_download(self, call: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("napari_sam2._cli.models.fetch", lambda name: tmp_path / name)
        assert call("models", "download", "sam2-tiny") == (0, f"{tmp_path / 'sam2-tiny'}\n", "")


class TestSegment:
    def test_prompts_reach_the_session(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        clicks = ["--click", "1:0,10,10", "--click", "1:0,30,30,-", "--click", "2:3,28,14"]
        rest = ["--box", "2:3,20,10,36,26", "--frames", "1:5", "--direction", "forward"]
        status, out, _ = call(*segment(sequence, *clicks, *rest))
        assert status == 0
        assert fake.prompts == {
            PromptKey(1, 0): FramePrompts(((10, 10), (30, 30)), (True, False)),
            PromptKey(2, 3): FramePrompts(((28, 14),), (True,), box=(20, 10, 36, 26)),
        }
        assert fake.calls == [{"frames": range(1, 5), "direction": "forward"}]
        assert fake.written == [sequence.with_name("labels.tif")]
        assert out.startswith("2 objects, 4 frames, ")
        assert "frames/s" in out

    def test_where_no_frame_is_left_no_speed_is_told(
        self, call: Answer, fake: FakeSession, sequence: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_frames(*_: object, **__: object) -> Iterator[object]:
            yield from ()

        monkeypatch.setattr(FakeSession, "propagate", no_frames)
        status, out, _ = call(*segment(sequence, "--click", "1:0,10,10"))
        assert (status, out.startswith("1 object, no frame was left to track: ")) == (0, True)

    @pytest.mark.parametrize("obj", [65_536, 4_000_000_000])
    def test_ids_that_the_format_has_not_are_told_before_the_work(
        self, call: Answer, fake: FakeSession, sequence: Path, obj: int
    ) -> None:
        status, _, err = call("segment", sequence, sequence.with_name("a_RES"), "--click", f"{obj}:0,10,10")
        assert (status, fake.calls) == (2, [])
        assert "labels up to 65535" in err

    def test_what_deserves_a_look_is_told_the_longest_first(
        self, call: Answer, fake: FakeSession, sequence: Path
    ) -> None:
        fake.stretches = tuple(map(Stretch, (1, 1, 2, 2, 3), (0, 4, 1, 3, 2), (0, 5, 1, 5, 2)))
        said = call(*segment(sequence, "--click", "1:0,10,10"))[1].splitlines()[1]
        what = "object 2 on frames 3 to 5, object 1 on frames 4 to 5, object 1 on frame 0 and 2 more."
        assert said == f"Worth a look: {what}"
        fake.stretches = (Stretch(7, 2, 2),)
        said = call(*segment(sequence, "--click", "1:0,10,10"))[1].splitlines()[1]
        assert said == "Worth a look: object 7 on frame 2."
        fake.stretches = ()
        assert len(call(*segment(sequence, "--click", "1:0,10,10"))[1].splitlines()) == 1

    def test_a_label_image_as_prompt(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        mask = sequence.with_name("mask.npz")
        np.savez(mask, labels=fake.truth[0])
        status, _, _ = call(*segment(sequence, "--mask", mask, "--mask-frame", 2))
        assert status == 0
        assert set(fake.prompts) == {PromptKey(1, 2), PromptKey(2, 2)}
        assert fake.prompts[PromptKey(1, 2)] == FramePrompts(mask=fake.truth[0] == 1)

    def test_the_session_can_be_saved(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        saved = sequence.with_name("cells.sam2.json")
        status, _, _ = call(*segment(sequence, "--click", "1:0,10,10", "--save-session", saved))
        assert status == 0
        assert fake.written == [sequence.with_name("labels.tif"), saved]

    def test_ctrl_c_keeps_what_is_done(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        fake.interrupt_at = 2
        status, out, _ = call(*segment(sequence, "--click", "1:0,10,10"))
        assert status == 130
        assert out.startswith("Stopped by Ctrl-C. What was done is kept: 1 object, 3 frames")
        assert fake.written == [sequence.with_name("labels.tif")]
        assert fake.labels[2].any()
        assert not fake.labels[3].any()

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ([], "Nothing to track"),
            (["--click", "1:0,10"], "OBJ:FRAME,Y,X"),
            (["--click", "1:6,10,10"], "the frames are 0 to 5"),
            (["--click", "1:0,10,10", "--frames", "3:9"], "the frames 0:6"),
            (["--click", "1:0,10,10", "--direction", "sideways"], "sideways"),
            (["--mask", "none.tif"], "There is no file none.tif"),
            (["--click", "1:0,10,10", "--save-session", "no/such/x.sam2.json"], "There is no folder"),
        ],
    )
    def test_mistakes(
        self, call: Answer, fake: FakeSession, sequence: Path, more: list[str], message: str
    ) -> None:
        status, _, err = call(*segment(sequence, *more))
        assert status == 2
        assert message in err
        assert err.count("\n") == 1
        assert not fake.written

    def test_files_are_checked_before_the_work(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        for images, output, message in (
            (sequence, "labels.jpg", "Cannot tell the format"),
            (sequence, "no/such/labels.tif", "There is no folder"),
            ("none.tif", "labels.tif", "There is no file"),
        ):
            status, _, err = call("segment", images, output, "--click", "1:0,10,10")
            assert status == 2
            assert message in err
        assert not fake.prompts

    @pytest.mark.parametrize(
        ("output", "more"),
        [
            ("other.ome.zarr", []),
            ("other.tif", []),
            ("other_RES", []),
            ("labels.tif", ["--save-session", "other.sam2.json"]),
            ("labels.tif", ["--save-session", "cells.txt"]),
            ("labels.tif", ["--save-session", "filled.sam2.json"]),
        ],
    )
    def test_names_that_are_taken_are_told_before_the_work(
        self, call: Answer, fake: FakeSession, sequence: Path, output: str, more: list[str]
    ) -> None:
        folder = sequence.parent
        for name in ("other.ome.zarr", "other.tif", "other_RES", "other.sam2.json", "filled.sam2.zarr"):
            (folder / name).mkdir()
            (folder / name / "notes.txt").touch()
        more = [*more[:1], *(str(folder / each) for each in more[1:])]
        status, _, err = call("segment", sequence, folder / output, "--click", "1:0,10,10", *more)
        assert status == 2
        assert "choose another name" in err or "is called something.sam2.json" in err
        assert not fake.prompts

    def test_a_folder_that_takes_no_files_is_told_before_the_work(
        self, call: Answer, fake: FakeSession, sequence: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.access", lambda path, mode: not Path(path).samefile(sequence.parent))
        status, _, err = call(*segment(sequence, "--click", "1:0,10,10"))
        assert status == 2
        assert "which is read-only: choose another one" in err
        assert not fake.prompts


class TestEvaluate:
    def test_the_table(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        status, out, _ = call("evaluate", sequence)
        assert status == 0
        assert fake.calls == [{}]
        assert "squares.npz" in out
        assert "1.000" in out

    def test_json(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        fake.bad_frame = 4
        scores = sequence.with_name("scores.json")
        status, _, _ = call("evaluate", sequence, "--json", scores, "--model", "x.pt")
        assert status == 0
        written = json.loads(scores.read_text())
        assert (written["images"], written["model"], written["clicks"]) == ("squares.npz", "x.pt", 1)
        assert written["j"] == pytest.approx(5 / 6)
        _, out, _ = call("evaluate", sequence, "--json", "-", "--clicks", 2)
        assert json.loads(out)["j"] == 1.0

    def test_scores_are_said_even_if_a_file_cannot_be_written(
        self, call: Answer, fake: FakeSession, sequence: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        status, out, err = call("evaluate", sequence, "--json", sequence.with_name("scores.json"))
        assert (status, "1.000" in out, "The disk is full" in err) == (2, True, True)

    def test_labels_of_their_own(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        truth = sequence.with_name("truth.npz")
        np.savez(truth, labels=fake.truth)
        status, out, _ = call("evaluate", sequence, truth, "--contrast", "-1,9", "--all")
        assert status == 0
        assert "1.000" in out

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (["--clicks", "0"], "at least one click"),
            (["none.tif"], "There is no file"),
            (["--json", "no/such/scores.json"], "There is no folder"),
            (["--json", "."], "is a folder: give the name of a file"),
        ],
    )
    def test_mistakes(
        self, call: Answer, fake: FakeSession, sequence: Path, more: list[str], message: str
    ) -> None:
        status, _, err = call("evaluate", sequence, *more)
        assert status == 2
        assert message in err
        assert not fake.calls

    def test_labels_are_needed(self, call: Answer, sequence: Path) -> None:
        images = sequence.with_name("images.npy")
        np.save(images, np.zeros((3, 9, 9), np.uint8))
        status, _, err = call("evaluate", images)
        assert status == 2
        assert "Give the labels too" in err

    @pytest.mark.parametrize("extra", [(), (1, 1)])
    def test_labels_have_fewer_axes_than_the_images(
        self, call: Answer, fake: FakeSession, sequence: Path, extra: tuple[int, ...]
    ) -> None:
        truth = sequence.with_name("truth.npz")
        np.savez(truth, labels=fake.truth.reshape(extra + fake.truth.shape))
        status, out, _ = call("evaluate", sequence, truth, "--axis", "1", "--index", "0:1")
        assert status == 0
        assert "1.000" in out

    def test_labels_that_are_no_labels(self, call: Answer, fake: FakeSession, sequence: Path) -> None:
        wrong = sequence.with_name("wrong.npz")
        np.savez(wrong, labels=np.full((6, 40, 48), 0.5))
        assert "whole numbers" in call("evaluate", sequence, wrong)[2]
        np.savez(wrong, truth=fake.truth)
        assert "no array `labels`; it has truth" in call("evaluate", sequence, wrong)[2]
        wrong.write_bytes(sequence.read_bytes()[:3000])
        assert "cannot be read as labels" in call("evaluate", sequence, wrong)[2]
        np.savez(wrong, labels=np.stack([fake.truth] * 2))
        assert "do not fit images" in call("evaluate", sequence, wrong)[2]


class TestDemo:
    def test_what_it_leaves(self, call: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        sessions: list[FakeSession] = []

        def fake_session(images: Any, model: object) -> FakeSession:
            from napari_sam2 import samples

            sequence = samples.drifting_cells()
            np.testing.assert_array_equal(images, sequence.images)
            sessions.append(FakeSession(sequence.labels))
            return sessions[-1]

        monkeypatch.setattr("napari_sam2._cli.demo.open_model", lambda options: options)
        monkeypatch.setattr("napari_sam2._cli.demo.new_session", fake_session)
        out = tmp_path / "new" / "demo"
        status, printed, _ = call("demo", "--out", out)
        assert status == 0
        assert sessions[0].written == [out / "labels.tif"]
        with Image.open(out / "overlay.png") as picture:
            assert picture.width > 1000
        assert "1.000" in printed
        assert str(out / "overlay.png") in printed
        assert len(sessions[0].prompts) == len(sessions[0].objects) > 3

    def test_an_unknown_sample(self, call: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("napari_sam2._cli.demo.open_model", lambda options: options)
        status, _, err = call("demo", "--sample", "elephants")
        assert status == 2
        assert "elephants" in err
