"""What certificates cover: quantities of the gallery, and what is believed in each kind of step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from wideproof.derive import models
from wideproof.derive.certificate.certificate import Certificate, certify
from wideproof.derive.certificate.lemmas import Exporter
from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.language.activations import erf
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.limits.adjoint import adjoint
from wideproof.derive.limits.kernels import nngp, ntk, state_evolution
from wideproof.derive.linear.convolution import equivalent_convolution, impulse_response, scale_factors
from wideproof.derive.linear.errata import ERRATA
from wideproof.derive.linear.finite_width import KernelEntry, moments, ntk_mean
from wideproof.derive.linear.gradient_descent import training_bound
from wideproof.derive.linear.momentum import momentum_gain
from wideproof.derive.linear.realization import convolution_of, realization
from wideproof.derive.linear.scale_factor_bounds import FORMS, refuted_bounds, scale_factor_bound, scale_factor_peak
from wideproof.derive.linear.spectral_radius import stability
from wideproof.derive.linear.width_bound import ntk_deviation
from wideproof.derive.memory_horizon.memory import memory
from wideproof.derive.proof.proof import Proof
from wideproof.derive.referee.judgement import Judgement, check
from wideproof.derive.referee.readings import judged_readings


@dataclass(frozen=True)
class Covered:
    """One quantity of one model, or a formula that the referee judged, whose proof is certified."""

    model: str
    quantity: str
    make: Any

    def proof(self) -> Proof:
        """The proof, made."""
        made: Derivation | Judgement = self.make()
        assert made.proof is not None, f"{self.quantity} was not decided"
        return made.proof

    def certificate(self) -> Certificate:
        """Its certificate."""
        return certify(self.proof())


def _linear(name: str, make: Any) -> Iterator[Covered]:
    for quantity in (impulse_response, scale_factors, equivalent_convolution, nngp, ntk, state_evolution):
        yield Covered(name, quantity.__name__.replace("_", "-"), lambda q=quantity: q(make()))


def _redrawn() -> Iterator[Covered]:
    untied = partial(models.elman, "identity", bias=False, tied=False)
    for quantity in (impulse_response, nngp, ntk, state_evolution):
        yield Covered("linear-untied", quantity.__name__.replace("_", "-"), lambda q=quantity: q(untied()))


def _evolving(name: str, make: Any) -> Iterator[Covered]:
    for quantity in (nngp, ntk, state_evolution):
        yield Covered(name, quantity.__name__.replace("_", "-"), lambda q=quantity: q(make()))


def _frozen() -> Derivation:
    """The tangent kernel where the input map keeps its draw: its perturbation is zero."""
    rnn = Recursion("elman-frozen")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F", trainable=False), rnn.readout("C", "nu_C")
    h = rnn.state("h")
    rnn.update(h, erf(W @ h + F @ rnn.x))
    rnn.output(C @ h)
    return ntk(rnn)


def _refuted(index: int) -> Derivation:
    return refuted_bounds(models.linear_rnn())[index]


def _bounds() -> Iterator[Covered]:
    for form in FORMS:
        yield Covered("linear-rnn", f"scale-factor-bound-{form}", partial(_bound, form))
    yield Covered("linear-rnn", "scale-factor-peak", lambda: scale_factor_peak(models.linear_rnn()))
    yield Covered("linear-rnn", "scale-factor-rise", lambda: scale_factor_peak(models.linear_rnn()).rise)
    for index, name in enumerate(("refuted-power", "refuted-power-largest", "refuted-shifted-largest")):
        yield Covered("linear-rnn", name, partial(_refuted, index))


def _finite_width() -> Iterator[Covered]:
    for lag in range(4):
        yield Covered("linear-rnn", f"second-moment-{lag}", partial(_moments, lag=lag))
    yield Covered("linear-rnn", "fourth-moment-2", partial(_moments, lag=2, order=4))
    yield Covered("linear-rnn", "moment-0-1-1-2", partial(_moments, lags=(0, 1, 1, 2)))
    for lag in range(4):
        yield Covered("linear-rnn", f"ntk-deviation-{lag}", partial(_kernel_at_width, ntk_deviation, lag))
    leak = KernelEntry(0, 2)
    yield Covered("linear-rnn", "ntk-deviation-0-2", partial(_kernel_at_width, ntk_deviation, leak))
    yield Covered("linear-rnn", "ntk-mean-4", partial(_kernel_at_width, ntk_mean, 4))


def _training() -> Iterator[Covered]:
    yield Covered("linear-rnn", "training-bound", lambda: training_bound(models.linear_rnn()))
    yield Covered("linear-rnn", "training-steps", lambda: training_bound(models.linear_rnn()).steps)
    yield Covered("linear-rnn", "training-trajectory", lambda: training_bound(models.linear_rnn()).trajectory)


def _memory() -> Iterator[Covered]:
    yield Covered("linear-rnn", "memory", lambda: memory(models.linear_rnn()))
    for name in ("erf", "relu", "tanh"):
        yield Covered(f"elman-{name}", "memory", lambda name=name: memory(models.elman(name)))
        for part in ("correlation_map", "slope"):
            yield Covered(
                f"elman-{name}",
                f"memory-{part.replace('_', '-')}",
                lambda name=name, part=part: memory(models.elman(name)).parts[part],
            )


RHO = "nu_W**(j - 1)*(nu_W*(nu_C + nu_F) + j*nu_C*nu_F)"
SHIFTED = RHO.replace("j*nu_C", "(j + 1)*nu_C")


def _judged() -> Iterator[Covered]:
    """The errata that the referee refutes, and the scale factors in another form, true and false."""
    for erratum in ERRATA:
        for index, _ in enumerate(erratum.printed):
            make = partial(_reading, erratum.item, index)
            yield Covered("linear-rnn", f"{erratum.item}-{index + 1}", make)
    for name, formula in (("scale-factors-holds", RHO), ("scale-factors-refuted", SHIFTED)):
        yield Covered("linear-rnn", name, partial(_check, "scale-factors", formula))
    yield Covered("linear-rnn", "stability-holds", partial(_check, "stability", "sqrt(nu_W)"))


def _reading(item: str, index: int) -> Judgement:
    return judged_readings(item)[index]


def _check(quantity: str, formula: str) -> Judgement:
    return check(models.linear_rnn(), quantity, formula)


def _moments(**which: Any) -> Derivation:
    return moments(models.linear_rnn(), **which)


def _kernel_at_width(make: Any, entry: Any) -> Derivation:
    derived: Derivation = make(models.linear_rnn(), entry)
    return derived


def _bound(form: str) -> Derivation:
    return scale_factor_bound(models.linear_rnn(), form=form)


COVERED: tuple[Covered, ...] = (
    *_linear("linear-rnn", models.linear_rnn),
    *_linear("deep-linear", models.deep_linear),
    *_redrawn(),
    *_bounds(),
    *_finite_width(),
    *_training(),
    *_memory(),
    *_judged(),
    Covered("linear-rnn", "stability", lambda: stability(models.linear_rnn())),
    Covered("linear-rnn", "adjoint", lambda: adjoint(models.linear_rnn())),
    Covered("elman-erf", "adjoint", lambda: adjoint(models.elman("erf"))),
    Covered("stacked", "adjoint", lambda: adjoint(models.stacked())),
    Covered("linear-rnn", "realization", lambda: realization([1])),
    *_evolving("elman-erf", lambda: models.elman("erf")),
    Covered("elman-erf-frozen", "ntk", _frozen),
    *_evolving("elman-relu", lambda: models.elman("relu")),
    *_evolving("elman-tanh-untied", lambda: models.elman("tanh", tied=False)),
    *_evolving("feed-forward", models.feed_forward),
    *_evolving("stacked", models.stacked),
)
"""The quantities of the gallery that `make certify` checks; other recursions of these kinds are covered too."""


@dataclass(frozen=True)
class Uncovered:
    """What no certificate covers yet, the reason, and a proof that is refused for it."""

    what: str
    reason: str
    make: Any


UNCOVERED: tuple[Uncovered, ...] = (
    Uncovered(
        "stability of several states, of sums of matrices, and of what is carried over",
        "only the circular law of one matrix is in the section",
        lambda: stability(models.leaky("identity")),
    ),
    Uncovered(
        "formulas that the referee judged: bounds above a derived bound",
        "a slack of whole quotients over two lags at once",
        lambda: _check("scale-factor-bound", "nu_C + nu_F + (T + 1)*nu_C*nu_F"),
    ),
    Uncovered(
        "formulas that the referee judged: sums over the lag",
        "each sum needs an induction of its own",
        lambda: _check("scale-factors", "nu_W**j*(nu_C + nu_F) + nu_C*nu_F*sum(nu_W**(j - 1), m, 1, j)"),
    ),
    Uncovered(
        "formulas that the referee judged: kernels, horizons, peaks, recurrences, laws in the limit",
        "their goals are no equations of two numbers, or are stepped",
        lambda: _check("ntk", "nu_C*X(t, s)"),
    ),
    Uncovered(
        "formulas that the referee refutes where they have no value",
        "in Coq a division by zero has a value",
        lambda: _check("scale-factors", "1/j"),
    ),
    Uncovered(
        "gated recursions (gru, mgu, lstm), their adjoint too",
        "products of states and activations: the section's updates are sums of one activation times one coordinate",
        lambda: nngp(models.gru()),
    ),
    Uncovered(
        "kernels and state evolution of leaky and residual recursions with an activation",
        "a state carried over beside an activation is correlated with it through all earlier steps",
        lambda: nngp(models.leaky()),
    ),
    Uncovered(
        "bidirectional recursions", "states that read a sequence from its end", lambda: nngp(models.bidirectional())
    ),
    Uncovered(
        "memory of several states",
        "its slope is the Perron root of a matrix of derivatives",
        lambda: memory(models.stacked()),
    ),
    Uncovered(
        "memory of linear recursions that carry a state over (leaky, residual)",
        "the growth of a difference, where the variance has no map of its own",
        lambda: memory(models.leaky("identity")),
    ),
    Uncovered(
        "memory: variance slope, fixed point, critical line",
        "they differentiate by a variance, or hold at the solution of an equation",
        lambda: memory(models.linear_rnn()).parts["fixed_point"],
    ),
    Uncovered(
        "training_bound: the length of the first residual",
        "a mean over random starts, which is no second moment in the limit alone (E4)",
        lambda: training_bound(models.linear_rnn()).start,
    ),
    Uncovered(
        "momentum and gradient flow",
        "divided differences at complex nodes, and exponentials in time",
        lambda: momentum_gain(models.linear_rnn()),
    ),
    Uncovered(
        "convolution_of, Proposition 2.1(a)",
        "matrices of finite width; the moments at finite width take the unrolled product as their definition",
        lambda: convolution_of(models.linear_rnn()),
    ),
)
"""Beside these: alternating programs, innovations, and the errata E4 to E12, measured in draws or matters of words."""


def believed() -> dict[str, str]:
    """What is believed in the steps of each rule, and not proved by coqc; the other covered rules are proved."""
    return {rule: exporter.believes for rule, exporter in sorted(Exporter.registry.items()) if exporter.believes}
