"""The figure of cost against width, from rows made by hand."""

import json
from dataclasses import replace

import pytest

from wideproof.numeric.benchmarks import BenchResult, Floor, Row
from wideproof.reports.write.benchmark_page import CURVES, HEAD, cost_against_width, main, table

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


def test_the_page_is_written_anew_from_the_rows(tmp_path):
    rows = [replace(ROW, n=n, ratio=1234.5) for n in (0, 1000, 10**9)]
    found = BenchResult(tuple(rows), (), {}, "2000-01-01").to_dict()
    (tmp_path / "results-2000-01-01.json").write_text(json.dumps(found), encoding="utf-8")
    page = tmp_path / "README.md"
    page.write_text(f"[old](results-1999-01-01.json)\n\n{HEAD}\n| stale | row |\n\nafter\n", encoding="utf-8")
    main([str(tmp_path / "results-2000-01-01.json")])
    said = page.read_text(encoding="utf-8")
    assert said == f"[old](results-2000-01-01.json)\n\n{table(rows)}\n\nafter\n"
    lines = said.splitlines()[4:7]
    assert [line.split(" | ")[2] for line in lines] == ["∞", "1000", "10^9"]
    assert "**1234** (1–1) | 2 µs | 3 ms | 5 % |" in lines[0]
    assert (tmp_path / "cost-against-width.svg").read_text(encoding="utf-8").startswith("<?xml")
