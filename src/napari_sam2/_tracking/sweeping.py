"""Passes carried out: opened, taken from frame to frame together, kept for those that go on from them."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2._tracking.state import Job, Track
from napari_sam2._tracking.stepping import gather_rows
from napari_sam2.passes import Anchor, Pass, PassKey
from napari_sam2.placement import AT_REST

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from napari_sam2._tracking.advancing import Advance
    from napari_sam2._tracking.confirmed import ConfirmedFrames
    from napari_sam2._tracking.stepping import Bank, Row
    from napari_sam2._tracking.tracked_memories import TrackedMemories
    from napari_sam2.features import FeatureCache
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.memory import MemoryRules
    from napari_sam2.placement import Box
    from napari_sam2.window import Windows


class Sweeps:
    """Passes of objects over one sequence, and what they remember.

    Parameters
    ----------
    rules : MemoryRules
        Which memories are kept.
    shape : (int, int, int)
        Number of frames, height, width.
    features : FeatureCache
        Of the frames.
    confirmed : ConfirmedFrames
        What passes set out from.
    advance : Advance
        Takes passes from one frame to the next.
    windows : Windows
        What they look at.
    memories : TrackedMemories
        What passes remembered of frames that they have left.
    """

    def __init__(
        self,
        rules: MemoryRules,
        shape: tuple[int, int, int],
        features: FeatureCache,
        confirmed: ConfirmedFrames,
        advance: Advance,
        windows: Windows,
        memories: TrackedMemories,
    ) -> None:
        self._rules = rules
        self._num_frames, self._frame_shape = shape[0], shape[1:]
        self._features = features
        self._confirmed = confirmed
        self._advance = advance
        self._windows = windows
        self._memories = memories
        self._tracks: dict[tuple[int, PassKey], Track] = {}

    def run(self, jobs: Sequence[Job]) -> Generator[FrameResult | None, None, None]:
        """Carry out passes in beats; see `Tracker.track_in_beats`."""
        told: set[tuple[int, int]] = set()
        try:
            yield from self._sweep([job for job in jobs if not job.planned.reverse], told)
            backward = [job for job in jobs if job.planned.reverse]
            for _ in self._sweep(self._missing_seeds(backward), None):
                yield None
            yield from self._sweep(backward, told)
        finally:
            self._features.stop_reading()

    @property
    def held(self) -> dict[tuple[int, PassKey], Track]:
        """Passes with their memories, by object and pass; one that is put in goes on where it stands."""
        return self._tracks

    def forward_tracks(self, obj: int, anchors: Sequence[Anchor]) -> list[Track]:
        """List the forward passes from these anchors that are held."""
        return [
            track
            for (owner, key), track in self._tracks.items()
            if owner == obj and not key.reverse and key.anchors == tuple(anchors)
        ]

    def standing_at(self, obj: int, key: PassKey, frame: int) -> Generator[None, None, Track]:
        """Return, after steps, a pass with what it remembered at a frame, as far as that is still kept."""
        held = self._tracks.get((obj, key))
        if held is not None and held.front == frame:
            return held.copy()  # the pass goes on
        yield from self._confirmed.make_ready(obj, [anchor.frame for anchor in key.anchors])
        last = key.first + (1 if key.reverse else -1)
        track = self._begin(Job(obj, Pass(key.first, last, key.reverse, key.anchors)), None)
        looked = self._memories.look(obj, key, frame)
        if looked is not None:
            track.window, track.jumps = looked.window, dict(looked.jumps)
            track.jump = track.jumps.get(frame, AT_REST)
        reach = self._rules.reach(self._num_frames)
        near = range(frame + 1, frame + 1 + reach) if key.reverse else range(frame - reach, frame)
        behind = (*near, *self._memories.distant(obj, key, frame))
        self._memories.recall(track, key, behind)
        if key.seed is not None:
            forward = PassKey(key.seed.first, reverse=False, anchors=key.anchors)
            seeds = range(key.first + 1, key.seed.last + 1)
            self._memories.recall(track, forward, [each for each in behind if each in seeds])
        return track

    def attended(self, obj: int, key: PassKey, frame: int) -> dict[int, Box]:
        """Tell in which windows memories had been made again, by frame, when a pass stood at `frame`."""
        return self._memories.attended(obj, key, frame)

    def _missing_seeds(self, jobs: Sequence[Job]) -> list[Job]:
        """List the forward passes that backward ones will attend to and that have not come far enough."""
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

    def _sweep(self, jobs: Sequence[Job], told: set[tuple[int, int]] | None) -> Iterator[FrameResult | None]:
        """Track passes of one direction together.

        Confirmed frames on their way are part of the results: each (object, frame) once, as noted in `told`.
        `told` is None for seeds, forward passes that are made only so that a backward one can attend to them:
        their results are nobody's.
        """
        tracks: list[Track] = []
        confirmed: dict[int, list[int]] = {}
        for job in jobs:
            for _ in self._confirmed.make_ready(job.obj, [anchor.frame for anchor in job.planned.anchors]):
                yield None
            if track := self._open(job):
                tracks.append(track)
                yield None
                if told is not None:
                    self._find_confirmed(track, job, told, confirmed)
        coming = _tracks_by_frame(tracks)
        order = sorted(coming.keys() | confirmed.keys(), reverse=any(job.planned.reverse for job in jobs))
        for index, frame in enumerate(order):
            following = order[index + 1 : index + 2]
            rows = yield from self._onto(frame, coming.get(frame, ()), following, seeds=told is None)
            here = set(confirmed.get(frame, ())) - {row.obj for row in rows}
            rows += [self._confirmed.row(obj, frame) for obj in here if self._confirmed.has(obj, frame)]
            if rows:
                yield gather_rows(frame, rows, self._frame_shape)
        for track in tracks:
            self._close(track)

    def _onto(
        self, frame: int, tracks: Sequence[Track], following: Sequence[int], *, seeds: bool
    ) -> Generator[None, None, list[Row]]:
        """Take those of some tracks that are due onto a frame, and read the following one meanwhile."""
        is_due = partial(self._is_due, frame=frame, seeds=seeds)
        active = [track for track in tracks if is_due(track)]
        if not active:
            return []
        self._features.read_ahead(following, [track.window for track in active])
        rows = yield from self._advance.onto(frame, active, is_due)
        return [self._as_confirmed(row, frame) for row in rows]

    def _is_due(self, track: Track, frame: int, *, seeds: bool) -> bool:
        """Whether a frame is the track's next one, and nothing that its answer depends on has changed.

        Seeds go on through frames that the object is said not to be on.
        """
        key = track.planned.key
        is_valid = self._tracks.get((track.obj, key)) is track and track.upcoming == frame
        return is_valid and (seeds or key.reaches(frame, self._confirmed.anchors(track.obj)))

    def _as_confirmed(self, row: Row, frame: int) -> Row:
        """Put what the user said while the pass was under way in place of what it tracked."""
        return self._confirmed.row(row.obj, frame) if self._confirmed.has(row.obj, frame) else row

    def _find_confirmed(
        self, track: Track, job: Job, told: set[tuple[int, int]], found: dict[int, list[int]]
    ) -> None:
        """Note the confirmed (frame: objects) on the way of a pass that were not told yet."""
        for frame in track.planned.span:
            is_confirmed = self._confirmed.has(track.obj, frame)
            if is_confirmed and job.begin is None and (track.obj, frame) not in told:
                told.add((track.obj, frame))
                found.setdefault(frame, []).append(track.obj)

    def _open(self, job: Job) -> Track | None:
        """Go on with a pass whose memories are held at the right frame, or begin it.

        None if what it depends on has changed since it was planned.
        """
        if not job.planned.key.reaches(job.planned.first, self._confirmed.anchors(job.obj)):
            return None
        held = self._tracks.get((job.obj, job.planned.key))
        if held and job.begin is not None and held.planned.returns == job.planned.returns:
            held.planned = job.planned  # which may end elsewhere
            if held.continues_at(job.begin):
                return held
        source = self._seed_track(job)
        if job.planned.seed is not None and source is None:
            return None  # taken back and said again while the seeds were made
        track = self._begin(job, source)
        self._tracks[job.obj, job.planned.key] = track
        return track

    def _begin(self, job: Job, source: Track | None) -> Track:
        """Make a pass that remembers its anchors and, where attended, what a forward pass has left."""
        anchors = set(job.planned.anchors).intersection(self._confirmed.anchors(job.obj))
        if source is None:
            bank: Bank = MemoryBank(self._rules, self._num_frames)
            for anchor in anchors:
                memory = self._confirmed.memory(job.obj, anchor.frame)
                pointer = self._confirmed.answer(job.obj, anchor.frame).prediction.pointer
                bank.add_conditioning(anchor.frame, memory, pointer)
        else:
            bank = self._seeded_bank(job, source)
        nearest = min(
            anchors, key=lambda anchor: (abs(anchor.frame - job.planned.first), anchor.frame), default=None
        )
        window = (
            self._windows.whole if nearest is None else self._confirmed.answer(job.obj, nearest.frame).window
        )
        track = Track(job.obj, job.planned, bank, window)
        if nearest is not None:
            track.jumps[nearest.frame] = track.jump
        self._trace(track, source)
        return track

    def _trace(self, track: Track, source: Track | None) -> None:
        """Note what the memories that a pass begins with were made from, should its window move."""
        if not self._windows.moves:
            return
        for frame in track.bank.conditioning:
            trace = self._confirmed.trace(track.obj, frame)
            track.note(frame, trace, trace.window)
        if source is not None:
            track.traces = {**source.traces, **track.traces}
            track.encoded, track.jumps = {**source.encoded}, {**source.jumps, **track.jumps}
            track.drop_traces()

    def _seeded_bank(self, job: Job, source: Track) -> Bank:
        bank = source.bank.copy()
        seed = job.planned.seed
        for frame in {*bank.tracked, *bank.tracked_pointers}:
            if seed is None or not job.planned.first < frame <= seed.last:
                bank.discard(frame)
        return bank

    def _close(self, track: Track) -> None:
        """Let go of a finished pass, unless a backward one may start from it."""
        place = (track.obj, track.planned.key)
        if track.is_done and track.planned.returns is None and self._tracks.get(place) is track:
            del self._tracks[place]

    def prune(self, obj: int) -> None:
        """Let go of passes whose anchors have changed."""
        held = [key for key in self._tracks if key[0] == obj]
        current = set(self._confirmed.anchors(obj)) if held else set()
        for key in held:
            if not current.issuperset(key[1].anchors):
                del self._tracks[key]


def _tracks_by_frame(tracks: Sequence[Track]) -> dict[int, list[Track]]:
    """List the tracks that come past each frame: at a frame, nobody has to ask all others."""
    coming: defaultdict[int, list[Track]] = defaultdict(list)
    for track in tracks:
        for frame in track.ahead:
            coming[frame].append(track)
    return dict(coming)
