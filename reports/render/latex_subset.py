"""The LaTeX that pdflatex and pandoc set alike; everything else is refused before either engine runs."""

from __future__ import annotations

import re

from wideproof.derive.latex.text import DocumentError

TEXT = """documentclass begin end maketitle section subsection subsubsection label ref eqref cite nocite
caption centering small includegraphics linewidth toprule midrule bottomrule item emph texttt textbf
textit texorpdfstring textbackslash textasciitilde textasciicircum bibliographystyle bibliography
text quad qquad"""
MATHS = """frac sqrt left right lVert rVert lvert rvert operatorname mathbb mathcal mathrm mathbf mathfrak
mathsf mathit boldsymbol bm overline underline hat widehat tilde widetilde bar dot ddot vec sum prod
int iint lim limsup liminf max min sup inf log ln exp sin cos tan cot sec csc arcsin arccos arctan
sinh cosh tanh coth det dim ker Pr gcd arg deg hom binom infty partial nabla ell hbar Re Im aleph
forall exists nexists emptyset varnothing in notin ni subset subseteq supset supseteq cup cap
setminus times cdot div pm mp ast star circ bullet oplus otimes wedge vee neg lnot land lor le leq
ge geq ne neq equiv sim simeq approx cong propto ll gg to mapsto gets leftarrow rightarrow
leftrightarrow Leftarrow Rightarrow Leftrightarrow implies iff longrightarrow xrightarrow uparrow
downarrow ldots cdots dots dotsc dotsb vdots ddots langle rangle lfloor rfloor lceil rceil top bot
perp mid parallel prime dagger colon overset underset stackrel substack underbrace overbrace limits
rm alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi
varpi rho varrho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi
Sigma Upsilon Phi Psi Omega"""
ALLOWED = frozenset((TEXT + " " + MATHS).split()) | set("\\,{}$&%#_[]`'\"^~=. ")
BLOCKS = """document abstract equation aligned cases matrix pmatrix bmatrix vmatrix smallmatrix array table
tabular tabularx figure itemize enumerate proof theorem lemma proposition corollary definition remark"""
ENVIRONMENTS = frozenset(BLOCKS.split())
HINTS = {
    "cmidrule": "Use \\midrule.", "tag": "Give the equation a label.", "!": "Leave the space out.",
    ";": "Use \\, or \\quad.", ":": "Use \\, or \\quad.", "notag": "Use aligned, which has one number.",
    "nonumber": "Use aligned, which has one number.", "|": "Use \\lVert and \\rVert.",
    "operatorname*": "Use \\max or a plain subscript.", "textcolor": "Use \\emph.",
    "dfrac": "Use a displayed equation.", "displaystyle": "Use a displayed equation.",
}  # fmt: skip
SIZES = re.compile(r"[bB]igg?[lrm]?")
TOKEN = re.compile(r"\\(operatorname\*|[A-Za-z]+\*?|.)|(?<!\\)%", re.DOTALL)
ENVIRONMENT = re.compile(r"\\begin\s*\{([^}]*)\}")
VERBATIM = re.compile(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", re.DOTALL)
EQUATION = re.compile(r"\\begin\{equation\}.*?\\end\{equation\}", re.DOTALL)


def lint_tex(tex: str) -> None:
    r"""Accept a source exactly when every command of its body is one that both engines set alike.

    Text before `\begin{document}` is the template's and is not read.  Errors: `DocumentError` naming the
    line, the command and what to write in its place.
    """
    head, mark, body = tex.partition(r"\begin{document}")
    if not mark:
        head, body = "", tex
    first = head.count("\n") + 1
    body = VERBATIM.sub(lambda match: "\n" * match[0].count("\n"), body)
    for match in TOKEN.finditer(body):
        name = match[1]
        if name is None or name not in ALLOWED:
            _refuse(first + body.count("\n", 0, match.start()), match[0], name or "%")
    for match in ENVIRONMENT.finditer(body):
        if match[1] not in ENVIRONMENTS:
            _refuse(first + body.count("\n", 0, match.start()), match[0], match[1])
    for match in EQUATION.finditer(body):
        if match[0].count(r"\label") > 1:
            _refuse(first + body.count("\n", 0, match.start()), r"two \label in one equation", "align")
    if "$$" in body.replace(r"\$", ""):
        _refuse(first, "$$", "align")


def _refuse(line: int, got: str, name: str) -> None:
    hint = "Use \\left and \\right." if SIZES.fullmatch(name) else HINTS.get(name, "")
    if name.rstrip("*") in ("align", "gather", "multline", "eqnarray", "split"):
        hint = "Use one equation with aligned inside for each number."
    expected = "a command that both engines render"
    hint = hint or "Write it with the commands of wideproof.reports.render.latex_subset."
    raise DocumentError(f"report.tex line {line}", expected, got, hint)
