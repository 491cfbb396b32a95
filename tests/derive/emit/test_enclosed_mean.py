"""Formulas of Gaussian means in balls: the maps of `memory`, beside the float path and closed forms."""

import pytest
from flint import arb, ctx

from wideproof.derive import memory, models
from wideproof.derive.emit.enclosed_mean import enclosed_mean


@pytest.mark.parametrize("activation", ["tanh", "relu", "erf"])
def test_every_part_holds_the_float_value(activation):
    parts = memory(models.elman(activation)).parts
    with ctx.workprec(160):
        for part in parts.values():
            values = {name: {"c": 0.5, "X": 0.25}.get(name, 0.875) for name in part.formula.symbols}
            found = enclosed_mean(part.formula, {name: arb(x) for name, x in values.items()})
            value, error = part.formula.compile("numpy").with_error(**values)
            assert found.rad() < 1e-14
            assert abs(float(found.mid()) - float(value)) <= float(error) + 1e-15
            assert value == 0 or not found.overlaps(found.mid() * 1.001)


def test_means_of_one_variable_lose_nothing_at_correlation_one():
    chi = memory(models.elman("relu")).slope["h"].formula
    with ctx.workprec(160):
        values = {name: arb(x) for name, x in zip(chi.symbols, (1.0, 1.0, 0.0, 0.0, 1.5, 0.5), strict=True)}
        assert enclosed_mean(chi, values).overlaps(arb(0.75))
        wide = enclosed_mean(chi, {**values, "q": arb(1.0, 1e-12)})
        assert wide.overlaps(arb(0.75))
