"""The table of the remaining checks: every check of a run is in it or shown lag by lag."""

from types import SimpleNamespace

from wideproof.reports.sections.linear.confirmation import SHOWN, _others
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import ReportRun

KNOWN = ("excess-kurtosis", "correlation", "square-correlation", "kernel-coupling", "distribution")


def checked(*names):
    checks = [SimpleNamespace(quantity=x, verdict="holds", p_value=0.5, detectable=0.1) for x in names]
    return ReportRun(None, {}, made={validation: SimpleNamespace(checks=checks)})


def test_a_check_without_words_of_its_own_is_a_row_under_its_name():
    rows = _others(checked(*SHOWN, *KNOWN)).rows
    assert rows[0][0] == "excess kurtosis vanishes"
    assert len(rows) == len(KNOWN)
    added = _others(checked(*SHOWN, *KNOWN, "lag-symmetry", "lag-symmetry")).rows
    assert added[: len(KNOWN)] == rows
    assert added[-1][0] == "lag symmetry"
