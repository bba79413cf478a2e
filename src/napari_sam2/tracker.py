"""Objects through frames: answers prompts, tracks passes, keeps memories that later frames can attend to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2._tracking.advancing import Advance
from napari_sam2._tracking.aiming import Aim
from napari_sam2._tracking.conditioning import Base, whole_grid
from napari_sam2._tracking.confirmed import ConfirmedFrames
from napari_sam2._tracking.judging import Judge
from napari_sam2._tracking.odd_frames import OddFrames
from napari_sam2._tracking.state import Job
from napari_sam2._tracking.stepping import gather_rows, memory_rules
from napari_sam2._tracking.sweeping import Sweeps
from napari_sam2._tracking.tracked_memories import TrackedMemories
from napari_sam2.feature_store import FeatureStore
from napari_sam2.features import FeatureCache
from napari_sam2.grouping import Groups
from napari_sam2.keeping import Keeping
from napari_sam2.passes import Anchor, Seed, plan_gaps, plan_sweep
from napari_sam2.placement import Box, PlacedLogits
from napari_sam2.window import WindowRules, Windows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._tracking.state import Track
    from napari_sam2.features import FrameSource
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction, PassKey
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.selection import SelectionRules


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
        Objects that go through the network at once; by default what suits device and network. Answers do not
        depend on it.
    windows : WindowRules, optional
        Whether and how windows follow objects; by default the whole frame is looked at.
    keeping : Keeping, optional
        How much is kept, and where.
    selection : SelectionRules, optional
        Which tracked frames are worth remembering; by default the last ones.
    """

    def __init__(
        self,
        model: Sam2,
        frames: FrameSource,
        shape: tuple[int, int, int],
        *,
        group_size: int | None = None,
        windows: WindowRules | None = None,
        keeping: Keeping | None = None,
        selection: SelectionRules | None = None,
    ) -> None:
        self.model = model
        self.rules = memory_rules(model, selection)
        self.windows = Windows(windows or WindowRules(), (shape[1], shape[2]), model.config.image_size)
        seen = self.windows.size if self.windows.moves else model.config.image_size
        usual = model.runtime.group_size(seen, model.config.model_dim)
        groups = Groups(group_size or usual, model.runtime.device)
        keeping = keeping or Keeping()
        self.features = _cache(model, frames, self.windows, groups, keeping)
        self._num_frames, self._frame_shape = shape[0], shape[1:]
        self._aim = Aim(model, self.features, self.windows, groups)
        self._confirmed = ConfirmedFrames(model, self.features, self._aim)
        memories = TrackedMemories(keeping.memories)
        odd = OddFrames(self.features, shape[0])
        judge = Judge(model, self.windows, self._confirmed, self.rules.selection, odd)
        self._advance = Advance(
            model, self.features, self.windows, self._aim, self._confirmed, groups, memories, judge
        )
        self._sweeps = Sweeps(
            self.rules, shape, self.features, self._confirmed, self._advance, self.windows, memories
        )

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

    def answering(
        self, frame: int, prompts: FramePrompts, base: Base | None
    ) -> Generator[None, None, object]:
        """Work out in steps what `prompt` answers, which gives it at once if it is asked next."""
        return self._aim.answering(frame, prompts, base)

    def declare(
        self,
        obj: int,
        frame: int,
        prompts: FramePrompts,
        *,
        revision: int = 0,
        base: Base | None = None,
        area: int | None = None,
    ) -> None:
        """Confirm a frame as `prompt` does, but answer its prompts only when the answer is needed.

        If it is known, `area` tells how many pixels the answer has, see `Anchor`. What was answered to the
        very same prompts stays.
        """
        present = not prompts.says_absent
        anchor = Anchor(frame, revision, present=present, seen=area != 0, area=area)
        self._confirmed.declare(obj, anchor, prompts, base)
        self._sweeps.prune(obj)

    def forget(self, obj: int, frame: int) -> None:
        """Drop what was confirmed for an object on a frame, and the memories that depend on it."""
        self._confirmed.forget(obj, frame)
        self._sweeps.prune(obj)

    def remove(self, obj: int) -> None:
        """Drop all that is known of an object."""
        self._confirmed.remove(obj)
        self._sweeps.prune(obj)

    def confirmed_result(self, obj: int, frame: int) -> FrameResult:
        """Return the answer for a confirmed frame, with the candidates of an ambiguous click.

        The candidates are seen in the window that the answer is placed in.
        """
        row = self._confirmed.row(obj, frame)
        result = gather_rows(frame, [row], self._frame_shape)
        candidates = row.prediction.masks[0].float().cpu().numpy()
        return replace(result, candidates=candidates) if len(candidates) > 1 else result

    @property
    def objects(self) -> tuple[int, ...]:
        """Objects with at least one confirmed frame, in order."""
        return self._confirmed.objects

    def anchors(self, obj: int) -> tuple[Anchor, ...]:
        """Return the confirmed frames of an object, in order."""
        return self._confirmed.anchors(obj)

    def base_of(
        self, obj: int, frame: int, placed: PlacedLogits | None, origin: PassKey
    ) -> Generator[None, None, Base | None]:
        """Return, after steps, what a first correction of a tracked frame sets out from.

        The features are conditioned as they were when the pass stood at this frame, as far as its memories
        are still kept; those of its confirmed frames always are.

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
        track = yield from self._sweeps.standing_at(obj, origin, frame)
        if not track.bank.conditioning:
            return None
        window = self._window_of(placed, track)
        attended = self._sweeps.attended(obj, origin, frame)
        embedding = yield from self._advance.recall(track, frame, window, attended)
        low_res = whole_grid(placed, 4 * embedding.shape[-1])
        return Base(
            low_res, embedding[0].float().cpu().numpy(), None if window == self.windows.whole else window
        )

    def _window_of(self, placed: PlacedLogits | None, track: Track) -> Box:
        """Tell the window that logits are of; where nothing was found, the one that the pass looks at."""
        return track.window if placed is None else Box(*(int(edge) for edge in placed.window))

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
            reach = self.rules.reach(self._num_frames)
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
        for track in self._sweeps.forward_tracks(job.obj, job.planned.anchors):
            last = min(
                job.planned.first + self.rules.reach(self._num_frames),
                -1 if track.front is None else track.front,
            )
            if last > job.planned.first:
                return replace(job, planned=replace(job.planned, seed=Seed(track.planned.first, last)))
        return job

    def track(self, jobs: Sequence[Job]) -> Iterator[FrameResult]:
        """Carry out passes, forward ones first, frame by frame with all objects of a frame together.

        Yields
        ------
        FrameResult
            One per direction and frame, with the objects computed there and those confirmed there.
        """
        return (step for step in self.track_in_beats(jobs) if step is not None)

    def track_in_beats(self, jobs: Sequence[Job]) -> Generator[FrameResult | None, None, None]:
        """Track as `track` does, in steps no longer than one encode or one group of objects.

        Between two steps anything may be declared, forgotten or answered. Passes that depend on it end, in
        the middle of a frame as between two.

        Yields
        ------
        FrameResult or None
            None where a frame is not done yet.
        """
        return self._sweeps.run(jobs)

    def empty_result(self, frame: int) -> FrameResult:
        """Return a result without objects."""
        return gather_rows(frame, [], self._frame_shape)

    def place(self, base: Base) -> PlacedLogits:
        """Place the logits of a base over a frame."""
        return PlacedLogits(base.low_res, base.window or self.windows.whole, self._frame_shape)

    @property
    def held(self) -> dict[tuple[int, PassKey], Track]:
        """Passes with their memories, by object and pass; one that is put in goes on where it stands."""
        return self._sweeps.held


def _cache(
    model: Sam2, frames: FrameSource, windows: Windows, groups: Groups, keeping: Keeping
) -> FeatureCache:
    folder = keeping.feature_folder
    return FeatureCache(
        model,
        frames,
        keeping.features,
        windows=windows,
        most_frames=keeping.most_frames,
        store=None if folder is None else FeatureStore(folder, model, limit=keeping.feature_bytes),
        groups=groups,
    )
