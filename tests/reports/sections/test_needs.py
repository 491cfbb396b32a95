"""What sections need is made once, in an order that parts of a run share, and read by those alone that declare it."""

from __future__ import annotations

import pytest

from wideproof.derive import models, nngp
from wideproof.derive.proof.proof import Proof
from wideproof.numeric.runs.tasks import Elsewhere
from wideproof.reports.sections.needs import Making, Need, checked, concluded, derived, measured


@pytest.fixture
def program(monkeypatch):
    monkeypatch.setattr(Proof, "verify", lambda self: None)
    return models.elman("erf").program()


@pytest.fixture
def told():
    """What was made, in its order; the needs that tell it, the last first."""
    seen = []
    given = checked(lambda run: seen.append("given") or 2)
    limit = derived(lambda program: seen.append("limit") or nngp(program))
    drawn = measured("drawing", record="drawn")(lambda run, progress: seen.append("drawn") or run[given] + 1)
    again = measured("again")(lambda run, progress: seen.append("again") or run.seed)
    said = concluded(record="said")(lambda run, progress: seen.append("said") or run[drawn] + run[again])
    return seen, (said, drawn, again, limit, given)


def test_each_need_is_made_once_in_its_order_and_recorded(program, told):
    seen, needs = told
    run = Making(program, {}, seed=4).carried_out((*needs, *needs))
    assert seen == ["given", "limit", "drawn", "again", "said"]
    assert run[needs[0]] == 7
    assert run.record() == {"said": 7, "drawn": 3}
    assert run.having({needs[0]: None}).record() == {"drawn": 3}


def test_a_part_does_its_share_of_every_measurement_and_leaves_the_rest(program, told):
    seen, (said, _, again, limit, given) = told

    @measured("drawing")
    def elsewhere(run, progress):
        seen.append("drawn")
        raise Elsewhere

    with pytest.raises(Elsewhere):
        Making(program, {}).carried_out((said, elsewhere, again, limit, given))
    assert seen == ["given", "limit", "drawn", "again"]


def test_a_need_that_is_not_declared_is_not_read(program):
    run = Making(program, {}).carried_out(())
    with pytest.raises(LookupError, match="not declared"):
        run[Need(lambda run, progress: 1, 0)]
