"""What a monkey does to a dock: each action takes three numbers between 0 and 1 for where and what."""

from __future__ import annotations

from collections.abc import Callable

from tests._napari.monkey_hands import (
    Monkey,
    add_point,
    click,
    delete_point,
    delete_shape,
    double_click,
    draw_shape,
    erase_object,
    move_point,
    move_shape,
    paint_elsewhere,
    pick,
    refine,
    slow_click,
    stroke,
    stroke_many,
)


def propagate(monkey: Monkey, way: float, first: float, last: float) -> None:
    progress = monkey.view.progress
    if way < 0.6:
        progress.propagate_requested.emit(pick(("both", "both", "forward", "backward"), way / 0.6))
    elif way < 0.8:
        progress.propagate_range_requested.emit(*sorted((monkey.any_frame(first), monkey.any_frame(last))))
    elif way < 0.9:
        progress.propagate_active_requested.emit()
    else:
        monkey.view.objects.propagate_object_requested.emit(pick(monkey.objects, first))


def lock_object(monkey: Monkey, which: float, locked: float, _: float) -> None:
    monkey.view.objects.object_locked.emit(pick(monkey.objects, which), locked < 0.5)


def delete(monkey: Monkey, which: float, other: float, both: float) -> None:
    objects = {pick(monkey.objects, which), pick(monkey.objects, other if both < 0.3 else which)}
    monkey.view.objects.objects_deleted.emit(tuple(sorted(objects)))


def merge(monkey: Monkey, which: float, other: float, _: float) -> None:
    first, second = pick(monkey.objects, which), pick(monkey.objects, other)
    if first != second:
        monkey.view.objects.merge_requested.emit((first, second))


def rename(monkey: Monkey, which: float, name: float, _: float) -> None:
    monkey.view.objects.object_renamed.emit(pick(monkey.objects, which), pick(("", "bud", "cell"), name))


def show_one(monkey: Monkey, which: float, way: float, _: float) -> None:
    obj, table = pick(monkey.objects, which), monkey.view.objects
    if way < 0.5:
        table.object_shown.emit(obj, way < 0.3)
    else:
        table.object_solo.emit(obj if way < 0.7 else None)


def visit(monkey: Monkey, which: float, way: float, frame: float) -> None:
    obj = pick(monkey.objects, which)
    if way < 0.6:
        monkey.view.objects.object_activated.emit(obj)
    elif way < 0.8:
        monkey.view.objects.object_visited.emit(obj)
    else:
        monkey.view.review.cell_visited.emit(obj, monkey.any_frame(frame))


def seed(monkey: Monkey, *_: float) -> None:
    monkey.dock.viewer.layers.selection = {monkey.seeds}
    monkey.view.tools.seed_requested.emit()


def slide(monkey: Monkey, where: float, *_: float) -> None:
    """Move the slider of the frames."""
    axis = monkey.dock.viewer.dims.ndim - 3
    monkey.dock.viewer.dims.set_current_step(axis, monkey.any_frame(where))


def slide_t(monkey: Monkey, where: float, *_: float) -> None:
    """Move the slider of the positions, if there is one."""
    dims = monkey.dock.viewer.dims
    if dims.ndim == 4:
        dims.set_current_step(0, int(where * dims.nsteps[0]))


def hover(monkey: Monkey, y: float, x: float, _: float) -> None:
    monkey.dock.controller.ahead.hover(monkey.frame, round(1 + 20 * y), round(1 + 16 * x))


def other_view(monkey: Monkey, high: float, *_: float) -> None:
    """Show the network another contrast."""
    image = monkey.dock.controller.space.image
    if image is not None:
        image.contrast_limits = (0, pick((255, 220, 180), high))
        monkey.view.image.use_current_view.emit()


def other_channel(monkey: Monkey, which: float, *_: float) -> None:
    """Show the network the composite, or the image alone."""
    channels = monkey.dock.state.image.channels
    if channels:
        monkey.view.image.channel_chosen.emit(int(which * len(channels)))


def other_model(monkey: Monkey, which: float, *_: float) -> None:
    monkey.view.model.device_chosen.emit(int(2 * which))


def other_image(monkey: Monkey, which: float, *_: float) -> None:
    monkey.view.image.image_chosen.emit(int(which * len(monkey.dock.state.image.layers)))


def save(monkey: Monkey, *_: float) -> None:
    monkey.view.files.save_requested.emit(str(monkey.folder / "work"))


def load(monkey: Monkey, which: float, *_: float) -> None:
    files = sorted(monkey.folder.glob("work*.sam2.json"))
    if files:
        monkey.view.files.load_requested.emit(str(pick(files, which)))


def recent(monkey: Monkey, which: float, *_: float) -> None:
    works = monkey.dock.controller.saving.recent
    if works:
        monkey.view.files.recent_requested.emit(int(which * len(works)))


def _press(part: str, signal: str, *values: object) -> Callable[..., None]:
    """Return an action that is a button."""

    def press(monkey: Monkey, *_: float) -> None:
        getattr(getattr(monkey.view, part), signal).emit(*values)

    return press


def _switch(part: str, signal: str) -> Callable[..., None]:
    """Return an action that is a button with two states."""

    def press(monkey: Monkey, on: float, *_: float) -> None:
        getattr(getattr(monkey.view, part), signal).emit(on < 0.5)

    return press


def _of_object(signal: str) -> Callable[..., None]:
    """Return an action on a row of the table."""

    def press(monkey: Monkey, which: float, *_: float) -> None:
        getattr(monkey.view.objects, signal).emit(pick(monkey.objects, which))

    return press


def beat(monkey: Monkey, *_: float) -> None:
    monkey.dock.controller.saving.save()


ACTIONS: dict[str, tuple[float, Callable[..., None]]] = {
    "click": (16, click),
    "slow_click": (5, slow_click),
    "double_click": (5, double_click),
    "add_point": (8, add_point),
    "move_point": (5, move_point),
    "delete_point": (4, delete_point),
    "draw_shape": (6, draw_shape),
    "move_shape": (2, move_shape),
    "delete_shape": (2, delete_shape),
    "stroke": (9, stroke),
    "refine": (5, refine),
    "stroke_many": (3, stroke_many),
    "erase_object": (3, erase_object),
    "paint_elsewhere": (3, paint_elsewhere),
    "new_object": (6, _press("tools", "new_object")),
    "each_click_new": (2, _switch("tools", "each_click_new_toggled")),
    "sign": (2, _switch("tools", "positive_chosen")),
    "candidate": (3, _press("tools", "next_candidate")),
    "visit": (5, visit),
    "live": (3, _switch("progress", "live_toggled")),
    "propagate": (9, propagate),
    "pause": (2, _press("progress", "pause_toggled")),
    "cancel": (3, _press("progress", "cancel_requested")),
    "begins": (2, _press("progress", "begins_here")),
    "ends": (2, _press("progress", "ends_here")),
    "divides": (2, _press("progress", "divides_here")),
    "lock": (3, _press("progress", "lock_here")),
    "lock_object": (3, lock_object),
    "divide": (1, _of_object("divide_requested")),
    "split": (2, _of_object("split_requested")),
    "delete": (3, delete),
    "merge": (2, merge),
    "rename": (2, rename),
    "show_one": (1, show_one),
    "doubtful": (1, _press("review", "next_doubtful")),
    "seed": (2, seed),
    "seed_next": (2, _press("tools", "seed_next_t_requested")),
    "undo": (16, _press("progress", "undo_requested")),
    "redo": (9, _press("progress", "redo_requested")),
    "slide": (8, slide),
    "slide_t": (8, slide_t),
    "hover": (2, hover),
    "other_view": (3, other_view),
    "other_channel": (2, other_channel),
    "other_model": (2, other_model),
    "other_image": (0.7, other_image),
    "save": (1, save),
    "load": (1, load),
    "recent": (0.7, recent),
    "beat": (2, beat),
}
"""What a monkey does, and how often."""

NO_STEP = frozenset({"refine", "paint_elsewhere", "undo", "redo", "slide_t", "other_image", "load", "recent"})
"""Actions that one undo does not take back."""
