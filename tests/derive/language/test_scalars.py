"""Numbers, symbols and flags of a model: exact, real, finite and well named, or refused where they enter."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import Alternating, LanguageError, Recursion, ShapeError, models, relu, tanh
from wideproof.derive.language.notation import TAKEN, parameter, real_parameter


def rnn():
    r = Recursion("rnn")
    r.W, r.F, r.C, r.h = r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")
    return r


ACCEPTED = {
    "nu": parameter("nu"),
    3: sp.Integer(3),
    np.int64(3): sp.Integer(3),
    Fraction(1, 3): sp.Rational(1, 3),
    sp.sqrt(2) / 2: sp.sqrt(2) / 2,
    sp.pi / 4: sp.pi / 4,
    sp.Symbol("a", positive=True) / 2: sp.Symbol("a", positive=True) / 2,
}
REFUSED = {
    "float": 0.5,
    "numpy float": np.float64(0.5),
    "sympy float": sp.Float(0.5),
    "bool": True,
    "numpy bool": np.True_,
    "sympy true": sp.true,
    "none": None,
    "list": [1],
    "array": np.ones(2),
    "masked": np.ma.masked,
    "masked array": np.ma.masked_array([1.0], mask=[True]),
    "bytes": b"nu",
    "decimal text": "0.5",
    "number text": "3",
    "formula text": "a+b",
    "code text": "__import__('os').abort()",
    "empty text": "",
    "complex": 1j,
    "I": sp.I,
    "square root of -1": sp.sqrt(-1),
    "root of -2": sp.sqrt(-2),
    "log of -1": sp.log(-1),
    "nan": sp.nan,
    "oo": sp.oo,
    "-oo": -sp.oo,
    "zoo": sp.zoo,
    "complex in a sum": sp.Symbol("a") + sp.I,
    "huge": sp.Integer(10) ** 400,
    "tower": sp.exp(sp.exp(sp.exp(sp.Integer(9)))),
    "undefined function": sp.Function("f")(sp.Symbol("a")),
    "matrix symbol": sp.MatrixSymbol("A", 2, 2),
    "integral": sp.Integral(sp.Symbol("a"), sp.Symbol("a")),
    "lambda": lambda: 1,
    "odd symbol": sp.Symbol("nu W"),
    "braces": sp.Symbol("nu_{W}"),
    "keyword": sp.Symbol("lambda"),
    "dummy": sp.Dummy("_a"),
}


@pytest.mark.parametrize("given", ACCEPTED, ids=str)
def test_exact_real_numbers_and_names_are_variances(given):
    rnn().matrix("V", given)
    assert rnn().bias("b", given).label == "b"
    assert Recursion("r").matrix("V", given)._parts[0][1].variance == ACCEPTED[given]


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("place", ["variance", "mean", "initial", "weight", "coefficient", "law", "aspect"])
def test_all_else_is_refused_where_it_enters(kind, place):
    value, r = REFUSED[kind], rnn()
    entries = {
        "variance": lambda: r.matrix("V", value),
        "mean": lambda: r.bias("b", mean=value),
        "initial": lambda: r.state("g", initial=value),
        "weight": lambda: r.W.__mul__(value),
        "coefficient": lambda: r.update(r.h, value),
        "law": lambda: Alternating("run").source("x", "n", value),
        "aspect": lambda: Alternating("run").matrix("A", aspect=value),
    }
    with pytest.raises(LanguageError) as error:
        entries[place]()
    assert error.value.where
    assert error.value.expected
    assert error.value.hint.endswith(".")
    assert len(str(error.value)) < 2500


@pytest.mark.parametrize("value", [sp.I, sp.sqrt(-1), sp.nan, sp.oo, sp.zoo])
def test_updates_are_real_and_finite(value):
    r = rnn()
    with pytest.raises(LanguageError):
        r.update(r.h, r.W @ r.h + value * r.h)
    with pytest.raises(LanguageError):
        r.W @ (r.h + value)
    with pytest.raises(LanguageError):
        r.output(value * (r.C @ r.h))


@pytest.mark.parametrize("name", sorted(TAKEN))
@pytest.mark.parametrize("made", [parameter, real_parameter, str, lambda name: sp.Symbol(name) / 2])
def test_a_taken_name_is_refused_with_the_list(name, made):
    r = rnn()
    entries = [lambda: r.matrix("V", made(name)), lambda: r.bias("b", mean=made(name))]
    entries += [lambda: r.state("g", made(name)), lambda: Alternating("run").matrix("A", made(name))]
    if made is not str:
        entries += [lambda: r.update(r.h, made(name) * r.h), lambda: made(name) * r.W]
    for enter in entries:
        with pytest.raises(LanguageError) as error:
            enter()
        assert name in error.value.got
        assert all(taken in error.value.hint for taken in TAKEN)


def test_the_list_holds_what_once_collided():
    assert set("jktsnpqrcxX") <= TAKEN
    assert {"seed", "memory", "backend", "points", "parameterization", "parameters", "readout", "self", "recursion",
            "same", "width", "trials"} <= TAKEN  # fmt: skip
    assert not TAKEN & {"nu_W", "nu_F", "nu_C", "nu_b", "alpha", "delta", "epsilon", "theta_0", "mu", "a", "nu"}


def test_one_name_is_one_symbol():
    r = rnn()
    r.update(r.h, tanh(r.W @ r.h + r.bias("b", "mu", mean="mu")))
    r.output(r.C @ r.h)
    with pytest.raises(LanguageError, match="'mu'"):
        r.program()
    r = rnn()
    r.update(r.h, sp.Symbol("nu_W") * r.h + r.W @ r.h)
    r.output(r.C @ r.h)
    with pytest.raises(LanguageError, match="assumptions"):
        r.program()


@pytest.mark.parametrize("value", ["no", "yes", "True", 0, 1, None, 0.0, [], np.array([True]), np.ma.masked])
def test_flags_are_true_or_false(value):
    for enter in (
        lambda r: r.matrix("V", tied=value),
        lambda r: r.matrix("V", trainable=value),
        lambda r: r.input_map("G", tied=value),
        lambda r: r.readout("D", trainable=value),
        lambda r: r.bias("b", tied=value),
        lambda r: r.state("g", shared=value),
    ):
        with pytest.raises(LanguageError, match="True or False"):
            enter(rnn())


def test_flags_of_numpy_are_flags():
    r = rnn()
    parameter = r.matrix("V", tied=np.False_, trainable=np.True_)._parts[0][1]
    assert (parameter.tied, parameter.trainable) == (False, True)
    assert type(parameter.tied) is bool


def test_a_bias_has_one_size():
    r = rnn()
    b = r.bias("b", "nu_b")
    r.update(r.h, relu(r.W @ r.h + b))
    r.output(r.C @ r.h + b)
    with pytest.raises(ShapeError, match="n_y"):
        r.program()
    r = rnn()
    b = r.bias("b", "nu_b")
    r.update(r.h, r.W @ r.h)
    r.output(r.C @ relu(r.h + b) + b)
    with pytest.raises(ShapeError, match="n_y"):
        r.program()
    models.feed_forward().program()  # a bias of each size is well


def test_means_are_real_symbols():
    r = rnn()
    r.update(r.h, tanh(r.W @ r.h + r.bias("b", "nu_b", mean="mu")))
    r.output(r.C @ r.h)
    assert r.program().symbols["mu"] == sp.Symbol("mu", real=True)
    assert r.program().symbols["nu_b"].is_nonnegative
