"""Messages of errors are of bounded length, whatever formula they refuse; their fields hold all of it."""

import inspect
import math
import pickle

import numpy as np
import pytest
import sympy as sp
from scipy.special import erf, expit

import wideproof as wp
from wideproof.derive import LanguageError, Recursion
from wideproof.derive.language import activations, errors
from wideproof.derive.language.errors import LONGEST, LONGEST_HINT, DeriveError, TooLarge
from wideproof.derive.language.notation import TAKEN

KINDS = [x for _, x in inspect.getmembers(errors, inspect.isclass) if issubclass(x, DeriveError) and x is not TooLarge]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", range(4))
def test_a_message_is_bounded_and_says_how_much_it_leaves_out(kind, place):
    parts: list[object] = ["where", "expected", "got", "Do this."]
    parts[place] = "x" * 100_000
    error = kind(*parts)
    assert len(str(error)) < LONGEST + LONGEST_HINT + 200
    assert f"({100_000 - (LONGEST_HINT if place == 3 else LONGEST // 3)} characters left out)" in str(error)
    assert (error.where, error.expected, error.got, error.hint) == tuple(parts)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert error.args == (str(error),)
    if place < 3:
        assert str(error).endswith("Do this.")


def test_a_short_message_is_whole():
    assert str(DeriveError("here", "a", 3, "Do this.")) == "here: expected a, got 3. Do this."


def test_the_list_of_names_that_are_taken_is_never_cut():
    with pytest.raises(LanguageError) as caught:
        Recursion("r").matrix("W", "seed")
    assert all(name in str(caught.value) for name in TAKEN)
    assert "left out" not in str(caught.value)


def written(line):
    """The error of a line that a new user writes, beside a recursion with W, F, C, h and b and the matrix A."""
    rnn = Recursion("tried")
    names = {
        "wp": wp,
        "np": np,
        "math": math,
        "rnn": rnn,
        "W": rnn.matrix("W"),
        "F": rnn.input_map("F"),
        "C": rnn.readout("C"),
    }

    def of(update):
        rnn.update(names["h"], update)
        rnn.output(names["C"] @ names["h"])
        return rnn

    names |= {"sp": sp, "erf": erf, "expit": expit, "of": of}
    names |= {"h": rnn.state("h"), "b": rnn.bias("b"), "A": wp.Alternating("run").matrix("A")}
    with pytest.raises((DeriveError, AttributeError)) as error:
        eval(line, names)
    return str(error.value)


LINES = {
    "W * h": "written W @ h", "h * W": "written W @ h", "W * (W @ h + b)": "W @ (W@h + b)", "C * h": "written C @ h",
    "np.dot(W, h)": "written W @ h", "F * rnn.x": "written F @ x", "A * h": "A @ h", "W(h)": "Write W @ h",
    "h @ W": "W @ h", "(W @ h + b) @ W": "W @ (W@h + b)", "W + h": "W @ h + …", "h - W": "W @ h + …",
    "W.T": "Alternating", "W.T @ h": "Alternating",
    "np.tanh(h)": "wideproof.tanh(…)", "np.tanh(W @ h)": "wideproof.tanh(…)", "np.maximum(h, 0)": "wideproof.relu(…)",
    "np.abs(h)": "wideproof.activation('abs')(…)", "np.float64(0.5) * h": "Fraction",
    "np.arctan(h)": "wideproof.define", "np.tanh(W @ h + b)": "wideproof.tanh(…)", "np.exp(2 * h)": "wideproof.exp(…)",
    "np.sin(h * b)": "wideproof.sin(…)", "np.tanh(h - h**2)": "wideproof.tanh(…)",
    "(W @ h + b) + np.ones(3)": "Fraction", "np.float64(2) * (W @ h + b)": "Fraction",
    "math.tanh(h)": "wideproof.tanh(…)", "math.tanh(W @ h + b)": "wideproof.tanh(…)", "h.T": "readout",
    "(W @ h + b).T": "readout",
    "'alpha' * h": "sympy.Symbol('alpha')", "(W @ h + b) * 'alpha'": "sympy.Symbol('alpha')",
    "wp.validate(wp.models.elman(), device='gpu')": "Did you mean cuda?",
    "max(h, 0)": "wideproof.relu(h)", "max(0, W @ h + b)": "wideproof.relu(h)", "min(h, 1)": "define(",
    "(h > 0) * h": "wideproof.relu(h)", "2 * (h >= 0)": "wideproof.step(h)", "h if h > 0 else 0": "wideproof.relu(h)",
    "np.where(h > 0, h, 0)": "wideproof.relu(h)", "np.clip(h, 0, 1)": "define(", "W @ (h > 0)": "wideproof.step(h)",
    "wp.tanh(b < h)": "wideproof.step(h)", "sorted([b, h])": "wideproof.relu(h)",
    "rnn.update(h, h > 0)": "wideproof.step(h)", "rnn.update(h, 'tanh(h)')": "without quotes",
    "max(wp.tanh(h), 0)": "wideproof.relu(h)", "np.sin(wp.relu(h))": "wideproof.sin(…)", "wp.relu(h).T": "readout",
    "wp.relu(h) @ W": "W @ (relu(h))", "np.tanh((W + W) @ h)": "wideproof.tanh(…)", "(W @ h + b) @ h": "comes first",
    "np.ones((3, 3)) @ h": "rnn.matrix", "W @ np.ones(3)": "declared", "W**2": "Write W @ (W @ h)",
    "np.sum(h)": "C @ h", "round(h)": "Fraction", "int(b)": "Fraction", "erf(h)": "wideproof.erf(…)",
    "expit(h)": "wideproof.sigmoid(…)", "wp.nngp(of(abs(W @ h)))": "activation('abs')",
    "wp.nngp(of(sp.Max(W @ h, 0)))": "wideproof.relu(…)", "wp.nngp(of(sp.erf(W @ h)))": "wideproof.erf(…)",
    "wp.nngp(of(1 / h))": "wideproof.define",
    "rnn.matrix('V', std=1)": 'variance="nu_W"', "rnn.bias('V', sigma=1)": 'variance="nu_W"',
    "rnn.matrix('V', varianc=1)": "Did you mean variance?", "rnn.matrix('V', shape=(3, 3))": "Sizes are not declared",
    "rnn.state('g', size=3)": "Sizes are not declared", "rnn.readout()": "readout(name, variance, tied, trainable)",
    "wp.define('sq', lambda z: z**2)": "A Python function has no formula", "wp.define('sq', np.tanh)": "give its text",
    "wp.activation('leaky_relu', 'a')": "expected a number, got 'a'",
    "wp.activation('swish')": "Did you mean silu?", "wp.activation('ReLU')": "Did you mean relu?",
    "wp.activation('linear')": "Did you mean identity?", "wp.activation('tahn')": "Did you mean tanh?",
    "wp.activation('relu6')": "max(0, min(6, z))", "wp.activation(np.tanh)": "in quotes: 'tanh'",
    "wp.relu(h, h)": "relu(z)", "wp.models.elman('swish')": "silu",
    "wp.models.elman(activaton='erf')": "Did you mean act",
    "wp.models.elmann()": "Did you mean elman?", "wp.elman()": "wideproof.models.elman",
    "wp.scalefactors": "Did you mean scale_factors?",
    "wp.scale_factors(wp.models.linear_rnn()).formula.compile()(0, 0.3, 1, 1)": "(j=…, nu_C=…, nu_F=…, nu_W=…)",
    "wp.scale_factors(wp.models.linear_rnn()).formula.compile()(j=0, nu_w=0.3, nu_F=1, nu_C=1)": "Did you mean nu_W?",
    "wp.line_evolution(wp.models.amp(1))(0.5)": "delta=…",
    "wp.define('own', 'z * swish(z)')": "functions: tanh",
    "wp.check(wp.models.linear_rnn(), 'scale-factors', 'nu_w**j')": "Did you mean nu_W?",
    "wp.memory(wp.models.elman()).formula.compile()(1, 2)": "nu_W=…",
    "wp.validate(wp.models.elman(), width=1e3)": "Write 1000, an int",
    "wp.validate(wp.models.elman(), trails=10)": "Did you mean trials?",
    "wp.validate(wp.models.elman(), nu_w=1)": "Did you mean nu_W?",
    "wp.Kernel(wp.models.elman(), nu_W=1, nu_F=1, nu_b=0, nu_C=1, readot='last')": "Did you mean readout?",
    "wp.moments(wp.models.linear_rnn(), lag=1, order=2.0)": "order=4",
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_mistake_is_answered_by_what_to_write(line):
    assert LINES[line] in written(line)


def test_sums_of_vectors_are_those_of_sympy():
    rnn = Recursion("summed")
    a, b = rnn.matrix("W") @ rnn.state("h"), rnn.bias("b")
    for ours, plain in ((a + b, sp.Add(a, b)), (2 * a, sp.Mul(2, a)), (1 - a / b, sp.Add(1, sp.Mul(-1, a, b**-1))),
                        (a**2, sp.Pow(a, 2)), ((a + b) * a, sp.Mul(sp.Add(a, b), a))):  # fmt: skip
        assert ours == plain
        assert plain == ours
        assert hash(ours) == hash(plain)
        assert ours.func is plain.func
        assert sp.srepr(ours) == sp.srepr(plain)
        assert pickle.loads(pickle.dumps(ours)) == plain
    assert a + b != a + 2 * b
    assert sp.tanh(a + b) == sp.tanh(sp.Add(a, b))
    assert (a + b) - b == a
    assert type((a + b).xreplace({a: b})) is not type(a + b)


def test_activations_of_vectors_are_those_of_sympy():
    rnn = Recursion("applied")
    h = rnn.state("h")
    ours, plain = wp.tanh(h), activations.Phi(sp.Symbol("tanh"), 0, h)
    assert (type(ours), type(wp.tanh(sp.Symbol("z")))) == (activations.WidePhi, activations.Phi)
    assert ours == plain == ours
    assert hash(ours) == hash(plain)
    assert (sp.srepr(ours), ours.func, ours.diff(h)) == (sp.srepr(plain), plain.func, plain.diff(h))
    assert pickle.loads(pickle.dumps(ours)) == plain
    assert sp.Add(ours, -plain) == 0


def test_comparisons_of_vectors_are_those_of_sympy():
    h = Recursion("compared").state("h")
    assert [h < 1, h <= 1, h > 1, h >= 1] == [sp.Lt(h, 1), sp.Le(h, 1), sp.Gt(h, 1), sp.Ge(h, 1)]
    assert (sp.Max(h, 0), sp.Max(h**2, -1)) == (sp.Max(0, h), h**2)
    assert sp.Piecewise((h, h > 0), (0, True)).subs(h, -1) == 0


def test_a_call_that_is_right_passes():
    rnn = Recursion("right")
    W = rnn.matrix("W", variance="nu_W", tied=False)
    assert str(2 * W - W / 2 + W) == "2*W + -1/2*W + W"


def test_a_missing_argument_is_a_type_error_too():
    with pytest.raises(TypeError):
        Recursion("none").matrix()
