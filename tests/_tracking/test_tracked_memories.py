"""Corrections that come late are conditioned as they would have been while the pass stood there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from napari_sam2._labels import spill
from napari_sam2._model.results import Prediction
from napari_sam2._model.weights import load_model
from napari_sam2._session import edits
from napari_sam2._tracking import tracked_memories
from napari_sam2._tracking.conditioning import Base
from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.state import Track
from napari_sam2._tracking.stepping import Bank, Outcome, Trace
from napari_sam2._tracking.tracked_memories import TrackedMemories
from napari_sam2.keeping import Keeping
from napari_sam2.memory import MemoryRules
from napari_sam2.metrics import choose_objects
from napari_sam2.passes import Anchor, Direction, Pass
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.samples import nuclei_stack
from napari_sam2.selection import SelectionRules
from napari_sam2.session import Session
from napari_sam2.steps import result_of
from napari_sam2.tracker import Tracker
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules
from tests.fakes import FakeModel, click, noisy_frames, plain_frames, seeing_model
from tests.jumping import jumping
from tests.seeing import SeeingFake, crossing

COUNT = 30
SEEING = seeing_model()


def base_of(session: Session, obj: int, frame: int) -> Base:
    found = result_of(edits.find_base(session._state, PromptKey(obj, frame)))
    assert found is not None
    return found


def bases_on_the_way(session: Session, direction: Direction = "both") -> Mapping[PromptKey, Base]:
    """Track, and note what a correction would set out from while the pass stands at each frame."""
    bases = {}
    for result in session.propagate(direction=direction):
        for obj, origin in zip(result.objects, result.origins, strict=True):
            if origin is not None:
                bases[PromptKey(obj, result.frame)] = base_of(session, obj, result.frame)
    return bases


def assert_same_bases(session: Session, expected: Mapping[PromptKey, Base], tolerance: float = 0) -> None:
    for key, before in expected.items():
        late = base_of(session, key.obj, key.frame)
        assert late.window == before.window
        assert late.embedding is not None
        assert before.embedding is not None
        np.testing.assert_array_equal(late.low_res, before.low_res)
        np.testing.assert_allclose(late.embedding, before.embedding, rtol=0, atol=tolerance)


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
def test_every_tracked_frame_is_conditioned_as_on_the_way(direction: Direction) -> None:
    session = Session(noisy_frames(COUNT), model=SEEING)
    session.set_prompts(1, 12, click(10, 8))
    session.set_prompts(2, 20, click(20, 15))
    expected = bases_on_the_way(session, direction)
    assert len(expected) >= COUNT // 2
    assert_same_bases(session, expected)


@pytest.mark.parametrize("options", [{"memory_stride": 3}, {"max_conditioning": 2}, {"memory_frames": 1}])
def test_so_it_is_under_other_rules_of_memory(options: dict[str, int]) -> None:
    session = Session(noisy_frames(COUNT), model=seeing_model(**options))
    for frame in (3, 6, 10):
        session.set_prompts(1, frame, click(10, 8))
    assert_same_bases(session, bases_on_the_way(session))


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
def test_so_it_is_where_memories_are_chosen(direction: Direction) -> None:
    # Anchors three frames apart at least, some frames not worthy, and a reach that most anchors lie beyond.
    # No predicted overlap of these weights is near the thresholds.
    rules = SelectionRules(
        quality=True, anchors=3, least_iou=0.74, anchor_iou=0.74, anchor_alone=1.0, spacing=3, reach=5
    )
    model = seeing_model(max_pointers=4)
    session = Session(noisy_frames(COUNT), model=model, memory=rules)
    session.set_prompts(1, 12, click(10, 8))
    session.set_prompts(2, 3, click(20, 15))
    expected = bases_on_the_way(session, direction)
    assert_same_bases(session, expected)
    kept = session._tracker._sweeps._memories._kept.values()
    assert len({each.merit for each in kept}) == 3
    assert any(each.distant for each in kept)


def test_so_it_is_where_windows_move() -> None:
    seen = crossing()
    session = Session(
        seen.frames, model=SeeingFake().as_model(), view=WindowRules("window", 64, 3, smallest=16)
    )
    session.set_prompts(1, 0, click(*seen.centre))
    expected = bases_on_the_way(session)
    assert len({base.window for base in expected.values()}) > 3
    assert_same_bases(session, expected, 1e-5)


def test_so_it_is_beyond_a_jump_of_the_field() -> None:
    stack = jumping(nuclei_stack(14, (224, 224), 8, seed=3), 7, 20)
    obj = choose_objects(stack.labels)[5]
    session = Session(stack.images, model=load_model("nano", device="cpu"), view="window")
    session.set_prompts(obj.id, obj.seed, click(obj.click.y, obj.click.x))
    expected = bases_on_the_way(session)
    before, after = (expected[PromptKey(obj.id, frame)].window for frame in (5, 9))
    assert before is not None
    assert after is not None
    assert abs(after[0] - before[0]) > 10
    assert_same_bases(session, expected, 1e-5)


def test_a_late_correction_gives_the_mask_of_one_in_time() -> None:
    late, in_time = (Session(noisy_frames(COUNT), model=SEEING) for _ in range(2))
    for session in (late, in_time):
        session.set_prompts(1, 0, click(10, 8))
    list(late.propagate())
    list(in_time.propagate(range(10)))
    for session in (late, in_time):
        session.set_prompts(1, 9, click(3, 3))
        list(session.propagate())
    np.testing.assert_array_equal(late.labels, in_time.labels)


def test_a_correction_that_is_undone_and_done_again_is_the_same() -> None:
    session = Session(noisy_frames(COUNT), model=SEEING)
    session.set_prompts(1, 0, click(10, 8))
    expected = bases_on_the_way(session)
    session.set_prompts(1, 9, click(3, 3))
    list(session.propagate())
    session.undo()
    session.undo()
    assert_same_bases(session, expected)
    session.set_prompts(1, 9, FramePrompts())
    assert_same_bases(session, {key: base for key, base in expected.items() if key.frame != 9})


# ---------------------------------------------------------------------- bounded


def tracked(memories: int) -> Tracker:
    model, volume = FakeModel(), Volume(plain_frames(COUNT))
    tracker = Tracker(model.as_model(), volume, volume.shape, keeping=Keeping(memories=memories))
    tracker.declare(1, 0, click(10, 8))
    list(tracker.track(tracker.plan((1,))))
    return tracker


def test_beyond_the_limit_the_oldest_go() -> None:
    everything = tracked(2**30)._sweeps._memories
    each = everything.nbytes // (COUNT - 1)
    few = tracked(5 * each + 1)._sweeps._memories
    assert few.nbytes == 5 * each
    assert [place.frame for place in few._kept] == list(range(COUNT - 5, COUNT))
    assert tracked(0)._sweeps._memories.nbytes == 0


def test_of_passes_that_were_made_anew_the_last_two_are_kept() -> None:
    session = Session(noisy_frames(8), model=FakeModel().as_model())
    kept = session._tracker._sweeps._memories._kept
    counts = []
    for revision in range(5):
        session.set_prompts(1, 3, click(8 + revision, 10))
        list(session.propagate())
        counts.append(len(kept))
    assert counts[0] > 0
    assert counts == [counts[0], 2 * counts[0], *[2 * counts[0]] * 3]
    assert len({place.key for place in kept}) == 2 * 2  # two directions


def test_without_its_memories_a_frame_is_conditioned_on_the_confirmed_ones() -> None:
    tracker = tracked(0)
    (key,) = [job.planned.key for job in tracker.plan((1,))]
    assert result_of(tracker._sweeps.standing_at(1, key, 10)).bank.tracked == ()
    full = tracked(2**30)
    assert result_of(full._sweeps.standing_at(1, key, 10)).bank.select(10).spatial[-1].frame == 9
    assert result_of(tracker.base_of(1, 10, None, key)) is not None


def track_of(memory: torch.Tensor, pointer: torch.Tensor, trace: Trace | None = None) -> Track:
    bank: Bank = MemoryBank(MemoryRules(), COUNT)
    bank.add_tracked(5, memory, pointer)
    track = Track(1, Pass(0, COUNT - 1, reverse=False, anchors=(Anchor(0, 0),)), bank, Box(1, 2, 3, 4))
    if trace is not None:
        track.note(5, trace, trace.window)
    return track


def outcome_of(memory: torch.Tensor, pointer: torch.Tensor) -> Outcome:
    blank = torch.zeros(1, 1, 4, 4)
    one = torch.ones(1, 1)
    return Outcome(Prediction(blank, blank, one, torch.zeros(1, dtype=torch.int64), one, pointer), memory)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_come_back_bit_by_bit_also_from_the_file(dtype: torch.dtype) -> None:
    memory, pointer = torch.randn(1, 3, 5, 7).bfloat16(), torch.randn(1, 11).to(dtype)
    trace = Trace(torch.randn(1, 1, 4, 4), torch.randn(1, 1), Box(1, 2, 3, 4), binarize=False)
    memories, track = TrackedMemories(2**20), track_of(memory, pointer, trace)
    memories._store = spill.SpillStore(0)
    memories.note(track, 5, outcome_of(memory, pointer))
    other = track_of(memory, pointer)
    other.obj = 2
    memories.note(other, 5, outcome_of(torch.ones_like(memory), torch.ones_like(pointer)))
    assert memories._store.bytes_on_disk > 0
    again = track_of(torch.zeros_like(memory), torch.zeros_like(pointer))
    memories.recall(again, track.planned.key, range(10))
    assert torch.equal(again.bank.features(5), memory)
    assert torch.equal(again.bank.pointer(5), pointer)
    assert again.bank.pointer(5).dtype == dtype
    assert torch.equal(again.traces[5].low_res, trace.low_res)
    assert again.encoded[5] == trace.window
    assert memories.look(1, track.planned.key, 5) == (trace.window, {})


def test_a_full_disk_ends_the_keeping_and_not_the_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spill._SpillFile, "append", full)
    monkeypatch.setattr(tracked_memories, "_IN_MEMORY", 0)
    with pytest.warns(UserWarning, match="not kept any more .*No space left") as told:
        tracker = tracked(2**20)
    assert len(told) == 1
    assert tracker._sweeps._memories.nbytes == 0
