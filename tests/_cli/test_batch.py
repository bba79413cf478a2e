"""``napari-sam2 batch`` as it is called; the work itself is made up."""

from __future__ import annotations

import csv
from collections.abc import Generator
from pathlib import Path

import pytest

from napari_sam2 import batch, cli
from napari_sam2.batch import ModelChoice, Outcome, Plan
from tests.full_disk import SAID, full_disk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.tif", "b.tif", "c.tif"):
        (tmp_path / name).write_text("")
    (tmp_path / "results").mkdir()
    return tmp_path


class FakeRun:
    """Stands in for the run: gives outcomes, and notes what was asked."""

    def __init__(self, *outcomes: Outcome | BaseException) -> None:
        self.outcomes = outcomes
        self.plan: Plan | None = None
        self.options: dict[str, object] = {}
        self.is_closed = False

    def __call__(self, plan: Plan, **options: object) -> Generator[Outcome]:
        self.plan, self.options = plan, options
        try:
            for each in self.outcomes:
                if isinstance(each, BaseException):
                    raise each
                yield each
        finally:
            self.is_closed = True


def call(monkeypatch: pytest.MonkeyPatch, run: FakeRun, *arguments: object) -> int:
    monkeypatch.setattr(batch, "run", run)
    return cli.run(["batch", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_says_what_happened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = FakeRun(
        Outcome("c", "failed", 1.0, error="no such file, it seems"),
        Outcome("a", "done", 12.345, 20, 3, 5, 20, 0, "tcp://here", "a_labels.ome.zarr", notes="slow"),
        Outcome("b", "skipped", 0.1, 20, 2),
    )
    assert call(monkeypatch, run, folder) == 1
    report = rows(folder / "results" / "report.csv")
    assert [row["name"] for row in report] == ["a", "b", "c"]
    first = ["a", "done", "12.35", "20", "3", "5", "20", "0", "tcp://here", "a_labels.ome.zarr", "", "slow"]
    assert list(report[0].values()) == first
    assert list(report[0])[:5] == ["name", "status", "seconds", "frames", "objects"]
    assert report[2]["error"] == "no such file, it seems"
    out, err = capsys.readouterr()
    assert "1 done, 1 skipped, 1 failed" in out
    assert "c: no such file, it seems" in err
    assert "a: slow" in err
    assert run.is_closed


def test_options_reach_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = FakeRun(*(Outcome(name, "done") for name in "abc"))
    session = folder / "one.sam2.json"
    session.touch()
    more = ["--output", folder / "results", "--session", session, "--output-format", "tif"]
    more += ["--model", "sam2.1-tiny", "--device", "cpu", "--image-size", "512", "--precision", "float32"]
    more += ["--scheduler", "tcp://there:8786", "--workers", "3", "--report", folder / "r.csv"]
    more += ["--feature-folder", "features", "--feature-gigabytes", "0.5"]
    assert call(monkeypatch, run, folder, *more) == 0
    assert run.plan is not None
    assert run.plan.model == ModelChoice("sam2.1-tiny", "cpu", 512, "float32")
    assert run.plan.options.format == "tif"
    assert run.plan.options.keeping == {"feature_folder": Path("features"), "feature_bytes": 2**29}
    assert {each.session for each in run.plan.sequences} == {session}
    assert run.options == {"scheduler": "tcp://there:8786", "workers": 3}
    assert len(rows(folder / "r.csv")) == 3


@pytest.mark.parametrize("option", ["--session", "--seeds"])
def test_prompts_that_are_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    run = FakeRun()
    assert call(monkeypatch, run, folder, option, folder / "none.tif") == 2
    assert "There is no file" in capsys.readouterr().err
    assert run.plan is None


def test_ctrl_c_keeps_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = FakeRun(Outcome("b", "done"), KeyboardInterrupt())
    assert call(monkeypatch, run, folder) == 130
    report = {row["name"]: row["status"] for row in rows(folder / "results" / "report.csv")}
    assert report == {"a": "waiting", "b": "done", "c": "waiting"}
    assert "the same command goes on. 1 done" in capsys.readouterr().out
    assert run.is_closed


def test_a_report_that_cannot_be_written_ends_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = FakeRun(*(Outcome(name, "done") for name in "abc"))
    with full_disk(0):
        assert call(monkeypatch, run, folder) == 2
    out, err = capsys.readouterr()
    assert "3 done" in out
    assert SAID in err
    assert f"The report {folder / 'results' / 'report.csv'} is not written" in err
    assert not list((folder / "results").iterdir())
    assert call(monkeypatch, FakeRun(Outcome("a", "skipped")), folder) == 130
    assert len(rows(folder / "results" / "report.csv")) == 3


def test_notes_of_an_earlier_run_are_in_the_report_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = FakeRun(
        Outcome("a", "skipped", notes="old"), Outcome("b", "done", notes="new"), Outcome("c", "done")
    )
    assert call(monkeypatch, run, folder) == 0
    assert [row["notes"] for row in rows(folder / "results" / "report.csv")] == ["old", "new", ""]
    err = capsys.readouterr().err
    assert "b: new" in err
    assert "old" not in err


def test_a_device_that_is_not_there_is_told_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["batch", str(folder), "--device", "cuda:99"]) == 2
    assert capsys.readouterr().err.count("'cuda:99' is not present") == 1
    assert not list((folder / "results").iterdir())


def test_a_report_needs_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["batch", str(folder), "--report", str(folder / "missing" / "r.csv")]) == 2
    assert "make it first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["missing.toml"], "there is no plan"), ([".", "--workers", "0"], "--workers 0: at least one")],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["batch", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("address", ["there", "tcp://there:port"])
def test_an_address_that_is_none_is_told_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert cli.run(["batch", str(folder), "--scheduler", address]) == 2
    assert f"{address!r} is no address of a scheduler: give tcp://HOST:8786" in capsys.readouterr().err
