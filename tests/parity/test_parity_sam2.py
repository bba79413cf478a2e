"""PyPI's sam2 beside this package: the same frames, seeded weights, prompts and options.

Opt-in: install sam2==1.1.0, hydra-core, iopath into an environment of their own, then ``pytest -m parity``.
A table of the largest differences ends the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2.prompts import FramePrompts
from tests.parity.drivers import Answer, Driver, Ours, Released, build_released, seeded_model
from tests.parity.table import Row, difference_of
from tests.parity.video import NUM_FRAMES, Video, body, make_video

if TYPE_CHECKING:
    from tests.parity.table import Table

pytest.importorskip("sam2", reason="PyPI's sam2 is not installed beside this package")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1800)]

ANSWERS, MEMORY, OVERLAP = 1e-3, 1e-4, 0.99
# Random weights make tiny differences grow: so many tracked frames of a pass are compared value by value.
CLOSE = 2

CLICK = FramePrompts(points=((40, 24),), positive=(True,))
CLICKS = FramePrompts(points=((40, 24), (60, 80), (45, 30)), positive=(True, False, True))
BOX = FramePrompts(box=(28, 15, 52, 33))
BOX_CLICK = FramePrompts(box=(28, 15, 52, 33), points=((60, 80),), positive=(False,))
MASK = FramePrompts(mask=body(0))
MASK_CLICK = FramePrompts(mask=body(0), points=((60, 80),), positive=(False,))
NEGATIVE = FramePrompts(points=((10, 90), (20, 5)), positive=(False, False))


@dataclass
class Session:
    """A session under way: what one driver was asked and told, in order."""

    driver: Driver
    prompts: list[tuple[int, Answer]] = field(default_factory=list)
    passes: list[dict[int, Answer]] = field(default_factory=list)

    @property
    def answers(self) -> list[Answer]:
        """All that was told."""
        told = [answer for _, answer in self.prompts]
        return told + [answer for one in self.passes for answer in one.values()]

    def prompt(self, frame: int, prompts: FramePrompts) -> None:
        self.prompts.append((frame, self.driver.prompt(frame, prompts)))

    def track(self, *, reverse: bool = False, last: int | None = None) -> None:
        self.passes.append(self.driver.track(reverse=reverse, last=last))


# Added to presence logits that are about -2: objects are on all tracked frames, or on none.
PRESENT, ABSENT = 5.0, 0.0

Case = Callable[[Session], None]


def forward_from(prompts: FramePrompts) -> Case:
    def run(session: Session) -> None:
        session.prompt(0, prompts)
        session.track()

    return run


def backward(session: Session) -> None:
    session.prompt(NUM_FRAMES - 1, CLICKS)
    session.track(reverse=True)


def both_ways(session: Session) -> None:
    session.prompt(4, BOX)
    session.track()
    session.track(reverse=True)


def three_prompts(session: Session) -> None:
    session.prompt(0, CLICK)
    session.prompt(4, BOX)
    session.prompt(7, CLICKS)
    session.track()
    session.track(reverse=True)


def correction_at(frame: int, prompts: FramePrompts = CLICK) -> Case:
    def run(session: Session) -> None:
        session.prompt(0, BOX)
        session.track(last=frame)
        session.prompt(frame, prompts)
        session.track()

    return run


def late_correction_at(frame: int, prompts: FramePrompts = CLICK) -> Case:
    """Correct a frame that the pass has long left."""

    def run(session: Session) -> None:
        session.prompt(0, BOX)
        session.track()
        session.prompt(frame, prompts)
        session.track()

    return run


CASES: dict[str, Case] = {
    "click": forward_from(CLICK),
    "clicks": forward_from(CLICKS),
    "box": forward_from(BOX),
    "box + click": forward_from(BOX_CLICK),
    "mask": forward_from(MASK),
    "mask + click": forward_from(MASK_CLICK),
    "only negative clicks": forward_from(NEGATIVE),
    "backward": backward,
    "forward, backward": both_ways,
    "three prompts": three_prompts,
    "correction at 3": correction_at(3),
    "corrections at 3": correction_at(3, CLICKS),
    "mask correction at 3": correction_at(3, MASK),
    "correction at 8": correction_at(8),
    "late correction at 1": late_correction_at(1),
    "late correction at 6": late_correction_at(6),
    "late corrections at 6": late_correction_at(6, CLICKS),
}

OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("click", {"memory_frames": 0}),
    ("three prompts", {"memory_frames": 1}),
    ("three prompts", {"memory_frames": 4}),
    ("three prompts", {"memory_stride": 2}),
    ("three prompts", {"memory_stride": 3, "memory_frames": 4}),
    ("three prompts", {"max_conditioning": 2}),
    ("three prompts", {"max_conditioning": 2, "memory_stride": 2}),
    ("three prompts", {"max_pointers": 4}),
    ("three prompts", {"past_pointers_only": False}),
    ("three prompts", {"past_pointers_only": False, "sign_pointer_time": False}),
    ("three prompts", {"past_pointers_only": False, "project_pointer_time": False}),
    ("three prompts", {"encode_pointer_time": False, "project_pointer_time": False}),
    # With presence but without pointers the released code looks for a parameter that it does not make.
    (
        "three prompts",
        {
            "use_pointers": False,
            "fixed_no_object_pointer": False,
            "predict_presence": False,
            "encode_pointer_time": False,
            "project_pointer_time": False,
        },
    ),
    ("click", {"soft_no_object_pointer": True}),
    ("click", {"pointer_from_multimask": False}),
    ("click", {"pointer_mlp": False}),
    ("click", {"presence_mlp": False}),
    ("mask", {"predict_presence": False, "fixed_no_object_pointer": False}),
    ("box", {"memory_scale": 5.0, "memory_bias": -1.0}),
    ("click", {"binarize_clicked": False}),
    ("mask", {"mask_as_output": False}),
    ("click", {"high_res_features": False}),
    ("correction at 3", {"multimask": False}),
    ("correction at 3", {"multimask_when_tracking": False}),
    ("corrections at 3", {"multimask_min_points": 1}),
    ("clicks", {"multimask_max_points": 3}),
    ("clicks", {"stability_delta": 1.0, "stability_threshold": 0.99}),
)

ABSENT_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mask", {"fixed_no_object_pointer": False}),
    ("mask", {"soft_no_object_pointer": True, "fixed_no_object_pointer": False}),
    ("mask", {"no_object_spatial": False}),
)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    return make_video(tmp_path_factory.mktemp("video"))


@dataclass(frozen=True)
class Bench:
    """What the comparisons have in common."""

    video: Video
    table: Table
    plain: dict[tuple[str, float], Session]
    patch: pytest.MonkeyPatch

    def run_ours(self, name: str, case: str, options: dict[str, Any], presence: float) -> Session:
        session = Session(Ours(seeded_model(name, options, presence=presence), self.video, self.patch))
        CASES[case](session)
        return session

    def effect(self, session: Session, name: str, case: str, presence: float) -> float:
        """Return by how much a session differs from the one without options."""
        if (case, presence) not in self.plain:
            self.plain[case, presence] = self.run_ours(name, case, {}, presence)
        pairs = zip(session.answers, self.plain[case, presence].answers, strict=True)
        return max(difference_of(one, other, pointers=False) for one, other in pairs)


def check(bench: Bench, name: str, case: str, options: dict[str, Any], *, presence: float = PRESENT) -> None:
    ours = bench.run_ours(name, case, options, presence)
    model = seeded_model(name, options, presence=presence)
    released = Session(Released(build_released(model, options), bench.video))
    CASES[case](released)
    row = Row(name, case, options)
    bench.table.append(row)
    for (frame, mine), (_, theirs) in zip(ours.prompts, released.prompts, strict=True):
        row.compare_prompt(mine, theirs)
        assert row.prompts < ANSWERS, f"prompts on frame {frame}"
    for mine_all, theirs_all in zip(ours.passes, released.passes, strict=True):
        assert list(mine_all) == list(theirs_all)
        for index, frame in enumerate(mine_all):
            row.compare_tracked(mine_all[frame], theirs_all[frame], close=index < CLOSE)
    if options:
        row.effect = bench.effect(ours, name, case, presence)
        assert row.effect > ANSWERS, "the options change nothing here"
    assert row.present == (row.tracked if presence == PRESENT else 0)
    assert row.close < ANSWERS
    assert row.memory < MEMORY
    assert row.overlap >= OVERLAP


@pytest.fixture(scope="session")
def plain() -> dict[tuple[str, float], Session]:
    """Keep this package's answers without options, by case and presence."""
    return {}


@pytest.fixture
def bench(
    video: Video, table: Table, plain: dict[tuple[str, float], Session], monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return Bench(video, table, plain, monkeypatch)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["sam2.1-tiny", "sam2-tiny"])
def test_cases(bench: Bench, name: str, case: str) -> None:
    check(bench, name, case, {})


@pytest.mark.parametrize("case", ["mask", "three prompts", "correction at 3"])
@pytest.mark.parametrize("name", ["sam2.1-tiny", "sam2-tiny"])
def test_absent_objects(bench: Bench, name: str, case: str) -> None:
    check(bench, name, case, {}, presence=ABSENT)


@pytest.mark.parametrize(("case", "options"), OPTIONS, ids=str)
def test_options(bench: Bench, case: str, options: dict[str, Any]) -> None:
    check(bench, "sam2.1-tiny", case, options)


@pytest.mark.parametrize(("case", "options"), ABSENT_OPTIONS, ids=str)
def test_options_on_absent_objects(bench: Bench, case: str, options: dict[str, Any]) -> None:
    check(bench, "sam2.1-tiny", case, options, presence=ABSENT)


@pytest.mark.parametrize("name", [name for name in RELEASED_CONFIGS if not name.endswith("tiny")])
def test_sizes(bench: Bench, name: str) -> None:
    check(bench, name, "box", {})
