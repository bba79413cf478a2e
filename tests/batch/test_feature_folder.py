"""Sequences of a batch whose image features are kept in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2.batch.sequence import run_sequence
from napari_sam2.io import open_image
from napari_sam2.session import Session
from tests.batch.tiny import Array, task_of, write_sequence
from tests.fakes import click, seeing_model


def read(path: Path) -> Array:
    return np.asarray(open_image(path).array[...])


def test_features_in_a_folder_are_not_computed_again(tmp_path: Path) -> None:
    plan = write_sequence(tmp_path)
    kept: dict[str, Any] = {"feature_folder": tmp_path / "features", "feature_gigabytes": 1.0}
    assert run_sequence(task_of(plan, **kept), seeing_model).encoded == 8
    assert run_sequence(task_of(plan), seeing_model).status == "skipped"
    again = task_of(replace(plan, name="again"), **kept)
    assert run_sequence(again, seeing_model).encoded == 0
    np.testing.assert_array_equal(read(again.labels), read(task_of(plan).labels))


def test_a_session_that_goes_on_reads_them_too(tmp_path: Path) -> None:
    plan = write_sequence(tmp_path)
    session = Session.open(plan.images, model=seeing_model(), feature_folder=tmp_path / "features")
    session.set_prompts(1, 0, click(8, 8))
    list(session.propagate())
    session.set_prompts(1, 4, click(9, 9))
    session.save(tmp_path / "one.sam2.json")
    task = task_of(
        replace(plan, session=tmp_path / "one.sam2.json", seeds=None),
        feature_folder=tmp_path / "features",
    )
    outcome = run_sequence(task, seeing_model)
    assert (outcome.status, outcome.encoded) == ("done", 0)
