"""The errors a user can meet: fields for programs, one sentence for people."""

from __future__ import annotations

from typing import Self

from wideproof.derive.language.shown import visible

LONGEST, LONGEST_HINT = 600, 1200
"""Characters of a message before its hint, and of the hint, which may list all names that are taken."""


class DeriveError(Exception):
    """Base of every error wideproof raises on purpose: where, what was expected, what came, what to do.

    The message of a long formula is its beginning, and control characters stand in it as their escapes; the fields hold
    all as it came.
    """

    def __init__(self, where: str, expected: str, got: object, hint: str) -> None:
        self.where, self.expected, self.got, self.hint = where, expected, got, hint
        super().__init__(self._message())

    def _message(self) -> str:
        parts = (visible(x, LONGEST // 3, lines=True) for x in (self.where, self.expected, self.got))
        return "{}: expected {}, got {}. {}".format(*parts, visible(self.hint, LONGEST_HINT, lines=True))

    def within(self, place: str) -> Self:
        """The same error, with the file or the line it was met in before where it stands."""
        self.where = f"{place}: {self.where}"
        self.args = (self._message(),)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.where, self.expected, self.got, self.hint)


class LanguageError(DeriveError, ValueError):
    """A recursion that is not well formed."""


class ShapeError(LanguageError):
    """Sizes that cannot meet."""


class ParameterError(DeriveError, ValueError):
    """A number or an option outside the range where the formula means something."""


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
    """A proof whose steps do not replay, do not join, or fail the independent audit."""


class NotClosed(DeriveError):
    """Moments that no finite system of two-time moments determines."""


class NotLinear(DeriveError):
    """A quantity of linear recursions was asked of one that is not."""


class NotDiagonal(DeriveError):
    """The tangent kernel couples lags, or its weights change with time: no scale factors exist."""


class NotAccurate(DeriveError):
    """A number whose error bound is larger than what wideproof lets pass."""


class NotCertified(DeriveError):
    """A step of a proof that no certificate covers yet."""


class StoreError(DeriveError):
    """A folder or a file of a run that cannot be read, written or taken."""
