"""Recursions declared in TOML: each twin of the gallery is the same program, and no text does anything but declare."""

from __future__ import annotations

import sys
import time

import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings, strategies as st

from wideproof.derive import DeriveError, LanguageError, Recursion, activation, models, nngp
from wideproof.derive.language.laws import declared
from wideproof.derive.model_files.toml_form import BYTES, recursion_of

ONE = """
input_maps = { F = { variance = "nu_F" } }
readouts = { C = { variance = "nu_C" } }
states = { h = {} }
output = "C @ h"
"""
ELMAN = 'matrices = { W = { variance = "nu_W" } }\nbiases = { b = { variance = "nu_b" } }\n' + ONE
GATES = """
name = "NAME"
output = "C @ h"
matrices = { MATRICES }
input_maps = { MAPS }
readouts = { C = { variance = "nu_C" } }
biases = { BIASES }
states = { STATES }
"""


def gated(name, gates, states, parts, updates):
    """A gated recursion in TOML, one variance for all gates."""
    text = GATES.replace("NAME", name).replace("STATES", ", ".join(f"{s} = {{}}" for s in states))
    for word, letter in (("MATRICES", "W"), ("MAPS", "F"), ("BIASES", "b")):
        rows = [f'{letter}_{gate} = {{ variance = "nu_{letter}" }}' for gate in gates]
        text = text.replace(word, ", ".join(rows))
    lines = [*(f"[parts]\n{parts}",), f"[updates]\n{updates}"]
    return text + "\n".join(lines)


TWINS = {
    "linear-rnn": 'name = "linear-rnn"\nmatrices = { W = { variance = "nu_W" } }\n'
    f'updates = {{ h = "W @ h + F @ x" }}{ONE}',
    "elman": f'name = "elman"\nupdates = {{ h = "erf(W @ h + F @ x + b)" }}\n{ELMAN}',
    "residual": f'name = "residual"\nupdates = {{ h = "h + erf(W @ h + F @ x + b)" }}\n{ELMAN}',
    "leaky": 'name = "leaky"\nsymbols = { alpha = {} }\n'
    f'updates = {{ h = "(1 - alpha) * h + alpha * erf(W @ h + F @ x + b)" }}\n{ELMAN}',
    "gru": gated(
        "gru", "zrh", "h",
        'z = "sigmoid(W_z @ h + F_z @ x + b_z)"\nr = "sigmoid(W_r @ h + F_r @ x + b_r)"',
        'h = "z * h + (1 - z) * tanh(W_h @ (r * h) + F_h @ x + b_h)"',
    ),
    "mgu": gated(
        "mgu", "fh", "h", 'f = "sigmoid(W_f @ h + F_f @ x + b_f)"',
        'h = "(1 - f) * h + f * tanh(W_h @ (f * h) + F_h @ x + b_h)"',
    ),
    "lstm": gated(
        "lstm", "ifog", "hc", "\n".join(f'{k} = "W_{k} @ h + F_{k} @ x + b_{k}"' for k in "ifog"),
        'c = "sigmoid(f) * c + sigmoid(i) * tanh(g)"\nh = "sigmoid(o) * tanh(c.next)"',
    ),
    "bidirectional": """
name = "bidirectional"
matrices = { W_h = { variance = "nu_W" }, W_g = { variance = "nu_W" } }
input_maps = { F_h = { variance = "nu_F" }, F_g = { variance = "nu_F" } }
readouts = { C_h = { variance = "nu_C" }, C_g = { variance = "nu_C" } }
biases = { b_h = { variance = "nu_b" }, b_g = { variance = "nu_b" } }
states = { h = {}, g = { direction = "backward" } }
updates = { h = "erf(W_h @ h + F_h @ x + b_h)", g = "erf(W_g @ g + F_g @ x + b_g)" }
output = "C_h @ h + C_g @ g"
""",
    "stacked": """
name = "stacked"
matrices = { W_1 = { variance = "nu_W" }, U_2 = { variance = "nu_U" }, W_2 = { variance = "nu_W" } }
input_maps = { F = { variance = "nu_F" } }
readouts = { C = { variance = "nu_C" } }
biases = { b_1 = { variance = "nu_b" }, b_2 = { variance = "nu_b" } }
states = { h_1 = {}, h_2 = {} }
updates = { h_2 = "erf(W_2 @ h_2 + U_2 @ h_1.next + b_2)", h_1 = "erf(W_1 @ h_1 + F @ x + b_1)" }
output = "C @ h_2"
""",
    "feed-forward": """
name = "feed-forward"
matrices.W_2.variance = "nu_W"
input_maps.F.variance = "nu_F"
readouts.C.variance = "nu_C"
output = "C @ h_2 + c"
[biases]
b_1 = { variance = "nu_b" }
b_2 = { variance = "nu_b" }
c = { variance = "nu_c" }
[states]
h_1 = {}
h_2 = {}
[updates]
h_1 = "relu(F @ x + b_1)"
h_2 = "relu(W_2 @ h_1.next + b_2)"
""",
    "deep-linear": """
name = "deep-linear"
matrices = { W_2 = { variance = "nu_W" } }
input_maps = { F = { variance = "nu_F" } }
readouts = { C = { variance = "nu_C" } }
states = { h_1 = {}, h_2 = {} }
updates = { h_1 = "F @ x", h_2 = "W_2 @ h_1.next" }
output = "C @ h_2"
""",
}  # fmt: skip
RICH = """
name = "rich"
symbols = { a = { nonnegative = false } }
matrices = { W = { variance = "nu_W" }, V = { variance = "nu_W / 2 + 0.3", tied = false, trainable = false } }
input_maps = { F = { variance = 0.25 } }
readouts = { C = { variance = 2 } }
biases = { b = { variance = "sqrt(nu_W)", mean = "mu", tied = false }, c = { variance = 0, mean = "-1/3" } }
states = { h = { initial = "nu_h", shared = true }, g = { initial = 1 }, delayed = {} }
activations = { mish_of_toml = "z * tanh(log(1 + exp(z)))" }
parts = { drive = "F @ x + b", both = "(W + V) @ (h / 2)" }
updates = { h = "mish_of_toml(both + drive) - a * h", g = "leaky_relu(g + drive, 1/5)", delayed = "h" }
output = "C @ tanh(g) + C @ (2 * delayed) + c"
"""


def rich():
    """The recursion of `RICH`, written in Python."""
    rnn = Recursion("rich")
    nu, a = sp.Symbol("nu_W", nonnegative=True), sp.Symbol("a", real=True)
    W = rnn.matrix("W", nu)
    V = rnn.matrix("V", nu / 2 + sp.Rational(3, 10), tied=False, trainable=False)
    F, C = rnn.input_map("F", sp.Rational(1, 4)), rnn.readout("C", 2)
    b, c = rnn.bias("b", sp.sqrt(nu), mean="mu", tied=False), rnn.bias("c", 0, mean=-sp.Rational(1, 3))
    h, g, delayed = rnn.state("h", "nu_h", shared=True), rnn.state("g", 1), rnn.state("delayed")
    drive, tanh = F @ rnn.x + b, activation("tanh")
    rnn.update(h, activation("mish_of_toml")((W + V) @ (h / 2) + drive) - a * h)
    rnn.update(g, activation("leaky_relu", sp.Rational(1, 5))(g + drive))
    rnn.update(delayed, h)
    rnn.output(C @ tanh(g) + C @ (2 * delayed) + c)
    return rnn


def content(recursion):
    """All that a definition says, whatever the order in which it was written."""
    p = recursion.program()
    return p.name, set(p.parameters), set(p.states), p.bodies, p.output, p.table, set(declared(p))


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_of_the_gallery_is_the_same_program(name):
    made = recursion_of(TWINS[name], "unused")
    assert content(made) == content(getattr(models, name.replace("-", "_"))())


def test_the_recursions_of_the_gallery_have_their_twins():
    assert len(TWINS) == 11
    assert set(TWINS) <= {name.replace("_", "-") for name in models.__all__} - {"amp"}


def test_starts_means_shared_starts_redrawn_frozen_and_delayed():
    made = recursion_of(RICH, "unused")
    assert content(made) == content(rich())


@pytest.mark.parametrize(("true", "false"), [
    ("0.25", "0.2501"), ("initial = 1 ", "initial = 2 "), ("shared = true", "shared = false"),
    ("tied = false, t", "tied = true, t"), ("trainable = false", "trainable = true"), ("- a * h", "+ a * h"),
    ("2 * delayed", "3 * delayed"), ("-1/3", "1/3"), ("1/5", "1/6"), ("nonnegative = false", "nonnegative = true"),
])  # fmt: skip
def test_the_comparison_of_twins_can_fail(true, false):
    assert true in RICH
    assert content(recursion_of(RICH.replace(true, false), "unused")) != content(rich())


def test_a_twin_has_the_same_kernel():
    assert nngp(recursion_of(TWINS["elman"], "x")).formula.latex() == nngp(models.elman()).formula.latex()


def test_the_file_names_a_model_that_has_no_name():
    assert recursion_of(TWINS["elman"].replace('name = "elman"', ""), "my-rnn").name == "my-rnn"


GOOD = f'updates = {{ h = "erf(W @ h + F @ x + b)" }}\n{ELMAN}'
REFUSED = {
    "no TOML": ("output = ", "file", "TOML"),
    "no output": (GOOD.replace('output = "C @ h"', ""), "output", "output"),
    "another key": (GOOD + 'update = { h = "h" }', "file", "Did you mean updates"),
    "another key of a matrix": (GOOD.replace('variance = "nu_W"', 'varience = "nu_W"'), "matrices.W", "mean variance"),
    "a name that is none": (GOOD.replace("W @ h", "Z @ h"), "updates.h", "'Z'"),
    "a coefficient that is not declared": (GOOD.replace("W @ h", "gain * h"), "updates.h", "coefficients in symbols"),
    "no update": (GOOD.replace("{ h = {} }", "{ h = {}, g = {} }"), "updates.g", "an update for each"),
    "an update of no state": (GOOD.replace("updates = { h", "updates = { g = 'h', h"), "updates", "'g'"),
    "no table": (GOOD.replace("{ h = {} }", "3"), "states", "a table"),
    "no text": (GOOD.replace('"C @ h"', "3"), "output", "text"),
    "a matrix of a state": (GOOD.replace("W @ h", "F @ h"), "updates.h", "input x"),
    "one name twice": (GOOD.replace("biases = { b", "biases = { h = {}, b"), "", "'h'"),
    "a symbol named as a matrix": (GOOD.replace('"nu_b"', '"F"'), "", "'F'"),
    "a word of Python": (GOOD.replace('"nu_b"', '"lambda"'), "biases.b", "'lambda'"),
    "x again": (GOOD + "symbols = { x = {} }", "symbols.x", "'x'"),
    "pi again": (GOOD + "symbols = { pi = {} }", "file", "'pi'"),
    "a flag as text": (GOOD.replace('"nu_W" }', '"nu_W", tied = "no" }'), "matrix W: tied", "True or False"),
    "a negative variance": (GOOD.replace('"nu_b"', "-1"), "bias b: variance", "zero or positive"),
    "no number": (GOOD.replace('"nu_b"', "nan"), "file", "nan"),
    "an exponent": (GOOD.replace('"nu_b"', "1e-3"), "file", "10**-3"),
    "an integer of 40000 digits": (GOOD.replace('"nu_b"', "0x" + "f" * 40000), "variance", "1e100"),
    "an integer of 5000 digits": (GOOD.replace('"nu_b"', "9" * 5000), "file", "TOML"),
    "an activation in use": (GOOD + 'activations = { tanh = "z" }', "activations", "'tanh'"),
    "an activation that cannot be one": (GOOD + 'activations = { steep = "exp(z**2)" }', "steep", "exp"),
    "an escape in a key": (GOOD + '"\\u001b[31m" = 1', "file", "x1b"),
    "an escape in a name": (GOOD.replace("{ h = {} }", '{ h = {}, "\\u001b" = {} }'), "", "x1b"),
    "an attribute": (GOOD.replace("W @ h", "W.__class__ @ h"), "updates.h", "'_'"),
    "a call": (GOOD.replace("W @ h", "__import__('os')"), "updates.h", "'_'"),
    "a state beside itself": (GOOD.replace("W @ h", "W @ h.next"), "update", "cycle"),
    "a file that is too long": ("#" * (BYTES + 1), "file", "64 kB"),
    "a key of many dots": (".".join("a" * 20000) + " = 1", "file", "dots"),
    "deep brackets": ("x = " + "[" * 20000, "file", "TOML"),
    "many states": (GOOD.replace("{ h = {} }", "{ " + ", ".join(f"h{k} = {{}}" for k in range(65)) + " }"), "", "64"),
    "many names": (GOOD + "symbols = { " + ", ".join(f"s{k} = {{}}" for k in range(401)) + " }", "file", "400"),
    "many parts": (GOOD + "parts = { " + ", ".join(f"p{k} = '1'" for k in range(401)) + " }", "parts", "400"),
    "a long text": (GOOD.replace("W @ h", "h + " * 300 + "h"), "updates.h", "1000 characters"),
    "many terms": (GOOD.replace("W @ h", "(h + b + 1 + erf(h))**40"), "updates.h", "200 terms"),
    "parts that double": (
        GOOD + "parts = { p0 = 'h', " + ", ".join(f"p{k + 1} = 'W @ p{k} + tanh(p{k})'" for k in range(60)) + " }",
        "parts.p", "operations"),
    "parts that add up": (
        GOOD + "parts = { " + ", ".join(f"p{k} = '{'tanh(h) + ' * 60}h'" for k in range(60)) + " }", "parts.p", "4000"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_is_refused_with_its_place_and_at_once(name):
    text, where, said = REFUSED[name]
    start = time.process_time()
    with pytest.raises(DeriveError) as caught:
        recursion_of(text, "f")
    assert time.process_time() - start < 5
    assert where in caught.value.where
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_example_of_the_module_is_a_model():
    doc = sys.modules["wideproof.derive.model_files.toml_form"].__doc__
    text = "\n".join(line[4:] for line in doc.splitlines() if line.startswith("    "))
    assert recursion_of(text.replace("mish", "mish_of_the_page"), "f").name == "two-gain"


# ---- any text -----------------------------------------------------------------------------------
PIECES = [*"(){}[]=.,+-*/@\"'#\n x1h", "0.5", "**", "W", "F", "C", "b", "h.next", "tanh(", "erf", "nu_W", "pi",
          "states", "matrices", "updates", "output", "variance", "tied", "true", "mean", "initial", "parts", "p", " = ",
          "{}", "nan", "\x1b", "ν", "__import__", "exec", "eval", "lambda", "1e9", "99999999999"]  # fmt: skip
SEEDS = [*TWINS.values(), RICH]
WATCHED = ("exec", "compile", "os.system", "subprocess.Popen", "open", "socket.connect", "ctypes.dlopen")
_seen: list[str] | None = None


def _watch(event, args):
    if _seen is not None and event in WATCHED:
        _seen.append(f"{event} {args!r:.80}")


sys.addaudithook(_watch)


@st.composite
def mutated(draw):
    """A model with some pieces of its text left out, put in, doubled or exchanged."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(st.sampled_from([*PIECES, text[start:end] * 2, ""])) + text[end:]
    return text


def outcome(text):
    """What a text gives: a model or an error of ours, quickly, and nothing run on the way."""
    global _seen
    _seen, start = [], time.process_time()
    try:
        made = recursion_of(text, "fuzz")
        assert isinstance(made, Recursion)
    except DeriveError as error:
        assert len(str(error)) < 2000  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017
    finally:
        events, _seen = _seen, None
    ran = [x for x in events if "sympy" not in x]
    assert ran == [], ran
    assert time.process_time() - start < 10


FUZZ = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(mutated())
def test_a_mutated_model_is_a_model_or_an_error_of_ours(text):
    outcome(text)


@FUZZ
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_is_a_model_or_an_error_of_ours(text):
    outcome(text)


@FUZZ
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_expression_is_a_model_or_an_error_of_ours(text):
    quoted = text.replace("'", "").replace("\n", "")
    outcome(GOOD.replace('"erf(W @ h + F @ x + b)"', f"'{quoted}'"))


def test_the_watch_can_see():
    global _seen
    _seen = []
    compile("1", "x", "eval")
    events, _seen = _seen, None
    assert events != []


def test_the_limit_is_told_as_what_is_counted():
    with pytest.raises(LanguageError, match="parts counted as often as they are used"):
        recursion_of(REFUSED["parts that double"][0], "f")


HINTS = {
    "tanh(W @ x)": "input_maps = { F = {} }; F @ x.",
    "tanh(F @ h)": "F @ x. For a state declare it in matrices.",
    "W * h": "W @ h",
    "tanh(h @ W)": "The matrix comes first, W @ h",
    "tanh(W.T @ h)": "Alternating",
    "np.tanh(W @ h)": "no module before them",
    "swish(W @ h)": "Did you mean silu?",
}


@pytest.mark.parametrize("update", HINTS)
def test_a_hint_speaks_the_language_of_the_file(update):
    head = "matrices = { W = {} }\ninput_maps = { F = {} }\nreadouts = { C = {} }\nstates = { h = {} }\n"
    with pytest.raises(LanguageError) as error:
        recursion_of(f'{head}updates = {{ h = "{update}" }}\noutput = "C @ h"\n', "tried")
    assert HINTS[update] in error.value.hint
    assert "rnn." not in str(error.value)
    assert str(error.value).count("Other names are declared") <= 1
