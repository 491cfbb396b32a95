"""The language: every mistake is refused with where, expected, got and hint; equal terms are one object."""

import pickle
from fractions import Fraction

import pytest
import sympy as sp

from wideproof.derive import LanguageError, Recursion, ShapeError, activation, models, relu
from wideproof.derive.language.errors import DeriveError, ParameterError


@pytest.fixture
def rnn():
    r = Recursion("rnn")
    r.W, r.V = r.matrix("W", "nu_W"), r.matrix("V", "nu_V")
    r.F, r.C, r.h = r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")
    return r


def other():
    r = Recursion("other")
    return r.matrix("W", "nu_W"), r.state("h")


MISTAKES = {
    "matrix of another recursion": (lambda r: r.update(r.h, other()[0] @ r.h), "@", "h"),
    "state of another recursion": (lambda r: r.update(r.h, r.W @ other()[1]), "@", "h"),
    "term of another recursion": (lambda r: r.update(r.h, (lambda w, h: w @ h)(*other())), "update of h", "W@h"),
    "readout inside an update": (lambda r: r.update(r.h, r.C @ r.h), "update of h", "C@h"),
    "readout inside a product": (lambda r: r.W @ (r.C @ r.h), "@", "C@h"),
    "two updates of one state": (lambda r: [r.update(r.h, r.W @ r.h) for _ in "12"], "update of h", "second"),
    "two outputs": (lambda r: [r.output(r.C @ r.h) for _ in "12"], "output", "second"),
    "negative variance": (lambda r: r.matrix("U", -1), "matrix U: variance", "-1"),
    "negative initial": (lambda r: r.state("g", initial=-1), "state g: initial", "-1"),
    "imaginary variance": (lambda r: r.matrix("U", sp.I), "matrix U: variance", "I"),
    "float variance": (lambda r: r.matrix("U", 0.3), "matrix U: variance", "0.3"),
    "float inside a variance": (lambda r: r.matrix("U", 0.3 * sp.Symbol("a")), "matrix U: variance", "0.3"),
    "boolean variance": (lambda r: r.matrix("U", True), "matrix U: variance", "True"),
    "float coefficient": (lambda r: r.update(r.h, 0.5 * r.h), "update of h", "0.5"),
    "float times a matrix": (lambda r: 0.5 * r.W, "0.5", "0.5"),
    "bare x": (lambda r: r.update(r.h, r.W @ r.h + r.x), "update of h", "input x"),
    "W @ x": (lambda r: r.W @ r.x, "W @", "input x"),
    "C @ x": (lambda r: r.C @ r.x, "C @", "input x"),
    "F @ h": (lambda r: r.F @ r.h, "F @", "h"),
    "F @ 2x": (lambda r: r.F @ (2 * r.x), "F @", "2"),
    "W @ V @ h": (lambda r: r.W @ r.V @ r.h, "W @ V", "a matrix"),
    "bare matrix": (lambda r: r.update(r.h, r.W), "update of h", "the matrix W"),
    "matrix of two shapes": (lambda r: r.W + r.F, "W + F", "n x n_x"),
    "matrices of two recursions": (lambda r: r.W + other()[0], "W + W", "two recursions"),
    "next of next": (lambda r: r.h.next.next, ".next", "h'"),
    "next of a product": (lambda r: (r.W @ r.h).next, ".next", "W@h"),
    "update of a product": (lambda r: r.update(r.W @ r.h, r.h), "update", "W@h"),
    "update of text": (lambda r: r.update("h", r.h), "update", "h"),
    "state in the output": (lambda r: r.output(r.h), "output", "h"),
    "matrix in the output": (lambda r: r.output(r.W @ r.h), "output", "W@h"),
    "product of readouts": (lambda r: r.output((r.C @ r.h) ** 2), "output", "C@h"),
    "name with a space": (lambda r: r.matrix("W 2"), "Recursion rnn", "W 2"),
    "name of the input": (lambda r: r.state("x"), "Recursion rnn", "x"),
    "name used twice": (lambda r: r.state("W"), "Recursion rnn", "W"),
    "name with a prime": (lambda r: r.state("h'"), "Recursion rnn", "h'"),
    "name of a perturbation": (lambda r: r.matrix("δW"), "Recursion rnn", "δW"),
    "name that is no text": (lambda r: r.matrix(3), "Recursion rnn", "3"),
    "name of the recursion": (lambda r: Recursion("my/rnn"), "Recursion", "my/rnn"),
    "text to evaluate, variance": (lambda r: r.matrix("U", "__import__('os').abort()"), "matrix U: variance", "abort"),
    "text to evaluate, update": (lambda r: r.update(r.h, "__import__('os').abort()"), "update of h", "abort"),
    "text to evaluate, product": (lambda r: r.W @ "h", "W @", "h"),
    "sum in a variance name": (lambda r: r.matrix("U", "a+b"), "matrix U: variance", "a+b"),
    "coordinate as a variance": (lambda r: r.matrix("U", r.h), "matrix U: variance", "h"),
    "unknown activation": (lambda r: activation("swish")(r.h), "activation", "swish"),
    "missing update": (lambda r: (r.output(r.C @ r.h), r.program()), "state h", "none"),
    "missing output": (lambda r: (r.update(r.h, r.W @ r.h), r.program()), "Recursion rnn", "none"),
    "no state": (lambda r: Recursion("empty").program(), "Recursion empty", "none"),
    "own next": (lambda r: (r.update(r.h, r.W @ r.h.next), r.output(r.C @ r.h), r.program()), "update", "h' -> h'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_says_where_expected_got_and_hint(rnn, mistake):
    make, where, got = MISTAKES[mistake]
    with pytest.raises(DeriveError) as error:
        make(rnn)
    assert isinstance(error.value, LanguageError | ParameterError)
    assert where in error.value.where
    assert got in str(error.value.got)
    assert error.value.expected
    assert error.value.hint.endswith((".", ")"))


def test_shapes_that_cannot_meet_are_shape_errors(rnn):
    for make in (lambda: rnn.W @ rnn.x, lambda: rnn.F @ rnn.h, lambda: rnn.W @ rnn.V, lambda: rnn.W + rnn.F):
        with pytest.raises(ShapeError):
            make()


def test_a_cycle_of_next_names_its_path(rnn):
    g = rnn.state("g")
    rnn.update(rnn.h, rnn.W @ g.next)
    rnn.update(g, rnn.V @ rnn.h.next)
    rnn.output(rnn.C @ g)
    with pytest.raises(LanguageError) as error:
        rnn.program()
    assert error.value.got == "the cycle h' -> g' -> h'"


def test_updates_are_ordered_by_what_they_read(rnn):
    g = rnn.state("g")
    rnn.update(rnn.h, rnn.W @ g.next)
    rnn.update(g, rnn.V @ g + rnn.F @ rnn.x)
    rnn.output(rnn.C @ rnn.h)
    assert [c.label for c, _ in rnn.program().updates] == ["g'", "h'"]


def test_a_matrix_times_zero_is_zero(rnn):
    assert rnn.W @ 0 == 0
    assert rnn.W @ (rnn.h - rnn.h) == 0


def test_equal_terms_are_one_object(rnn):
    assert (rnn.W @ rnn.h) is (rnn.W @ rnn.h)
    assert (rnn.F @ rnn.x) is (rnn.F @ rnn.x)
    assert rnn.x is rnn.x


@pytest.mark.parametrize("change", [{"variance": "mu"}, {"tied": False}, {"trainable": False}])
def test_declarations_tell_equal_names_apart(change):
    terms = []
    for declaration in ({"variance": "nu"}, {"variance": "nu", **change}):
        r = Recursion("same")
        W = r.matrix("W", **declaration)
        terms.append(W @ r.state("h"))
    assert terms[0] != terms[1]
    assert str(terms[0]) == str(terms[1]) == "W@h"


def test_a_state_named_like_next_of_another_differs(rnn):
    assert rnn.h.next != rnn.state("h_next")
    assert rnn.h.next != rnn.h


def test_linear_maps_are_linear(rnn):
    W, V, h, a = rnn.W, rnn.V, rnn.h, sp.Symbol("a")
    assert (W + V) @ h == W @ h + V @ h
    assert (W - V) @ h == W @ h - V @ h
    assert (-W) @ h == -(W @ h)
    assert (a * W + V / 3) @ h == a * (W @ h) + (V @ h) / 3
    assert (W * Fraction(1, 3)) @ h == (W @ h) / 3
    assert (Fraction(1, 3) * W) @ h == sp.Rational(1, 3) * (W @ h)
    assert repr(a * W + V) == "a*W + V"


@pytest.mark.parametrize("variance", ["nu", 2, Fraction(3, 10), sp.Symbol("scale", positive=True) ** 2, 0])
def test_variances_may_be_names_numbers_and_expressions(variance):
    r = Recursion("r")
    F, C, h = r.input_map("F", variance), r.readout("C"), r.state("h")
    r.update(h, F @ r.x)
    r.output(C @ h)
    assert isinstance(r.program().parameters[0].variance, sp.Expr)


def test_the_output_reads_updated_states_at_any_depth(rnn):
    rnn.update(rnn.h, rnn.W @ rnn.h + rnn.F @ rnn.x)
    rnn.output(rnn.C @ relu(rnn.W @ rnn.h))
    twin = Recursion("rnn")
    W, _, F, C, h = (
        twin.matrix("W", "nu_W"),
        twin.matrix("V", "nu_V"),
        twin.input_map("F", "nu_F"),
        twin.readout("C", "nu_C"),
        twin.state("h"),
    )
    twin.update(h, W @ h + F @ twin.x)
    twin.output(C @ relu(W @ h.next))
    assert rnn.program().output == twin.program().output


def test_programs_and_errors_survive_pickling(derived):
    for thing in (models.linear_rnn().program(), derived("linear_rnn", "scale_factors")):
        copy = pickle.loads(pickle.dumps(thing))
        assert copy == thing
        assert hash(copy.program if hasattr(copy, "program") else copy) is not None
    copy.proof.verify()
    assert copy.formula.latex() == derived("linear_rnn", "scale_factors").formula.latex()
    error = pickle.loads(pickle.dumps(LanguageError("here", "this", "that", "Do so.")))
    assert (error.where, error.expected, error.got, error.hint) == ("here", "this", "that", "Do so.")


def test_later_changes_of_the_builder_leave_a_program_alone(rnn):
    rnn.update(rnn.h, rnn.W @ rnn.h + rnn.F @ rnn.x)
    rnn.output(rnn.C @ rnn.h)
    program = rnn.program()
    rnn.matrix("U")
    assert len(program.parameters) == 4
    assert len(rnn.program().parameters) == 5
