"""Reports: document model, figures, rendering and the command line."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.writing import Report, report

__all__ = ["Report", "report"]


def __getattr__(name: str) -> Any:
    """Report and report on their first use: the command line starts without figures and Monte Carlo."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reports import writing

    return getattr(writing, name)
