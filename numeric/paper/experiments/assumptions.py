"""The choices of an experiment: each with its meaning, and whether the paper states it or we assume it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.shown import visible
from wideproof.numeric.core.decimals import decimal

KINDS: dict[type, str] = {int: "a whole number", float: "a number"}
WIDEST = 10_000  # an n × n matrix of doubles is then 800 MB
MOST = 10_000_000
"""The largest whole number that a choice takes, unless it says another: steps, networks, widths drawn in law."""
Value = TypeVar("Value")
Setting = TypeVar("Setting")


def choice(default: Value, meaning: str, stated: bool = False, least: int = 1, most: int = MOST) -> Value:
    """A dataclass field with its default, its meaning in words, whether the paper states the value, and its limits."""
    metadata = {"meaning": meaning, "stated": stated, "limits": (least, most)}
    found: Value = field(default=default, metadata=metadata)
    return found


@dataclass(frozen=True)
class Assumption:
    """One named choice as it stands: `stated` by the paper, otherwise our assumption."""

    name: str
    value: Any
    meaning: str
    stated: bool

    @property
    def text(self) -> str:
        """The value as one would type it on the command line."""
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return ",".join(f"{x:g}" if isinstance(x, float) else whole(x) for x in values)


def whole(x: int) -> str:
    """A whole number; a large power of ten as one."""
    power = len(str(x)) - 1
    return f"1e{power}" if power > 3 and x == 10**power else str(x)


def choices(setting: Any) -> tuple[Assumption, ...]:
    """Every choice of an experiment's setting, in the order of its definition."""
    return tuple(
        Assumption(f.name, getattr(setting, f.name), f.metadata["meaning"], f.metadata["stated"])
        for f in fields(setting)
        if "meaning" in f.metadata
    )


def chosen(setting: Setting, changes: dict[str, str]) -> Setting:
    """The setting with the changes that name one of its choices, each read as the type of that choice.

    Errors: ParameterError for text that is no such number, and those of the setting itself.
    """
    kinds = get_type_hints(type(setting))
    limits = {f.name: f.metadata["limits"] for f in fields(setting) if "limits" in f.metadata}  # type: ignore[arg-type]
    read = {n: _read(n, t, kinds[n], *limits[n]) for n, t in changes.items() if n in limits}
    return replace(setting, **read)  # type: ignore[type-var]


def check_width(where: str, width: int) -> None:
    """Refuse widths whose matrices would not fit: ParameterError below 1 and above WIDEST."""
    if not 1 <= width <= WIDEST:
        hint = "This experiment draws whole matrices; figure 1 trains any width in law."
        raise ParameterError(where, f"a width of 1 to {WIDEST}", width, hint)


def _read(name: str, text: str, kind: Any, least: int, most: int) -> Any:
    several = get_origin(kind) is tuple
    kind = get_args(kind)[0] if several else kind
    try:
        numbers = tuple(_number(part, kind) for part in (text.split(",") if several else (text,)))
    except (ValueError, OverflowError):  # the second for the whole part of infinity
        word = "numbers separated by commas" if several else KINDS[kind]
        raise ParameterError(f"--set {name}", word, visible(repr(text), 60), f"Such as --set {name}=1.") from None
    if kind is int and not least <= min(numbers) <= max(numbers) <= most:
        hint = f"Such as --set {name}=1000."
        raise ParameterError(f"--set {name}", f"whole numbers from {least} to {most:,}", visible(text, 60), hint)
    return numbers if several else numbers[0]


def _number(text: str, kind: type) -> Any:
    """A finite number; whole numbers may be written as 1e9."""
    value = decimal(text)
    whole_part = int(value)
    if kind is not int:
        return value
    if whole_part != value:
        raise ValueError("no whole number")
    return int(text) if text.strip().lstrip("-").isdigit() else whole_part


def tupled(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a setting as its class takes them, lists of JSON as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
