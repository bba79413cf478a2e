"""Prompts from what is drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._napari.layers.declared import Clicks, Declaration, Drawn, same_prompts
from napari_sam2.prompts import FramePrompts, PromptKey

KEY = PromptKey(1, 2)
KEYS = st.builds(PromptKey, st.integers(1, 3), st.integers(0, 2))
NUMBERS = st.floats(0, 9, width=32)
CLICKS = st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), min_size=1, max_size=3).map(
    lambda rows: Clicks([(y, x) for y, x, _ in rows], [sign for *_, sign in rows])
)
BOXES = st.tuples(NUMBERS, NUMBERS, st.just(11.0), st.just(12.0))


def mask(*pixels: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    found = np.zeros((12, 12), np.bool_)
    for pixel in pixels:
        found[pixel] = True
    return found


@given(st.dictionaries(KEYS, CLICKS), st.dictionaries(KEYS, BOXES))
def test_everything_that_is_drawn_is_said(
    clicks: dict[PromptKey, Clicks], boxes: dict[PromptKey, tuple[float, float, float, float]]
) -> None:
    prompts = Declaration().prompts(Drawn(clicks, boxes, {}))
    assert list(prompts) == sorted({*clicks, *boxes})
    for key, each in prompts.items():
        drawn = clicks.get(key, Clicks())
        assert (each.points, each.positive) == (tuple(drawn.points), tuple(drawn.positive))
        assert each.box == boxes.get(key)


@given(st.dictionaries(KEYS, CLICKS))
def test_what_did_not_change_is_the_same_value(clicks: dict[PromptKey, Clicks]) -> None:
    declaration = Declaration()
    before = declaration.prompts(Drawn(clicks, {}, {}))
    again = declaration.prompts(
        Drawn({key: Clicks(c.points[:], c.positive[:]) for key, c in clicks.items()}, {}, {})
    )
    assert all(again[key] is each for key, each in before.items())
    assert same_prompts(before, again)


def test_a_painted_mask_stays_and_is_refined_by_points() -> None:
    declaration, painted = Declaration(), mask((3, 3))
    declaration.remember({KEY: FramePrompts(mask=painted)}, outlined=())
    assert declaration.prompts(Drawn({}, {}, {}))[KEY] == FramePrompts(mask=painted)
    refined = declaration.prompts(Drawn({KEY: Clicks([(1.0, 1.0)], [False])}, {}, {}))
    assert refined[KEY] == FramePrompts(((1, 1),), (False,), mask=painted)


def test_an_absent_object_stays_absent() -> None:
    declaration = Declaration()
    declaration.remember({KEY: FramePrompts(mask=mask())}, outlined=())
    assert declaration.prompts(Drawn({}, {}, {}))[KEY].says_absent


def test_an_outline_takes_the_place_of_a_painted_mask_for_good() -> None:
    declaration, drawn = Declaration(), PackedMask.pack(mask((5, 5)))
    declaration.remember({KEY: FramePrompts(mask=mask((3, 3)))}, outlined=())
    assert declaration.prompts(Drawn({}, {}, {KEY: drawn}))[KEY] == FramePrompts(mask=drawn)
    assert declaration.prompts(Drawn({}, {}, {})) == {}


def test_a_drawn_mask_is_not_painted() -> None:
    declaration = Declaration()
    declaration.remember({KEY: FramePrompts(mask=mask((3, 3)))}, outlined=[KEY])
    assert declaration.prompts(Drawn({}, {}, {})) == {}


def test_a_choice_stays_as_long_as_its_click() -> None:
    declaration = Declaration()
    declaration.remember({KEY: FramePrompts(((1, 1),), (True,), candidate=2)}, outlined=())
    more = Clicks([(1.0, 1.0), (2.0, 2.0)], [True, True])
    assert declaration.prompts(Drawn({KEY: more}, {}, {}))[KEY].candidate == 2
    moved = Clicks([(1.5, 1.0), (2.0, 2.0)], [True, True])
    assert declaration.prompts(Drawn({KEY: moved}, {}, {}))[KEY].candidate is None
    assert declaration.prompts(Drawn({KEY: more}, {}, {}))[KEY].candidate is None


def test_a_box_before_the_click_ends_its_choice() -> None:
    declaration, click = Declaration(), Clicks([(1.0, 1.0)], [True])
    declaration.remember({KEY: FramePrompts(((1, 1),), (True,), candidate=1)}, outlined=())
    assert declaration.prompts(Drawn({KEY: click}, {KEY: (0, 0, 4, 4)}, {}))[KEY].candidate is None


def test_sets_differ_by_keys_or_values() -> None:
    one, other = FramePrompts(((1, 1),), (True,)), FramePrompts(((1, 2),), (True,))
    assert same_prompts({KEY: one}, {KEY: FramePrompts(((1, 1),), (True,))})
    assert not same_prompts({KEY: one}, {KEY: other})
    assert not same_prompts({KEY: one}, {})
