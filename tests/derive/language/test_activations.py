"""Declared activations: texts and expressions, and what is refused because it is no activation."""

import time

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings, strategies as st

from wideproof.derive import ParameterError, Recursion, activation, define, tanh
from wideproof.derive.language.activations import Phi, RealFunction, Z, canonical, definition, has_jump, is_lipschitz
from wideproof.derive.language.errors import DeriveError, LanguageError

x = sp.Symbol("x")
TEXTS = {
    "t_mish": ("z * tanh(log(1 + exp(z)))", Z * sp.tanh(sp.log(1 + sp.exp(Z))), True),
    "t_hard": ("max(-1, min(1, z))", sp.Max(-1, sp.Min(1, Z)), True),
    "t_square": ("z**2 / 2", Z**2 / 2, False),
    "t_exact": ("0.1 * z + 1/3", Z / 10 + sp.Rational(1, 3), True),
    "t_pi": ("sin(pi * z)", sp.sin(sp.pi * Z), True),
    "t_gumbel": ("exp(-exp(z))", sp.exp(-sp.exp(Z)), True),
    "t_bell": ("exp(z - z**2/2)", sp.exp(Z - Z**2 / 2), True),
    "t_torn": ("step(z - 1) * tanh(z)", sp.Heaviside(Z - 1) * sp.tanh(Z), False),
    "t_kink": ("z * step(z)", Z * sp.Heaviside(Z), True),
    "t_rational": ("z / (1 + z**2)", Z / (1 + Z**2), True),
}
for _name, (_text, _, _) in TEXTS.items():
    define(_name, _text)
NONE = {
    "z+0*__import__('os').system('touch PWNED')": "'_' at column 5",
    "floor(z)": "'floor'",
    "exp(z**2)": "exp(|z|**2)",
    "cosh(z**2)": "exp(|z|**2)",
    "exp(exp(z))": "exponential of an exponential",
    "exp(exp(exp(z)))": "exponential of an exponential",
    "tanh(exp(exp(exp(z))))": "exponential of an exponential",
    "z**z": "z**z at z = -1/8",
    "1/z": "infinite at z = 0",
    "1/(z**2 - 2)": "infinite at z = ",
    "tanh(z)/z": "infinite at z = 0",
    "1/sin(z)": "infinite at",
    "(z + tanh(1))**(-1)": "infinite at z = -0.76",
    "1/(z**2 - pi)": "infinite at",
    "log(z)": "at z = 0",
    "sqrt(z)": "sqrt(z) at z = -1/8",
    "abs(z)**(-1/2)": "infinite at z = 0",
    "tanh((z**64 + 1)**64)": "z**4096",
    "3": "3",
    "y": "'y'",
    "9**9**9": "387420489",
    "z" * 10**6: "1000000",
}
OBJECTS = {
    "floor": sp.floor(x),
    "square in exp": sp.exp(x**2),
    "pole": 1 / x,
    "undefined": sp.Function("f")(x),
    "integral": sp.Integral(sp.exp(-(x**2)), (x, 0, x)),
    "complex": sp.I * x,
    "nan": x + sp.nan,
    "two symbols": x * sp.Symbol("y"),
    "number": sp.Integer(3),
    "float": 0.5 * x,
    "tower": sp.exp(sp.exp(sp.exp(sp.Integer(9)))) * x,
    "long": sp.Add(*(sp.sin(x + i) for i in range(500))),
    "piecewise": sp.Piecewise((x, x > 0), (0, True)),
    "gamma": sp.gamma(x),
    "lambda": lambda z: z,
    "class": int,
    "list": [x],
    "none": None,
    "python number": 3,
    "relation": x > 0,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_declares_its_function(name):
    text, want, lipschitz = TEXTS[name]
    define(name, text)  # the same again is no second one
    assert definition(name) == want
    assert is_lipschitz(name) == lipschitz
    assert define(name, want.subs(Z, x))(x) == activation(name)(x)  # the same again, as an expression


@pytest.mark.parametrize("text", NONE, ids=lambda text: text[:24])
def test_a_text_that_is_no_activation_is_told_why(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    with pytest.raises((ParameterError, LanguageError)) as error:
        define("never", text)
    assert time.process_time() - start < 2
    assert NONE[text] in str(error.value.got)
    assert error.value.where == "define never"
    assert len(str(error.value)) < 600
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_object_that_is_no_activation_is_one_clear_error(kind):
    start = time.process_time()
    with pytest.raises(ParameterError) as error:
        define("never", OBJECTS[kind])
    assert time.process_time() - start < 2
    assert error.value.where == "define never"
    assert error.value.hint.endswith(".")


@pytest.mark.parametrize("name", ["tanh", "identity", "two words", "", "lambda", 3, None, "z*tanh"])
def test_names_of_activations_are_free_identifiers(name):
    with pytest.raises(ParameterError):
        define(name, "z/7")


@pytest.mark.parametrize("lipschitz", ["no", 1, "True"])
def test_lipschitz_is_true_false_or_none(lipschitz):
    with pytest.raises(ParameterError):
        define("never", "z/7", lipschitz)


@pytest.mark.parametrize("text", ["leaky_relu(1e999999999)", "leaky_relu(__import__('os'))", "abrelu(1, nan)",
                                  "leaky_relu(2**9**9)", "leaky_relu(" + "1" * 10**5 + ")"])  # fmt: skip
def test_parameters_of_families_are_numbers_of_the_grammar(text):
    with pytest.raises(DeriveError):
        canonical(text)
    assert canonical("leaky_relu(0.2)") == canonical("leaky_relu", 0.2) == "leaky_relu(1/5)"


@pytest.mark.parametrize("argument", ["__import__('os').abort()", "h", 0.5, True, None, [1], sp.true])
def test_activations_take_expressions_never_text(argument):
    with pytest.raises(LanguageError):
        tanh(argument)


def test_a_jump_is_known_by_its_derivative():
    assert [name for name in ("step", "sign", "abs", "relu", "t_torn", "t_kink") if has_jump(name, 1)] == [
        "step", "sign", "t_torn",
    ]  # fmt: skip
    assert definition("t_kink", 1) == sp.Heaviside(Z)
    assert definition("t_kink", 2) == sp.DiracDelta(Z)


PARTS = st.sampled_from(["z", "1", "2", "0.5", "pi"])
CALLS = ["tanh", "exp", "log", "sqrt", "sin", "abs", "step", "sign", "max", "min", "erf", "cosh", ""]


def _larger(parts):
    pairs = st.tuples(parts, st.sampled_from("+-*/"), parts).map(lambda p: f"({p[0]}){p[1]}({p[2]})")
    powers = st.tuples(parts, st.sampled_from(["2", "3", "0.5", "-1", "40"])).map(lambda p: f"({p[0]})**({p[1]})")
    return pairs | powers | st.tuples(st.sampled_from(CALLS), parts).map(lambda p: f"{p[0]}({p[1]})")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(PARTS, _larger, max_leaves=8))
def test_define_ends_quickly_with_an_activation_or_with_our_error(text):
    start = time.process_time()
    try:
        define(f"fuzz_{abs(hash(text))}", text)
    except DeriveError as error:
        assert len(str(error)) < 700  # noqa: PT017
    assert time.process_time() - start < 10


def test_a_declared_text_goes_through_a_recursion():
    r = Recursion("declared")
    W, F, C, h = r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")
    r.update(h, activation("t_mish")(W @ h + F @ r.x))
    r.output(C @ h)
    assert "t_mish(F@x + W@h)" in str(r.program().updates)


def test_a_value_is_real_though_nothing_is_known_of_its_argument_nor_of_its_sign():
    class Value(RealFunction):
        nargs = (1,)

    for of in (Value(x), Phi(sp.Symbol("tanh"), 0, x)):
        assert (of.is_real, of.is_commutative, of.is_nonnegative) == (True, True, None)
        assert sp.sqrt(of**2) == sp.Abs(of)
    assert sp.Function("f")(x).is_real is None


@pytest.mark.parametrize(
    ("name", "text"), [("far_mish", "z * tanh(log(1 + exp(z)))"), ("far_swish", "z / (1 + 3 * exp(-2 * z))")]
)
def test_a_derivative_far_out_is_a_number(name, text):
    define(name, text)
    for order in (1, 2):
        slope, plain = definition(name, order), sp.diff(definition(name), Z, order)
        with np.errstate(over="ignore"):
            far = sp.lambdify(Z, slope, "numpy")(np.array([-3e4, 3e4]))
        np.testing.assert_allclose(far, [0.0, 1.0 if order == 1 else 0.0], rtol=0, atol=1e-300)
        assert all(abs(sp.N((slope - plain).subs(Z, x))) < 1e-12 for x in (-2.3, 0.4, 3.1))
