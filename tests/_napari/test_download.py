"""The download button, against a small server on this machine: from a press to masks."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import napari
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_sam2._model import registry
from napari_sam2._model.registry import ReleasedCheckpoint
from napari_sam2._model.weights import save_model
from napari_sam2._napari.download import Fetched
from napari_sam2._napari.settings import Settings
from napari_sam2._napari.views.hints import hint
from napari_sam2._napari.widget import Sam2Widget
from tests._napari.dock import MIDDLE, Dock, add_frames, until
from tests.fakes import click, seeing_model

pytestmark = pytest.mark.gui
NAME = "sam2.1-tiny"
CONTENT = bytes(range(256)) * 8000
MEGABYTES = f"of {len(CONTENT) / 1e6:.0f} MB"


@dataclass
class Server:
    """Serves a file; `gate` holds its second half back, `cut` leaves it out."""

    content: bytes = CONTENT
    gate: threading.Event | None = None
    cut: bool = False
    has_length: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                self.send_response(200)
                if server.has_length:
                    self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                half = len(server.content) // 2
                try:
                    self.wfile.write(server.content[:half])
                    if server.gate is not None:
                        server.gate.wait(60)
                    if not server.cut:
                        self.wfile.write(server.content[half:])
                except OSError:  # nobody listens any more
                    pass

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Keep the test output quiet."""

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), made.handler())
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{http.server_address[1]}/sam2.1_hiera_tiny.pt"
    try:
        yield made
    finally:
        if made.gate is not None:
            made.gate.set()
        http.shutdown()
        http.server_close()
        thread.join()
        with warnings.catch_warnings():  # requests leaves the socket of a broken download to the collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture
def folder(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache folder, empty, with the server in the place of the released file's."""
    place = tmp_path / "models"
    for module in (
        "napari_sam2._model.registry",
        "napari_sam2._napari.model_choices",
        "napari_sam2._napari.download",
    ):
        monkeypatch.setattr(f"{module}.cache_dir", lambda: place)
    serve(server, monkeypatch, CONTENT)
    return place


def serve(server: Server, monkeypatch: pytest.MonkeyPatch, content: bytes, size: int | None = -1) -> None:
    """Let the server give this file, and the registry know it."""
    server.content = content
    sha256 = hashlib.sha256(content).hexdigest()
    known = len(content) if size == -1 else size
    released = {**registry.RELEASED, NAME: ReleasedCheckpoint(NAME, server.url, sha256, known)}
    for module in ("napari_sam2._model.registry", "napari_sam2._napari.model_choices"):
        monkeypatch.setattr(f"{module}.RELEASED", released)


def choose(dock: Dock) -> None:
    dock.view.model.model_chosen.emit(dock.state.model.names.index(NAME))
    dock.wait()


def press(dock: Dock) -> None:
    dock.view.model.download_requested.emit()


def takes_focus(widget: QWidget) -> bool:
    """Give a widget the keyboard; a window that is still being shown takes it away again."""
    window = widget.window()
    if window is not None:
        window.activateWindow()
    widget.setFocus()
    return widget.isActiveWindow() and widget.hasFocus()


def rest(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def downloads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "napari-sam2-download"]


def test_from_the_button_to_a_mask(bench: Dock, folder: Path, server: Server) -> None:
    server.gate = threading.Event()
    choose(bench)
    model = bench.state.model
    assert model.needs_download
    assert "2 MB" in model.detail
    assert "Press Download" in hint(bench.state).text
    press(bench)
    until(lambda: (bench.state.model.download or 0) > 0.3)
    model = bench.state.model
    assert 0.3 < (model.download or 0) <= 0.55
    assert model.fetched.endswith(MEGABYTES)
    assert f"{model.download:.0%}" in hint(bench.state).text
    server.gate.set()
    until(lambda: bench.state.model.download is None)
    bench.wait()
    assert not bench.state.model.needs_download
    assert bench.loaded[-1].name == NAME
    assert (folder / "sam2.1_hiera_tiny.pt").read_bytes() == CONTENT
    bench.prompt(1, MIDDLE, 8, 10)
    assert bench.labels[MIDDLE, 8, 10] == 1
    assert len(server.asked) == 1


def test_a_real_network_is_fetched_loaded_and_used(
    viewer: napari.Viewer, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    path = folder.parent / "small.safetensors"
    save_model(seeing_model(), path)
    server.url = server.url.replace("sam2.1_hiera_tiny.pt", path.name)
    serve(server, monkeypatch, path.read_bytes())
    add_frames(viewer)
    widget = Sam2Widget(viewer, Settings(autosave=False))
    viewer.window.add_dock_widget(widget, name="SAM 2")
    widget.wait()
    panel = widget.view.model
    widget.view.sections["Model"].set_open(True)
    until(lambda: takes_focus(panel._model))
    for _ in range(panel._model.findText(NAME)):
        qtbot.keyClick(panel._model, Qt.Key.Key_Down)  # letters are the viewer's
    until(panel._download.isVisible)
    qtbot.mouseClick(panel._download, Qt.MouseButton.LeftButton)
    until(lambda: not widget.controller.state().model.needs_download)
    widget.wait()
    assert rest(folder) == [path.name]
    widget.set_prompts(1, MIDDLE, click(8, 10))
    session = widget.session
    assert session is not None
    assert session.model.config.name == "small"
    assert session.objects == (1,)
    widget.controller.close()


def test_a_download_is_cancelled_and_begun_anew(
    bench: Dock, folder: Path, server: Server, qtbot: QtBot
) -> None:
    server.gate = threading.Event()
    choose(bench)
    press(bench)
    until(lambda: (bench.state.model.download or 0) > 0.3)
    bench.view.model.show_state(bench.state.model)
    qtbot.mouseClick(bench.view.model._stop, Qt.MouseButton.LeftButton)
    assert bench.state.model.download is None
    assert bench.state.model.needs_download
    server.gate.set()
    until(lambda: not downloads())
    assert rest(folder) == []
    assert bench.failures == []
    press(bench)
    until(lambda: not bench.state.model.needs_download)
    bench.wait()
    assert rest(folder) == ["sam2.1_hiera_tiny.pt"]
    assert bench.state.model.problem == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"content": CONTENT[::-1]}, "not the released file"),
        ({"cut": True}, "check the network and try again"),
        ({"url": "http://127.0.0.1:9/sam2.1_hiera_tiny.pt"}, "check the network and try again"),
    ],
    ids=["another file", "broken off", "no network"],
)
def test_what_goes_wrong_is_told_and_can_be_tried_again(
    bench: Dock,
    folder: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    said: str,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.notices.show_error", shown.append)
    url = server.url
    for name, value in change.items():
        setattr(server, name, value)
    if "url" in change:
        serve(server, monkeypatch, CONTENT)
    choose(bench)
    press(bench)
    until(lambda: bool(shown))
    assert said in shown[0]
    assert "by any other means" in shown[0], "it says what else can be done"
    model = bench.state.model
    assert (model.problem, model.needs_download, model.download) == (shown[0], True, None)
    assert rest(folder) == []
    server.cut, server.url = False, url
    serve(server, monkeypatch, CONTENT)
    press(bench)
    until(lambda: not bench.state.model.needs_download)
    bench.wait()
    assert bench.state.model.problem == ""


def test_a_file_of_unknown_size_shows_what_has_come(
    bench: Dock, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, CONTENT, size=None)
    server.gate, server.has_length = threading.Event(), False
    choose(bench)
    press(bench)
    until(lambda: bench.state.model.fetched == "1 MB")
    assert bench.state.model.download == 0
    server.gate.set()
    until(lambda: not bench.state.model.needs_download)
    bench.wait()


def test_another_network_works_while_one_is_fetched(bench: Dock, folder: Path, server: Server) -> None:
    """The list of networks is shut meanwhile; prompts of the session that is open are answered."""
    bench.prompt(1, MIDDLE, 8, 10)
    server.gate = threading.Event()
    choose(bench)
    press(bench)
    until(lambda: (bench.state.model.download or 0) > 0.3)
    bench.set(1, MIDDLE, click(16, 10))
    assert bench.labels[MIDDLE, 16, 10] == 1


def test_what_was_fetched_takes_no_place_that_the_user_has_filled_since(
    bench: Dock, folder: Path, server: Server
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    model = bench.session.model
    server.gate = threading.Event()
    choose(bench)
    press(bench)
    until(lambda: (bench.state.model.download or 0) > 0.3)
    bench.view.model.model_chosen.emit(0)
    bench.wait()
    server.gate.set()
    until(lambda: bench.state.model.download is None)
    bench.wait()
    assert bench.session.model is model
    assert len(bench.on) > 1
    assert bench.state.model.chosen == 0


def test_closing_the_dock_ends_a_download(bench: Dock, folder: Path, server: Server) -> None:
    server.gate = threading.Event()
    choose(bench)
    press(bench)
    until(lambda: (bench.state.model.download or 0) > 0.3)
    threading.Timer(0.2, server.gate.set).start()
    bench.controller.close()
    until(lambda: not downloads())
    assert rest(folder) == []


def test_a_server_that_falls_silent_does_not_hold_the_viewer(
    bench: Dock, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2._napari.download._PATIENCE", 0.1)
    server.gate = threading.Event()
    choose(bench)
    press(bench)
    until(lambda: (bench.state.model.download or 0) > 0.3)
    began = time.monotonic()
    bench.controller.close()
    assert time.monotonic() - began < 30, "the server is silent for a minute"
    server.gate.set()
    until(lambda: not downloads())
    assert rest(folder) == []


@pytest.mark.parametrize(
    ("fetched", "share", "text"),
    [
        (Fetched(0, 0), 0, "0 MB"),
        (Fetched(12_300_000, 156_000_000), 0.0788, "12 of 156 MB"),
        (Fetched(9, 4), 1, "0 of 0 MB"),
    ],
)
def test_how_far_it_has_come_in_words(fetched: Fetched, share: float, text: str) -> None:
    assert fetched.share == pytest.approx(share, abs=1e-3)
    assert fetched.text == text
