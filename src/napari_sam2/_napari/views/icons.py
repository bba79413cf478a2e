"""Icons of our own, as strokes on a 24 x 24 grid, drawn in any colour."""

from __future__ import annotations

from functools import lru_cache

from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

_FILL = 'fill="COLOUR" stroke="none"'
# fmt: off
_BODIES = {
    "point": f'<circle cx="12" cy="12" r="3.4" {_FILL}/><path d="M12 2v5M12 17v5M2 12h5M17 12h5"/>',
    "box": '<path d="M5 6h14v12H5z" stroke-dasharray="3.2 2.6"/>'
    f'<path d="M3 4h4v4H3zM17 16h4v4h-4z" {_FILL}/>',
    "outline": '<path d="'
    'M6.5 17.5C2.5 13 4 5 11 4.5s11 4 9 9c-1 2.6-3.5 1.8-5 3.7-2 2.6-6 3.1-8.5.3z"/>',
    "brush": f'<path d="M20.5 3.5L12 12.5"/><path d="M10.4 12c-3.2-.6-5 1.2-5.2 3.6-.1 1.8-1 2.9-2.2 3.4 '
    f'3.2 2.2 9.6 1.2 10-3.4z" {_FILL}/>',
    "eraser": '<path d="M9.5 20L3.8 14.3a1.4 1.4 0 0 1 0-2L12.6 3.5l8 8L12 20zM8 8.2l8 8M9 20h11.5"/>',
    "pan": '<path d="M12 2.5v19M2.5 12h19M9 5.5l3-3 3 3M9 18.5l3 3 3-3M5.5 9l-3 3 3 3M18.5 9l3 3-3 3"/>',
    "plus": '<path d="M12 5v14M5 12h14" stroke-width="2.8"/>',
    "minus": '<path d="M5 12h14" stroke-width="2.8"/>',
    "new": '<circle cx="12" cy="12" r="9"/><path d="M12 7.5v9M7.5 12h9"/>',
    "next": '<path d="M9 5l7 7-7 7"/>',
    "open": '<path d="M6 9.5l6 6 6-6"/>',
    "closed": '<path d="M9.5 6l6 6-6 6"/>',
    "both": '<path d="M4 12h16M7.5 7.5L3 12l4.5 4.5M16.5 7.5L21 12l-4.5 4.5"/>',
    "forward": '<path d="M3.5 12H20M14 6l6 6-6 6"/>',
    "backward": '<path d="M20.5 12H4M10 6l-6 6 6 6"/>',
    "range": '<path d="M4 5v14M20 5v14M7.5 12h9M10 9l-3 3 3 3M14 9l3 3-3 3"/>',
    "live": f'<path d="M13.5 2L5 13.6h5.6L9.5 22 19 9.8h-6z" {_FILL}/>',
    "pause": '<path d="M8.5 5.5v13M15.5 5.5v13" stroke-width="3"/>',
    "play": f'<path d="M7 4.5v15l12.5-7.5z" {_FILL}/>',
    "cancel": '<path d="M6 6l12 12M18 6L6 18" stroke-width="2.4"/>',
    "undo": '<path d="M8.5 4.5L4 9l4.5 4.5M4.5 9H14a5.5 5.5 0 0 1 0 11h-4"/>',
    "redo": '<path d="M15.5 4.5L20 9l-4.5 4.5M19.5 9H10a5.5 5.5 0 0 0 0 11h4"/>',
    "begin": '<path d="M5 4.5v15M9 12h11.5M15.5 7l5 5-5 5"/>',
    "end": '<path d="M19 4.5v15M3.5 12H15M10 7l5 5-5 5"/>',
    "divide": '<path d="M3 12h6l5.5-6H20M9 12l5.5 6H20M17.5 3.2L20.5 6l-3 2.8M17.5 15.2l3 2.8-3 2.8"/>',
    "merge": '<path d="M3 6h5.5l5 6M3 18h5.5l5-6h7M17.5 9l3 3-3 3"/>',
    "split": '<circle cx="7" cy="12" r="4"/><circle cx="17.5" cy="12" r="4"/>'
    '<path d="M12.2 4v16" stroke-dasharray="3 2.6"/>',
    "lock": f'<path d="M5.5 11h13v9.5h-13z" {_FILL}/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>',
    "unlock": '<path d="M5.5 11h13v9.5h-13zM8 11V7.5a4 4 0 0 1 7.6-1.7"/>',
    "eye": '<path d="M2 12c4.2-7.4 15.8-7.4 20 0-4.2 7.4-15.8 7.4-20 0z"/>'
    f'<circle cx="12" cy="12" r="3.2" {_FILL}/>',
    "eye_off": '<path d="M2.5 10.5c4.5 6 14.5 6 19 0M6 14l-2 3M12 15.2V19M18 14l2 3"/>',
    "solo": f'<circle cx="12" cy="12" r="8.5"/><circle cx="12" cy="12" r="3.8" {_FILL}/>',
    "solo_off": '<circle cx="12" cy="12" r="8.5"/>',
    "delete": '<path d="M4 6.5h16M9 6V3.5h6V6M6 6.5l1 14h10l1-14M10 10.5v6M14 10.5v6"/>',
    "goto": f'<circle cx="12" cy="12" r="2.6" {_FILL}/><circle cx="12" cy="12" r="7"/>'
    '<path d="M12 2v4M12 18v4M2 12h4M18 12h4"/>',
    "info": '<circle cx="12" cy="12" r="9.2"/><path d="M12 11v6"/>'
    f'<circle cx="12" cy="7.4" r="1.4" {_FILL}/>',
    "warning": '<path d="M12 3.5L22 20.5H2z"/><path d="M12 10v5"/>'
    f'<circle cx="12" cy="17.6" r="1.2" {_FILL}/>',
    "busy": '<path d="M7 3h10M7 21h10M8 3c0 6 8 6 8 12v6M16 3c0 6-8 6-8 12v6"/>',
    "save": '<path d="M4 4h12.5L20 7.5V20H4zM8 4v5h7V4M7.5 20v-6.5h9V20"/>',
    "load": '<path d="M3 19.5V5h6l2 2.5h9V10M3 19.5L6 10h16l-3 9.5z"/>',
    "recent": '<circle cx="12" cy="12" r="9"/><path d="M12 6.5V12l4 2.5"/>',
    "export": '<path d="M12 15V3.5M7.5 8L12 3.5 16.5 8M4 14v6.5h16V14"/>',
    "download": '<path d="M12 3.5V15M7.5 10.5L12 15l4.5-4.5M4 14v6.5h16V14"/>',
    "tracks": f'<path d="M4 19c3-1 3-8 7-8s4-5 9-6"/><circle cx="4" cy="19" r="2.2" {_FILL}/>'
    f'<circle cx="11" cy="11" r="2.2" {_FILL}/><circle cx="20" cy="5" r="2.2" {_FILL}/>',
    "seed": '<path d="M12 21v-9M12 13c0-5 3.5-8 9-8 0 5-3.5 8-9 8z'
    f'M12 16c0-3.5-3-6-8-6 0 3.8 3.2 6 8 6z" {_FILL}/>'
    '<path d="M12 21v-8"/>',
    "refresh": '<path d="M20 11.5A8.2 8.2 0 0 0 5.5 6.8L3.5 9M3.5 3.5V9H9'
    'M4 12.5a8.2 8.2 0 0 0 14.5 4.7l2-2.2M20.5 20.5V15H15"/>',
}
# fmt: on
NAMES = tuple(_BODIES)


def svg(name: str, colour: str) -> str:
    """Return an icon as an SVG document.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    colour : str
        As SVG writes it, such as ``"#ffffff"``.

    Raises
    ------
    ValueError
        If there is no icon of that name.
    """
    if name not in _BODIES:
        raise ValueError(f"no icon is called {name!r}; there are {', '.join(NAMES)}")
    body = _BODIES[name].replace("COLOUR", colour)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g fill="none" '
        f'stroke="{colour}" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round">'
        f"{body}</g></svg>"
    )


@lru_cache(maxsize=512)
def _drawn(name: str, rgba: int, size: int, ratio: float) -> QPixmap:
    colour = QColor.fromRgba(rgba)
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(colour.alphaF())
    QSvgRenderer(QByteArray(svg(name, colour.name()).encode())).render(painter, QRectF(pixmap.rect()))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def pixmap(name: str, colour: QColor, size: int = 18, ratio: float = 1.0) -> QPixmap:
    """Return an icon as a pixmap; drawn once for every colour and size.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    colour : QColor
        Of the strokes; its opacity counts.
    size : int
        Width and height in logical pixels.
    ratio : float
        Device pixels of a logical pixel.
    """
    return _drawn(name, colour.rgba(), size, ratio)
