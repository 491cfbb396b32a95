"""Exact moments at finite width: of the impulse response, and of the empirical tangent kernel.

Averaging over readouts and input maps leaves products of traces of words in the transition matrices, which loop
equations take apart. The empirical kernel is the covariance of the response to a random perturbation of the
parameters (Lemma B.1): in its means the perturbed letters of one entry meet each other, and no others.
Source: Isserlis' theorem and integration by parts; errata E2 and E5.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.calculus.linear_reads import is_affine
from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT, ask_body
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.emit.derivation import Derivation, as_program, quantity, reads
from wideproof.derive.language.errors import NotClosed, ParameterError
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.language.scalars import as_whole
from wideproof.derive.linear.matrix_words import MOST, End, ImpulseWords, Path, Strand, closures, refuse_others
from wideproof.derive.linear.trace_means import trace_mean, transposed
from wideproof.derive.polynomial_recursions.index_sums import by_monomials
from wideproof.derive.polynomial_recursions.output_moments import prove_output_moment
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


class ResponseMoment(sp.Function):
    """E of the product of one entry of L at the lags listed, at width n: arguments n, then the lags."""

    def _latex(self, printer: Any) -> str:
        lags = [printer._print(x) for x in self.args[1:]]
        return rf"\mathbb{{E}}_n\left[{' '.join(rf'(L_{{{x}}})_{{11}}' for x in lags)}\right]"


class KernelEntry(NamedTuple):
    """One entry of the empirical tangent kernel: (L_lag)_{row, column} against (L_lag2)_{row2, column2}.

    >>> wp.KernelEntry(0, 2)
    KernelEntry(lag=0, lag2=2, row=0, row2=0, column=0, column2=0)
    """

    lag: int
    lag2: int
    row: int = 0
    row2: int = 0
    column: int = 0
    column2: int = 0


class KernelMoment(sp.Function):
    """E of a product of entries of the empirical tangent kernel at width n: arguments n, then the entries."""

    def _latex(self, printer: Any) -> str:
        return rf"\mathbb{{E}}_n\left[{' '.join(map(entry_latex, self.args[1:]))}\right]"


class KernelCovariance(sp.Function):
    """The covariance of two entries of the empirical tangent kernel at width n: arguments n, the two entries."""

    nargs = (3,)

    def _latex(self, printer: Any) -> str:
        first, second = map(entry_latex, self.args[1:])
        if self.args[1] == self.args[2]:
            return rf"\mathrm{{Var}}_n\left[{first}\right]"
        return rf"\mathrm{{Cov}}_n\left[{first}, {second}\right]"


def entry_latex(entry: sp.Tuple) -> str:
    """An entry as it is typeset: its lags below, and rows and columns above where they are not the first."""
    lag, lag2, *indices = entry
    places = "" if not any(indices) else "".join(str(x + 1) for x in indices)
    return rf"\hat\Theta_{{{lag},{lag2}}}" + (rf"^{{({places})}}" if places else "")


# ---- quantities -----------------------------------------------------------------------------------
def moments(
    recursion: Recursion | Program, lag: int | None = None, order: int = 2, lags: Sequence[int] | None = None
) -> Derivation:
    """E of L_j^order for one entry of L_j at any width n, exactly: a polynomial in 1/n; `lags` mixes lags.

    Where activations are polynomials, or states multiply, it is that of one output y_j, j steps after a unit impulse
    into the recursion at its start, biases and random starts included.
    Shapes: formula in n and the variances.  Units: (output/input)^order, of a polynomial recursion output^order.
    Errors: NotLinear for activations that are no polynomials; NotClosed for backward states, redrawn readouts of a
    linear recursion, or too many products of matrices; ParameterError for negative lags or an odd or missing order.
    The cost grows fast with lag times order. z^d at lag j has k = order (d + ... + d^j) entries of W, and (k - 1)!!
    pairings of them: 16 entries take seconds, more are refused. So z^2 goes to lag 2 at order 2 and lag 1 at order 4,
    z^3 to lag 1 at both; sums of powers take longer.
    Source: loop equations; erratum E2 is the case order 2.

    >>> exact = wp.moments(wp.models.linear_rnn(), lag=2, order=2).formula.compile()
    >>> exact(n=10, nu_W=1.0, nu_F=1.0, nu_C=1.0)
    np.float64(1.02)
    """
    program = as_program(recursion)
    where = f"moments({program.name})"
    if (lag is None) == (lags is None):
        raise ParameterError("moments", "either a lag or lags", (lag, lags), "moments(rnn, lag=3, order=4).")
    power = as_whole(order)
    if power is None:
        raise ParameterError("moments: order", "an even whole number", order, "moments(rnn, lag=3, order=4).")
    given = tuple(lags) if lags is not None else (lag,) * power
    wanted = sorted(x for x in map(as_whole, given) if x is not None and x >= 0)
    if not wanted or len(wanted) % 2 or len(wanted) != len(given):
        raise ParameterError("moments", "an even number of whole lags >= 0", given, "Odd moments vanish.")
    base = program.base or program
    if not is_affine(base):
        return Derivation("moments", prove_output_moment(base, wanted, where))
    refuse_others(program, where)
    return Derivation("moments", prove(program, "readout-pairings", ResponseMoment(n, *wanted)))


@quantity
def second_moment(recursion: Recursion | Program, lag: int) -> Derivation:
    """E of L_j^2 for one entry of L_j at width n: `moments` of order 2.

    >>> wp.second_moment(wp.models.linear_rnn(), 2).formula.compile()(n=10, nu_W=1.0, nu_F=1.0, nu_C=1.0)
    np.float64(1.02)
    """
    return Derivation("second-moment", moments(recursion, lag=lag).proof)


@quantity
def fourth_moment(recursion: Recursion | Program, lag: int) -> Derivation:
    """E of L_j^4 for one entry of L_j at width n: `moments` of order 4.

    >>> wp.fourth_moment(wp.models.linear_rnn(), 0).formula.expr
    nu_C**2*nu_F**2*(3 + 6/n)
    """
    return Derivation("fourth-moment", moments(recursion, lag=lag, order=4).proof)


@quantity
def ntk_mean(recursion: Recursion | Program, lag: int | KernelEntry, parameterization: str = "entries") -> Derivation:
    """E of one entry of the empirical tangent kernel of the impulse response at width n: a polynomial in 1/n.

    A lag j stands for the entry between (L_j)_11 and itself, whose limit is the scale factor; KernelEntry names any
    other, for any numbers of inputs and outputs. The mean of (t, j) for t != j is the leakage between lags (E5).
    Shapes: formula in n and the variances.  Units: output^2/input^2.
    Errors: as `moments`.  The cost grows like j^2 products; lag 12 takes a second.
    Source: emami2021implicit, Lemma B.1 and (19)-(21) at finite width.

    >>> wp.ntk_mean(wp.models.linear_rnn(), wp.KernelEntry(0, 2)).formula.expr
    nu_C*nu_W/n + nu_F*nu_W/n
    """
    entry = entry_of(lag, "ntk_mean")
    program = moved(recursion, parameterization)
    return Derivation("ntk-mean", prove(program, "kernel-pairings", KernelMoment(n, sp.Tuple(*entry))))


def ntk_covariance(
    recursion: Recursion | Program,
    first: int | KernelEntry,
    second: int | KernelEntry,
    parameterization: str = "entries",
) -> Derivation:
    """The covariance of two entries of the empirical tangent kernel at width n: a polynomial in 1/n.

    Shapes: formula in n and the variances.  Units: (output/input)^4.
    Errors: as `moments`.  The cost grows like j^4 products of words of 4 j letters; lag 6 takes seconds.
    Source: emami2021implicit, Lemma B.1 at finite width; erratum E5.

    >>> wp.ntk_covariance(wp.models.linear_rnn(), 0, 1).formula.expr
    2*nu_C**2*nu_F/n + 2*nu_C**2*nu_W/n + 2*nu_C*nu_F**2/n + 2*nu_F**2*nu_W/n
    """
    entries = (sp.Tuple(*entry_of(x, "ntk_covariance")) for x in (first, second))
    program = moved(recursion, parameterization)
    return Derivation("ntk-covariance", prove(program, "kernel-covariance", KernelCovariance(n, *entries)))


@quantity
def ntk_variance(
    recursion: Recursion | Program, lag: int | KernelEntry, parameterization: str = "entries"
) -> Derivation:
    """The variance of one entry of the empirical tangent kernel at width n: `ntk_covariance` with itself.

    >>> wp.ntk_variance(wp.models.linear_rnn(), 0).formula.expr
    2*nu_C**2/n + 2*nu_F**2/n
    """
    return Derivation("ntk-variance", ntk_covariance(recursion, lag, lag, parameterization).proof)


for _name in ("moments", "second-moment", "fourth-moment", "ntk-mean", "ntk-variance", "ntk-covariance"):
    reads(_name, n)


def moved(recursion: Recursion | Program, parameterization: str) -> Program:
    """The tangent of a linear recursion.  Errors: NotLinear; NotClosed where its products are none of matrices."""
    program = as_program(recursion)
    refuse_others(program, f"tangent kernel of {program.name} at finite width")
    return tangent(program, parameterization)


def entry_of(given: int | KernelEntry, where: str) -> KernelEntry:
    """The entry that is meant; a lag stands for that with itself.  Errors: ParameterError."""
    entry = given if isinstance(given, KernelEntry) else (given, given)
    places = [x for x in map(as_whole, entry) if x is not None and x >= 0]
    if len(places) < len(entry):
        raise ParameterError(where, "a whole lag >= 0, or a KernelEntry of such", repr(given), "ntk_mean(rnn, 3).")
    return KernelEntry(*places)


# ---- rules ----------------------------------------------------------------------------------------
@rule(
    "readout-pairings",
    source="isserlis1918formula, over the entries of readout and input map",
    rank=780,
    says=(
        "pair the readouts and the input maps in every possible way; each pairing closes the products of "
        "transition matrices into traces, hence"
    ),
)
def readout_pairings(subject: Any, ask: Ask) -> Claim:
    """Each pairing of the readouts and each of the input maps closes the words into traces."""
    words = _words(ask, OUTPUT, subject)
    factors = [
        [((_strand(path),), c, len(path.word) + 1) for path, c in words.response(int(lag)).items()]
        for lag in subject.args[1:]
    ]
    return Equation(subject, _mean(words, factors, ask))


@rule(
    "kernel-pairings",
    source="emami2021implicit, Lemma B.1; isserlis1918formula, over perturbations, readouts and input maps",
    rank=781,
    says=(
        "the perturbed matrices of one entry meet each other; then pair the readouts and the input maps in every "
        "possible way, which closes the products of transition matrices into traces, hence"
    ),
)
def kernel_pairings(subject: Any, ask: Ask) -> Claim:
    """Contract the perturbations of each entry, then close all words into traces."""
    words = _words(ask, TANGENT_OUTPUT, subject)
    factors = [list(_contracted(words, KernelEntry(*map(int, entry)))) for entry in subject.args[1:]]
    return Equation(subject, _mean(words, factors, ask))


@rule("kernel-covariance", source="definition of the covariance", rank=782, says="by definition of the covariance,")
def kernel_covariance(subject: Any, ask: Ask) -> Claim:
    """E of the product less the product of the means."""
    _, first, second = subject.args
    both, a, b = (
        ask.equation("kernel-pairings", KernelMoment(n, *entries)).right
        for entries in (sorted((first, second), key=sp.default_sort_key), (first,), (second,))
    )
    return Equation(subject, by_monomials(both - a * b))


Term = tuple[tuple[Strand, ...], sp.Expr, int]
"""A product of numbers, its factor, and how many factors n^{-1/2} it carries."""


def _words(ask: Ask, output: sp.Expr, subject: sp.Expr) -> ImpulseWords:
    """The words of the recursion, or of its tangent, whose lines are premises."""
    bodies = {updated: ask_body(ask.program, ask, updated) for updated, _ in ask.program.updates}
    ends = ask_body(ask.program, ask, output)
    return ImpulseWords(ask.program, bodies, ends, f"{type(subject).__name__} of {ask.program.name}")


def _strand(path: Path) -> Strand:
    return Strand(End(path.readout, 0), path.word, End(path.inputs, 0))


def _contracted(words: ImpulseWords, entry: KernelEntry) -> Iterator[Term]:
    """The products of one entry of the kernel in which the perturbed letters of its two responses have met."""
    first, second = words.response(entry.lag), words.response(entry.lag2)
    _refuse_many(words, len(first) * len(second))
    for (a, c), (b, d) in product(first.items(), second.items()):
        letters, letters2 = ((x.readout, *x.word, x.inputs) for x in (a, b))
        at, at2 = (next(i for i, x in enumerate(w) if words.ensemble(x).perturbed) for w in (letters, letters2))
        if letters[at] != letters2[at2]:
            continue
        strands: list[Strand] = []
        if at:
            ends = End(a.readout, entry.row), End(b.readout, entry.row2)
            strands.append(Strand(ends[0], a.word[: at - 1] + transposed(b.word[: at2 - 1]), ends[1]))
        elif entry.row != entry.row2:
            continue
        if at <= len(a.word):
            ends = End(a.inputs, entry.column), End(b.inputs, entry.column2)
            strands.append(Strand(ends[0], transposed(a.word[at:]) + b.word[at2:], ends[1]))
        elif entry.column != entry.column2:
            continue
        variance = words.ensemble(letters[at]).variance
        yield tuple(strands), c * d * variance, len(a.word) + len(b.word) + 2


def _refuse_many(words: ImpulseWords, count: int) -> None:
    if count > MOST:
        raise NotClosed(words.where, f"at most {MOST:,} products of matrices", f"{count:,}", "Ask for smaller lags.")


def _mean(words: ImpulseWords, factors: Sequence[Sequence[Term]], ask: Ask) -> sp.Expr:
    """E of a product of sums of products, by closures and loop equations.  Errors: NotClosed for more than MOST."""
    _refuse_many(words, math.prod(map(len, factors)))
    products: dict[tuple[tuple[Strand, ...], int], list[sp.Expr]] = defaultdict(list)
    for chosen in product(*factors):
        strands = tuple(sorted(strand for term in chosen for strand in term[0]))
        products[strands, sum(term[2] for term in chosen)].append(sp.prod([term[1] for term in chosen]))
    traces: dict[sp.Expr, Counter[tuple[sp.Expr, int]]] = defaultdict(Counter)
    for (strands, power), factors_of in products.items():
        scale = sp.Add(*factors_of) * words.variance(strands)
        for loops in closures(strands) if scale != 0 else ():
            traces[trace_mean(loops)][scale, power] += 1
    total: Counter[tuple[sp.Expr, sp.Rational]] = Counter()
    for mean, scales in traces.items():
        polynomial = sp.expand(ask.equation("loop-equations", mean).right)
        for c, degree in (term.as_coeff_exponent(n) for term in sp.Add.make_args(polynomial)):
            for (scale, power), ways in scales.items():
                total[scale, degree - sp.Rational(power, 2)] += ways * c
    return by_monomials(sp.Add(*(c * scale * n**power for (scale, power), c in total.items())))
