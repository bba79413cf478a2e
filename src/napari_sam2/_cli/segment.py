"""``napari-sam2 segment``: prompts in, labels out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from napari_sam2 import seeding
from napari_sam2._cli import arguments, seeds
from napari_sam2._cli.arguments import ImageOptions, KeepingOptions, ModelOptions
from napari_sam2._cli.inputs import Inputs
from napari_sam2._cli.opening import open_model, open_session, read_labels
from napari_sam2._cli.progress import INTERRUPTED, Run, stop_on_interrupt, watch
from napari_sam2._cli.rescue import kept_elsewhere, kept_so_far
from napari_sam2._cli.unfinished import Unfinished
from napari_sam2.feature_store import check_feature_folder
from napari_sam2.io import StreamedLabels
from napari_sam2.io.atomic import followed
from napari_sam2.io.ctc import check_ids
from napari_sam2.io.zarr_folder import is_zarr
from napari_sam2.selection import SelectionRules
from napari_sam2.window import WindowRules

if TYPE_CHECKING:
    from napari_sam2._cli.scoring import Labels
    from napari_sam2.batch.resumable import ResumableSession
    from napari_sam2.doubt import Stretch
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.io import SessionDocument
    from napari_sam2.session import Session

# So many of the stretches that deserve a look are named.
_NAMED = 3


def segment(
    images: Path,
    output: Path,
    /,
    *,
    click: tuple[str, ...] = (),
    box: tuple[str, ...] = (),
    mask: Path | None = None,
    mask_frame: int = 0,
    session: Path | None = None,
    save_session: Path | None = None,
    frames: str | None = None,
    direction: Literal["both", "forward", "backward"] = "both",
    image: Annotated[ImageOptions, Parameter(name="*")] = ImageOptions(),
    model: Annotated[ModelOptions, Parameter(name="*")] = ModelOptions(),
    keeping: Annotated[KeepingOptions, Parameter(name="*")] = KeepingOptions(),
) -> int:
    """Track objects through a z-stack or time-lapse, and write their labels.

    Ctrl-C stops after the frame at hand and writes what is done.

    Parameters
    ----------
    images
        TIFF, OME-Zarr, Zarr, .npy or .npz (its array `images`).
    output
        .tif, .ome.zarr, or a folder ending in _RES for the format of the Cell Tracking Challenge.
    click
        OBJ:FRAME,Y,X, a click on object OBJ (1, 2, ...), in pixels; OBJ:FRAME,Y,X,- clicks beside it. May be
        repeated; clicks on one frame refine one another in the order given.
    box
        OBJ:FRAME,Y0,X0,Y1,X1, a box around an object. May be repeated.
    mask
        Label image whose objects are taken as drawn masks, on every frame where they are.
    mask_frame
        The frame that a label image of one frame belongs to.
    session
        Saved session (.sam2.json) whose prompts are given to these images, which are read, and shown to the
        same network, as there unless options say otherwise.
    save_session
        Where to save the session (.sam2.json), to go on with it later.
    frames
        A:B, track the frames from A up to, not including, B only.
    direction
        Which way to track from the prompts.
    image
        How to read the images.
    model
        The network.
    keeping
        What is kept on disk.
    """
    _check_paths([each for each in (images, mask, session) if each is not None], output, save_session)
    _check_place(images, output)
    if mask_frame and mask is None:
        raise ValueError("--mask-frame goes with --mask: it says where a label image of one frame belongs.")
    if keeping.feature_folder is not None:
        check_feature_folder(keeping.feature_folder)
    unfinished = Unfinished(followed(output), keeping.checkpoint_seconds) if keeping.labels_on_disk else None
    drawn = seeds.seeds_of(map(arguments.parse_click, click), map(arguments.parse_box, box))
    if not drawn and mask is None and session is None:
        raise ValueError("Nothing to track: give --click, --box, --mask or --session.")
    with nullcontext() if unfinished is None else unfinished.claimed():
        inputs = Inputs.of((images, mask, session), _written(output, save_session, keeping, unfinished))
        saved = None if session is None else _read_saved(session)
        stored = None if mask is None else read_labels(mask)
        dtype = _label_type(drawn, stored, saved)
        tracked = _open(images, image, model, saved, _kept(keeping, unfinished, dtype))
        labels = None if stored is None else seeding.shown_labels(stored, tracked.volume)
        given = _all_seeds(drawn, tracked, labels, mask_frame, saved, output)
        chosen = arguments.parse_frames(frames, len(tracked.labels))
        seeding.plant(tracked, given)
        if unfinished is None:
            steps = tracked.propagate(frames=chosen, direction=direction)
        else:
            seen = (model.view, model.window_size, model.memory)
            said = (click, box, mask_frame, chosen, direction, image, seen)
            steps = unfinished.follow(tracked, inputs.made_from(said, tracked), chosen, direction)
        expected = len({obj for obj, _ in given}) * len(chosen or range(len(tracked.labels)))
        going_on = nullcontext if unfinished is None else unfinished.gone_on_with
        with kept_so_far(tracked, output, save_session, inputs) if unfinished is None else going_on():
            run = _run(tracked, steps, expected)
            doubtful = () if run.stopped else tracked.doubtful()
        # Once all is tracked, only a second Ctrl-C keeps it from being written.
        with nullcontext() if run.stopped else stop_on_interrupt():
            inputs.check()
            with going_on():
                _write(tracked, output, save_session, unfinished, run)
    _report(tracked, run, output, doubtful)
    return INTERRUPTED if run.stopped else 0


def _label_type(drawn: seeding.Seeds, stored: Labels | None, saved: SessionDocument | None) -> str:
    """Return a type that holds the ids of all objects: labels on disk are never widened."""
    ids = [obj for obj, _ in drawn]
    ids += [] if stored is None else [int(stored.max(initial=0))]
    ids += [] if saved is None else [row["obj"] for row in saved.document["prompts"]]
    return "uint16" if max(ids, default=1) < 2**16 else "uint32"


def _kept(keeping: KeepingOptions, unfinished: Unfinished | None, dtype: str) -> dict[str, Any]:
    """Give options of the session; labels on disk are begun anew, and then filled with what is known."""
    if unfinished is None:
        return keeping.of_session
    unfinished.clear_labels()
    return {**keeping.of_session, "labels": unfinished.labels, "dtype": dtype}


def _written(
    output: Path, save_session: Path | None, keeping: KeepingOptions, unfinished: Unfinished | None
) -> list[Path]:
    """List what the run writes: OME-Zarr images have their labels within."""
    kept = [] if unfinished is None else [unfinished.labels, unfinished.state]
    return [output, *kept, *filter(None, (save_session, keeping.feature_folder))]


def _run(tracked: Session, steps: Iterator[FrameResult], expected: int) -> Run:
    """Track under a progress bar; whatever ends it, labels that are streamed to disk are there."""
    try:
        with closing(steps):  # type: ignore[type-var]
            return watch(steps, total=expected)
    finally:
        if isinstance(tracked.labels, StreamedLabels):
            tracked.labels.flush()


def _check_paths(read: Sequence[Path], output: Path, save_session: Path | None) -> None:
    """Fail before the network is loaded."""
    for each in read:
        arguments.check_input(each)
        if output.resolve() == each.resolve():
            raise ValueError(f"{output} is read: choose another name for the labels.")
    arguments.check_output(output)
    if save_session is not None:
        arguments.check_session(save_session)


def _check_place(images: Path, output: Path) -> None:
    """Refuse labels in a folder of TIFF files, whose images they would be among the next time."""
    if not images.is_dir() or is_zarr(images) or output.suffix.lower() not in {".tif", ".tiff"}:
        return
    if output.resolve().parent == images.resolve():
        raise ValueError(f"{output} would be one of the images in {images}: choose another folder for it.")


def _read_saved(session: Path) -> SessionDocument:
    from napari_sam2.io import read_session

    saved = read_session(session)
    missing = {"model", "images", "prompts", "view"} - saved.document.keys()
    if missing:
        raise ValueError(f"{session} is not a whole session file: {', '.join(sorted(missing))} missing.")
    return saved


def _write(
    tracked: Session, output: Path, save_session: Path | None, unfinished: Unfinished | None, run: Run
) -> None:
    """Write labels and session; labels that are written already are given their name last."""
    try:
        if unfinished is None:
            with kept_elsewhere(tracked, output):
                tracked.export(output)
    finally:  # where that fails, as on a disk that is full, the session may be all that is left of the work
        if save_session is not None:
            tracked.save(save_session)
    if unfinished is not None:
        unfinished.finish(stopped=run.stopped)


def _open(
    images: Path,
    image: ImageOptions,
    model: ModelOptions,
    saved: SessionDocument | None,
    keeping: Mapping[str, Any],
) -> ResumableSession:
    """Open the images; what the options leave open is as in the saved session."""
    if saved is None:
        return open_session(images, open_model(model), image, view=model, **keeping)
    stored, options = saved.document["model"], dict(saved.document["images"]["options"])
    seeding.check_level(saved.document["images"], images, image.level)
    if model.model is None:
        size = model.image_size or stored["image_size"]
        model = replace(model, model=stored["name"], image_size=size)
    options["index"] = {int(axis): position for axis, position in options["index"].items()}
    options["view"] = WindowRules(**saved.document["view"])
    options["memory"] = SelectionRules(**saved.document.get("memory", {}))
    options |= {name: saved.document["images"].get(name, 0) for name in ("series", "level")}
    return open_session(images, open_model(model), image, options, model, **keeping)


def _all_seeds(
    drawn: seeding.Seeds,
    tracked: Session,
    labels: Labels | None,
    mask_frame: int,
    saved: SessionDocument | None,
    output: Path,
) -> seeding.Seeds:
    """Join the prompts of all sources; clicks and boxes refine what the others say of their object."""
    shape = tracked.labels.shape
    stored = {} if saved is None else seeding.session_seeds(saved)
    masks = {} if labels is None else seeding.mask_seeds(labels, shape, mask_frame)
    given = seeding.merged(stored, masks, drawn)
    if not given:
        raise ValueError("Nothing to track: the mask or session has no object.")
    seeding.check_frames(given, shape[0])
    if output.name.endswith("_RES"):
        check_ids(max(obj for obj, _ in given))
    return given


def _report(tracked: Session, run: Run, output: Path, doubtful: Sequence[Stretch]) -> None:
    """Say what was done, what was not, and what deserves a look."""
    objects = len(tracked.objects)
    done = f"{run.results} frames, {run.rate:.1f} frames/s" if run.results else "no frame was left to track"
    what = f"{objects} object{'s' if objects != 1 else ''}, {done}"
    if run.stopped:
        what = f"Stopped by Ctrl-C. What was done is kept: {what}"
    console = Console(soft_wrap=True)
    console.print(f"{what}: {output}", markup=False, highlight=False)
    if doubtful:
        console.print(f"Worth a look: {_listed(doubtful)}.", markup=False, highlight=False)


def _listed(doubtful: Sequence[Stretch]) -> str:
    """Name the longest stretches, and say how many more there are."""
    longest = sorted(doubtful, key=lambda each: (each.first - each.last, each.obj, each.first))
    named = [
        f"object {each.obj} on "
        + (f"frame {each.first}" if each.first == each.last else f"frames {each.first} to {each.last}")
        for each in longest[:_NAMED]
    ]
    more = len(longest) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
