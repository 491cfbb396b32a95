"""Symbolic derivation: recursions, their infinite-width limits, and the proofs."""

from . import audit, models  # noqa: F401 (the audit enters itself in Proof)
from .activations import (
    abrelu,
    activation,
    cos,
    define,
    erf,
    erf_sigmoid,
    exp,
    gaussian,
    gelu,
    leaky_relu,
    relu,
    sigmoid,
    sign,
    silu,
    sin,
    softplus,
    step,
    tanh,
)
from .adjoint import adjoint
from .alternating import Alternating
from .alternating.evaluate import line_evolution
from .alternating.transposes import corrections
from .bounds import refuted_bounds, scale_factor_bound, scale_factor_peak
from .claims import Counterexample, Inequality, MatrixEquation
from .convolution import equivalent_convolution, impulse_response, scale_factors
from .derivation import Derivation
from .descent import training_bound, trajectory_gain
from .emit import Formula
from .errors import (
    DeriveError,
    LanguageError,
    NotAccurate,
    NotClosed,
    NotDiagonal,
    NotLinear,
    ParameterError,
    ProofError,
    ShapeError,
)
from .finite_width import moments
from .flow import flow_gain
from .kernels import nngp, ntk, state_evolution
from .language import Recursion
from .memory import Memory, memory
from .momentum import momentum_flow_gain, momentum_gain
from .program import Program
from .proof import Equation, Proof, Recurrence, Step
from .realization import convolution_of, realization
from .stability import stability

__all__ = [
    "Alternating",
    "Counterexample",
    "Derivation",
    "DeriveError",
    "Equation",
    "Formula",
    "Inequality",
    "LanguageError",
    "MatrixEquation",
    "Memory",
    "NotAccurate",
    "NotClosed",
    "NotDiagonal",
    "NotLinear",
    "ParameterError",
    "Program",
    "Proof",
    "ProofError",
    "Recurrence",
    "Recursion",
    "ShapeError",
    "Step",
    "abrelu",
    "activation",
    "adjoint",
    "convolution_of",
    "corrections",
    "cos",
    "define",
    "equivalent_convolution",
    "erf",
    "erf_sigmoid",
    "exp",
    "flow_gain",
    "gaussian",
    "gelu",
    "impulse_response",
    "leaky_relu",
    "line_evolution",
    "memory",
    "models",
    "moments",
    "momentum_flow_gain",
    "momentum_gain",
    "nngp",
    "ntk",
    "realization",
    "refuted_bounds",
    "relu",
    "scale_factor_bound",
    "scale_factor_peak",
    "scale_factors",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softplus",
    "stability",
    "state_evolution",
    "step",
    "tanh",
    "training_bound",
    "trajectory_gain",
]
