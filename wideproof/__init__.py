"""Write a wide random recursion once; get its infinite-width limit with a proof, functions, a verdict and a report.

`import wideproof as wp` reaches every public name (`wp.models.elman()`, `wp.ntk`, `wp.Kernel`, `wp.validate`,
`wp.report`); `wideproof.derive`, `wideproof.numeric` and `wideproof.reports` are the three floors they live on. Each
name is loaded on its first use.
"""

from typing import Any

from wideproof import derive, numeric, reports

__version__ = "0.1.0"
__all__ = ["derive", "numeric", "reports", *derive.__all__, *numeric.__all__, *reports.__all__]


def __getattr__(name: str) -> Any:
    for floor in (derive, numeric, reports):
        if name in floor.__all__:
            return getattr(floor, name)
    if name.startswith("_"):
        raise AttributeError(f"module 'wideproof' has no attribute {name!r}")
    from wideproof.derive.language.errors import meant

    hint = f"It is a model: wideproof.models.{name}." if name in derive.models.__all__ else meant(name, __all__)
    raise AttributeError(f"module 'wideproof' has no attribute {name!r}. {hint}".strip())


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
