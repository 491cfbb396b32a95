"""The mean of the outputs of wide random networks: what their biases and constants put in, for readouts have none."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, ask_body, calculus, theorem
from wideproof.derive.emit.derivation import Derivation, as_program, formula_of
from wideproof.derive.language.notation import t
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.proof import Ask, Claim, Equation, prove, rule


def output_mean(recursion: Recursion | Program) -> Derivation:
    """Outputs of random networks have this mean at every step, whatever the inputs.

    `nngp` is their covariance about it. Zero where the output has neither a bias with a mean nor a constant.
    Shapes: scalar.  Units: output.  Error: none beyond LanguageError.  Source: emami2021implicit, Lemma C.1.
    """
    program = as_program(recursion)
    proof = prove(program, "output-mean", Moment(sp.S.One, OUTPUT, t, t, FIRST, FIRST))
    assert isinstance(proof.goal, Equation)
    return Derivation("output-mean", program, formula_of("output_mean", program, proof.goal.right, ()), proof)


@rule("output-mean", source="emami2021implicit, (1) and Lemma C.1: readouts are centred and independent of states")
def output_mean_rule(program: Program, subject: Any, ask: Ask) -> Claim:
    """The mean of an output: that of its biases and constants."""
    assert isinstance(subject, Moment)
    _, y, first, second, a, b = subject.args
    ask(theorem(program), theorem(program))
    return Equation(subject, calculus(program, a).moment(sp.S.One, ask_body(program, ask, y), first, second, a, b))
