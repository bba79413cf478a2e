"""What the network is shown of an image layer: a channel, colour, or a composite."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_sam2._napari.image.composite import CompositeFrames
from napari_sam2._napari.image.network_view import channel_choices, composed, freeze
from napari_sam2._napari.image.source import read_axes
from napari_sam2.volume import Volume


def image(*shape: int, **options: Any) -> Image:
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    return Image(data, **options)


def test_the_view_is_the_contrast_of_the_layer() -> None:
    layer = image(5, 6, 7, contrast_limits=(10, 150))
    view = freeze(layer, read_axes(layer), 0, [layer])
    assert (view.contrast, view.text, view.channel, dict(view.index)) == ((10, 150), "10-150", None, {})
    same = freeze(layer, read_axes(layer), 0, [layer])
    assert view.matches(same)
    layer.contrast_limits = (10, 151)
    assert not view.matches(freeze(layer, read_axes(layer), 0, [layer]))


def test_plain_bytes_pass_as_they_are() -> None:
    layer = Image(np.zeros((3, 6, 7), np.uint8), contrast_limits=(0, 255))
    assert freeze(layer, read_axes(layer), 0, [layer]).contrast is None


def test_channels() -> None:
    layer = image(4, 3, 6, 7, axis_labels=("t", "c", "y", "x"))
    axes = read_axes(layer)
    assert channel_choices(layer, axes, [layer])[:3] == ("Channel 1", "Channel 2", "Channel 3")
    view = freeze(layer, axes, 2, [layer])
    assert dict(view.index) == {1: 2}
    assert "channel 3" in view.text
    volume = Volume(view.data, axis=0, index=view.index, contrast=view.contrast)
    assert volume.shape == (4, 6, 7)
    np.testing.assert_array_equal(volume._read(1), layer.data[1, 2])


def test_colour() -> None:
    layer = Image(np.zeros((4, 6, 7, 3), np.uint8), rgb=True)
    axes = read_axes(layer)
    view = freeze(layer, axes, 0, [layer])
    assert (view.channel, view.contrast, channel_choices(layer, axes, [layer])) == ("rgb", None, ())
    assert Volume(view.data, axis=0, channel=view.channel).channels == 3
    deep = Image(np.zeros((4, 6, 7, 3), np.uint16), rgb=True)
    assert freeze(deep, read_axes(deep), 0, [deep]).contrast == (0, 65535)


@pytest.mark.parametrize("shape", [(6, 20, 3), (6, 20, 4), (2, 3, 3)])
def test_the_layer_tells_whether_a_narrow_image_is_colour(shape: tuple[int, ...]) -> None:
    layers = [Image(np.zeros(shape, np.uint8), name=name, rgb=False) for name in ("one", "other")]
    axes = read_axes(layers[0])
    view = freeze(layers[0], axes, 0, layers)
    volume = Volume(view.data, channel=view.channel, contrast=view.contrast)
    assert (volume.shape, volume.channels) == (shape, 1)
    again = view.of(volume)
    assert (again.channel, again.matches(view)) == (view.channel, True)
    for seen in (view, freeze(layers[0], axes, 1, layers)):
        assert seen.at_first(0, {}).shape == shape


def test_a_composite_adds_the_visible_layers_in_their_colours() -> None:
    red = Image(np.full((4, 6, 7), 50, np.uint16), colormap="red", contrast_limits=(0, 100), name="a")
    green = Image(np.full((4, 6, 7), 100, np.uint16), colormap="green", contrast_limits=(0, 100), name="b")
    hidden = Image(np.full((4, 6, 7), 100, np.uint16), visible=False)
    elsewhere = Image(np.full((4, 6, 7), 100, np.uint16), translate=(0, 5, 0))
    layers = [red, green, hidden, elsewhere]
    assert composed(red, layers) == (red, green)
    choices = channel_choices(red, read_axes(red), layers)
    assert choices == ("“a” alone", "Composite of the visible layers")
    view = freeze(red, read_axes(red), 1, layers)
    frame = Volume(view.data, axis=0, channel=view.channel).frame(2)
    assert frame.shape == (6, 7, 3)
    assert frame[0, 0].tolist() == [128, 255, 0]
    assert view.matches(freeze(red, read_axes(red), 1, layers))
    red.contrast_limits = (0, 50)
    assert not view.matches(freeze(red, read_axes(red), 1, layers))
    np.testing.assert_array_equal(Volume(view.data, axis=0, channel="rgb").frame(2), frame)


def test_all_channels_of_a_layer_in_colour() -> None:
    data = np.zeros((4, 2, 6, 7), np.uint16)
    data[:, 0], data[:, 1, 3:] = 50, 100
    layer = Image(data, axis_labels=("t", "c", "y", "x"), contrast_limits=(0, 100), name="two")
    axes = read_axes(layer)
    assert channel_choices(layer, axes, [layer])[-1] == "All channels, in colour"
    view = freeze(layer, axes, 2, [layer])
    assert (view.text, view.choice, dict(view.index)) == ("0-100, channels 1+2", 2, {1: 0})
    volume = Volume(view.data, axis=0, index=view.index, channel=view.channel)
    assert volume.shape == (4, 6, 7)
    frame = volume.frame(1)
    assert (frame[0, 0].tolist(), frame[5, 0].tolist()) == ([128, 0, 128], [128, 255, 128])
    np.testing.assert_array_equal(volume.crop(1, (2, 0, 4, 7)), frame[2:4])
    again = CompositeFrames.from_notes(json.loads(json.dumps(view.made_of)), [("two", layer.data)])
    assert again.same_as(view.data)


def test_gamma_counts_in_colour() -> None:
    layers = [
        Image(np.full((4, 6, 7), 64, np.uint8), contrast_limits=(0, 255), colormap=colour, gamma=gamma)
        for colour, gamma in (("red", 1), ("green", 0.5))
    ]
    view = freeze(layers[0], read_axes(layers[0]), 1, layers)
    assert Volume(view.data, axis=0, channel="rgb").frame(2)[0, 0].tolist() == [64, 128, 0]
    data = np.full((4, 2, 6, 7), 64, np.uint8)
    both = Image(data, axis_labels=("t", "c", "y", "x"), contrast_limits=(0, 255), gamma=0.5)
    view = freeze(both, read_axes(both), 2, [both])
    assert Volume(view.data, axis=0, index={1: 0}, channel="rgb").frame(2)[0, 0].tolist() == [128, 128, 128]
    both.gamma = 1
    assert not view.matches(freeze(both, read_axes(both), 2, [both]))


def test_one_channel_or_very_many_have_no_colours() -> None:
    for count in (1, 7):
        layer = image(4, count, 6, 7, axis_labels=("t", "c", "y", "x"))
        assert not any("colour" in each for each in channel_choices(layer, read_axes(layer), [layer]))


@pytest.mark.parametrize("options", [{"rotate": 30}, {"shear": [0.2]}, {"scale": (2, 2)}])
def test_a_layer_that_lies_otherwise_is_no_part_of_a_composite(options: dict[str, Any]) -> None:
    plain, other = Image(np.zeros((6, 7))), Image(np.zeros((6, 7)), **options)
    assert composed(plain, [plain, other]) == (plain,)
