"""The registry and its downloads, against a small server on this machine."""

from __future__ import annotations

import errno
import gc
import hashlib
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pooch
import pytest

from napari_sam2._model import registry
from napari_sam2._model.errors import CheckpointError
from napari_sam2._model.registry import RELEASED, ReleasedCheckpoint

CONTENT = bytes(range(256)) * 4000


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT whole, broken off midway, or altered, by the path that is asked for."""

    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        content = CONTENT[::-1] if self.path.startswith("/altered") else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path.startswith("/broken") else content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the test output quiet."""


@dataclass(frozen=True)
class Server:
    url: str
    requests: list[str]

    def checkpoint(self, path: str) -> ReleasedCheckpoint:
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        return ReleasedCheckpoint("test", f"{self.url}/{path}/model.pt", sha256, len(CONTENT))


@pytest.fixture
def server() -> Iterator[Server]:
    Handler.requests.clear()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{http.server_address[1]}", Handler.requests)
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        with warnings.catch_warnings():  # requests leaves the socket of a broken download to the collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def test_the_eight_released_checkpoints() -> None:
    sizes = ("tiny", "small", "base-plus", "large")
    assert list(RELEASED) == [f"{version}-{size}" for version in ("sam2", "sam2.1") for size in sizes]
    assert len({each.sha256 for each in RELEASED.values()}) == 8
    for name, each in RELEASED.items():
        assert each.name == name
        assert each.licence == "Apache-2.0"
        assert len(bytes.fromhex(each.sha256)) == 32
        assert each.size is not None
        assert 150e6 < each.size < 900e6
        folder = "092824" if name.startswith("sam2.1") else "072824"
        trunk = name.split("-", 1)[1].replace("-", "_")
        assert each.url.endswith(f"/{folder}/{name.split('-')[0]}_hiera_{trunk}.pt")


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match=r"'sam3'.*sam2\.1-base-plus"):
        registry.released("sam3")
    with pytest.raises(CheckpointError, match="sam3"):
        registry.download("sam3")


def test_paths(tmp_path: Path) -> None:
    assert registry.checkpoint_path("sam2-tiny", folder=tmp_path) == tmp_path / "sam2_hiera_tiny.pt"
    assert registry.checkpoint_path("sam2.1-large").parent == registry.cache_dir()
    assert registry.cache_dir().name == "napari-sam2"


def test_asking_for_a_path_makes_nothing(tmp_path: Path) -> None:
    registry.checkpoint_path("sam2-tiny", folder=tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_a_download_is_kept_and_not_repeated(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    first = registry.fetch(server.checkpoint("whole"), folder)
    second = registry.fetch(server.checkpoint("whole"), folder)
    assert first == second == folder / "model.pt"
    assert first.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_download_by_name(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "RELEASED", {"test": server.checkpoint("whole")})
    assert registry.download("test", folder=tmp_path, progressbar=False).read_bytes() == CONTENT


def test_a_progress_bar_is_shown(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry.fetch(server.checkpoint("whole"), tmp_path, progressbar=True)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["broken", "altered", "missing"])
def test_a_failed_download_leaves_nothing(server: Server, tmp_path: Path, path: str) -> None:
    message = "not the released file" if path == "altered" else "Could not fetch test"
    with pytest.raises(CheckpointError, match=message) as raised:
        registry.fetch(server.checkpoint(path), tmp_path)
    assert not list(tmp_path.iterdir())
    assert f"{server.url}/{path}/model.pt" in str(raised.value)
    assert "Nothing was kept" in str(raised.value)


def test_after_a_broken_download_the_next_one_works(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        registry.fetch(server.checkpoint("broken"), tmp_path)
    assert registry.fetch(server.checkpoint("whole"), tmp_path).read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(CONTENT[:100])
    assert registry.fetch(server.checkpoint("whole"), tmp_path).read_bytes() == CONTENT


def test_no_network(server: Server, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        url = f"http://127.0.0.1:{closed.server_address[1]}/whole/model.pt"
    unreachable = replace(server.checkpoint("whole"), url=url)
    with pytest.raises(CheckpointError, match="check the network") as raised:
        registry.fetch(unreachable, tmp_path)
    assert not list(tmp_path.iterdir())
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError):
        registry.fetch(server.checkpoint("whole"), tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "make room on the disk of"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "You have no right to write into"),
    ],
)
def test_a_file_that_cannot_be_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pooch, "retrieve", refused)
    with pytest.raises(CheckpointError, match=said) as raised:
        registry.fetch(server.checkpoint("whole"), tmp_path)
    assert "check the network" not in str(raised.value)
    assert "Errno" not in str(raised.value)


def test_torch_is_not_loaded() -> None:
    code = "import sys, napari_sam2._model.registry; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
