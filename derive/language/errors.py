"""The errors a user can meet: fields for programs, one sentence for people."""

from __future__ import annotations


class DeriveError(Exception):
    """Base of every error wideproof raises on purpose: where, what was expected, what came, what to do."""

    def __init__(self, where: str, expected: str, got: object, hint: str) -> None:
        super().__init__(f"{where}: expected {expected}, got {got}. {hint}")
        self.where, self.expected, self.got, self.hint = where, expected, got, hint

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
