import pytest

from wideproof.derive.latex.text import DocumentError
from wideproof.reports.render.latex_subset import lint_tex

FORBIDDEN = [
    r"\tag{1}", r"\cmidrule(lr){2-3}", r"\operatorname*{arg}", r"a\!b", r"a\;b", r"\Bigl(", r"\bigl[", r"\big)",
    r"\begin{align}a&=b\label{a}\\c&=d\label{b}\end{align}", r"\begin{align*}a\end{align*}", r"\notag", r"\|x\|",
    r"\textcolor{red}{x}", r"\displaystyle x", r"\dfrac12", r"\input{/etc/passwd}", r"\write18{touch x}", r"$$x$$",
    r"\def\x{y}", r"\csname x\endcsname", r"\openout3=x", r"\catcode`\@=11", r"\usepackage{x}", r"\middle|",
    r"\begin{equation}\label{a}\label{b}\end{equation}", r"text % comment", r"\begin{tikzpicture}", r"\surd",
]  # fmt: skip


@pytest.mark.parametrize("command", FORBIDDEN)
def test_each_forbidden_command_is_refused_with_its_line(command):
    with pytest.raises(DocumentError) as caught:
        lint_tex(f"\\usepackage{{x}}\n\\begin{{document}}\nfirst\n{command}\n\\end{{document}}\n")
    assert caught.value.hint
    if "$$" not in command:
        assert caught.value.where == "report.tex line 4"


def test_the_allowed_and_verbatim_pass():
    lint_tex(r"\begin{document}$\left(\frac{1}{2}\right)\,\operatorname{erf} \% \\ \alpha$ \end{document}")
    lint_tex("\\begin{document}\\begin{verbatim}\n\\tag % x\n\\end{verbatim}\\end{document}")


def test_a_line_after_verbatim_is_counted_right():
    with pytest.raises(DocumentError) as caught:
        lint_tex("\\begin{document}\n\\begin{verbatim}\na\n\\end{verbatim}\n\\tag{1}")
    assert caught.value.where == "report.tex line 5"
