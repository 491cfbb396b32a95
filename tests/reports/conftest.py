from pathlib import Path

import pytest
import sympy as sp

from reports import figures, mathtext
from reports.document import (
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
)  # fmt: skip
from reports.numbers import value
from reports.text import Cite, Code, Emph, Ref

j = sp.Symbol("j", integer=True, nonnegative=True)
nu = sp.Symbol("nu_W", positive=True)


@pytest.fixture
def small() -> Document:
    """One of each block but the figure."""
    rho = sp.Symbol("rho_j")
    statement = Theorem(
        (
            Paragraph(("For every lag ", mathtext.math(j), ",")),
            Equation(mathtext.display(rho, j * nu ** (j - 1) + nu**j), "eq:rho"),
        ),
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
        Section("Inner", (Equation(mathtext.latex(nu)),), "sec:inner"),
    )
    return Document("Title & more", "An abstract.", (Section("Statement", body, "sec:statement"),), "wideproof")


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    drawn = figures.decay([0, 1, 2], {"a": [1.0, 0.3, 0.09]}, "lag $j$", "scale")
    return figures.save(drawn, tmp_path / "drawn", "decay")


@pytest.fixture
def illustrated(small: Document, stem: Path) -> Document:
    figure = Figure(stem, "Decay & more.", "a falling line [x]", "fig:decay")
    more = Section("Figures", (Paragraph(("See ", Ref("fig:decay"), ".")), figure))
    return Document(small.title, small.abstract, (*small.sections, more), small.author)
