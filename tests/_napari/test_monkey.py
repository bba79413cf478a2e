"""A few sequences of random actions; `tests.benchmarks.monkey` plays as many as one likes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests._napari.monkey_hands import Act
from tests._napari.monkey_play import draw, play, shrink

pytestmark = pytest.mark.gui


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize(("setting", "seed"), [("four", 1), ("four", 2), ("stack", 3)])
def test_what_has_to_hold_holds_after_random_actions(setting: str, seed: int) -> None:
    acts = draw(seed, 20)
    failure = play(acts, setting)
    assert failure is None, f"{failure}\n{acts}"


def test_a_sequence_that_fails_is_made_shorter() -> None:
    acts = draw(0, 30)
    culprits = {acts[4], acts[17]}
    found = shrink(acts, lambda some: {(act.name, act.draws) for act in culprits} <= _what(some))
    assert [each.draws for each in found] == [acts[4].draws, acts[17].draws]
    assert {each.then for each in found} == {"check"}


def _what(acts: Sequence[Act]) -> set[tuple[str, tuple[float, float, float]]]:
    return {(act.name, act.draws) for act in acts}
