"""How a validation tells its verdict: the checks as a table or as one JSON document, and what they say together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from wideproof.reports.cli.console import COLOR, err, out, print_json, table

if TYPE_CHECKING:
    from wideproof.numeric.core.checks import Check
    from wideproof.numeric.validation.judged import Validation

SINGLE = ("second-moment", "scale-factor", "mean-square")


def tell(found: Any, seed: int, as_json: bool, every: bool = False) -> None:
    """Print the checks of a run and its verdict, or one JSON document."""
    if as_json:
        checks = [asdict(check) for check in found.checks]
        told = {name: getattr(found, name, ()) for name in ("not_judged", "warnings")}
        print_json({"verdict": found.verdict, "method": found.method, "seed": seed, "checks": checks, **told})
    elif found.checks:
        verdict(found, every)
    else:
        out.print(found.method)


def verdict(found: Validation, every: bool) -> None:
    """The checks of each lag, the others by kind unless all are wanted, and what they say together."""
    from wideproof.numeric.core.decimals import measured

    single = [check for check in found.checks if every or _is_shown(check)]
    rows = [(c.quantity, _lags(c), f"{c.prediction:.6g}", *measured(c.estimate, c.stderr), c.verdict)
            for c in single]  # fmt: skip
    table(("quantity", _where(single), "prediction", "estimate", "s.e.", "verdict"), rows)
    rest = [check for check in found.checks if check not in single]
    if rest:
        table(("other checks", "number", "smallest p", "verdict"), [_kind(name, rest) for name in _kinds(rest)])
    corrections(single)
    for check in _worst([check for check in found.checks if check.verdict != "holds"]):
        reason = check.note or f"p = {check.p_value:.1g}"
        err.print(f"{check.verdict}: {check.quantity} at {_place(check)}: {reason}")
    rate = max((check.false_alarm for check in found.checks), default=0.0)
    sure = f"  a true prediction is refuted by chance with probability at most {rate:g}"
    out.print(Text.assemble((found.verdict, f"bold {COLOR[found.verdict]}"), sure))
    out.print(f"prediction: {predicted(found.checks)}")
    for text in limits(found.checks):
        out.print(text)
    out.print(f"samplers: {found.method}")
    for text in found.not_judged:
        err.print(f"not judged: {text}")
    for text in found.warnings:
        err.print(f"warning: {text}")


def corrections(checks: Sequence[Check]) -> None:
    """The measured coefficients of 1/n, through the predicted limits."""
    found = [c for c in checks if c.correction is not None]
    rows = [(c.quantity, _lags(c), f"{c.correction:.3g}", f"{c.correction_stderr:.1g}") for c in found]
    if rows:
        table(("quantity", _where(found), "measured coefficient of 1/n", "s.e."), rows)


def limits(checks: Sequence[Check]) -> Iterator[str]:
    """Where the limit, taken for the mean at the width, would be refuted: beside the exact mean that is judged."""
    apart = [c for c in checks if c.limit_verdict == "refuted"]
    for quantity in _kinds(apart):
        own = [c for c in apart if c.quantity == quantity]
        places = ", ".join(f"{_lags(c)} ({c.limit:.4g})" for c in own)
        yield f"the limit, as the mean at {own[0].prediction_at}, is refuted: {quantity} at lag {places}"


def predicted(checks: Sequence[Check]) -> str:
    """Say of which checks the prediction is an exact mean at a width, and of which the limit."""
    found = {c.prediction_at: None for c in checks}
    names = {at: list(dict.fromkeys(c.quantity for c in checks if c.prediction_at == at)) for at in found}
    how = {at: "the limit, by the width ladder" if at == "n = infinity" else f"the exact mean at {at}" for at in found}
    if len(how) == 1:
        return "".join(how.values())
    return "; ".join(f"{how[at]} ({', '.join(own)})" for at, own in names.items())


def _where(checks: Sequence[Check]) -> str:
    """What the place of a check is called."""
    if any(isinstance(c.lag, tuple) and len(c.lag) == 4 for c in checks):
        return "sequences, times"
    return "step" if any(c.quantity == "mean-square" for c in checks) else "lag"


def _is_shown(check: Check) -> bool:
    """Single lags and vectors, and entries of kernels between one sequence and all at equal times."""
    if isinstance(check.lag, tuple) and len(check.lag) == 4:
        return check.lag[0] == 0 and check.lag[1] == check.lag[3]
    return check.quantity in SINGLE


def _place(check: Check) -> str:
    """Where a check looks, in words."""
    if isinstance(check.lag, tuple) and len(check.lag) == 4:
        a, t, b, s = check.lag
        return f"sequences {a} and {b}, times {t} and {s}"
    return f"lag {_lags(check)}"


def _lags(check: Check) -> str:
    if isinstance(check.lag, int):
        return str(check.lag)
    if len(check.lag) == 4:
        a, t, b, s = check.lag
        return f"{a} and {b}, {t} and {s}"
    return ", ".join(map(str, check.lag))


def _kinds(checks: Sequence[Check]) -> list[str]:
    return list(dict.fromkeys(check.quantity for check in checks))


def _kind(name: str, checks: Sequence[Check]) -> tuple[str, ...]:
    """All checks of one quantity in one row."""
    from wideproof.numeric.core.checks import overall

    own = [check for check in checks if check.quantity == name]
    return name, str(len(own)), f"{min(check.p_value for check in own):.2g}", overall(own)


def _worst(checks: Sequence[Check]) -> Iterator[Check]:
    """Of each quantity the check that is furthest from holding."""
    for name in _kinds(checks):
        own = [check for check in checks if check.quantity == name]
        yield min(own, key=lambda check: (check.verdict != "refuted", check.p_value, -check.detectable))
