"""A program that is not the tangent of its base is refused by the whole verification, however its steps read."""

from dataclasses import replace

import pytest
import sympy as sp

from wideproof.derive import ProofError, Recursion, models, ntk, scale_factors, tanh
from wideproof.derive.audit import worlds
from wideproof.derive.audit.definitions import check_program
from wideproof.derive.calculus import tangent as engine
from wideproof.derive.language.program import MatVec, Parameter, Previous, State, Updated, coordinate
from wideproof.derive.language.variants import changed, redeclared

THOUSANDTH = sp.Rational(1001, 1000)


@pytest.fixture
def uncached():
    """Tangents made under a mutant are forgotten before and after it."""
    engine.tangent.cache_clear()
    yield
    engine.tangent.cache_clear()


def mixed():
    """Tied and redrawn, trained and frozen, shared start and bias with a mean."""
    r = Recursion("mixed")
    W, V = r.matrix("W", "nu_W"), r.matrix("V", "nu_V", tied=False)
    U, F = r.matrix("U", "nu_U", trainable=False), r.input_map("F", "nu_F", tied=False)
    h, b = r.state("h", initial="nu_0", shared=True), r.bias("b", "nu_b", mean="mu")
    r.update(h, tanh(W @ h + V @ h + U @ h + F @ r.x + b))
    r.output(r.readout("C", "nu_C") @ h)
    return r


MODELS = {
    "linear": models.linear_rnn,
    "elman": models.elman,
    "mixed": mixed,
    "gru": models.gru,
    "stacked": models.stacked,
    "bidirectional": models.bidirectional,
    "lstm": models.lstm,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("parameterization", ["entries", "ntk"])
def test_true_tangents_pass(name, parameterization):
    base = MODELS[name]().program()
    for chosen in (base, engine.trained_only(base, base.parameters[-1].name)):
        program = engine.tangent(chosen, parameterization)
        for world in (*worlds(chosen), *worlds(program)):
            check_program(world)


def made(change):
    """A wrong law of the perturbation of each parameter."""
    true = engine._Perturbation._delta

    def delta(self, parameter):
        if parameter not in self.parameters:
            self.parameters[parameter] = change(true(self, parameter), parameter)
        return self.parameters[parameter]

    return delta


LAWS = {
    "variance 2": lambda d, p: replace(d, variance=2 * d.variance),
    "variance 1.001": lambda d, p: replace(d, variance=THOUSANDTH * d.variance),
    "variance of the parameter": lambda d, p: replace(d, variance=p.variance),
    "tied": lambda d, p: replace(d, tied=True),
    "redrawn": lambda d, p: replace(d, tied=False),
    "with a mean": lambda d, p: replace(d, mean=sp.Rational(1, 1000)) if p.role == "bias" else d,
    "with the mean of its parameter": lambda d, p: replace(d, mean=p.mean),
    "frozen": lambda d, p: replace(d, trainable=False),
    "another name": lambda d, p: replace(d, name=d.name + "_2"),
}


@pytest.mark.parametrize("law", LAWS)
def test_a_perturbation_of_another_law_is_refused(law, monkeypatch, uncached):
    monkeypatch.setattr(engine._Perturbation, "_delta", made(LAWS[law]))
    with pytest.raises(ProofError, match="audit"):
        ntk(mixed()).proof.verify()


@pytest.mark.parametrize("law", ["variance 2", "variance 1.001"])
def test_so_it_is_of_unit_variance_parameters(law, monkeypatch, uncached):
    monkeypatch.setattr(engine._Perturbation, "_delta", made(LAWS[law]))
    with pytest.raises(ProofError, match="perturbation"):
        ntk(models.linear_rnn(), parameterization="ntk").proof.verify()


STARTS = {
    "random": lambda s: State("δ" + s.name, initial=sp.Symbol("nu_W", nonnegative=True), backward=s.backward),
    "that of its state": lambda s: replace(s, name="δ" + s.name),
    "shared": lambda s: State("δ" + s.name, shared=True, backward=s.backward),
    "the other direction": lambda s: State("δ" + s.name, backward=not s.backward),
}


@pytest.mark.parametrize("start", STARTS)
def test_a_perturbed_state_that_does_not_rest_is_refused(start, monkeypatch, uncached):
    monkeypatch.setattr(engine, "perturbed", STARTS[start])
    with pytest.raises(ProofError, match="audit"):
        ntk(mixed()).proof.verify()


def frozen_is_moved(self, c):
    """The mutant that trains what is frozen."""
    term = self.program.table[c]
    if isinstance(term, MatVec) and not term.matrix.trainable:
        return self._matvec(self._delta(term.matrix), term.vector) + self._product(term.matrix, term.vector)
    return PERTURBED(self, c)


PERTURBED = engine._Perturbation._perturbed
MOVES = {
    "trains what is frozen": frozen_is_moved,
    "freezes what is trained": lambda self, c: (
        self._product(self.program.table[c].matrix, self.program.table[c].vector)
        if isinstance(self.program.table[c], MatVec) and self.program.table[c].matrix.name == "W"
        else PERTURBED(self, c)
    ),
    "forgets how the state moves": lambda self, c: (
        self._matvec(self._delta(self.program.table[c].matrix), self.program.table[c].vector)
        if isinstance(self.program.table[c], MatVec) and self.program.table[c].matrix.name == "W"
        else PERTURBED(self, c)
    ),
    "doubles a bias": lambda self, c: PERTURBED(self, c) * (2 if c.label == "b" else 1),
    "is wrong by a thousandth": lambda self, c: PERTURBED(self, c) * THOUSANDTH,
}


@pytest.mark.parametrize("move", MOVES)
def test_a_wrong_differential_is_refused(move, monkeypatch, uncached):
    monkeypatch.setattr(engine._Perturbation, "_perturbed", MOVES[move])
    with pytest.raises(ProofError, match="audit"):
        ntk(mixed()).proof.verify()


def test_a_step_of_a_frozen_parameter_stays_out(uncached):
    """`parameters=` freezes the others, and the law of what is left is judged as before."""
    part = ntk(models.linear_rnn(), parameters=("W",)).proof
    part.verify()
    assert [p.name for p in part.program.parameters] == ["W", "F", "C", "δW"]


# ---- programs exchanged under their proof ----------------------------------------------------------
def renamed(program, old, new):
    """A program with another coordinate for one term, and the term itself."""
    table = {coordinate(program.name, old): (coordinate(program.name, new), new)}
    terms = tuple(table.get(c, (c, term)) for c, term in program.terms)
    moved = {c: d for c, (d, _) in table.items()}
    updates = tuple((moved.get(c, c), body.xreplace(moved)) for c, body in program.updates)
    return replace(program, terms=terms, updates=updates, output=program.output.xreplace(moved))


def exchanged_update(program):
    (*rest, (c, body)) = program.updates
    return replace(program, updates=(*rest, (c, body * THOUSANDTH)))


def lost_term(program):
    (*rest, (c, body)) = program.updates
    return replace(program, updates=(*rest, (c, body - body.args[0])))


def flipped(program, name):
    """`tied` flipped in the declaration only."""
    return replace(
        program, parameters=tuple(replace(p, tied=not p.tied) if p.name == name else p for p in program.parameters)
    )


PROGRAMS = {
    "an altered tangent update": exchanged_update,
    "a tangent update without a term": lost_term,
    "an altered output": lambda p: replace(p, output=p.output * THOUSANDTH),
    "tied flipped in the parameters": lambda p: flipped(p, "W"),
    "tied flipped in a perturbation": lambda p: flipped(p, "δW"),
    "a parameter left out": lambda p: replace(p, parameters=p.parameters[:-1]),
    "a parameter declared twice": lambda p: replace(p, parameters=(*p.parameters, p.parameters[-1])),
    "a state left out": lambda p: replace(p, states=p.states[:-1]),
    "a start in the states only": lambda p: replace(
        p, states=(*p.states[:-1], replace(p.states[-1], initial=sp.S.One))
    ),
    "a shared start in the states only": lambda p: replace(
        p, states=(*p.states[:-1], replace(p.states[-1], shared=True))
    ),
    "the other parameterization": lambda p: replace(p, parameterization="ntk"),
    "no known parameterization": lambda p: replace(p, parameterization="unit"),
    "an update left out": lambda p: replace(p, updates=p.updates[:-1]),
    "another base": lambda p: replace(p, base=exchanged_update(p.base)),
    "a base with other parameters": lambda p: replace(p, base=flipped(p.base, "F")),
    "a base with a frozen parameter": lambda p: replace(
        p, base=changed(p.base, lambda x: replace(x, trainable=x.name != "W"))
    ),
    "a start in its terms only": lambda p: renamed(
        p, Updated(p.states[0]), Updated(replace(p.states[0], initial=sp.S.One))
    ),
    "a base with other variances": lambda p: replace(
        p, base=redeclared(p.base, {x: replace(x, variance=2 * x.variance) for x in p.base.parameters})
    ),
}


@pytest.mark.parametrize("quantity", [scale_factors, ntk])
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_exchanged_program_is_refused_by_the_auditor_alone(name, quantity):
    program = quantity(models.linear_rnn()).program
    with pytest.raises(ProofError, match="audit"):
        check_program(worlds(PROGRAMS[name](program))[0])
    with pytest.raises(ProofError):
        replace(quantity(models.linear_rnn()).proof, program=PROGRAMS[name](program)).verify()


def test_a_term_under_the_name_of_another_is_refused():
    """`shared` and `initial` are in the name of a coordinate, so a term cannot be exchanged under it."""
    program = mixed().program()
    for change in ({"shared": False}, {"initial": 2 * program.states[0].initial}):
        other = replace(program.states[0], **change)
        swap = {Updated(program.states[0]): Updated(other), Previous(program.states[0]): Previous(other)}
        terms = tuple((c, swap.get(term, term)) for c, term in program.terms)
        with pytest.raises(ProofError, match="audit"):
            check_program(worlds(replace(program, states=(other,), terms=terms))[0])


def test_updates_that_read_ahead_are_refused():
    program = models.stacked().program()
    with pytest.raises(ProofError, match="known before"):
        check_program(worlds(replace(program, updates=program.updates[::-1]))[0])


def test_the_frozen_matrix_has_no_perturbation_and_the_others_one_each():
    moved = engine.tangent(mixed().program()).parameters[6:]
    assert Parameter("δb", "bias", sp.S.One) in moved
    assert {p.name for p in moved} == {"δW", "δV", "δF", "δb", "δC"}
