"""Objects through frames: answers prompts, tracks passes, keeps memories that later frames can attend to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from napari_sam2.conditioning import Base, answer_prompts, whole_grid
from napari_sam2.features import FeatureCache
from napari_sam2.memory import MemoryBank
from napari_sam2.passes import Anchor, Pass, PassKey, Seed, plan_gaps, plan_sweep
from napari_sam2.placement import PlacedLogits
from napari_sam2.stepping import Row, encode_prompted, gather_rows, memory_rules, recall_one, step_objects
from napari_sam2.tracker_state import Confirmed, Job, Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from napari_sam2._model.results import Prediction
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.features import FrameSource
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.stepping import Bank


class Tracker:
    """Objects x frames over one sequence.

    It knows prompts and memories, no labels. Calls must not overlap; `Session` sees to that.

    Parameters
    ----------
    model : Sam2
        Network; its `runtime` says where and how precisely it runs.
    frames : FrameSource
        Where frames are read.
    shape : (int, int, int)
        Number of frames, height, width.
    group_size : int, optional
        Objects that go through the network at once; by default what suits the device. Answers do not
        depend on it.
    features : FeatureCache, optional
        Image features to share; by default a cache of its own.
    """

    def __init__(
        self,
        model: Sam2,
        frames: FrameSource,
        shape: tuple[int, int, int],
        *,
        group_size: int | None = None,
        features: FeatureCache | None = None,
    ) -> None:
        self.model = model
        self.features = features or FeatureCache(model, frames)
        self.rules = memory_rules(model)
        self._num_frames, self._frame_shape = shape[0], shape[1:]
        self._group_size = group_size or model.runtime.group_size
        self._confirmed: dict[int, dict[int, Confirmed]] = {}
        self._tracks: dict[tuple[int, PassKey], Track] = {}

    def prompt(
        self, obj: int, frame: int, prompts: FramePrompts, *, revision: int = 0, base: Base | None = None
    ) -> FrameResult:
        """Answer an object's prompts on a frame and confirm the frame.

        Parameters
        ----------
        obj, frame : int
            Whose prompts, and where.
        prompts : FramePrompts
            All prompts of the object there.
        revision : int
            Number of this state of the prompts: the same number must stand for the same prompts and base.
        base : Base, optional
            From `base_of`, where the frame was tracked before its first correction.
        """
        self.declare(obj, frame, prompts, revision=revision, base=base)
        return self.confirmed_result(obj, frame)

    def declare(
        self, obj: int, frame: int, prompts: FramePrompts, *, revision: int = 0, base: Base | None = None
    ) -> None:
        """Confirm a frame as `prompt` does, but answer its prompts only when the answer is needed."""
        self.forget(obj, frame)
        anchor = Anchor(frame, revision, present=not prompts.says_absent)
        self._confirmed.setdefault(obj, {})[frame] = Confirmed(anchor, prompts, base)

    def forget(self, obj: int, frame: int) -> None:
        """Drop what was confirmed for an object on a frame, and the memories that depend on it."""
        self._confirmed.get(obj, {}).pop(frame, None)
        if not self._confirmed.get(obj, True):
            del self._confirmed[obj]
        self._prune(obj)

    def remove(self, obj: int) -> None:
        """Drop all that is known of an object."""
        self._confirmed.pop(obj, None)
        self._prune(obj)

    def confirmed_result(self, obj: int, frame: int) -> FrameResult:
        """Return the answer for a confirmed frame, with the candidates of an ambiguous click."""
        prediction = self._answer(obj, frame)
        result = gather_rows(frame, [Row(obj, prediction)], self._frame_shape)
        candidates = prediction.masks[0].float().cpu().numpy()
        return replace(result, candidates=candidates) if len(candidates) > 1 else result

    def _answer(self, obj: int, frame: int) -> Prediction:
        """Return the answer to a confirmed frame's prompts, made when it is first needed."""
        confirmed = self._confirmed[obj][frame]
        if confirmed.prediction is not None:
            return confirmed.prediction
        with torch.inference_mode(), self.model.runtime.autocast():
            features = self.features.get(frame)
            prediction = answer_prompts(
                self.model, features, confirmed.prompts, self._frame_shape, confirmed.base
            )
        self._confirmed[obj][frame] = replace(confirmed, prediction=prediction)
        return prediction

    @property
    def objects(self) -> tuple[int, ...]:
        """Objects with at least one confirmed frame, in order."""
        return tuple(sorted(self._confirmed))

    def anchors(self, obj: int) -> tuple[Anchor, ...]:
        """Return the confirmed frames of an object, in order."""
        return tuple(sorted(confirmed.anchor for confirmed in self._confirmed.get(obj, {}).values()))

    def base_of(self, obj: int, frame: int, placed: PlacedLogits | None, origin: PassKey) -> Base | None:
        """Return what a first correction of a tracked frame sets out from.

        The features are conditioned on the memories that are still held: those of the pass if it stands at
        this frame, else those of its confirmed frames alone.

        Parameters
        ----------
        obj, frame : int
            Whose answer, and where.
        placed : PlacedLogits or None
            The tracked logits, or None where nothing was found.
        origin : PassKey
            The pass that made them.

        Returns
        -------
        Base or None
            None if no confirmed frame of the pass is left.
        """
        track = self._tracks.get((obj, origin))
        bank = track.bank if track else self._new_bank(obj, origin.anchors)
        if not bank.conditioning:
            return None
        features = self.features.get(frame)
        embedding = recall_one(self.model, features, frame, bank, reverse=origin.reverse)
        low_res = whole_grid(placed, 4 * embedding.shape[-1])
        return Base(low_res, embedding[0].float().cpu().numpy())

    def plan(
        self, objects: Sequence[int], direction: Direction = "both", limits: range | None = None
    ) -> tuple[Job, ...]:
        """Plan a propagation of objects; see `napari_sam2.passes`.

        Parameters
        ----------
        objects : sequence of int
            Those without a confirmed frame have no pass.
        direction : {"both", "forward", "backward"}
            See `Session.propagate`.
        limits : range, optional
            Frames that may be computed.
        """
        if direction == "both":
            reach = self._reach()
            return tuple(
                Job(obj, planned)
                for obj in objects
                for planned in plan_gaps(
                    self.anchors(obj), num_frames=self._num_frames, reach=reach, limits=limits
                )
            )
        return self._plan_sweeps(objects, reverse=direction == "backward", limits=limits)

    def _plan_sweeps(self, objects: Sequence[int], *, reverse: bool, limits: range | None) -> tuple[Job, ...]:
        prompted = [anchor.frame for obj in objects for anchor in self.anchors(obj) if anchor.present]
        if not prompted:
            return ()
        first, last = min(prompted), max(prompted)
        start = last if reverse else first
        jobs = [
            Job(obj, planned)
            for obj in objects
            for planned in plan_sweep(
                self.anchors(obj), num_frames=self._num_frames, start=start, reverse=reverse, limits=limits
            )
        ]
        if reverse:
            return tuple(self._attend_forward(job) for job in jobs)
        return tuple(replace(job, planned=replace(job.planned, returns=last)) for job in jobs)

    def _attend_forward(self, job: Job) -> Job:
        """Let a backward sweep attend to the forward one that was made before it, as the reference does."""
        for obj, key in self._tracks:
            if obj == job.obj and not key.reverse and key.anchors == job.planned.anchors:
                front = self._tracks[obj, key].front
                last = min(job.planned.first + self._reach(), -1 if front is None else front)
                if last > job.planned.first:
                    return replace(job, planned=replace(job.planned, seed=Seed(key.first, last)))
        return job

    def _reach(self) -> int:
        """Return how many frames behind itself a frame can attend to."""
        if self.rules.frames == 0:
            return 0
        spatial = self.rules.stride * max(self.rules.frames - 1, 0)
        return max(spatial, self.rules.pointer_reach(self._num_frames) if self.rules.use_pointers else 0)

    def track(self, jobs: Sequence[Job]) -> Iterator[FrameResult]:
        """Carry out passes, forward ones first, frame by frame with all objects of a frame together.

        Yields
        ------
        FrameResult
            One per direction and frame, with the objects computed there and those confirmed there.
        """
        told: set[tuple[int, int]] = set()
        try:
            yield from self._sweep([job for job in jobs if not job.planned.reverse], told)
            backward = [job for job in jobs if job.planned.reverse]
            for _ in self._sweep(self._missing_seeds(backward), None):
                pass
            yield from self._sweep(backward, told)
        finally:
            self.features.stop_reading()

    def _missing_seeds(self, jobs: Sequence[Job]) -> list[Job]:
        """Forward passes that must be made, or made on, before these backward ones can attend to them."""
        missing = []
        for job in jobs:
            track = self._seed_track(job)
            seed = job.planned.seed
            if seed is None or (track and track.front is not None and track.front >= seed.last):
                continue
            first, anchors = job.planned.first, job.planned.anchors
            planned = Pass(seed.first, seed.last, reverse=False, anchors=anchors, returns=first)
            frames = [f for f in planned.frames if track and track.front is not None and f > track.front]
            missing.append(Job(job.obj, planned, frames[0] if frames else None))
        return missing

    def _seed_track(self, job: Job) -> Track | None:
        """Return the forward pass that a backward one attends to, if it kept the memories for its start."""
        seed = job.planned.seed
        if seed is None:
            return None
        key = PassKey(seed.first, reverse=False, anchors=job.planned.anchors)
        track = self._tracks.get((job.obj, key))
        return track if track and track.planned.returns == job.planned.first else None

    def _sweep(self, jobs: Sequence[Job], told: set[tuple[int, int]] | None) -> Iterator[FrameResult]:
        """Track passes of one direction together; `told` is None for seeds, which nobody is told of."""
        jobs = [job for job in jobs if job.planned.key.reaches(job.planned.first, self.anchors(job.obj))]
        tracks = [self._open(job) for job in jobs]
        ahead = {id(track): track.ahead for track in tracks}
        confirmed = {} if told is None else self._confirmed_on_the_way(tracks, jobs, told)
        frames = {frame for frames in ahead.values() for frame in frames} | set(confirmed)
        order = sorted(frames, reverse=any(job.planned.reverse for job in jobs))
        for index, frame in enumerate(order):
            active = [track for track in tracks if frame in ahead[id(track)] and self._is_valid(track)]
            if told is not None:
                active = [t for t in active if t.planned.key.reaches(frame, self.anchors(t.obj))]
            if active:
                self.features.read_ahead(order[index + 1 : index + 2])
            rows = [self._as_confirmed(row, frame) for row in self._advance(frame, active)]
            here = set(confirmed.get(frame, ())) - {row.obj for row in rows}
            here = {obj for obj in here if frame in self._confirmed.get(obj, {})}
            rows += [Row(obj, self._answer(obj, frame)) for obj in here]
            if rows:
                yield gather_rows(frame, rows, self._frame_shape)
        for track in tracks:
            self._close(track)

    def _as_confirmed(self, row: Row, frame: int) -> Row:
        """Put what the user said while the pass was under way in place of what it tracked."""
        if frame not in self._confirmed.get(row.obj, {}):
            return row
        return Row(row.obj, self._answer(row.obj, frame))

    def _is_valid(self, track: Track) -> bool:
        """Whether nothing that the pass depends on has changed since it was opened."""
        return self._tracks.get((track.obj, track.planned.key)) is track

    def _confirmed_on_the_way(
        self, tracks: Sequence[Track], jobs: Sequence[Job], told: set[tuple[int, int]]
    ) -> dict[int, list[int]]:
        """Find the confirmed (frame: objects) on the way of the passes that were not told yet."""
        found: dict[int, list[int]] = {}
        for track, job in zip(tracks, jobs, strict=True):
            for frame in track.planned.span:
                is_confirmed = frame in self._confirmed.get(track.obj, {})
                if is_confirmed and job.begin is None and (track.obj, frame) not in told:
                    told.add((track.obj, frame))
                    found.setdefault(frame, []).append(track.obj)
        return found

    def _open(self, job: Job) -> Track:
        """Go on with a pass whose memories are held at the right frame, or begin it."""
        held = self._tracks.get((job.obj, job.planned.key))
        if held and job.begin is not None and held.planned.returns == job.planned.returns:
            held.planned = job.planned  # which may end elsewhere
            if held.continues_at(job.begin):
                return held
        track = Track(job.obj, job.planned, self._seeded_bank(job))
        self._tracks[job.obj, job.planned.key] = track
        return track

    def _new_bank(self, obj: int, anchors: Sequence[Anchor]) -> Bank:
        bank: Bank = MemoryBank(self.rules, self._num_frames)
        for anchor in set(anchors).intersection(self.anchors(obj)):
            memory = self._memory_of(obj, anchor.frame)
            bank.add_conditioning(anchor.frame, memory, self._answer(obj, anchor.frame).pointer)
        return bank

    def _seeded_bank(self, job: Job) -> Bank:
        """Return the bank that a pass begins with: anchors and, where attended, forward memories."""
        seed, source = job.planned.seed, self._seed_track(job)
        if seed is None or source is None:
            return self._new_bank(job.obj, job.planned.anchors)
        bank = source.bank.copy()
        for frame in {*bank.tracked, *bank.tracked_pointers}:
            if not job.planned.first < frame <= seed.last:
                bank.discard(frame)
        return bank

    def _close(self, track: Track) -> None:
        """Let go of a finished pass, unless a backward one may start from it."""
        if track.is_done and track.planned.returns is None and self._is_valid(track):
            del self._tracks[track.obj, track.planned.key]

    def _prune(self, obj: int) -> None:
        """Let go of passes whose anchors have changed."""
        current = set(self.anchors(obj))
        stale = [key for key in self._tracks if key[0] == obj and not current.issuperset(key[1].anchors)]
        for key in stale:
            del self._tracks[key]

    def _memory_of(self, obj: int, frame: int) -> Tensor:
        """Return the spatial memory of a confirmed frame, made when it is first needed."""
        prediction = self._answer(obj, frame)
        confirmed = self._confirmed[obj][frame]
        if confirmed.memory is not None:
            return confirmed.memory
        memory = encode_prompted(self.model, self.features.get(frame), prediction)
        self._confirmed[obj][frame] = replace(confirmed, memory=memory)
        return memory

    def _advance(self, frame: int, tracks: Sequence[Track]) -> list[Row]:
        """Track objects onto a frame and remember them."""
        if not tracks:
            return []
        outcomes = step_objects(
            self.model,
            self.features.get(frame),
            frame,
            [track.bank for track in tracks],
            reverse=tracks[0].planned.reverse,
            group_size=self._group_size,
        )
        for track, outcome in zip(tracks, outcomes, strict=True):
            track.remember(frame, outcome)
        return [Row(t.obj, o.prediction, t.planned.key) for t, o in zip(tracks, outcomes, strict=True)]

    def empty_result(self, frame: int) -> FrameResult:
        """Return a result without objects."""
        return gather_rows(frame, [], self._frame_shape)

    def place(self, low_res: npt.NDArray[np.float32]) -> PlacedLogits:
        """Place logits on the network's grid over a frame."""
        return PlacedLogits(low_res, (0, 0, *self._frame_shape), self._frame_shape)
