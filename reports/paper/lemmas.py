"""Lemmas B.1 and C.1: the tangent recursion, and state evolution in both of its forms."""

from __future__ import annotations

from wideproof.derive import Recursion, models, ntk, state_evolution
from wideproof.derive.calculus.innovations import columns
from wideproof.derive.latex.text import Cite, Latex, Ref, Text, marked
from wideproof.numeric.paper.experiments import ResponseSizes, StateSizes
from wideproof.numeric.paper.perturbation import response_covariance
from wideproof.numeric.validation.convergence import KernelError, row_distance, state_distance
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table, Theorem
from wideproof.reports.paper.item import Context, PaperClaim, Result, checked, from_checks, goal, theorem, verified
from wideproof.reports.paper.theory import drawn
from wideproof.reports.paper.width_gaps import LAW_POWER, at_most, falling, power, slope_claim


def lemma_b1(context: Context) -> Result:
    """The tangent kernel is the covariance of the response to a random perturbation."""
    derivation = ntk(context.rnn)
    proof = context.known.proof(derivation.proof, "lemma-b1")
    (tangent,) = {context.known.told[step.claim] for step in derivation.proof.steps if step.rule == "tangent"}
    checks = [c for c in context.validation.checks if c.quantity == "scale-factor"][:3]
    statement = Theorem(
        (
            Paragraph(marked(r"Let $A(v)$ and $B(v)$ be linear in $v$, and $e_1, e_2, \ldots$ an orthonormal basis. "
                             "Then")),
            Equation(Latex(r"\sum_i A(e_i)\,B(e_i)^{\mathsf{T}} = \mathbb{E}\left[A(v)\,B(v)^{\mathsf{T}}\right]"
                           r",\qquad v \sim N(0, I),"), "eq:lemma-b1"),
            Paragraph("since the coefficients of the perturbation are uncorrelated and of variance one. Hence the "
                      "tangent kernel, the sum of products of gradients over all parameters, is the covariance of the "
                      "response to a random perturbation of them."),
        ),
        "lemma", "Tangent kernel", "thm:lemma-b1",
    )  # fmt: skip
    text = Paragraph((
        "The response of a recursion is a recursion again, here ", Ref(tangent), ", and one engine serves both. The "
        "limiting kernel follows from it:",
    ))  # fmt: skip
    sizes = context.setting(ResponseSizes)
    responses = response_covariance(
        context.variances, sizes.response_width, sizes.response_steps, sizes.perturbations, context.seed
    )
    perturbed = Paragraph(
        (
            "The identity itself, in one network of width ",
            f"{sizes.response_width}: the mean of products of responses "
            f"to {sizes.perturbations} random perturbations of all parameters, by the recursion ",
            Ref(tangent),
            ", beside the sum of products of gradients, by its transpose. A check holds only if it would, nine "
            f"times in ten, have seen an error of {responses[0].effect:.0%} of the diagonal; a true identity is "
            f"refuted anywhere with probability at most {responses[0].false_alarm:g}.",
        )
    )
    blocks = (
        statement,
        text,
        *goal(derivation, "eq:lemma-b1-kernel"),
        proof,
        checked(context, "lemma-b1", derivation),
        perturbed,
        drawn(context),
        *context.assumptions("lemma-b.1"),
    )
    claims = (
        PaperClaim(
            "products of responses and of gradients at steps {} and {}".format(*c.lag),
            c.verdict,
            c.estimate,
            c.stderr,
            c.prediction,
        )
        for c in responses
        if isinstance(c.lag, tuple)
    )
    return Result(blocks, (verified("tangent recursion and kernel", derivation), *claims, *from_checks(checks)))


def rows_gap(context: Context) -> KernelError:
    """The distance of the states' second moments from their limit against the width."""
    sizes = context.setting(StateSizes)
    with context.stage("law of the states against width") as progress:
        return row_distance(context.variances, sizes.state_widths, sizes.state_networks, sizes.state_horizon,
                            context.seed, progress, context.tasks)  # fmt: skip


def state_gap(context: Context) -> KernelError:
    """The distance of the last state's empirical law from its limit against the width."""
    sizes = context.setting(StateSizes)
    with context.stage("empirical law of a state against width") as progress:
        return state_distance(context.variances, sizes.law_widths, sizes.state_networks, sizes.state_horizon,
                              context.seed, progress, context.tasks)  # fmt: skip


def lemma_c1(context: Context) -> Result:
    """State evolution in both forms, in general, and the distance of the states' law from its limit."""
    plain = state_evolution(context.rnn)
    inno = state_evolution(context.rnn, form="innovations")
    error, law = rows_gap(context), state_gap(context)
    with context.stage("innovations form of recursions of every kind") as progress:
        general, claims = _general(context)
        progress(1, 1)
    blocks = (
        *theorem(
            context,
            "lemma-c1",
            "State evolution",
            plain,
            marked(r"As $n \to \infty$, the rows of the states converge in law, with second moments, to a centred "
                   "Gaussian process with"),
            "lemma",
            "where a prime marks a second sequence, and inputs enter through their inner products.",
        ),
        Paragraph("In the innovations form, each new product is conditioned on the earlier ones,"),
        Equation(inno.formula.latex(), "eq:innovations"),
        Paragraph(marked(r"for every $k = 1, \ldots, t$. Here $\Phi_{t,i}$ is the weight of the product $i$ steps "
                         "earlier in the best linear prediction of the product at step $t$, and $P_t$ the variance "
                         "that is left; the product itself is its prediction plus independent Gaussian noise of this "
                         "variance.")),
        *general,
        Paragraph(
            (
                "The lemma is a limit. ", Ref("fig:paper-states"), " measures it: rows of the states up to a "
                "horizon have empirical second moments, and the centred Gaussian law with these has a Wasserstein-2 "
                "distance from the limiting law, which is at most that of the empirical law itself."
            )
        ),
        *falling(error, "states", context, "distance", "Wasserstein-2 distance of the centred Gaussian law with the "
                 "states' empirical second moments from the limiting law, against the width: mean"),
        Paragraph((
            Ref("fig:paper-law"), *marked(" measures the empirical law itself, that of the coordinates of the last "
                                          "state of one network: on the line its distance has a closed form, "
                                          "coordinates and quantiles being paired by their order. Even that of $n$ "
                                          r"independent normal variables is of the order of $(\log\log n / n)^{1/2}$ "),
            Cite("bobkov2019onedimensional"), *marked(", a power a "
                                                                                                   "little above "
                                                                                                   "$-1/2$"),
            f" at these widths; the claim is a power of at most {LAW_POWER:g}. The joint law of ",
            *marked("$T$ states tends more slowly, as that of independent vectors does."),
        )),
        *falling(law, "law", context, "distance", "Wasserstein-2 distance of the empirical law of the last state's "
                 "coordinates from the limiting normal law, against the width: mean"),
        *context.assumptions("lemma-c.1"),
    )  # fmt: skip
    return Result(
        blocks,
        (
            verified("covariance form", plain),
            verified("innovations form", inno),
            *claims,
            slope_claim("the distance of the second moments' law falls as the width to the power -1/2", error),
            at_most(
                f"(31): the distance of a state's empirical law falls at least as the width to the power {LAW_POWER:g}",
                *power(law),
                LAW_POWER,
            ),
        ),
    )


def _general(context: Context) -> tuple[tuple[Block, ...], tuple[PaperClaim, ...]]:
    """The innovations form rebuilt, step by step, into the covariance form, for recursions of every kind."""
    rows: list[tuple[Text, ...]] = []
    claims = []
    for recursion, kind, horizon in _cases(context.quick):
        found = state_evolution(recursion, form="innovations", horizon=horizon)
        program = recursion.program()
        matrices = columns(program)
        rows.append((program.name, kind, str(len(matrices)), str(sum(len(v) for _, v in matrices)), str(horizon)))
        claims.append(verified(f"innovations form of {program.name} rebuilds its covariance form", found))
    singular = state_evolution(unchanging(), form="innovations", horizon=2)
    blocks = (
        Paragraph(
            "Both forms are generated for any recursion of the language. For the following ones the innovations form "
            "was carried out with symbols, step by step, and the covariances of the products that it generates were "
            "proved equal to the covariance form, entry by entry; the proof was replayed and audited."
        ),
        Table(
            ("recursion", "what it adds", "matrices", "columns", "steps"),
            tuple(rows),
            "Recursions whose two forms were proved equal; columns are all vectors that a matrix multiplies.",
            "tab:lemma-c1-general",
            "lXrrr",
        ),
        Paragraph(
            "In the last one a matrix multiplies the same vector at every step, so the Gram matrix of its arguments "
            "has "
            "rank one: the paper's claim that it is almost surely of full rank fails (E7). Columns that add nothing "
            "get weight zero, which is a generalised inverse, and nothing is left to be random after the first step:"
        ),
        Equation(singular.formula.latex(), "eq:innovations-singular"),
    )
    return blocks, tuple(claims)


def _cases(quick: bool) -> tuple[tuple[Recursion, str, int], ...]:
    return (
        (models.linear_rnn(), "the paper's own", 3),
        (models.elman("erf"), "a Lipschitz map, and a bias, so that means do not vanish", 3),
        (two_columns(), "one matrix that multiplies two states", 3),
        (models.stacked(2, "erf"), "several matrices, Lipschitz maps, biases", 2 if quick else 3),
        (unchanging(), "an external vector, the same at every step: a singular Gram matrix", 3),
    )


def two_columns() -> Recursion:
    """Two states that exchange places through one matrix."""
    rnn = Recursion("two-columns")
    W, F = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F")
    h, g = rnn.state("h"), rnn.state("g")
    rnn.update(h, W @ g + F @ rnn.x)
    rnn.update(g, W @ h)
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn


def unchanging() -> Recursion:
    """A matrix that multiplies an external vector which never changes (E7)."""
    rnn = Recursion("unchanging")
    W, F = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F")
    u, h = rnn.state("u", initial="nu_u"), rnn.state("h")
    rnn.update(u, u)
    rnn.update(h, W @ u + F @ rnn.x)
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn
