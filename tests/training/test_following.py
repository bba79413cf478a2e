from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.training.clicks import Targets
from napari_sam2.training.draws import Draws
from napari_sam2.training.following import Followed, FollowRules, follow
from napari_sam2.training.synthetic import SyntheticBatch

SIDE, FRAMES, WINDOW = 96, 6, 32
STILL = FollowRules(factor=(2.0, 2.0), off=0.0, smallest=8)


def _squares(places: list[tuple[int, int] | None], length: int = 12) -> torch.Tensor:
    """(T, S, S) a square on each frame, at its upper left corner."""
    truth = torch.zeros(len(places), SIDE, SIDE, dtype=torch.bool)
    for frame, place in enumerate(places):
        if place is not None:
            truth[frame, place[0] : place[0] + length, place[1] : place[1] + length] = True
    return truth


def _followed(*truths: torch.Tensor, rules: FollowRules = STILL, seed: int = 0) -> Followed:
    """Follow objects that are bright where they are, each in a sequence of its own."""
    truth = torch.stack(truths)
    images = truth.float().unsqueeze(2).expand(-1, -1, 3, -1, -1) * 200 + 20
    made = SyntheticBatch(images, truth.int())
    count = len(truth)
    targets = Targets(torch.arange(count), truth, torch.ones(count, dtype=torch.bool))
    return follow(made, targets, WINDOW, Draws(torch.Generator().manual_seed(seed)), rules)


def test_an_object_at_rest_stays_in_the_middle() -> None:
    followed = _followed(_squares([(40, 50)] * FRAMES))
    assert followed.made.images.shape == (1, FRAMES, 3, WINDOW, WINDOW)
    inside = followed.targets.truth[0, -1].nonzero().float()
    assert inside.mean(0).tolist() == pytest.approx([15.5, 15.5], abs=0.6)
    assert len(inside) == pytest.approx((WINDOW / 2) ** 2, rel=0.1)
    assert followed.targets.places is not None
    assert followed.targets.places[0].tolist() == [pytest.approx([34 / 24, 44 / 24])] * FRAMES


def test_pictures_and_masks_lie_over_each_other() -> None:
    followed = _followed(_squares([(10 + 7 * t, 60 - 5 * t) for t in range(FRAMES)]))
    bright = followed.made.images[0, :, 0] > 120
    assert (bright == followed.targets.truth[0]).float().mean() > 0.98
    assert torch.equal(followed.made.labels[0], followed.targets.truth[0].int())


def test_a_window_goes_where_its_object_was() -> None:
    followed = _followed(_squares([(20, 20 + 5 * t) for t in range(FRAMES)]))
    columns = [float(t.nonzero()[:, 1].float().mean()) for t in followed.targets.truth[0]]
    assert columns[0] == pytest.approx(15.5, abs=0.6)
    # One step behind: 5 of 24 pixels.
    assert columns[1:] == pytest.approx([15.5 + 5 * WINDOW / 24] * (FRAMES - 1), abs=0.7)


def test_a_small_step_moves_no_window() -> None:
    followed = _followed(_squares([(40, 40 + (t > 0) * 3) for t in range(FRAMES)]))
    assert followed.targets.places is not None
    assert (followed.targets.places[0] == followed.targets.places[0, 0]).all()


def test_a_window_waits_where_its_object_was_lost() -> None:
    followed = _followed(_squares([(20, 20), (20, 40), None, None, None, None]))
    places = followed.targets.places
    assert places is not None
    assert (places[0, 2:] == places[0, 2]).all()
    assert places[0, 2, 1] > places[0, 0, 1]
    assert not followed.targets.truth[0, 2:].any()


def test_objects_that_are_not_there_count_for_nothing() -> None:
    followed = _followed(_squares([None] * FRAMES), _squares([(40, 40)] * FRAMES))
    assert followed.targets.valid.tolist() == [False, True]
    assert torch.isfinite(followed.made.images).all()


def test_each_is_a_sequence_of_its_own() -> None:
    followed = _followed(_squares([(8, 8)] * FRAMES), _squares([(60, 60)] * FRAMES, length=24))
    assert followed.targets.owner.tolist() == [0, 1]
    assert followed.targets.places is not None
    assert followed.targets.truth.any(-1).any(-1).all()


@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(st.none(), st.tuples(st.integers(0, SIDE - 6), st.integers(0, SIDE - 6))),
        min_size=FRAMES,
        max_size=FRAMES,
    ),
    st.integers(0, 1000),
)
def test_windows_lie_inside_of_the_frame(places: list[tuple[int, int] | None], seed: int) -> None:
    truth = _squares([(30, 30), *places[1:]], length=10)
    followed = _followed(truth, rules=FollowRules(), seed=seed)
    starts = followed.targets.places
    assert starts is not None
    # Sides are of 32 pixels at least, so that three of them fill a frame.
    assert (starts >= 0).all()
    assert (starts <= SIDE / 32 - 1 + 1e-5).all()
    seen = followed.targets.truth.flatten(2).any(2)[0]
    assert not (seen & ~truth.flatten(1).any(1)).any()
    assert followed.made.images.min() >= 20 - 1e-3
    assert followed.made.images.max() <= 220 + 1e-3


def test_a_window_is_no_longer_than_its_frame() -> None:
    followed = _followed(_squares([(2, 2)] * FRAMES, length=90), rules=FollowRules())
    assert followed.targets.places is not None
    assert (followed.targets.places == 0).all()
    inside = followed.targets.truth[0, 0].float().mean()
    assert inside == pytest.approx((90 / SIDE) ** 2, rel=0.05)
