"""The table of differences, told at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity.table import HEADER, Row

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from tests.parity.table import Table

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """Return the rows that are told when the run ends."""
    return pytestconfig.stash.setdefault(_ROWS, [])


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Write the table."""
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("differences from the released sam2")
        terminalreporter.write_line(HEADER)
        for row in rows:
            terminalreporter.write_line(str(row))
