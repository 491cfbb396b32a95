"""Programs of moments: the loop over rows, run as Python, against operations on arrays and against mutants."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from array_api_compat import numpy as xp

from wideproof.derive.emit.sweeps import moment_programs
from wideproof.derive.emit.sweeps.moment_programs import CONSTANT, KEPT, PLUS, Operands, PathMoment, PathProgram

R, N, M = 2, 3, 4
A, B, C = PathMoment(KEPT, key="a"), PathMoment(KEPT, key="b"), PathMoment(CONSTANT, key="c")
MOMENTS = {
    "sum": A.plus(B, -0.5),
    "product": A.times(B).times(3.0),
    "added product": A.plus(B.times(C), 0.7),
    "first factor": A.by("f", 1),
    "second factor": A.by("f", 2).plus(B),
    "exchanged": A.by("f", 1).plus(B.times(C)).turned().times(A),
}


def written(name, a, b, c, f):
    turned = lambda x: np.swapaxes(x, 1, 2)  # noqa: E731
    return {
        "sum": a - 0.5 * b,
        "product": 3 * a * b,
        "added product": a + 0.7 * b * c,
        "first factor": a * f[:, :, None],
        "second factor": a * f[:, None] + b,
        "exchanged": turned(a * f[:, :, None] + b * c) * a,
    }[name]


def ran(name, how):
    """What is kept and the mean of a moment, and what they should be."""
    rng = np.random.default_rng(3)
    kept, constants, factors = (rng.standard_normal(s) for s in ((3, R, N, N, M), (1, R, N, N), (1, R, N, M)))
    program = PathProgram()
    program.store("new", MOMENTS[name])
    program.mean([MOMENTS[name]])
    program.compact()
    want = written(name, kept[0], kept[1], constants[0][..., None], factors[0])
    slots = [{"a": 0, "b": 1}[x] for x in program.kept], [0] * len(program.constants), [0] * len(program.factors), [2]
    return how(program, Operands(kept, constants, factors, slots)), kept[2], want


def by_rows(program, operands, together=1, length=2 * M):
    means, slots = np.zeros((program.means, R, N, N)), [np.array(x, np.int64) for x in operands.slots]
    code, weights = program.compacted, np.array(program.weights)
    pool, factors = operands.kept.reshape(-1, R, N * N * M), operands.factors.reshape(-1, R, N * M)
    registers = np.empty((program.registers, length))
    for start in range(0, R * N, together):
        stop = min(start + together, R * N)
        moment_programs.rows(start, stop, code, weights, *slots, pool, operands.constants, factors, registers, means)
    return means


WAYS = {
    "parts of rows": by_rows,
    "rows together": lambda program, operands: by_rows(program, operands, R * N, 2 * N * M + 1),
    "arrays": lambda program, operands: moment_programs.by_arrays(xp, program, operands),
    "as installed": lambda program, operands: moment_programs.run(xp, program, operands),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MOMENTS)
def test_programs_give_what_is_written_out(name, way):
    means, kept, want = ran(name, WAYS[way])
    np.testing.assert_allclose(kept, want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(means[0], want.mean(axis=-1), rtol=1e-12, atol=1e-12)


def test_a_program_that_forgets_to_exchange_is_seen(monkeypatch):
    monkeypatch.setattr(PathMoment, "turned", lambda self: self)
    monkeypatch.setitem(MOMENTS, "exchanged", A.by("f", 1).plus(B.times(C)).turned().times(A))
    _, kept, want = ran("exchanged", by_rows)
    assert np.abs(kept - want).max() > 0.1


def test_registers_that_are_read_no_more_are_used_again():
    program, total = PathProgram(), A
    for k in range(20):
        total = total.plus(PathMoment(KEPT, key=k), 0.5)
    program.mean([total])
    assert program.registers == 41
    program.compact()
    assert program.registers == 3
    assert all(to not in (a, b) for code, to, a, b, _ in program.code if code == PLUS)


@pytest.mark.parametrize("way", ["rows together", "as installed"])
def test_programs_joined_give_what_each_gives(way):
    programs, slots, wants = [], [], []
    rng = np.random.default_rng(4)
    kept, constants, factors = (rng.standard_normal(s) for s in ((4, R, N, N, M), (1, R, N, N), (1, R, N, M)))
    for place, name in enumerate(("added product", "first factor")):
        program = PathProgram()
        program.store("new", MOMENTS[name])
        program.mean([MOMENTS[name]])
        program.compact()
        programs.append(program)
        numbers = [0] * len(program.constants), [0] * len(program.factors), [2 + place]
        slots.append(([{"a": 0, "b": 1}[x] for x in program.kept], *numbers))
        wants.append(written(name, kept[0], kept[1], constants[0][..., None], factors[0]).mean(axis=-1))
    whole = moment_programs.joined(programs)
    operands = Operands(kept, constants, factors, tuple(list(chain(*both)) for both in zip(*slots, strict=True)))
    found = WAYS[way](whole, operands)
    np.testing.assert_allclose(found, np.stack(wants), rtol=1e-12, atol=1e-12)
    assert not whole.exchanges
    exchanged = PathProgram()
    exchanged.mean([MOMENTS["exchanged"]])
    assert exchanged.exchanges
