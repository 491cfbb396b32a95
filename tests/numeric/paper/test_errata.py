"""Each erratum's check runs, agrees, and can disagree."""

import json

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.derive.linear.errata import ERRATA
from wideproof.derive.referee import readings
from wideproof.numeric.paper import errata
from wideproof.numeric.paper.errata import CHECKS, check_errata, rank_condition
from wideproof.reports.paper.errata import _rows


def test_every_erratum_has_a_check_and_every_check_an_erratum():
    assert list(CHECKS) == [erratum.item for erratum in ERRATA] == [f"E{i}" for i in range(1, 13)]


@pytest.mark.parametrize("item", CHECKS)
def test_the_corrected_statement_holds(item):
    (finding,) = check_errata((item,), seed=1)
    assert finding.holds is (None if item == "E10" else True)
    printed = next(erratum.printed for erratum in ERRATA if erratum.item == item)
    assert len(finding.evidence.get("refuted", {})) == len(printed)  # by the referee, each at a point
    json.dumps(finding.evidence)
    assert item == "E10" or list(_rows(finding.evidence))  # the report reads every formula of it


@pytest.mark.parametrize(
    ("item", "name", "wrong"),
    [
        ("E2", "moments", lambda f: lambda *a, **k: f(*a, **k | {"lag": max(k["lag"] - 1, 0)})),
        ("E5", "measure_bound", lambda f: lambda *a, **k: f(*a, **k | {"widths": (10**6, 50)})),
        ("E12", "exact_movement", lambda f: lambda d, r, t, step, k: f(d, r, t, 1.001 * step, k)),
        ("E9", "scale_of_lags", lambda f: lambda n, **k: f(n, **k | {"nu_W": 0.6})),
        ("E6", "rank_condition", lambda f: lambda x, **k: f(x[:2], **k)),
        ("E2", "check", lambda f: lambda of, name, text: f(of, name, f"({text})*(1 + 2/n**2)")),
        ("E3", "check", lambda f: lambda of, name, text: f(of, name, f"({text})*(T + 1)/nu_W**2")),
    ],
)
def test_a_wrong_ingredient_is_seen(monkeypatch, item, name, wrong):
    where = readings if name == "check" else errata
    monkeypatch.setattr(where, name, wrong(getattr(where, name)))
    assert check_errata((item,))[0].holds is False


def test_the_rank_condition_is_that_of_the_user_s_data():
    x = np.random.default_rng(0).standard_normal((6, 4, 2))
    found = rank_condition(x, n_y=3)
    assert (found.size, found.rank, found.largest_rank, found.holds) == (72, 24, 24, False)
    assert rank_condition(x[:2]).holds
    assert not rank_condition(x[:2] * np.array([1.0, 0.0])).holds  # a constant input carries nothing
    with pytest.raises(ShapeError):
        rank_condition(x[0])


def test_unknown_items_are_refused():
    with pytest.raises(ParameterError):
        check_errata(("E13",))
