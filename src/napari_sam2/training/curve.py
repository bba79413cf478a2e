"""The learning curve of a run as a picture: J in training and in validation over time."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Point = tuple[float, float]

_SIZE = (960, 480)
_LEFT, _TOP, _RIGHT, _BOTTOM = 50, 20, 200, 40
_INK, _GRID, _TRAINING = (40, 40, 40), (225, 225, 225), (150, 175, 205)
_COLOURS = (
    (190, 60, 40),
    (30, 110, 60),
    (110, 60, 150),
    (200, 130, 20),
    (20, 120, 150),
    (120, 90, 60),
    (180, 60, 130),
)


@dataclass(frozen=True)
class Curves:
    """What a log tells, by name: points of (minutes, J).

    Parameters
    ----------
    training
        J of the answers in training; it falls where a stage is harder than the one before.
    validation
        One curve for each sequence, or kind of sequences, that was scored.
    """

    training: tuple[Point, ...]
    validation: dict[str, tuple[Point, ...]]


def read_curves(log: Path) -> Curves:
    """Read the log of a run.

    A last line that is cut off is left out, and so is what was told of steps that were made once more, as
    after a stop between two checkpoints.

    Parameters
    ----------
    log
        The file `log.jsonl` of a run.
    """
    training: list[Point] = []
    validation: dict[str, list[Point]] = {}
    for entry in _made_last(_entries(log)):
        if "j" in entry:
            training.append((entry["minutes"], entry["j"]))
        for name, value in entry.get("validation", {}).items():
            validation.setdefault(name, []).append((entry["minutes"], value))
    return Curves(tuple(training), {name: tuple(points) for name, points in validation.items()})


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text().splitlines():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _made_last(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out entries of steps that later ones are of, too."""
    kept: list[dict[str, Any]] = []
    for entry in entries:
        while kept and not _follows(entry, kept[-1]):
            kept.pop()
        kept.append(entry)
    return kept


def _follows(entry: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an entry is of a later step, or of the validation after the same one."""
    is_validation = "j" in before and "j" not in entry
    return bool(entry["step"] > before["step"] or (entry["step"] == before["step"] and is_validation))


def draw_curve(log: Path, out: Path) -> None:
    """Draw the log of a run.

    Parameters
    ----------
    log
        The file `log.jsonl` of a run.
    out
        Where the PNG is written.
    """
    curves = read_curves(log)
    points = [point for line in (curves.training, *curves.validation.values()) for point in line]
    last = max((minutes for minutes, _ in points), default=0.0) or 1.0
    picture = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(picture)
    _draw_axes(draw, last)
    draw.line([_place(point, last) for point in _smooth(curves.training)], fill=_TRAINING, width=1)
    _draw_name(draw, 0, "training", curves.training, _TRAINING)
    for row, (name, line) in enumerate(curves.validation.items(), start=1):
        colour = _COLOURS[(row - 1) % len(_COLOURS)]
        places = [_place(point, last) for point in line]
        draw.line(places, fill=colour, width=2)
        for x, y in places:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        _draw_name(draw, row, name, line, colour)
    picture.save(out)


def _smooth(points: tuple[Point, ...], width: int = 5) -> list[Point]:
    """Mean of each point and the ones before it."""
    values = [j for _, j in points]
    means = [
        sum(part) / len(part) for i in range(len(values)) if (part := values[max(0, i - width + 1) : i + 1])
    ]
    return [(minutes, mean) for (minutes, _), mean in zip(points, means, strict=True)]


def _place(point: Point, last: float) -> Point:
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
    return _LEFT + width * point[0] / last, _TOP + height * (1 - min(max(point[1], 0.0), 1.0))


def _draw_axes(draw: ImageDraw.ImageDraw, last: float) -> None:
    for tenth in range(11):
        left, right = _place((0, tenth / 10), last), _place((last, tenth / 10), last)
        draw.line((left, right), fill=_GRID)
        if tenth % 2 == 0:
            draw.text((left[0] - 28, left[1] - 6), f"{tenth / 10:.1f}", fill=_INK)
    for quarter in range(5):
        x, y = _place((last * quarter / 4, 0), last)
        draw.text((x - 8, y + 8), f"{last * quarter / 4:.3g}", fill=_INK)
    draw.text((_LEFT, _TOP - 16), "J", fill=_INK)
    draw.text((_SIZE[0] - _RIGHT - 40, _SIZE[1] - 16), "minutes", fill=_INK)


def _draw_name(
    draw: ImageDraw.ImageDraw, row: int, name: str, line: tuple[Point, ...], colour: tuple[int, int, int]
) -> None:
    x, y = _SIZE[0] - _RIGHT + 14, _TOP + 18 * row
    draw.rectangle((x, y, x + 10, y + 10), fill=colour)
    best = f" {line[-1][1]:.2f}" if line else ""
    draw.text((x + 16, y - 1), f"{name[:22]}{best}", fill=_INK)
