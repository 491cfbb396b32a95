import pytest
import sympy as sp

from wideproof.derive.latex.displays import display, equations, pack, width
from wideproof.derive.latex.printer import latex, math
from wideproof.derive.latex.text import Latex
from wideproof.derive.width_expansion.product_means import ProductMean
from wideproof.reports.render.latex_subset import lint_tex

x, y = sp.symbols("x y", positive=True)


class Marked(sp.Symbol):
    def _latex(self, printer):
        return r"\mathcal{T}_{" + printer._print(x) + "}"


def test_settings_and_own_printers():
    assert latex(sp.asin(x)) == r"\arcsin{\left(x \right)}"
    assert latex(Marked("T") + 1) == r"\mathcal{T}_{x} + 1"
    assert latex(Latex(r"\rho")) == r"\rho"
    assert isinstance(latex(x), Latex)
    assert math(x).body == "x"


def test_a_short_relation_stays_on_one_line_and_a_chain_is_aligned():
    assert display(x, y) == "x = y"
    assert display(x, y, 2) == "\\begin{aligned}\nx &= y \\\\\n&= 2\n\\end{aligned}"


@pytest.mark.parametrize("most", [2, 3, 6])
def test_a_long_sum_is_broken_and_loses_no_term(most):
    terms = [sp.Symbol(f"a_{k}") * (-1) ** k for k in range(9)]
    body = display(x, sp.Add(*terms), terms=most)
    assert body.count("a_{") == 9
    assert max(line.count("a_{") for line in body.split("\\\\")) == most
    assert body.count("- a_{") == 4


def test_wide_terms_are_broken_before_the_limit_of_terms():
    assert len(pack(["x" * 40, "+ " + "y" * 40])) == 2
    assert width(r"\frac{a}{bbbb}") == 4
    assert width(r"\arcsin{\left(x \right)}") > width(r"\alpha{\left(x \right)}")


@pytest.mark.parametrize(
    "expr",
    [sp.erf(x), sp.Piecewise((x, x > 1), (0, True)), sp.Sum(x**2, (y, 0, 3)), sp.Integral(sp.exp(-(x**2)), x),
     sp.binomial(x, y), sp.Matrix([[x, y]]), sp.KroneckerDelta(x, y), sp.Max(x, y), sp.Abs(x), sp.floor(x),
     sp.Eq(x, y), sp.And(x > 0, y < 1), sp.Float("1.5e-9"), sp.conjugate(sp.Symbol("z")),
     sp.Derivative(sp.Function("f")(x), x)],
)  # fmt: skip
def test_what_sympy_prints_is_in_the_subset(expr):
    lint_tex(rf"\begin{{document}}${latex(expr)}$\end{{document}}")


def test_laws_of_gaussian_expectations_are_written_once_below():
    from wideproof.derive import models, ntk

    formula = ntk(models.elman("tanh")).formula
    pairs = [(e.left, e.right) for e in formula.recurrence.equations]
    body = equations(pairs, formula.program)
    assert body.count(r"\mathrm{Var}\left[") == 2
    assert body.count(r"\mathrm{Cov}\left[") == 1
    assert "bmatrix" not in body
    assert r"\mathrm{tanh}'(u)\,\mathrm{tanh}'(v)" in body
    several = ntk(models.stacked(2)).formula
    body = equations([(e.left, e.right) for e in several.recurrence.equations], several.program)
    assert r"\mathrm{erf}(u_{2})\,\mathrm{erf}(v_{2})" in body
    assert body.count(r"\mathrm{Cov}\left[") == 2


def test_several_laws_of_one_variable_stand_at_the_sign_of_expectation():
    from wideproof.derive.expectation.symbolic_expectation import GaussianMean

    relu = sp.Tuple("relu", 0)
    means = [GaussianMean((relu, relu), (-x, -x), (v, -v, v)) for v in (x, y, x + y)]
    body = equations([(sp.Symbol("q"), sum(means))])
    assert r"\mathbb{E}_{x + y}\left[\mathrm{relu}(u - x)\,\mathrm{relu}(-u - x)\right]" in body
    assert "Var" not in body
    apart = GaussianMean((relu, relu), (-x, -x), (y, x, y))
    assert body.count("{E}") == 3
    assert equations([(sp.Symbol("q"), sum(means) + apart)]).count(r"\mathrm{Cov}") == 4


def test_a_line_of_capitals_and_transposes_is_as_wide_as_it_prints():
    from wideproof.derive.latex.displays import FULL, equation_parts

    assert width(r"W^{\mathsf T} W^{\mathsf{T}}") == 2 + width("WW") == 2 + 3
    assert width("ww") == 2
    row = Latex(" + ".join([r"U\,U^{\mathsf{T}}\,W^{\mathsf T}"] * 8))
    assert width("U" * 48) > FULL > width("u" * 48)
    assert len(equation_parts([(row, x), (x, y)])) == 2


def test_a_sum_taller_than_a_display_goes_on_in_the_next_and_loses_no_term():
    from wideproof.derive.latex.displays import CONTINUED, TALL, equation_parts

    terms = [sp.Symbol(f"{'w' * 40}_{k}") for k in range(2 * TALL + 3)]
    first, *rest = equation_parts([(x, sp.Add(*terms)), (y, x)])
    assert [part.startswith(CONTINUED) for part in rest] == [True, True]
    assert sum(part.count("_{") for part in (first, *rest)) == len(terms)
    assert all(part.count("\\\\") < TALL for part in (first, *rest))


def test_laws_of_several_variables_are_told_once_below():
    u, v, c = sp.symbols("u v c", positive=True)
    one = sp.Tuple(sp.Symbol("erf"), sp.S.Zero)
    square, erf = (sp.Tuple(sp.Tuple(*[one] * power), sp.Integer(2)) for power in (2, 1))
    wide = ProductMean([square, erf], (0, 0), (u, c, v)) + ProductMean([erf, erf], (0, 0), (u, c, v))
    text = equations([(x, c * wide + ProductMean([square], (0,), (u,)))])
    assert text.count(r"]_{\Sigma}") == 2
    assert r"\Sigma &= (u, c, v)" in text
    assert r"]_{v = u}" in text
    assert r"\mathrm{erf}''(u_{2})" in text
    several = equations([(x, wide + ProductMean([erf, erf], (0, 0), (u, 0, v)))])
    assert r"\Sigma_{1} &= (u, 0, v)" in several
