"""The mean of the outputs of wide random networks: what their biases and constants put in, for readouts have none."""

from __future__ import annotations

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, ask_body, calculus, theorem
from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.language.notation import t
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


def output_mean(recursion: Recursion | Program) -> Derivation:
    """Outputs of random networks have this mean at every step, whatever the inputs.

    `nngp` is their covariance about it. Zero where the output has neither a bias with a mean nor a constant.
    Shapes: scalar.  Units: output.  Error: none beyond LanguageError.  Source: emami2021implicit, Lemma C.1.

    >>> wp.output_mean(wp.models.feed_forward()).formula.expr
    0
    """
    subject = Moment(sp.S.One, OUTPUT, t, t, FIRST, FIRST)
    return Derivation("output-mean", prove(as_program(recursion), "output-mean", subject))


reads("output-mean")


@rule(
    "output-mean",
    source="emami2021implicit, (1) and Lemma C.1: readouts are centred and independent of states",
    rank=65,
    says=(
        "readouts have mean zero and are independent of the states, so what is left of the mean of an output is that "
        "of its biases and constants,"
    ),
)
def output_mean_rule(subject: Moment, ask: Ask) -> Claim:
    """The mean of an output: that of its biases and constants."""
    program, (_, y), (a, b) = ask.program, subject.pair, subject.labels
    ask(theorem(program), theorem(program))
    return Equation(subject, calculus(program, a).moment(sp.S.One, ask_body(program, ask, y), *subject.times, a, b))
