"""Recursions to derive from, in and outside the gallery; each derivation is made once per run."""

from functools import cache

import pytest
import sympy as sp

from wideproof import derive
from wideproof.derive import NotDiagonal, Recursion, models, relu


def basic(name):
    r = Recursion(name)
    return r, r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")


def two_tied():
    """h+ = (W + a V) h + F x."""
    r, W, F, C, h = basic("two-tied")
    V = r.matrix("V", "nu_V")
    r.update(h, (W + sp.Symbol("a", real=True) * V) @ h + F @ r.x)
    r.output(C @ h)
    return r


def redrawn():
    """W tied and V redrawn at each step."""
    r, W, F, C, h = basic("tied-redrawn")
    V = r.matrix("V", "nu_V", tied=False)
    r.update(h, W @ h + V @ h + F @ r.x)
    r.output(C @ h)
    return r


def stacked():
    """Two layers; the second reads the updated first."""
    r, W, F, C, h = basic("stacked")
    g = r.state("g")
    U, V = r.matrix("U", "nu_U"), r.matrix("V", "nu_V")
    r.update(h, W @ h + F @ r.x)
    r.update(g, U @ g + V @ h.next)
    r.output(C @ g)
    return r


def frozen():
    """A reservoir: only the input map and the readout are trained."""
    r = Recursion("frozen")
    W, F, C = r.matrix("W", "nu_W", trainable=False), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    h = r.state("h")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    return r


def skip():
    """h+ = a h + W h + F x."""
    r, W, F, C, h = basic("skip")
    r.update(h, sp.Symbol("a", real=True) * h + W @ h + F @ r.x)
    r.output(C @ h)
    return r


def coupled():
    """Two states that feed each other: no triangular order, so no closed form."""
    r, W, F, C, h = basic("coupled")
    g, V = r.state("g"), r.matrix("V", "nu_V")
    r.update(h, W @ g + F @ r.x)
    r.update(g, V @ h + V @ g)
    r.output(C @ h)
    return r


def untied():
    """Nothing is shared over time: the independent-weights approximation."""
    r = Recursion("untied")
    W, F, C = r.matrix("W", "nu_W", tied=False), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    h = r.state("h")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    return r


def elman():
    """relu and a bias with a mean."""
    r, W, F, C, h = basic("elman-relu")
    b = r.bias("b", "nu_b", mean="mu")
    r.update(h, relu(W @ h + F @ r.x + b))
    r.output(C @ h)
    return r


def quadratic():
    """A product of two matrix products: beyond Lemma C.1."""
    r, W, F, C, h = basic("quadratic")
    V = r.matrix("V", "nu_V")
    r.update(h, (W @ h) * (V @ h) + F @ r.x)
    r.output(C @ h)
    return r


def random_start():
    """A skip, a shared random start, and biases with means, also in the output."""
    r = Recursion("random-start")
    W, F, C = r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    b, c = r.bias("b", "nu_b", mean="mu"), r.bias("c", "nu_c", mean="mu_c")
    h = r.state("h", initial="nu_0", shared=True)
    r.update(h, h / 2 + W @ h + F @ r.x + b)
    r.output(C @ h + c)
    return r


BUILDERS = {
    f.__name__: f
    for f in (
        models.linear_rnn,
        two_tied,
        redrawn,
        stacked,
        frozen,
        skip,
        coupled,
        untied,
        elman,
        quadratic,
        random_start,
    )
}
LINEAR = ("linear_rnn", "two_tied", "redrawn", "stacked", "frozen", "skip", "coupled", "untied")
CASES = {(model, "ntk"): {} for model in BUILDERS}
CASES |= {(model, "nngp"): {} for model in ("linear_rnn", "redrawn", "coupled", "elman", "random_start")}
CASES |= {(model, "state_evolution"): {} for model in ("linear_rnn", "stacked", "skip", "elman", "random_start")}
CASES |= {(model, "impulse_response"): {} for model in LINEAR}
CASES |= {(model, "scale_factors"): {} for model in LINEAR if model not in ("redrawn", "skip", "untied")}
CASES |= {(model, "equivalent_convolution"): {} for model in ("linear_rnn", "two_tied", "stacked", "frozen")}
CASES |= {(model, "adjoint"): {} for model in ("stacked", "elman")}
CASES |= {
    ("linear_rnn", "state_evolution horizon"): {"horizon": 3},
    ("linear_rnn", "state_evolution innovations"): {"form": "innovations"},
    ("two_tied", "state_evolution innovations horizon"): {"form": "innovations", "horizon": 2},
    ("linear_rnn", "state_evolution innovations horizon"): {"form": "innovations", "horizon": 3},
    ("redrawn", "state_evolution innovations"): {"form": "innovations"},
    ("random_start", "state_evolution horizon"): {"horizon": 3},
    ("linear_rnn", "ntk parameterization"): {"parameterization": "ntk"},
}


@cache
def build(model):
    return BUILDERS[model]()


@cache
def derivation_of(case):
    model, quantity = case
    return getattr(derive, quantity.split()[0])(build(model), **CASES.get(case, {}))


@pytest.fixture(scope="session", name="build")
def fixture_build():
    """model name -> recursion"""
    return build


@pytest.fixture(scope="session", name="derived")
def fixture_derived():
    """model, quantity -> derivation"""
    return lambda model, quantity: derivation_of((model, quantity))


@pytest.fixture(params=CASES, ids="-".join)
def derivation(request):
    """Every derivation of every recursion."""
    return derivation_of(request.param)


@pytest.fixture(scope="session", name="not_diagonal")
def fixture_not_diagonal():
    """The error that scale_factors raises for a recursion."""

    def caught(model):
        with pytest.raises(NotDiagonal) as error:
            derive.scale_factors(build(model))
        return error.value

    return caught


@pytest.fixture(scope="session")
def all_cases():
    """Every (model, quantity)."""
    return tuple(CASES)
