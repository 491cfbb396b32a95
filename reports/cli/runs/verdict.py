"""How a validation tells its verdict: the checks as a table or as one JSON document, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from wideproof.reports.cli.console import COLOR, err, out, print_json, table

if TYPE_CHECKING:
    from wideproof.numeric.core.checks import Check
    from wideproof.numeric.validation.judged import Validation

SEEN = {"refuted": " refuted", "not refuted": ""}
"""What is said of the limit beside an exact mean: whether it would be refuted as the mean at that width."""
BY_LAG = ("second-moment", "scale-factor")


def tell(found: Any, seed: int, as_json: bool, every: bool) -> None:
    """Print the checks of a run and its verdict, or one JSON document."""
    if as_json:
        checks = [asdict(check) for check in found.checks]
        told = {"verdict": found.verdict, "method": found.method, "seed": seed, "checks": checks}
        print_json(told | {"not_judged": found.not_judged} if getattr(found, "not_judged", ()) else told)
    elif found.checks:
        verdict(found, every)
    else:
        out.print(found.method)


def verdict(found: Validation, every: bool) -> None:
    """The checks of each lag, the others by kind unless all are wanted, and what they say together."""
    single = [check for check in found.checks if every or _is_shown(check)]
    extra = [column for column in EXTRA_COLUMNS if any(column.shows(c) for c in single)]
    rows = [(c.quantity, _lags(c), f"{c.prediction:.6g}", f"{c.estimate:.6g}", f"{c.stderr:.2g}", c.verdict,
             *(column.text(c) if column.shows(c) else "" for column in extra)) for c in single]  # fmt: skip
    heads = ("quantity", _where(single), "prediction", "estimate", "s.e.", "verdict", *(c.head for c in extra))
    table(heads, rows)
    rest = [check for check in found.checks if check not in single]
    if rest:
        table(("other checks", "number", "smallest p", "verdict"), [_kind(name, rest) for name in _kinds(rest)])
    for check in _worst([check for check in found.checks if check.verdict != "holds"]):
        reason = check.note or f"p = {check.p_value:.1g}"
        err.print(f"{check.verdict}: {check.quantity} at {_place(check)}: {reason}")
    rate = max((check.false_alarm for check in found.checks), default=0.0)
    sure = f"  a true prediction is refuted by chance with probability at most {rate:g}"
    out.print(Text.assemble((found.verdict, f"bold {COLOR[found.verdict]}"), sure))
    out.print(f"prediction: {predicted(found.checks)}")
    if any(check.limit_verdict == "refuted" for check in found.checks):
        out.print("refuted in the column of limits: as the mean at this width, where the exact mean holds or not")
    if any(check.correction is not None for check in single):
        out.print("1/n: the coefficient measured on the widths, through the predicted limit")
    out.print(f"samplers: {found.method}")
    for text in found.not_judged:
        err.print(f"not judged: {text}")


class Column(NamedTuple):
    """A column of a verdict's table that stands only where a check has something to say in it."""

    head: str
    shows: Callable[[Check], bool]
    text: Callable[[Check], str]


EXTRA_COLUMNS = (
    Column("limit", lambda c: c.limit is not None, lambda c: f"{c.limit:.6g}{SEEN[c.limit_verdict]}"),
    Column("1/n", lambda c: c.correction is not None, lambda c: f"{c.correction:.3g} ± {c.correction_stderr:.1g}"),
)


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
    """Single lags, and entries of kernels between one sequence and all at equal times."""
    if isinstance(check.lag, tuple) and len(check.lag) == 4:
        return check.lag[0] == 0 and check.lag[1] == check.lag[3]
    return check.quantity in BY_LAG


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
