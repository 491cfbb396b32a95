"""A machine-made proof as mathematics: steps of one rule become one sentence and one numbered display."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby

import sympy as sp

from wideproof.derive import Program, Proof
from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.recursion_rules import Response
from wideproof.derive.language.notation import s as r, t
from wideproof.derive.proof.claims import Counterexample, Inequality, MatrixEquation, ProcessForm
from wideproof.derive.proof.proof import (
    Claim,
    Equation as EquationClaim,
    Hypothesis,
    Limit,
    Recurrence,
    Step,
    Vanishing,
)
from wideproof.reports.document import blocks as doc
from wideproof.reports.document.text import Cite, Inline, Latex, Math, Ref, Text
from wideproof.reports.write.mathtext import CONTINUED, Term, averages, display, equation_parts, latex, math, width

LEADS: dict[str, str] = {
    "recursion": "the recursion reads",
    "tangent": "perturb every trainable entry by an independent standard normal one; by the chain rule, the response "
    "obeys a recursion of the same kind,",
    "readout": "different rows of the readout are independent, and within one row the covariance rule gives",
    "covariance": "write every update out once: products with different matrices are independent, and two products "
    "with one matrix have the covariance of their arguments times its variance, hence",
    "diagonal": "at equal lags what remains is the linear recurrence",
    "induction": "the solution in the lag is as follows, since both sides agree at lag 0 and the right side obeys the "
    "same recurrence from each lag to the next,",
    "weight": "the covariance of one output at equal lags is, by substitution,",
    "no-coupling": "different lags and different outputs do not mix:",
    "superposition": "a linear response to a sequence is the sum of its responses to impulses, so",
    "evolution": "what remains is a recursion over both times,",
    "kernel-recursion": "the sum of products of gradients concentrates on its mean over the perturbation, "
    "and the kernel "
    "of a network of growing width converges in probability to",
    "convolution": "perturb the parameters of the scaled convolution in the same way; their entries are "
    "independent, so "
    "only equal lags and equal outputs contribute,",
    "limit-law": "the entries of the impulse response converge in law, as the width grows, to centred Gaussians with",
    "limit-kernel": "the sum of products of gradients concentrates on this mean over the perturbation, and "
    "the kernel of "
    "a network of growing width converges to it in probability:",
    "scale-factors": "the weight of a lag is the scale factor",
    "equivalence": "the two kernels agree for all inputs exactly if the convolution has the gain",
    "lag-recurrence": "the covariance has no closed form in the lag and is determined by",
    "product-covariance": "products with one matrix have the covariance of their arguments times its variance,",
    "independence": "an independent group of Gaussian products enters each of the following an odd number of times and "
    "may change its sign without a change of law. By induction on the step these covariances vanish: ",
    "process-readout": "different rows of the readout are independent, and within one row",
    "process": "states multiply, so no recursion over two times closes. The limit is an expectation over the states "
    "that jointly Gaussian products drive, those of different parameters being independent:",
    "kernel-process": "the sum of products of gradients concentrates on its mean over the perturbation, and the kernel "
    "of a network of growing width converges in probability to",
    "unrolled": "written out step by step, these are",
    "innovations": "condition every new product on the earlier ones. It is their linear prediction plus fresh noise: "
    "the predictor solves the normal equations, and the noise has the variance it leaves,",
    "innovations-unrolled": "solving the normal equations step by step gives",
    "bound-sharp": "the slack, written in variables that are not negative, has no negative coefficient; hence",
    "bound-t-free": "the slack, written in variables that are not negative, has no negative coefficient; hence",
    "bound-paper": "the slack, written in variables that are not negative, has no negative coefficient; hence",
    "bound-uniform": "the slack, written in variables that are not negative, has no negative coefficient; hence",
    "cotangent": "collect the tangent by what is read instead of by what reads: a cost of the outputs changes with "
    "each product, bias and state by the sum over its reads, in its own step and in the next,",
    "gradient": "the perturbed matrix meets the same vector, so one step contributes to the gradient",
    "adjoint": "stepped back in time from zero, and summed over the steps for what is tied, these are the gradients:",
    "rise": "the difference of the closed form at two neighbouring lags is",
    "first-rise": "at lag 0 this is",
    "peak": "the difference is a positive power times a function that is affine in the lag and falls, so it changes "
    "its sign once, and",
    "refuted-power": "the bound by a pure power is false:",
    "refuted-power-largest": "the bound by a power times the largest scale factor is false:",
    "refuted-shifted-largest": "the bound by a power times the largest scale factor is false:",
    "loop-equations": "integration by parts removes one letter and its partner in every possible way,",
    "readout-pairings": "pair the readouts and the input maps in every possible way; each pairing closes the products "
    "of transition matrices into traces, hence",
    "definition": "by definition,",
    "residual-step": "put one step of gradient descent into the residual:",
    "residual": "this holds at step 0, and every step multiplies by the same matrix, so by induction",
    "taps-step": "in the taps, one step is",
    "trajectory": "this holds at step 0, where the sum is empty, and every step adds one term, so by induction",
    "blocks": "the scaling is block diagonal, hence the block of one lag is",
    "lag-trajectory": "the rows of one lag are",
    "gain": "a geometric sum starts at 0 and grows by the next power, so by induction on the step it is the divided "
    "difference",
    "flow-gain": "the integral is 0 at the start and grows by the residual, hence",
    "momentum-gain": "eliminating the velocity leaves a recurrence of second order, of which the nodes and 1 are the "
    "roots; the first three terms agree, so by induction",
    "momentum-flow-gain": "it starts at rest and satisfies the differential equation, hence",
    "queries": "let $W$ be the matrix, $V$ and $U$ orthonormal bases of the vectors that it and its transpose have "
    r"multiplied, $Z = W^{\mathsf{T}} U$, and $v$ the unit vector along what is new in the next vector. So, 1 being "
    "the identity too,",
    "pairing": "entries of a Gaussian matrix pair with themselves only, so whatever $A$, $B$ and $D$ are,",
    "left-over": "whatever $a$ and $b$ are, taking away its projection on what is known leaves",
    "product-law": "what is left is uncorrelated with every known product, and uncorrelated Gaussian vectors are "
    "independent, so given these products the law of the new one is the Gaussian with mean and covariance",
    "fresh-law": "outside an orthonormal basis the degrees of freedom of a fresh vector number",
    "contraction": "a symmetric matrix is no longer than its largest eigenvalue, and these lie between $-1$ and $1$:",
    "step-bound": "the length of a product is at most the product of the lengths, and that of the scaling is the "
    "largest scale factor, hence",
    "movement": "each term of the sum is at most as long as the first residual, hence",
    "slow-lags": "read the other way round: to move a lag by a given distance takes at least so many steps,",
    "expected-residual": "by Minkowski's inequality and the law of the first impulse response,",
    "known-products": r"given products $A X = Y$ and $A^{\mathsf{T}} Z = K$ with earlier vectors, a new product $A x$ "
    r"is its regression on both and a fresh rest. With $Q = X^{\mathsf{T}} X$, $S = Z^{\mathsf{T}} Z$ and "
    r"$q = X^{\mathsf{T}} x$, all scaled by the width,",
    "left-regression": "let $c$ be the variance of an entry, $G$ the Gaussian parts of $Y$, $E$ and $e$ the mean "
    "derivatives of $X$ and $x$ by the products with the transpose, and $D$ those of $Z$ by the products with the "
    "matrix, times $c$. Earlier products are $Y = G + c Z E$, and by Stein's rule "
    r"$K^{\mathsf{T}} X = c S E + D Q$ and $K^{\mathsf{T}} x = c S e + D q$. Put in, the two regressions come to",
    "gaussian-part": "the predicted part and the fresh rest have together the variance",
    "correction": "the factor of an earlier vector is by Stein's rule the mean derivative by its Gaussian part,",
    "stein-pairing": "by Stein's rule, pairings with Gaussian parts are",
    "transposed-product": "so by induction on the lines, each line is its Gaussian part and its terms, which a "
    "corrected line has lost,",
    "gaussian-covariance": "Gaussian parts have the covariance of the vectors that are multiplied, and those of the "
    "two sides are independent,",
    "second-moment": "means over entries converge to expectations, so the named vectors have",
    "correction-terms": "these lines, coefficients, covariances and mean squares are what was claimed",
    "truncated-moment": "integrate by parts; the power of a ramp is differentiated to the next lower one,",
    "over-components": "a given vector has a mixture of Gaussian laws. Component by component, factors outside the "
    "activations leave by Stein's rule, and what stays are means over one Gaussian variable,",
    "ramp-mean": "with a ramp of one variable, and $u$ and $-u$ never both beyond their threshold, these means "
    "are truncated moments,",
    "line-limit": "put in, the limits are",
    "line-evolution": "these limits, each in earlier ones, are what was claimed",
    "transition": "as declared, the matrices that carry the state, read the input and read the state out are",
    "state-sum": "this holds at time 0, and one more step multiplies the sum and adds the new input, so by induction",
    "impulse-of-matrices": "the output is $n^{-1/2} R h_t$, so the factor of an input in it is, read off the sum,",
    "interpolation": "a power below the number of nodes is its own interpolant; compare coefficients:",
    "vandermonde": "exchange the sums over nodes and lags: what is left is one at the lag itself and zero "
    "elsewhere, so",
    "equal-times": "read two runs of one network at the same step: every matrix, redrawn or not, is one matrix for "
    "both, so",
    "redrawn": "a matrix that is redrawn is independent of all that came before, so",
    "centred": "odd functions of centred variables have no mean, and the mean before is zero by induction,",
    "correlation-map": "let both runs see inputs of size $X$. With variance $q$ and covariance $c$ before the step, "
    "the covariance after it is",
    "variance-map": "a run has correlation one with itself, so where $c$ is $q$",
    "dual-activation": "by the table of dual activations,",
    "map-derivative": "differentiate the moments after the step by those before it; by Price's theorem each "
    "activation is differentiated once,",
    "variance-derivative": "differentiate the variances after the step by those before it; by Price's theorem",
    "difference-growth": "the difference of two runs of a linear recursion obeys the same recursion without inputs. "
    "Powers of a tied matrix are orthogonal, so its square is a sum of squares of binomial terms, whose late growth is",
    "correlation-slope": "differentiate by the covariance; by Price's theorem each activation is differentiated once. "
    "Of states that feed each other the slope is the largest eigenvalue of the derivative of all their moments,",
    "variance-slope": "differentiate by the variance; by Price's theorem, and of states that feed each other by the "
    "largest eigenvalue,",
    "memory-horizon": "near the fixed point the difference of the runs is multiplied by the slope at every step, "
    "so it falls by e within",
    "critical-line": "set the slope to one at a fixed point and solve for the variance of the matrix and for what "
    "inputs and biases add,",
    "closed-form": "put in the closed forms,",
    "affine-fixed-point": "the variance map is affine; where its slope is below one its only fixed point is",
    "transition-variance": "variances of independent Gaussian matrices add, hence that of the whole transition is",
    "variance-profile": "block by block, the variance that one step gives a new state for each unit of an old one, a "
    "delayed state by the square of its factor, is",
    "kronecker-law": "the transition of several states is a matrix of independent blocks, and the eigenvalues of such "
    "a matrix of growing width stay in the disc of the largest growth of variances, so",
    "circular-law": "by the circular law the eigenvalues fill a disc, so as the width grows",
}
CITED = re.compile(r"[a-z]+\d{4}[a-z]+\d?")
INLINE = 24  # letters of a moment beyond which it stands in a display
AVERAGED = doc.Paragraph(
    ("where ", Math(Latex(r"\mathbb{E}_v")), " is the mean over ", Math(Latex(r"u \sim N(0, v)")), ".")
)
COLLECTED = ("correction-terms", "line-evolution")
"""Rules that only list what was shown."""
OF_OUTPUTS: dict[str, str] = {
    "kernel-recursion": "the covariance of the outputs of a network of growing width converges to",
    "kernel-process": "the covariance of the outputs of a network of growing width converges to",
    "limit-kernel": "and this mean is the limit of the covariance of the outputs as the width grows:",
}
"""Leads of proofs without a tangent, which are about the outputs themselves and not about gradients."""


Told = dict[Claim, str]
"""Claims that an earlier proof of the document has told, each with the label of its display ("" for a sentence)."""


Stated = tuple[Sequence[tuple[Term, Term]], str]
"""The equations of the theorem that is proved, and the label of their display."""
MANY = 4  # equations of the theorem beyond which a step refers to them


def proof(proved: Proof, name: str, told: Told | None = None, stated: Stated = ((), "")) -> doc.Proof:
    """The steps of a proof, in order, as sentences with displays; equations are labelled `name`-1, `name`-2, ...

    Steps whose claims were `told` before are left out and referred to; what this proof tells is added to `told`. A
    step that repeats many of the equations `stated` refers to them.
    """
    return _Narrator(proved, name, {} if told is None else told, stated).proof()


class _Narrator:
    """One pass over the steps; knows which display states which step."""

    def __init__(self, proved: Proof, name: str, told: Told, stated: Stated) -> None:
        self.stated = stated
        self.proof_, self.name, self.program, self.told = proved, name, proved.program, told
        known = {i: told[step.claim] for i, step in enumerate(proved.steps) if step.claim in told}
        self.known, self.count, self.averaged = set(known), 0, False
        self.label = {i: label for i, label in known.items() if label}

    def proof(self) -> doc.Proof:
        """All groups of consecutive steps by one rule."""
        blocks: list[doc.Block] = []
        if self.known:
            whole = len(self.known) == len(self.proof_.steps)
            blocks.append(doc.Paragraph("All of its steps are those of a proof above." if whole else
                                        f"{len(self.known)} of its steps are those of a proof above; the others "
                                        "follow."))  # fmt: skip
        indexed = [(i, step) for i, step in enumerate(self.proof_.steps) if i not in self.known]
        self.told |= {step.claim: self.told.get(step.claim, "") for step in self.proof_.steps}
        for rule, group in groupby(indexed, key=lambda item: item[1].rule):
            blocks += self._group(rule, list(group))
        return doc.Proof(tuple(blocks))

    def _group(self, rule: str, group: Sequence[tuple[int, Step]]) -> list[doc.Block]:
        special: dict[type, Callable[[Step], list[doc.Block]]] = {
            Hypothesis: self._hypothesis,
            Vanishing: self._vanishing,
        }
        claim = group[0][1].claim
        if type(claim) in special:
            return [block for _, step in group for block in special[type(claim)](step)]
        if isinstance(claim, Inequality | Counterexample):
            return [block for item in group for block in self._bound(rule, *item)]
        because = self._because([i for _, step in group for i in step.premises])
        if rule in COLLECTED:
            return [doc.Paragraph((*self._lead(rule, ()), "."))]
        pairs = [pair for _, step in group for pair in _pairs(step, self.program)]
        new = [pair for pair in pairs if pair not in self.stated[0]]
        many = len(pairs) - len(new) > MANY
        words = self._lead(rule, because)
        if many and not new:
            self.label |= dict.fromkeys([index for index, _ in group], self.stated[1])
            return [doc.Paragraph((*words, " these are the equations of ", Ref(self.stated[1]), "."))]
        lead = doc.Paragraph(words)
        label = self._label([index for index, _ in group])
        if many:
            rest = doc.Paragraph(("and the other equations of ", Ref(self.stated[1]), "."))
            return [lead, *self._once(displays(new, self.program, label)), rest]
        return [lead, *self._once(displays(pairs, self.program, label))]

    def _once(self, blocks: list[doc.Block]) -> list[doc.Block]:
        """The blocks without a word on notation that was said before."""
        new = [block for block in blocks if block != AVERAGED or not self.averaged]
        self.averaged |= AVERAGED in blocks
        return new

    def _label(self, indices: Sequence[int]) -> str:
        """The label of a new display, which states these steps."""
        self.count += 1
        label = f"eq:{self.name}-{self.count}"
        self.label |= dict.fromkeys(indices, label)
        self.told |= {self.proof_.steps[i].claim: label for i in indices}
        return label

    def _lead(self, rule: str, because: tuple[Inline, ...]) -> tuple[Inline, ...]:
        """The sentence of a rule; one that is not ours is named."""
        lead = LEADS.get(rule, f"the rule {rule} gives")
        if not any(step.rule == "tangent" for step in self.proof_.steps):
            lead = OF_OUTPUTS.get(rule, lead)
        return (*because, *_with_maths(lead if because else lead[0].upper() + lead[1:]))

    def _bound(self, rule: str, index: int, step: Step) -> list[doc.Block]:
        """An inequality with its domain, or the exact point at which a believed one fails."""
        claim = step.claim
        assert isinstance(claim, Inequality | Counterexample)
        true = isinstance(claim, Inequality)
        facts = claim.domain if isinstance(claim, Inequality) else [sp.Eq(*at, evaluate=False) for at in claim.point]
        words: list[Inline] = ["wherever " if true else "at "]
        for fact in facts:
            words += [", " if len(words) > 1 else "", math(fact, self.program)]
        lead = self._lead(rule, self._because(step.premises))
        body = display(claim.left, claim.right, relation=r"\leq" if true else ">", program=self.program)
        return [doc.Paragraph(lead), doc.Equation(body, self._label([index])), doc.Paragraph((*words, "."))]

    def _because(self, premises: Sequence[int]) -> tuple[Inline, ...]:
        """By the displays that the premises stand in; the latest two suffice, they rest on the others."""
        labels = list(dict.fromkeys(self.label[i] for i in sorted(premises) if i in self.label))[-2:]
        if not labels:
            return ()
        between: list[Inline] = ["By ", Ref(labels[0])]
        if len(labels) == 2:
            between += [" and ", Ref(labels[1])]
        return (*between, ", ")

    def _hypothesis(self, step: Step) -> list[doc.Block]:
        assert isinstance(step.claim, Hypothesis)
        kinds = sorted({kind for _, _, kind in step.claim.maps})
        if step.rule == "lemma-c1":
            text: Text = (
                f"Every map here is {' or '.join(kinds)}{'' if kinds == ['Lipschitz'] else ', hence Lipschitz'}, so ",
                Cite("emami2021implicit", "Lemma C.1"),
                " applies: as the width grows, the coordinates of all products and states converge to a "
                "Gaussian process whose covariances follow below.",
            )
        elif step.rule == "master-theorem":
            covers: tuple[Inline, ...] = (Cite("bayati2011dynamics", "Theorem 1"),)
            if "polynomially bounded" in kinds:
                covers = ("the master theorem of ", Cite("yang2020tensor2"))
            text = (
                f"Every map of the lines is {' or '.join(kinds)}, so ", *covers, " applies: as the matrix grows at a "
                "fixed aspect ratio, means over entries converge to expectations, and what is known of a vector by its "
                "means may be put into the law at finite width that follows.",
            )  # fmt: skip
        else:
            why = " (the tangent of a non-linear map is not Lipschitz)" * (self.program.base is not None)
            text = (
                f"Some map here is not Lipschitz, only polynomially bounded{why}, "
                "beyond Lemma C.1; the master theorem of ",
                Cite("yang2020tensor2"),
                " covers it: coordinates converge to a process whose covariances follow below.",
            )
        return [doc.Paragraph(text)]

    def _vanishing(self, step: Step) -> list[doc.Block]:
        assert isinstance(step.claim, Vanishing)
        because = self._because(step.premises)
        pairs = list(dict.fromkeys((u, v) for u, v, *_ in step.claim.members))
        if not pairs:
            return []
        lags = step.claim.members[0][2] != "any"
        names: list[Inline] = []
        for pair in pairs:
            names += [", " if names else "", self._moment(*pair, step.claim.about)]
        if step.rule == "independence":
            at = self._times(step.claim.about)
            zeros = [(Moment(*pair, *at), sp.S.Zero) for pair in pairs]
            return [doc.Paragraph(self._lead(step.rule, because)), *displays(zeros, self.program)]
        relations = {(u, v): {r for a, b, r, _ in step.claim.members if (a, b) == (u, v)} for u, v in pairs}
        unequal = all({"<", ">"} == found for found in relations.values())
        tail = (
            ("between different lags" if unequal else "wherever the recursion can reach them")
            if lags
            else "at all times"
        )
        zeros = [(Moment(*pair, *self._times(step.claim.about)), sp.S.Zero) for pair in pairs]
        if any(width(latex(moment, self.program)) > INLINE for moment, _ in zeros):
            start = (
                "written out once, each of the following moments is a combination of earlier ones of the same list. By "
                f"induction on the number of steps that both have made they vanish {tail}:"
            )
            lead = (*because, start if because else start[0].upper() + start[1:])
            return [doc.Paragraph(lead), *displays(zeros, self.program)]
        return [
            doc.Paragraph(
                (
                    *because,
                    "written out once, each of the moments " if because else "Written out once, each of the moments ",
                    *names,
                    " is a combination of earlier ones of the same list. By induction on the number of steps "
                    f"that both have made they vanish {tail}.",
                )
            )
        ]

    def _moment(self, u: sp.Expr, v: sp.Expr, about: sp.Expr) -> Math:
        """E[u v] at the two times that the zero set is about."""
        return math(Moment(u, v, *self._times(about)), self.program)

    def _times(self, about: sp.Expr) -> tuple[sp.Expr, ...]:
        """The two times and the two sequences that a zero set is about."""
        return tuple(about.args[3:]) if isinstance(about, Response) else (t, r, FIRST, SECOND)


def displays(pairs: Sequence[tuple[Term, Term]], program: Program | None = None, label: str = "") -> list[doc.Block]:
    """Equations as one display, or as several joined by a word; the first has the label."""
    first, *rest = equation_parts(pairs, program)
    note = [AVERAGED] if averages(pairs) else []
    more: list[doc.Block] = []
    for part in rest:
        more += [doc.Equation(part)] if part.startswith(CONTINUED) else [doc.Paragraph("and"), doc.Equation(part)]
    return [doc.Equation(first, label or None), *more, *note]


def _with_maths(text: str) -> tuple[Inline, ...]:
    """A sentence whose formulas stand between dollar signs."""
    parts = [Math(Latex(part)) if i % 2 else part for i, part in enumerate(text.split("$"))]
    return tuple(part for part in parts if part)


def _pairs(step: Step, program: Program) -> list[tuple[sp.Expr, sp.Expr]]:
    """What a step says, as (left, right)."""
    claim = step.claim
    if isinstance(claim, Recurrence | ProcessForm):
        own = [] if isinstance(claim.right, sp.Tuple) else [(claim.left, claim.right)]
        return own + [(e.left, e.right) for e in claim.equations]
    assert isinstance(claim, EquationClaim | Limit | MatrixEquation)
    return [(claim.left, claim.right)]


def premises_line(proved: Proof) -> doc.Paragraph:
    """How the proof was checked, and what it rests on."""
    assumed = dict.fromkeys(
        step.source for step in proved.steps if step.status == "assumed" and step.source != "definition"
    )
    sources = dict.fromkeys(part for text in assumed for part in text.split("; "))
    cited: list[Inline] = []
    for source in sources:
        if any(other.startswith(f"{source}, ") for other in sources):
            continue
        key, _, note = source.partition(", ")
        known: Inline = Cite(key, note) if CITED.fullmatch(key) else source
        cited += ["; " if cited else " It rests on results of the literature, cited and not proved here: ", known]
    return doc.Paragraph(
        (
            f"The proof has {len(proved.steps)} steps. Each was replayed from the premises it cites and "
            "audited exactly at random rational points, by an evaluator that shares no rule with the "
            "engine.",
            *cited,
            "." if cited else "",
        )
    )
