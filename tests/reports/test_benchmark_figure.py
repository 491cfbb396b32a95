"""The figure of cost against width, from rows made by hand."""

from dataclasses import replace

import pytest

from numeric.benchmarks import Floor, Row
from reports.benchmarks import CURVES, cost_against_width

ROW = Row(
    "width", "ours at n = 1000", 1000, 10, 1, 1, None, 10, "float64",
    1.0, 1.0, 1.0, 1, "one trial", 2e-6, 3e-3, Floor(1.0, 1.0, 1.0, 1e-7), "by hand",
)  # fmt: skip


def test_a_rival_is_drawn_at_its_own_cost_and_we_at_ours():
    rows = [replace(ROW, name=name, n=n) for name, *_ in CURVES for n in (1000, 10)]
    (axes,) = cost_against_width(rows).axes
    assert len(axes.lines) == len(CURVES)
    for line, (_, rival, label) in zip(axes.lines, CURVES, strict=True):
        assert line.get_label() == label
        assert list(line.get_xdata()) == [10, 1000]
        assert list(line.get_ydata()) == pytest.approx([3e-3 if rival else 2e-6] * 2)


def test_what_was_not_run_is_left_out():
    (axes,) = cost_against_width([ROW]).axes
    assert len(axes.lines) == 1
