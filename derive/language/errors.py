"""The errors a user can meet: fields for programs, one sentence for people."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from types import FunctionType
from typing import NoReturn, ParamSpec, Self, TypeAlias, TypeVar

from wideproof.derive.language.shown import visible

P = ParamSpec("P")
R = TypeVar("R")
Words: TypeAlias = str | Callable[[], str]
"""A text, or what writes it when it is asked for: claims are long."""
ELSEWHERE = {
    "swish": "silu", "linear": "identity", "logistic": "sigmoid", "heaviside": "step", "lrelu": "leaky_relu",
    "sine": "sin", "cosine": "cos", "absolute": "abs", "exponential": "exp", "std": "variance", "sigma": "variance",
    "scale": "variance", "gain": "variance", "var": "variance", "nu": "variance",
    "gpu": "cuda",
}  # fmt: skip
"""Names that other libraries have for what is called otherwise here."""
NO_SIZES = ("shape", "size", "n", "width", "units", "rows", "columns")

LONGEST, LONGEST_HINT = 600, 1200
"""Characters of a message before its hint, and of the hint, which may list all names that are taken."""


class DeriveError(Exception):
    """Base of every error wideproof raises on purpose: where, what was expected, what came, what to do.

    The message of a long formula is its beginning, and control characters stand in it as their escapes; the fields hold
    all as it came.

    >>> try:
    ...     wp.stability(wp.models.elman())
    ... except wp.DeriveError as error:
    ...     print(error.expected, "|", error.hint)
    a linear recursion | It has no one spectrum; memory(rnn) says whether two runs come together.
    """

    def __init__(self, where: str, expected: Words, got: object, hint: Words) -> None:
        self.where, self._expected, self.got, self._hint = where, expected, got, hint
        super().__init__()

    @property
    def expected(self) -> str:
        """What would have been right."""
        return _said(self._expected)

    @property
    def hint(self) -> str:
        """What to do."""
        return _said(self._hint)

    def __str__(self) -> str:
        """The message, written when it is read: a proof that is refused on the way to another need not be printed."""
        parts = (visible(x, LONGEST // 3, lines=True) for x in (self.where, self.expected, self.got))
        return "{}: expected {}, got {}. {}".format(*parts, visible(self.hint, LONGEST_HINT, lines=True))

    @property
    def args(self) -> tuple[str]:  # type: ignore[override]
        """The message alone, as of other exceptions."""
        return (str(self),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def within(self, place: str) -> Self:
        """The same error, with the file or the line it was met in before where it stands."""
        self.where = f"{place}: {self.where}"
        return self

    def hinting(self, hint: str) -> Self:
        """The same error with another hint."""
        self._hint = hint
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.where, self.expected, self.got, self.hint)


def _said(words: Words) -> str:
    return words() if isinstance(words, FunctionType) else words  # type: ignore[return-value]


class LanguageError(DeriveError, ValueError):
    """A recursion that is not well formed.

    >>> try:
    ...     wp.relu("h")
    ... except wp.LanguageError as error:
    ...     print(error.hint)
    For example tanh(W @ h + F @ rnn.x); numbers are ints or Fractions.
    """


class ShapeError(LanguageError):
    """Sizes that cannot meet.

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> try:
    ...     kernel.ntk([1.0, 2.0])
    ... except wp.ShapeError as error:
    ...     print(error.where)
    Kernel
    """


class ParameterError(DeriveError, ValueError):
    """A number or an option outside the range where the formula means something.

    >>> try:
    ...     wp.Kernel(wp.models.linear_rnn(), nu_W=-1.0, nu_F=1.0, nu_C=1.0)
    ... except wp.ParameterError as error:
    ...     print(error.expected, "|", error.got)
    a finite number >= 0 | -1.0
    """


class CallError(ParameterError, TypeError):
    """A function called with arguments that it does not take."""


def meant(word: str, words: Iterable[str]) -> str:
    """The question whether the nearest of some words was meant, if one is near, or has that name elsewhere."""
    known = {name.lower().replace("-", "_"): name for name in words}
    asked = str(word).lower().replace("-", "_")
    near = [known[x] for x in (asked, ELSEWHERE.get(asked, "")) if x in known]
    if asked not in ELSEWHERE:  # swish is no misspelt sinh
        near += [known[x] for x in get_close_matches(asked, known, n=1)]
    return f"Did you mean {near[0]}? " if near else ""


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, which says of an argument that it does not take what to write instead.

    Errors: CallError for unknown, missing and too many arguments.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            _refuse_call(function.__name__, [name for name in signature.parameters if name != "self"], kwargs, error)
        return function(*args, **kwargs)

    return called


def _refuse_call(where: str, names: list[str], given: Iterable[str], error: TypeError) -> NoReturn:
    unknown = [name for name in given if name not in names]
    hint = f"The call is {where}({', '.join(names)})."
    if unknown:
        hint = meant(unknown[0], names) + hint
    if unknown and ELSEWHERE.get(unknown[0]) == "variance" and "variance" in names:
        hint = f'Write variance="nu_W", a symbol, or variance=4 where the standard deviation is 2. {hint}'
    if unknown and unknown[0] in NO_SIZES:
        hint = f"Sizes are not declared: states and matrices have the width n, which tends to infinity. {hint}"
    raise CallError(where, f"the arguments {', '.join(names)}", ", ".join(unknown) or str(error), hint) from None


def by_name(where: str, names: Iterable[str], positional: tuple[object, ...]) -> None:
    """Do nothing where no argument came without its name.  Errors: CallError that shows the call."""
    if positional:
        names = list(names)
        example = ", ".join(f"{name}=…" for name in names[:6]) + (", …" if len(names) > 6 else "")
        got = f"{len(positional)} without a name"
        raise CallError(where, f"keyword arguments: {', '.join(names)}", got, f"Write ({example}).")


class TooLarge(ParameterError):
    """A number beyond the range of double precision, met while a recursion is evaluated."""

    def __init__(self, where: str, when: str = "") -> None:
        super().__init__(
            where,
            "numbers below 1.8e308",
            f"an overflow{when}",
            "The recursion grows beyond it, or the squares of its variances do: take smaller variances or inputs, or "
            "fewer steps.",
        )
        self.when = when

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.where, self.when)


class TooSmall(ParameterError):
    """A number that is not zero, and whose digits are lost below the smallest double."""


class ProofError(DeriveError):
    """A proof whose steps do not replay, do not join, or fail the independent audit.

    >>> import dataclasses
    >>> proof = wp.stability(wp.models.linear_rnn()).proof
    >>> short = dataclasses.replace(proof, steps=proof.steps[:-1])
    >>> try:
    ...     short.verify()
    ... except wp.ProofError as error:
    ...     print(error.where)
    proof
    """


class NotClosed(DeriveError):
    """Moments that no finite system of two-time moments determines.

    >>> try:
    ...     wp.memory(wp.models.gru())
    ... except wp.NotClosed as error:
    ...     print(error.where, "|", error.expected)
    memory(gru) | updates that are sums of activations and states
    """


class NotLinear(DeriveError):
    """A quantity of linear recursions was asked of one that is not.

    >>> try:
    ...     wp.scale_factors(wp.models.elman())
    ... except wp.NotLinear as error:
    ...     print(error.hint)
    Such a recursion is no convolution; ask state_evolution, nngp or ntk.
    """


class NotDiagonal(DeriveError):
    """The tangent kernel couples lags, or its weights change with time: no scale factors exist.

    >>> rnn = wp.Recursion("skip")
    >>> W, F, C, h = rnn.matrix("W"), rnn.input_map("F"), rnn.readout("C"), rnn.state("h")
    >>> rnn.update(h, h / 2 + W @ h + F @ rnn.x)
    >>> rnn.output(C @ h)
    >>> try:
    ...     wp.scale_factors(rnn)
    ... except wp.NotDiagonal as error:
    ...     print(error.expected)
    moments that vanish between different lags
    """


class NotAccurate(DeriveError):
    """A number whose error bound is larger than what wideproof lets pass.

    >>> issubclass(wp.NotAccurate, wp.DeriveError)
    True
    """


class SlowExpectations(UserWarning):
    """Gaussian expectations of an activation are integrals of milliseconds each, and all that are wanted take long.

    The warning says how many and about how long, once the first ones have been timed.

    >>> issubclass(wp.SlowExpectations, UserWarning)
    True
    """


class NotCertified(DeriveError):
    """A step of a proof that no certificate covers yet."""


class StoreError(DeriveError):
    """A folder or a file of a run that cannot be read, written or taken."""
