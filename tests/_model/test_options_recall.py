"""What a frame attends to: every option of the memory bank, against tokens put together by hand."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.stepping import Bank, memory_rules, recall_one
from tests._model.small import DIM, GRID, MEMORY_DIM, features, memories, normal, small_model
from tests.one_step import step_objects

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2._model.memory_attention import MemoryTokens
    from napari_sam2._model.sam2 import Sam2

CONDITIONING = (3, 10, 16, 20)
GAPS = (8, 12)
NUM_FRAMES = 24


@dataclass(frozen=True)
class Kept:
    """A frame's memory (M, g, g) and pointer (C,)."""

    spatial: Tensor
    pointer: Tensor


@dataclass(frozen=True)
class Past:
    conditioning: dict[int, Kept]
    tracked: dict[int, Kept]
    num_frames: int

    def bank(self, model: Sam2) -> Bank:
        bank: Bank = MemoryBank(memory_rules(model), self.num_frames)
        for frame, kept in self.conditioning.items():
            bank.add_conditioning(frame, kept.spatial[None], kept.pointer[None])
        for frame, kept in self.tracked.items():
            bank.add_tracked(frame, kept.spatial[None], kept.pointer[None])
        return bank


def make_past(
    frame: int, *, conditioning: tuple[int, ...] = CONDITIONING, num_frames: int = NUM_FRAMES
) -> Past:
    """Make up memories of all frames but `frame` and a few, on both sides of it."""
    kept = {
        t: Kept(normal(f"m{t}", MEMORY_DIM, GRID, GRID).bfloat16(), normal(f"p{t}", DIM))
        for t in range(num_frames)
        if t != frame and t not in GAPS
    }
    prompted = {t: kept.pop(t) for t in conditioning}
    return Past(prompted, kept, num_frames)


# ------------------------------------------------------------------- by hand


@dataclass(frozen=True)
class Tokens:
    values: list[Tensor]
    codes: list[Tensor]
    pointer_tokens: int


def place_code(channel: int, y: int, x: int) -> float:
    """Sine code of a cell: rows in the first half of the channels."""
    half = MEMORY_DIM // 2
    step, j = (y, channel) if channel < half else (x, channel - half)
    angle = (step + 1) / (GRID + 1e-6) * 2 * pi / 10000 ** (2 * (j // 2) / half)
    return sin(angle) if j % 2 == 0 else cos(angle)


PLACES = {
    (y, x): torch.tensor([place_code(c, y, x) for c in range(MEMORY_DIM)])
    for y in range(GRID)
    for x in range(GRID)
}


def time_code(time: float, width: int) -> Tensor:
    half = width // 2
    angles = [time / 10000 ** (2 * (j // 2) / half) for j in range(half)]
    return torch.tensor([sin(a) for a in angles] + [cos(a) for a in angles])


def closest(frame: int, candidates: list[int], limit: int) -> list[int]:
    if limit == -1 or len(candidates) <= limit:
        return sorted(candidates)
    chosen = [max(t for t in candidates if t < frame), min(t for t in candidates if t >= frame)]
    while len(chosen) < limit:
        chosen.append(min((t for t in candidates if t not in chosen), key=lambda t: (abs(t - frame), t)))
    return sorted(chosen)


def slot(frame: int, t_rel: int, stride: int, *, reverse: bool) -> int:
    if t_rel == 1:
        return frame + 1 if reverse else frame - 1
    if reverse:
        return -(-(frame + 2) // stride) * stride + (t_rel - 2) * stride
    return ((frame - 2) // stride) * stride - (t_rel - 2) * stride


def attended(model: Sam2, past: Past, frame: int, *, reverse: bool) -> Tokens:
    """List tokens as they are defined: conditioning frames, tracked ones from the oldest, then pointers."""
    config = model.config
    chosen = closest(frame, list(past.conditioning), config.max_conditioning)
    ordinary = past.tracked | {t: kept for t, kept in past.conditioning.items() if t not in chosen}
    rows = [(past.conditioning[t], config.memory_rows - 1) for t in chosen]
    for t_pos in range(1, config.memory_frames):
        t_rel = config.memory_frames - t_pos
        kept = ordinary.get(slot(frame, t_rel, config.memory_stride, reverse=reverse))
        rows += [] if kept is None else [(kept, t_rel - 1)]
    values, codes = [], []
    for kept, row in rows:
        for (y, x), place in PLACES.items():
            values.append(kept.spatial[:, y, x].float())
            codes.append(place + model.maskmem_tpos_enc[row, 0, 0])
    pointers = pointer_distances(model, past, chosen, ordinary, frame, reverse=reverse)
    for pointer, distance in pointers:
        values += list(pointer.split(MEMORY_DIM))
        codes += [pointer_code(model, distance, past.num_frames)] * (DIM // MEMORY_DIM)
    return Tokens(values, codes, len(pointers) * DIM // MEMORY_DIM)


def pointer_distances(
    model: Sam2, past: Past, chosen: list[int], ordinary: dict[int, Kept], frame: int, *, reverse: bool
) -> list[tuple[Tensor, int]]:
    config = model.config
    if not config.use_pointers:
        return []
    found = []
    for t in chosen:
        is_past = t >= frame if reverse else t <= frame
        if is_past or not config.past_pointers_only:
            found.append((past.conditioning[t].pointer, (frame - t) * (-1 if reverse else 1)))
    for t_diff in range(1, min(past.num_frames, config.max_pointers)):
        t = frame + t_diff if reverse else frame - t_diff
        if t in ordinary:
            found.append((ordinary[t].pointer, t_diff))
    return found


def pointer_code(model: Sam2, distance: int, num_frames: int) -> Tensor:
    config = model.config
    if not config.encode_pointer_time:
        return torch.zeros(MEMORY_DIM)
    longest = max(min(num_frames, config.max_pointers) - 1, 1)
    time = (distance if config.sign_pointer_time else abs(distance)) / longest
    if not config.project_pointer_time:
        return time_code(time, MEMORY_DIM)
    layer = model.obj_ptr_tpos_proj
    return layer.weight @ time_code(time, DIM) + layer.bias


# --------------------------------------------------------------------- tests


def listen(model: Sam2, monkeypatch: pytest.MonkeyPatch) -> list[MemoryTokens]:
    """Record what memory attention is given."""
    heard: list[MemoryTokens] = []
    real = model.memory_attention.forward

    def forward(current: Tensor, code: Tensor, memory: MemoryTokens) -> Tensor:
        heard.append(memory)
        return real(current, code, memory)

    monkeypatch.setattr(model.memory_attention, "forward", forward)
    return heard


def check_attended(
    model: Sam2, past: Past, frame: int, monkeypatch: pytest.MonkeyPatch, *, reverse: bool = False
) -> None:
    heard = listen(model, monkeypatch)
    embedding = recall_one(model, features(model), frame, past.bank(model), reverse=reverse)
    wanted = attended(model, past, frame, reverse=reverse)
    assert len(heard) == 1
    assert heard[0].unplaced == wanted.pointer_tokens
    torch.testing.assert_close(heard[0].values[0], torch.stack(wanted.values), rtol=0, atol=1e-6)
    torch.testing.assert_close(heard[0].codes[0], torch.stack(wanted.codes), rtol=0, atol=2e-6)
    assert torch.isfinite(embedding).all()


OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"memory_frames": 4},
    {"memory_frames": 2},
    {"memory_frames": 1},
    {"memory_stride": 2},
    {"memory_stride": 3},
    {"memory_stride": 5, "memory_frames": 4},
    {"max_conditioning": 2},
    {"max_conditioning": 3},
    {"max_conditioning": 2, "memory_stride": 3},
    {"use_pointers": False},
    {"max_pointers": 5},
    {"max_pointers": 1},
    {"max_pointers": 40},
    {"past_pointers_only": False},
    {"past_pointers_only": False, "sign_pointer_time": False},
    {"past_pointers_only": False, "project_pointer_time": False},
    {"past_pointers_only": False, "encode_pointer_time": False, "project_pointer_time": False},
    {"past_pointers_only": False, "max_conditioning": 2, "memory_stride": 2, "max_pointers": 6},
)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("frame", [9, 14])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_attended_tokens(
    options: dict[str, Any], frame: int, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_attended(small_model(**options), make_past(frame), frame, monkeypatch, reverse=reverse)


def test_options_change_what_is_attended() -> None:
    """The cases above are different ones: none gives the same tokens as another."""
    past, seen = make_past(14), set()
    for options in OPTIONS:
        tokens = attended(small_model(**options), past, 14, reverse=False)
        seen.add(torch.cat(tokens.values + tokens.codes).numpy().tobytes())
    assert len(seen) == len(OPTIONS)


@pytest.mark.parametrize("frame", [0, 1, 23])
def test_ends_of_the_sequence(frame: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame before all prompts attends to memories and no pointer."""
    past = make_past(frame, conditioning=(16,))
    check_attended(small_model(), past, frame, monkeypatch)


def test_frame_before_the_only_prompt_has_no_pointer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    heard = listen(model, monkeypatch)
    past = Past({5: make_past(0).tracked[5]}, {}, NUM_FRAMES)
    assert torch.isfinite(recall_one(model, features(model), 2, past.bank(model), reverse=False)).all()
    assert heard[0].unplaced == 0
    assert heard[0].values.shape == (1, GRID * GRID, MEMORY_DIM)


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_short_sequences(num_frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest distance of a pointer is told from the sequence, and never 0."""
    past = Past({0: make_past(9).conditioning[3]}, {}, num_frames)
    check_attended(small_model(), past, num_frames - 1, monkeypatch)


def test_image_mode_has_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no memory frames the features stay as they are, on the first frame and on later ones."""
    model = small_model(memory_frames=0)
    heard = listen(model, monkeypatch)
    frame = features(model)
    assert torch.equal(model.recall(frame, None), frame.embedding)
    assert torch.equal(model.recall(frame, memories(model)), frame.embedding)
    bank = make_past(14).bank(model)
    assert torch.equal(recall_one(model, frame, 14, bank, reverse=False), frame.embedding)
    outcomes = step_objects(model, frame, 14, [bank], reverse=False, group_size=1)
    assert outcomes[0].memory is None
    assert not heard


def test_first_frame_adds_the_learned_absence_of_memory() -> None:
    model = small_model()
    frame = features(model)
    wanted = frame.embedding + model.no_mem_embed.reshape(1, DIM, 1, 1)
    torch.testing.assert_close(model.recall(frame, None), wanted)


def test_first_frame_may_attend_to_one_learned_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a single key every query gets its value, whatever the codes."""
    model = small_model(attend_no_memory=True, memory_dim=DIM)
    heard = listen(model, monkeypatch)
    embedding = model.recall(features(model), None)
    assert torch.equal(heard[0].values, model.no_mem_embed)
    assert torch.equal(heard[0].codes, model.no_mem_pos_enc)
    layer: Any = model.memory_attention.layers[0]
    attention = layer.cross_attn_image
    updates: list[Tensor] = []
    attention.register_forward_hook(lambda _module, _inputs, output: updates.append(output))
    assert torch.equal(model.recall(features(model), None), embedding)
    value = attention.out_proj(attention.v_proj(model.no_mem_embed))
    torch.testing.assert_close(updates[0], value.expand(1, GRID * GRID, -1), rtol=1e-5, atol=1e-5)


def test_conditioning_beyond_the_limit_serves_as_ordinary_memory() -> None:
    """Frame 10 is not among the two nearest of frame 13, but three frames before it."""
    model = small_model(max_conditioning=2)
    chosen = make_past(13, conditioning=(10, 11, 16)).bank(model).select(13)
    assert [(m.frame, m.row) for m in chosen.spatial if m.conditioning] == [(11, 6), (16, 6)]
    assert (10, 2, False) in [(m.frame, m.row, m.conditioning) for m in chosen.spatial]
    assert (10, 3, False) in [(p.frame, p.distance, p.conditioning) for p in chosen.pointers]
