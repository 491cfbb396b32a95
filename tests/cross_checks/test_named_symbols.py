"""Names and signs of the symbols of a model, from declaration to numbers: nothing collides, means may be negative."""

import ast
import inspect
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import typer

from tests.command_line import CliRunner
from wideproof.derive import (
    ParameterError,
    Recursion,
    check,
    erf,
    line_evolution,
    memory,
    models,
    ntk,
    scale_factors,
    state_evolution,
)
from wideproof.derive.language.notation import TAKEN
from wideproof.numeric import Kernel, WideRegressor, empirical_ntk, validate
from wideproof.numeric.memory_horizon.fixed_points import analyse
from wideproof.numeric.networks.simulation import simulate
from wideproof.reports.cli import models as cli_models
from wideproof.reports.cli.app import app

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(0).standard_normal((2, 3, 2))
GRAM = X @ X.swapaxes(1, 2)
NU = {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0, "nu_b": 0.1}
GIVEN = ("parameters", "values", "nu", "options", "given", "variances")


def network(mean="mu", W="W", F="F", C="C", b="b", h="h"):
    r = Recursion("network")
    w, f, c, state = r.matrix(W, "nu_W"), r.input_map(F, "nu_F"), r.readout(C, "nu_C"), r.state(h)
    r.update(state, erf(w @ state + f @ r.x + r.bias(b, "nu_b", mean=mean)))
    r.output(c @ state)
    return r


def taken_by_functions():
    """Arguments of every function that takes the symbols of a model by keyword."""
    for floor in ("derive", "numeric", "reports"):
        for path in (ROOT / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and node.args.kwarg and node.args.kwarg.arg in GIVEN:
                    yield from (x.arg for x in node.args.posonlyargs + node.args.args + node.args.kwonlyargs)


def taken_by_commands():
    """Options of every verb, and of the models of the gallery."""
    command = typer.main.get_command(app)
    for verb in (command, *command.commands.values()):
        yield from (o[2:].replace("-", "_") for p in verb.params for o in p.opts if o.startswith("--"))
    for name in models.__all__:
        yield from inspect.signature(getattr(models, name)).parameters


def test_arguments_and_options_are_taken_names():
    """A new argument beside the symbols of a model joins the list in derive.language.notation."""
    for taken in (set(taken_by_functions()), set(taken_by_commands())):
        assert len(taken) > 20
        assert taken <= TAKEN


@cache
def symbols_by_keyword():
    """Each way to give the symbols of a model by keyword: a function of them, and the symbols it wants."""
    rnn, small = models.linear_rnn(), models.elman("relu")
    slope, lines = memory(small).parts["slope"].formula.compile(), line_evolution(models.amp(1))
    thresholds = ("delta", "epsilon", "nu_w", "theta_0")
    return {
        "closed form": (scale_factors(rnn).formula.compile(), ("j", "nu_W", "nu_F", "nu_C")),
        "gaussian means": (slope, slope.arguments),
        "recurrence": (lambda **nu: ntk(small).formula.compile()(X=GRAM, X1=GRAM, X2=GRAM, **nu), NU),
        "alternating": (lines, thresholds),
        "kernel": (lambda **nu: Kernel(small, **nu), NU),
        "memory": (lambda **nu: analyse(small, **nu), ("nu_W", "nu_b")),
        "simulation": (lambda **nu: simulate(small, X, 4, **nu), NU),
        "check": (lambda **nu: check(rnn, "stability", "sqrt(nu_W)", **nu), ()),
        "validate": (lambda **nu: validate(rnn, **nu), ()),
        "validate alternating": (lambda **nu: validate(models.amp(1), **nu), ()),
        "estimator": (lambda **nu: WideRegressor(rnn, **nu).fit(X, [0.0, 1.0]), ()),
        "set_params": (lambda **nu: WideRegressor(rnn).set_params(**nu), ()),
    }


@pytest.mark.parametrize("way", symbols_by_keyword())
def test_unknown_and_missing_symbols_are_named_alike_everywhere(way):
    call, wanted = symbols_by_keyword()[way]
    given = dict.fromkeys(wanted, 1.0)
    with pytest.raises(ParameterError, match=r"unknown: nu_V\.") as error:
        call(**given, nu_V=1.0)
    assert error.value.expected.startswith("numbers for ")
    for name in wanted:
        with pytest.raises(ParameterError, match=rf"missing: {name}\."):
            call(**{x: value for x, value in given.items() if x != name})
    with pytest.raises(ParameterError, match=r"unknown: nu_V" + "." * bool(wanted)):
        call(nu_V=1.0)


@pytest.mark.parametrize("value", ["0.5", -0.5, 1j, np.ma.masked_array([0.5], [True]), np.nan], ids=repr)
@pytest.mark.parametrize("way", ["gaussian means", "alternating"])
def test_numbers_for_gaussian_means_are_real(way, value):
    call, wanted = symbols_by_keyword()[way]
    with pytest.raises(ParameterError, match=f"{wanted[0]}"):
        call(**dict.fromkeys(wanted[1:], 0.5), **{wanted[0]: value})


def test_letters_of_formulas_are_taken_names():
    rho, kernel, evolution = scale_factors(models.linear_rnn()), ntk(models.elman()), state_evolution(models.elman())
    for formula in (rho.formula, kernel.formula, evolution.formula, memory(models.elman()).formula):
        assert set(formula.symbols) - set(formula.program.symbols) <= TAKEN


@cache
def kernel_of_usual_names():
    """The kernel of the network, derived once."""
    return Kernel(network(), **NU, mu=0.3).ntk(X)


@pytest.mark.parametrize("name", ["j", "k", "t", "n", "q", "X", "seed", "self", "file", "lambda", "nu_W", "mu"])
@pytest.mark.parametrize("part", ["W", "F", "C", "b", "h"])
def test_matrices_biases_and_states_of_any_name_work(name, part):
    recursion, rng = network(**{part: name}), np.random.default_rng(1)
    want = kernel_of_usual_names()
    assert np.allclose(Kernel(recursion, **NU, mu=0.3).ntk(X), want, rtol=1e-12)
    ntk(recursion).formula.latex()
    drawn = {"W": rng.normal(size=(6, 6)), "F": rng.normal(size=(6, 2)), "C": rng.normal(size=(1, 6))}
    drawn["b"] = rng.normal(size=6)
    at = [({name if key == part else key: value for key, value in drawn.items()}, recursion), (drawn, network())]
    runs = [simulate(r, X, 6, weights=weights, **NU, mu=0.3).outputs for weights, r in at]
    assert np.allclose(*runs, rtol=1e-12)
    kernels = [empirical_ntk(r, X, 6, weights=weights, **NU, mu=0.3).total for weights, r in at]
    assert np.allclose(*kernels, rtol=1e-12)


@pytest.mark.parametrize("mean", [Fraction(-1, 2), Fraction(1, 2)])
def test_a_mean_may_be_negative_as_a_number_and_as_a_symbol(mean):
    number, symbol = network(mean), network("mu")
    for recursion in (number, symbol):
        ntk(recursion).proof.verify()
    kernels = Kernel(number, **NU), Kernel(symbol, **NU, mu=float(mean))
    assert np.allclose(kernels[0].ntk(X), kernels[1].ntk(X), rtol=1e-12)
    assert np.allclose(kernels[0].nngp(X), Kernel(symbol, **NU, mu=-float(mean)).nngp(-X), rtol=1e-10)  # erf is odd
    runs = simulate(number, X, 7, seed=1, **NU).outputs, simulate(symbol, X, 7, seed=1, **NU, mu=float(mean)).outputs
    assert np.allclose(*runs, rtol=1e-12)
    grams = np.einsum("btx,bsx->bts", X, X)
    compiled = ntk(symbol).formula.compile()
    found = compiled(X=grams, X1=grams, X2=grams, same=True, **NU, mu=float(mean))
    assert np.allclose(found[0], kernels[0].ntk(X)[0, :, 0, :], rtol=1e-12)


def test_the_command_line_takes_a_negative_mean(monkeypatch):
    def shifted():
        """A linear update beside a bias with a mean."""
        return network()

    gallery = cli_models.gallery()
    monkeypatch.setattr(cli_models, "gallery", lambda: {**gallery, "shifted": shifted})
    sizes = ["--width", "16", "--trials", "40", "--json"]
    numbers = [x for name, value in NU.items() for x in (f"--{name.replace('_', '-')}", str(value))]
    found = CliRunner().invoke(app, ["validate", "shifted", *sizes, *numbers, "--mu", "-0.5"])
    assert found.exit_code in (0, 3), found.output


@pytest.mark.parametrize("value", ["0.3", "__import__('os')", b"1", np.ma.masked, np.ma.masked_array([0.3]), 1j, None])
def test_numbers_of_symbols_are_real_numbers(value):
    """Neither text nor masked arrays pass for numbers, in kernels, simulations and compiled formulas."""
    compiled = scale_factors(models.linear_rnn()).formula.compile()
    for enter in (
        lambda: Kernel(network(), **{**NU, "nu_W": value}, mu=0.3),
        lambda: simulate(network(), X, 4, **{**NU, "nu_W": value}, mu=0.3),
        lambda: compiled(j=1, nu_W=value, nu_F=1.0, nu_C=1.0),
        lambda: compiled(j=value, nu_W=0.3, nu_F=1.0, nu_C=1.0),
    ):
        with pytest.raises(ParameterError):
            enter()
