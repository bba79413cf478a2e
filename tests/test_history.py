"""Undo and redo on a dictionary: whatever was done, all the way back is the start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from napari_sam2.history import Change, Edit, History

State = dict[str, int]
assignments = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)), max_size=4)


def carry_out(state: State, edit: Edit | None) -> None:
    assert edit is not None
    for change in edit.changes:
        assert state.get(str(change.key)) == change.before
        if isinstance(change.after, int):
            state[str(change.key)] = change.after
        else:
            state.pop(str(change.key), None)


def make_edit(state: State, values: list[tuple[str, int | None]]) -> Edit:
    """One edit that may set the same key more than once."""
    trial = dict(state)
    changes = []
    for key, value in values:
        changes.append(Change(key, trial.get(key), value))
        carry_out(trial, Edit("", (changes[-1],)))
    return Edit(f"{len(values)} values", tuple(changes))


def change(number: int) -> Edit:
    return Edit(f"edit {number}", (Change("a", number - 1, number),))


@given(st.lists(assignments, max_size=12))
def test_undoing_all_gives_the_start_and_redoing_all_the_end(
    edits: list[list[tuple[str, int | None]]],
) -> None:
    state: State = {"a": 1}
    history = History()
    for values in edits:
        edit = make_edit(state, values)
        carry_out(state, edit)
        history.push(edit)
    end = dict(state)
    while history.can_undo:
        carry_out(state, history.undo())
    assert state == {"a": 1}
    while history.can_redo:
        carry_out(state, history.redo())
    assert state == end


class Editing(RuleBasedStateMachine):
    """A user who edits, undoes and redoes, beside a list of all states."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 5
        self.history = History(self.limit)
        self.state: State = {}
        self.states: list[State] = [{}]
        self.now = 0

    @rule(values=assignments.filter(bool))
    def edit(self, values: list[tuple[str, int | None]]) -> None:
        edit = make_edit(self.state, values)
        carry_out(self.state, edit)
        self.history.push(edit)
        self.states = [*self.states[: self.now + 1], dict(self.state)][-self.limit - 1 :]
        self.now = len(self.states) - 1

    @rule()
    def undo(self) -> None:
        edit = self.history.undo()
        assert (edit is None) == (self.now == 0)
        if edit is not None:
            carry_out(self.state, edit)
            self.now -= 1

    @rule(values=st.lists(assignments.filter(bool), min_size=1, max_size=3))
    def edit_and_take_back(self, values: list[list[tuple[str, int | None]]]) -> None:
        undone, run = self.states[self.now + 1 :], object()
        for each in values:
            edit = make_edit(self.state, each)
            carry_out(self.state, edit)
            self.history.push(edit, run)
        assert self.history.take_back(object()) is None
        carry_out(self.state, self.history.take_back(run))
        done = self.states[: self.now + 1][-self.limit :]
        self.states, self.now = [*done, *undone], len(done) - 1

    @rule()
    def redo(self) -> None:
        edit = self.history.redo()
        assert (edit is None) == (self.now == len(self.states) - 1)
        if edit is not None:
            carry_out(self.state, edit)
            self.now += 1

    @invariant()
    def the_state_is_the_one_in_the_list(self) -> None:
        assert self.state == self.states[self.now]
        assert self.history.can_undo == (self.now > 0)
        assert self.history.can_redo == (self.now < len(self.states) - 1)


TestEditing = Editing.TestCase


def test_an_inverse_turns_changes_and_their_order_round() -> None:
    edit = Edit("click", (Change("a", None, 1), Change("a", 1, 2)))
    assert edit.inverse() == Edit("click", (Change("a", 2, 1), Change("a", 1, None)))
    assert edit.inverse().inverse() == edit


def test_a_new_edit_ends_redoing() -> None:
    history = History()
    history.push(change(1))
    history.push(change(2))
    assert history.undo() == change(2).inverse()
    history.push(change(3))
    assert history.redo() is None
    assert history.undo_label == "edit 3"


def test_what_was_done_since_is_not_taken_back() -> None:
    history, run = History(), object()
    history.push(change(1), run)
    history.push(change(2))
    assert history.take_back(run) is None
    history.undo()
    assert history.take_back(object()) is None
    assert history.take_back(run) == change(1).inverse()
    assert (history.can_undo, history.can_redo) == (False, False), "what was undone since goes too"


def test_what_was_forgotten_stays_so() -> None:
    history, run = History(), object()
    history.push(change(1))
    history.undo()
    history.push(change(1), run)
    history.forget_undone()
    history.take_back(run)
    assert not history.can_redo


def test_only_the_latest_edits_are_kept() -> None:
    history = History(limit=2)
    for number in range(1, 5):
        history.push(change(number))
    assert [edit.label for edit in iter(history.undo, None)] == ["edit 4", "edit 3"]
    assert [edit.label for edit in iter(history.redo, None)] == ["edit 3", "edit 4"]


def test_an_edit_without_changes_leaves_no_trace() -> None:
    history = History()
    history.push(change(1))
    history.undo()
    history.push(Edit("nothing"))
    assert history.redo_label == "edit 1"
    assert history.undo_label is None


def test_clear() -> None:
    history = History()
    history.push(change(1))
    history.push(change(2))
    history.undo()
    history.clear()
    assert not history.can_undo
    assert not history.can_redo
    assert history.redo_label is None


def test_a_limit_of_none() -> None:
    with pytest.raises(ValueError, match="limit is 0"):
        History(limit=0)
