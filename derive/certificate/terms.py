"""SymPy in Coq's words: times as `nat`, formulas as `R`, processes as vectors of the section, names without clashes."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.calculus.recursion_rules import ROW, ROW2, Response
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import T, j, k, m, n, p, q, s, t
from wideproof.derive.language.program import Bias, Coordinate, Input, MatVec, Parameter, Previous, Program, Updated
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.gradient_descent import STEP
from wideproof.derive.linear.realization import ROW_LAG
from wideproof.derive.linear.scale_factor_bounds import LargestRho

WHOLE = {j: "j", k: "k", m: "m", p: "p", q: "q", s: "s", t: "t", T: "T", n: "n", STEP: "l", ROW_LAG: "i"}
SEQUENCES = {FIRST: "x", SECOND: "x'", p: "(impulse p)", q: "(impulse q)"}
ROWS = {ROW: "r", ROW2: "r'", sp.Symbol("c"): "c", sp.Symbol("c'"): "c'"}
_WORDS = """
as at by cofix else end exists exists2 fix for forall fun if IF in let match mod Prop return Set then Type
using where with Definition E R S O I V d x r a b c t s j k m p q w u v i n T one zero plus scale product
input bias before variance impulse gram step nat INR delta PowerDD lag_sum expand deltas rho kernel tends_to
max Rmax sqrt pow list length app In sequence parameter H act activation gaussian gaussian_mean1
gaussian_mean2 gain theta convolved entry random f g l largest nonneg gaussians gaussian_means unimodal
tends_in_law times given matrix mzero mone
madd mmul mscale tr mentry dot size norm mpower msum toeplitz gains targets contraction select block parameters
residual taps lag_taps sum_below correlation_map correlation_slope
horizon price_after derivative node target lagrange letter word strand response mean value total counted
readout_variance input_variance transition_variance back
"""


def _words_of_scripts() -> Iterator[str]:
    """Every word of the files that write proofs: some are names of facts inside a proof, which no letter may bear."""
    room = Path(__file__).parent
    for path in (room / "hypotheses.py", room / "prelude.py", *sorted((room / "exporters").glob("*.py"))):
        yield from re.findall(r"[A-Za-z_]\w+", path.read_text(encoding="utf-8"))


RESERVED = frozenset(_WORDS.split())
"""Words of Coq and of the section itself, which no name may take."""
TAKEN = RESERVED.union(_words_of_scripts())
"""These and the words of the proofs, which no letter of a user may take."""
NUMBERED = re.compile(r"[A-Z]\d+")
"""Names of facts that proofs count."""


Text = Callable[["Writer", Any], str]
TERMS: dict[type, Text] = {}


def term(*kinds: type) -> Callable[[Text], Text]:
    """Register the decorated function as how terms of these kinds are written."""

    def register(write: Text) -> Text:
        TERMS.update(dict.fromkeys(kinds, write))
        return write

    return register


@dataclass
class Names:
    """One identifier for each thing, no two alike, as close to its own name as Coq admits."""

    given: dict[Hashable, str] = field(default_factory=dict)

    def __call__(self, thing: Hashable, wanted: str) -> str:
        """The identifier of a thing, made from `wanted` on the first call."""
        if thing not in self.given:
            name = re.sub(r"\W+", "_", wanted.replace("'", "")).strip("_") or "term"
            name = f"n{name}" if name[0].isdigit() or name.startswith("d_") else name
            name += "_" * name.endswith(("_definition", "_sign", "_right"))  # made from other names below
            is_lemma = isinstance(thing, tuple) and thing[0] == "lemma"
            taken = RESERVED if is_lemma else TAKEN
            while name in taken or NUMBERED.fullmatch(name) or name in self.given.values():
                name += "_"
            self.given[thing] = name
        return self.given[thing]


def shift_of(time: sp.Expr) -> tuple[sp.Expr, int]:
    """A time as (what is symbolic or 0, whole number)."""
    number, rest = sp.expand(time).as_coeff_Add()
    if not number.is_Integer or rest.has(sp.Function, sp.Pow):
        raise NotCertified("time", "a lag, a step, or one a whole number later", time, "This time has no certificate.")
    return rest, int(number)


def natural(time: sp.Expr) -> str:
    """A time that is not negative, as `nat`."""
    rest, number = shift_of(time)
    if number < 0 or any(c < 0 for c in rest.as_coefficients_dict().values()):
        raise NotCertified("time", "a time that is not negative", time, "It is no natural number.")
    if rest == 0:
        return str(number)
    summands = sorted(sp.Add.make_args(rest), key=lambda x: list(WHOLE).index(x) if x in WHOLE else -1)
    text = " + ".join(
        f"Nat.max {' '.join(map(natural, x.args))}" if isinstance(x, sp.Max) else WHOLE[x] for x in summands
    )
    text = f"({text})" if " " in text else text
    for _ in range(number):
        text = f"(S {text})"
    return text


class Writer:
    """Terms of one program in Coq.  Errors: NotCertified for a term that no certificate knows."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = Names()
        for symbol in program.symbols.values():
            self.names(symbol, symbol.name)
        for parameter in (program.base or program).parameters:
            self.names(parameter.name, parameter.name)
        for updated, term in program.terms:
            if isinstance(term, Updated):
                self.names(updated, term.state.name)

    # ---- vectors --------------------------------------------------------------------------------------
    def state(self, updated: Coordinate) -> str:
        """The identifier of a state."""
        if updated not in self.names.given:
            raise NotCertified("state", "a state of the recursion", updated, "A product that is read is not covered.")
        return self.names.given[updated]

    def parameter(self, parameter: Parameter) -> str:
        """The identifier of a parameter."""
        return self.names(parameter.name, parameter.name)

    def at(self, process: sp.Expr, time: sp.Expr, label: str) -> str:
        """A state at a time that may be -1, or a combination of coordinates at a time."""
        if process in self.program.bodies:
            rest, number = shift_of(time)
            if number < 0:
                return f"(before ({self.state(process)} {label}) {natural(rest + number + 1)})"
            return f"({self.state(process)} {label} {natural(time)})"
        return self.vector(process, natural(time), label)

    def vector(self, expr: sp.Expr, time: str, label: str, row: str = "0") -> str:
        """A combination of coordinates read inside the body at a time."""
        texts = [
            text if c == 1 else f"(scale {self.real(c)} {text})"
            for c, text in ((c, self.coordinate(x, time, label, row)) for c, x in pieces(expr))
        ]
        if not texts:
            return "zero"
        total = texts[0]
        for text in texts[1:]:
            total = f"(plus {total} {text})"
        return total

    def coordinate(self, coordinate: sp.Expr, time: str, label: str, row: str = "0") -> str:
        """One coordinate, or an activation of some, inside the body at a time; `row` is that of a readout."""
        if coordinate == 1:
            return "one"
        if isinstance(coordinate, Phi):
            name, order, argument = coordinate.args
            return f"(act {self.activation(name)} {order} {self.vector(argument, time, label)})"
        if isinstance(coordinate, sp.Mul):
            return self._response_of_activation(coordinate, time, label)
        match self.program.table.get(coordinate):
            case Previous(state):
                return f"(before ({self.state(self.program.updated[state])} {label}) {time})"
            case Updated():
                return f"({self.state(coordinate)} {label} {time})"
            case MatVec(matrix, vector):
                copy = self._copy(matrix, time, label, row)
                if matrix.role == "input_map":
                    if not isinstance(self.program.table.get(vector), Input):
                        raise NotCertified(
                            f"{coordinate}", "an input map of the input", vector, "It has no certificate."
                        )
                    return f"(input {self.parameter(matrix)} {copy} {label} {time})"
                return f"(product {self.parameter(matrix)} {copy} {self.vector(vector, time, label)})"
            case Bias(parameter):
                return f"(bias {self.parameter(parameter)} {self._copy(parameter, time, label, row)})"
            case _:
                raise NotCertified(
                    f"the term {coordinate}",
                    "states, products, biases and activations of them, with coefficients",
                    coordinate,
                    "Products of coordinates have no certificate yet.",
                )

    def _response_of_activation(self, product: sp.Expr, time: str, label: str) -> str:
        """The derivative of an activation times a coordinate."""
        slopes = [x for x in product.args if isinstance(x, Phi)]
        others = [x for x in product.args if isinstance(x, Coordinate)]
        if (len(slopes), len(others), len(product.args)) != (1, 1, 2):
            raise NotCertified(
                f"the term {product}",
                "one activation times one coordinate",
                product,
                "Products of states or of activations, as in gates, have no certificate.",
            )
        return f"(times {self.coordinate(slopes[0], time, label)} {self.coordinate(others[0], time, label)})"

    def _copy(self, parameter: Parameter, time: str, label: str, row: str) -> str:
        if parameter.role == "readout" or (parameter.role == "bias" and row != "0"):
            return row
        return "0" if parameter.tied else f"(step {label} {time})"

    def activation(self, name: sp.Expr) -> str:
        """The identifier of an activation."""
        return self.names(("activation", name), str(name))

    # ---- numbers --------------------------------------------------------------------------------------
    def real(self, expr: sp.Expr) -> str:
        """A formula as a real number."""
        match expr:
            case sp.Integer():
                return str(expr) if expr >= 0 else f"(- {-expr})"
            case sp.Rational():
                return f"({self.real(sp.Integer(expr.p))} / {expr.q})"
            case sp.Symbol():
                return f"(INR {WHOLE[expr]})" if expr in WHOLE else self._letter(expr)
            case sp.Add():
                return f"({' + '.join(self.real(x) for x in expr.args)})"
            case sp.Mul():
                return f"({' * '.join(self.real(x) for x in expr.args)})"
            case sp.Pow():
                return self._power(expr.base, expr.exp)
            case _:
                return self._function(expr)

    def _letter(self, symbol: sp.Symbol) -> str:
        if symbol not in self.names.given:
            raise NotCertified(f"the letter {symbol}", "a letter of the recursion", symbol, "It is not defined.")
        return self.names.given[symbol]

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> str:
        if exponent.is_Rational and exponent.q == 2:
            root = (
                f"(sqrt {self.real(base)})" if abs(exponent.p) == 1 else f"(sqrt {self.real(base)} ^ {abs(exponent.p)})"
            )
            return root if exponent.p > 0 else f"(/ {root})"
        parts = exponent.as_coefficients_dict()
        above = sp.Add(*(c * x for x, c in parts.items() if c > 0))
        below = sp.Add(*(-c * x for x, c in parts.items() if c < 0))
        texts = [self.real(base) if x == 1 else f"({self.real(base)} ^ {natural(x)})" for x in (above, below) if x != 0]
        if above == 0:
            return f"(/ {texts[0]})"
        return texts[0] if below == 0 else f"({' / '.join(texts)})"

    def _function(self, expr: sp.Expr) -> str:
        if type(expr) in TERMS:
            return TERMS[type(expr)](self, expr)
        match expr:
            case sp.KroneckerDelta():
                left, right = (ROWS.get(x) or natural(x) for x in expr.args)
                return f"(delta {left} {right})"
            case PowerDD():
                nodes = "; ".join(self.real(x) for x in expr.args[1:])
                return f"(PowerDD [{nodes}] {natural(expr.args[0])})"
            case Moment() | Response() | Gram():
                return self._moment(expr)
            case GaussianMean():
                return self._gaussian_mean(expr)
            case sp.Max():
                first, *rest = map(self.real, expr.args)
                for other in rest:
                    first = f"(Rmax {first} {other})"
                return first
            case sp.Sum():
                return self._lag_sum(expr)
            case _:
                raise NotCertified(
                    f"the term {expr}", "powers, sums over lags and moments", type(expr).__name__, "It is not covered."
                )

    def _gaussian_mean(self, expr: GaussianMean) -> str:
        """E of an activation, or of a product of two, of centred Gaussian variables with these covariances."""
        functions, means, covariances = expr.args
        if len(functions) > 2 or any(mean != 0 for mean in means):
            raise NotCertified(
                "Gaussian mean", "at most two activations of centred variables", expr, "Not covered yet."
            )
        words = [f"{self.activation(name)} {order}" for name, order in functions]
        return f"(gaussian_mean{len(words)} {' '.join((*words, *map(self.real, covariances)))})"

    def _moment(self, expr: sp.Expr) -> str:
        match expr:
            case Moment():
                u, v, first, second, a, b = expr.args
                return f"(E {self.at(u, first, SEQUENCES[a])} {self.at(v, second, SEQUENCES[b])})"
            case Response():
                return self.response(*expr.args)
            case _:
                first, second, a, b = expr.args
                return f"(gram {SEQUENCES[a]} {SEQUENCES[b]} {natural(first)} {natural(second)})"

    def response(self, *args: sp.Expr) -> str:
        """The covariance of two outputs."""
        y, row, row2, first, second, a, b = args
        name = self.output(y)
        left = f"({name} {ROWS[row]} {SEQUENCES[a]} {natural(first)})"
        return f"(E {left} ({name} {ROWS[row2]} {SEQUENCES[b]} {natural(second)}))"

    def output(self, y: sp.Symbol) -> str:
        """The identifier of the output or of its perturbation."""
        return self.names(("output", y), y.name)

    def _lag_sum(self, expr: sp.Sum) -> str:
        """sum_{j <= min(t, s)} weight_j <x_{t-j}, x'_{s-j}>, or a sum of numbers from 0 to below a whole number."""
        if not expr.has(Gram):
            return self._sum_below(expr)
        (index, low, high), body = expr.limits[0], expr.function
        grams = [x for x in body.atoms(Gram) if x.has(index)]
        weight = sp.cancel(body / grams[0]) if len(grams) == 1 else body
        if (
            len(expr.limits) != 1
            or weight.has(Gram)
            or grams[0] != Gram(t - index, s - index, FIRST, SECOND)
            or (index, low, high) != (j, 0, sp.Min(t, s))
        ):
            raise NotCertified("sum", "weights by lag times inner products of inputs", expr, "It is no sum over lags.")
        text = body.subs(grams[0], 1)
        return f"(lag_sum (fun j => {self.real(text)}) (gram x x') t s)"

    def _sum_below(self, expr: sp.Expr) -> str:
        (index, low, high), *more = expr.limits
        if more or low != 0 or index not in WHOLE:
            raise NotCertified("sum", "one index, from 0", expr, "Another sum has no certificate.")
        return f"(sum_below (fun {WHOLE[index]} => {self.real(expr.function)}) {natural(high + 1)})"


@term(Rho)
def _scale_factor(writer: Writer, expr: sp.Expr) -> str:
    return f"(rho {natural(expr.args[0])})"


@term(LargestRho)
def _largest(writer: Writer, expr: sp.Expr) -> str:
    return f"(largest rho {natural(expr.args[0] - 1)})"


def pieces(expr: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """(coefficient, coordinate or product of coordinates) of each summand that is not zero."""
    for summand in sp.Add.make_args(sp.expand(expr)):
        coefficient, monomial = summand.as_independent(Coordinate, Phi, as_Add=False)
        if coefficient != 0:
            yield coefficient, monomial


def comment(text: object) -> str:
    """A comment that Coq reads as one: neither quotes nor comment signs inside."""
    safe = str(text).replace('"', "").replace("(*", "( *").replace("*)", "* )")
    return f"(* {safe} *)"


def bound(names: Iterable[str]) -> str:
    """`forall` over natural numbers, or nothing."""
    listed = " ".join(names)
    return f"forall {listed} : nat, " if listed else ""
