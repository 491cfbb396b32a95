import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import models
from wideproof.derive.latex.displays import display
from wideproof.derive.latex.printer import latex, math
from wideproof.derive.latex.text import Cite, Code, Emph, Ref
from wideproof.reports.document.blocks import (
    Document,
    Enumerate,
    Equation,
    Figure,
    Itemize,
    Listing,
    Paragraph,
    Proof,
    Section,
    Table,
    Theorem,
)
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear import confirmation, finite_width, recordings, training
from wideproof.reports.sections.needs import ReportRun
from wideproof.reports.sections.report import made
from wideproof.reports.write import figures, picture

j = sp.Symbol("j", integer=True, nonnegative=True)
nu = sp.Symbol("nu_W", positive=True)


@pytest.fixture
def small() -> Document:
    """One of each block but the figure."""
    rho = sp.Symbol("rho_j")
    statement = Theorem(
        (Paragraph(("For every lag ", math(j), ",")), Equation(display(rho, j * nu ** (j - 1) + nu**j), "eq:rho")),
        title="Scale factors [a_b]",
        label="thm:rho",
    )
    proof = Proof((Paragraph(("By ", Ref("lem:sum"), " and ", Cite("emami2021implicit", "Theorem 3.3"), ".")),))
    rows = tuple((value(k), value(0.3**k), value(0.3**k + 0.001, 0.0021), "holds") for k in range(3))
    body = (
        Theorem((Paragraph("Sums of independent Gaussians are Gaussian."),), "lemma", label="lem:sum"),
        statement,
        proof,
        Paragraph(("See ", Ref("thm:rho"), ", ", Ref("eq:rho"), ", ", Ref("tab:check"), " & 50%.")),
        Itemize(("[first]", "*second")),
        Enumerate(("one", ("two ", Emph("words"), " ", Code("a_b")))),
        Listing("x = {a_b} % $"),
        Table(("lag", "prediction", "measured", "verdict"), rows, "Checks.", "tab:check", "rrrl"),
        Section("Inner", (Equation(latex(nu)),), "sec:inner"),
    )
    return Document("Title & more", "An abstract.", (Section("Statement", body, "sec:statement"),), "wideproof")


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    drawn = figures.decay([0, 1, 2], {"a": [1.0, 0.3, 0.09]}, "lag $j$", "scale")
    return picture.save(drawn, tmp_path / "drawn", "decay")


@pytest.fixture
def illustrated(small: Document, stem: Path) -> Document:
    figure = Figure(stem, "Decay & more.", "a falling line [x]", "fig:decay")
    more = Section("Figures", (Paragraph(("See ", Ref("fig:decay"), ".")), figure))
    return Document(small.title, small.abstract, (*small.sections, more), small.author)


SMALL = {
    "finite_width": lambda original, *args, **more: original(*args, widths=(8, 16), trials=3000, **more),
    "kernel_error": lambda original, nu, widths, **more: original(nu, [10, 100, 1000], trials=10, **more),
    "dynamics": lambda original, setting, **more: original(setting, width=60, **more),
    "gap_ladder": lambda original, setting, **more: original(
        setting, widths=(100, 1000, 10_000), **(more | {"seeds": 2})
    ),
    "compare": lambda original, recording, protocol, **more: original(
        recording, dataclasses.replace(protocol, lags=4, width=30, steps=40, replicates=50, seeds=(1, 2)), **more
    ),
}
"""The experiments of a report at toy size; the checks keep theirs."""
WHERE = {"finite_width": finite_width, "kernel_error": confirmation, "dynamics": training, "gap_ladder": training,
         "compare": recordings}  # fmt: skip


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Every experiment of the linear report at toy size."""
    for name, small in SMALL.items():
        patch.setattr(WHERE[name], name, partial(small, getattr(WHERE[name], name)))


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """`shrink`, for one test."""
    shrink(monkeypatch)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not written: a source alone needs their names only."""
    monkeypatch.setattr(picture, "save", lambda figure, folder, name: folder / name)


@pytest.fixture(scope="session")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of one noisy filter, as a file of the user's."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((400, 2))
    y = x[:, 0] + 0.5 * np.roll(x[:, 1], 1) + 0.1 * rng.standard_normal(400)
    path = tmp_path_factory.mktemp("data") / "filtered_50%.npz"
    np.savez(path, inputs=x, outputs=y[:, None])
    return path


@pytest.fixture(scope="session")
def tiny_run(filtered: Path) -> ReportRun:
    """Everything a report states, measured at toy size."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return made(models.linear_rnn(), seed=2, width=128, trials=3000, data=(str(filtered),))
