"""The grammar of texts: signs bind as in Python, nothing outside the tables is reached, every text ends at once."""

import time

import pytest
import sympy as sp
from hypothesis import HealthCheck, example, given, settings, strategies as st

from wideproof.derive import LanguageError, Recursion, ShapeError, erf
from wideproof.derive.language.grammar import DEEPEST, LONGEST, parse
from wideproof.derive.language.program import coordinates_of

z = sp.Symbol("z", real=True)
NAMES = {"z": z, "pi": sp.pi}
FUNCTIONS = {"tanh": sp.tanh, "exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "max": sp.Max, "abs": sp.Abs}
READ = {
    "z": z,
    " -z**2 ": -(z**2),
    "2**3**2": 512,
    "2**-1": sp.Rational(1, 2),
    "-2**2": -4,
    "8/2/2": 2,
    "1 - 2 - 3": -4,
    "0.3*z": sp.Rational(3, 10) * z,
    "12.50": sp.Rational(25, 2),
    "z*tanh(log(1 + exp(z)))": z * sp.tanh(sp.log(1 + sp.exp(z))),
    "max(z, 0) - max(-z, 0, -1)": sp.Max(z, 0) - sp.Max(-z, 0, -1),
    "(z + 1)*(z - 1)": (z + 1) * (z - 1),
    "+-+z": -z,
    "4**(1/2)": 2,
}
REFUSED = {
    "z+0*__import__('os').system('touch PWNED')": "'_' at column 5",
    "z.__class__": "'_' at column 3",
    "z.real": "'real'",
    "z.next": "'next'",
    "lambda z: z": "':'",
    "[z]": "'['",
    "z if z else 1": "'if'",
    "z z": "'z' at column 3",
    "2z": "'z' at column 2",
    "1e5": "'e5'",
    "z//2": "'/'",
    "z^2": "'^'",
    "": "the end",
    "(": "the end",
    "z)": "')'",
    "z*": "the end",
    "max()": "')'",
    "tanh(z, z)": "the end",
    "tanh": "'tanh'",
    "floor(z)": "'floor'",
    "eval(z)": "'eval'",
    "x": "'x'",
    "1/0": "zoo",
    "0**-1": "zoo",
    "log(0)": "zoo",
    "sqrt(-1)": "I",
    "9**9**9": "387420489",
    "((z**64)**64)**64": "4096",
    "exp(exp(exp(9)))": "exp(exp(9))",
    "10**60*10**60": "1000",
    "1" * 41: "1111",
    "z@z": "the end",
    "é": "'é'",
    "٣*z": "'٣'",
    "z" * (LONGEST + 1): str(LONGEST + 1),
    "z" * 10**6: str(10**6),
    "(" * 200 + "z" + ")" * 200: "'('",
    "-" * 200 + "z": "'-'",
    "tanh(" * 60 + "z" + ")" * 60: "'tanh'",
    "2**" * 60 + "z": "'2'",
}


@pytest.mark.parametrize("text", READ)
def test_a_text_is_what_python_would_read(text):
    assert parse(text, NAMES, FUNCTIONS) == READ[text]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:24])
def test_other_texts_are_refused_at_their_place_and_at_once(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    with pytest.raises(LanguageError) as error:
        parse(text, NAMES, FUNCTIONS, "here")
    assert time.process_time() - start < 1
    assert error.value.where == "here"
    assert REFUSED[text] in error.value.got
    assert error.value.hint.endswith(".")
    assert len(str(error.value)) < 500
    assert list(tmp_path.iterdir()) == []


def test_a_product_without_a_matrix_says_what_to_write():
    with pytest.raises(LanguageError, match=r"no matrix stands before @, write \* there\.$"):
        parse("z @ z", NAMES, FUNCTIONS)


@pytest.mark.parametrize("value", [None, 3, b"z", sp.Symbol("z"), lambda z: z, ["z"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(LanguageError):
        parse(value, NAMES, FUNCTIONS)


def test_depths_up_to_the_limit_are_read():
    assert parse("(" * DEEPEST + "z" + ")" * DEEPEST, NAMES, FUNCTIONS) == z


def test_updates_of_a_model_are_read_with_products_and_next():
    def written(reads):
        r = Recursion("rnn")
        W, V, F, C = r.matrix("W", "nu_W"), r.matrix("V", "nu_V"), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
        h, g, b = r.state("h"), r.state("g"), r.bias("b", "nu_b")
        names = {"W": W, "V": V, "F": F, "C": C, "h": h, "g": g, "b": b, "x": r.x}
        if reads:
            r.update(h, parse("erf(W @ h + F @ x + b)", names, {"erf": erf}))
            r.update(g, parse("(2*W - V/3) @ h.next + g/2", names, {}))
            r.output(parse("C @ g", names, {}))
        else:
            r.update(h, erf(W @ h + F @ r.x + b))
            r.update(g, (2 * W - V / 3) @ h.next + g / 2)
            r.output(C @ g)
        return r, names

    assert written(True)[0].program() == written(False)[0].program()
    names = written(True)[1]
    for text in ("W @ x", "W @ V @ h", "W + F"):  # the objects' own errors pass
        with pytest.raises(ShapeError):
            parse(text, names, {})
    with pytest.raises(LanguageError):
        parse("h.next.next", names, {})
    assert [c.label for c in coordinates_of(parse("W @ h.next", names, {}))] == ["W@h'"]


ATOMS = st.sampled_from(["z", "pi", "0", "1", "2", "7.25", "10", "99999", "x", "h.next"])


def _larger(parts):
    binary = st.tuples(parts, st.sampled_from(["+", "-", "*", "/", "**", "@", ","]), parts).map("".join)
    called = st.tuples(st.sampled_from([*FUNCTIONS, "floor", "-", ""]), parts).map(lambda p: f"{p[0]}({p[1]})")
    return binary | called


SENTENCES = st.recursive(ATOMS, _larger, max_leaves=25)
NOISE = st.text(alphabet="z01.9()*/+-@, ehxptanmlogsqr_'\"\\\n٣", max_size=60)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SENTENCES | NOISE)
@example("max(z,max(-z,z**64))")
@example("exp(exp(exp(exp(exp(z)))))")
def test_only_our_errors_come_out_and_quickly(text):
    start = time.process_time()
    try:
        found = parse(text, NAMES, FUNCTIONS)
    except LanguageError as error:
        assert error.got  # noqa: PT017
    else:
        assert isinstance(found, sp.Expr)
    assert time.process_time() - start < 5
