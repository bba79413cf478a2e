"""The command line: ``napari-sam2 demo | segment | batch | evaluate | models | train``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from napari_sam2._cli.progress import INTERRUPTED
from napari_sam2._model.errors import CheckpointError
from napari_sam2.process import keep_memory
from napari_sam2.refusals import FULL_DISK, PartNeededError

USER_ERROR = 2
"""Exit status of a run that could not be done as asked."""

_COMMANDS = {
    "demo": "Track the objects of a sample sequence, and compare with the truth.",
    "segment": "Track objects through a z-stack or time-lapse, and write their labels.",
    "batch": "Track the objects of many sequences, on one machine or many.",
    "evaluate": "Score a network on images with true labels.",
    "models": "List, download and find networks.",
    "train": "Train a small network on synthetic sequences, or tune one to labelled stacks.",
}


def build() -> App:
    """Put the commands together; each is imported when it is called."""
    app = App(
        name="napari-sam2",
        help="Segment and track objects in microscopy volumes and movies with SAM 2. "
        "Add --traceback to see where an error comes from.",
        version=version("napari-sam2"),
        suppress_keyboard_interrupt=False,  # else it would end without a word
        default_parameter=Parameter(negative_iterable=(), consume_multiple=False, show_default=_shown),
    )
    for name, summary in _COMMANDS.items():
        app.command(f"napari_sam2._cli.{name}:{name}", name=name, help=summary)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 not possible as asked, 130 stopped by Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; that of this process by default.
    """
    keep_memory()
    warnings.showwarning = _warn
    if isinstance(sys.stdout, TextIOWrapper):  # a name that it cannot show is no failure
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run a command and return the exit status.

    Parameters
    ----------
    arguments : list of str
        What follows the program's name.
    """
    traceback = "--traceback" in arguments
    try:
        status = build()(
            [each for each in arguments if each != "--traceback"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except KeyboardInterrupt:
        sys.stderr.write("napari-sam2: stopped by Ctrl-C before it was done.\n")
        return INTERRUPTED
    except (
        CheckpointError,
        CycloptsError,
        ImportError,
        MemoryError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        if traceback:
            raise
        sys.stderr.write(f"napari-sam2: {_line(error)}\n")
        return USER_ERROR
    return status if isinstance(status, int) else 0


def _shown(default: object) -> str | None:
    """Say a default in the help, unless there is none to speak of or it would fill the screen."""
    text = str(default)
    return None if default is None or default == () or len(text) > 24 else text


def _line(error: BaseException) -> str:
    """Say an error in one line."""
    if isinstance(error, PartNeededError):
        return _which_part(error)
    if isinstance(error, UnusedCliTokensError):
        return _belongs_nowhere(error.unused_tokens or [])
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        said = f"The disk is full: make room on it. {said}"
    notes = getattr(error, "__notes__", ())
    return " ".join([said if not notes or said.endswith(".") else f"{said}.", *notes])


def _belongs_nowhere(tokens: Sequence[str]) -> str:
    """Say which words are too many, and how an option is given several values."""
    words = ", ".join(repr(each) for each in tokens)
    belong = "belongs" if len(tokens) == 1 else "belong"
    return f"{words} {belong} to no option: name an option anew for each of its values; --help shows all."


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Say a warning in one line, without the place in the program that it comes from."""
    sys.stderr.write(f"napari-sam2: {' '.join(str(message).split())}\n")


def _which_part(error: PartNeededError) -> str:
    """Ask for a position on the other axes in the words of the command line."""
    frames = "" if error.frames is None else f" frames along axis {error.frames} (else say --axis), and"
    chosen = " ".join(f"--index {axis}:0" for axis in error.axes)
    last = ", ".join(f"{axis}:{error.shape[axis] - 1}" for axis in error.axes)
    axes = " and ".join(str(axis) for axis in error.axes)
    return (
        f"The images have the shape {error.shape}:{frames} other positions along axis {axes}. "
        f"Choose one by {chosen} (up to {last})."
    )
