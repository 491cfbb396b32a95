"""Symbolic derivation: recursions, their infinite-width limits, and the proofs."""

from . import models
from .activations import activation, erf, gelu, relu, sigmoid, sin, step, tanh
from .convolution import equivalent_convolution, impulse_response, scale_factors
from .derivation import Derivation
from .emit import Formula
from .errors import (
    DeriveError,
    LanguageError,
    NotClosed,
    NotDiagonal,
    NotLinear,
    ParameterError,
    ProofError,
    ShapeError,
)
from .kernels import nngp, ntk, state_evolution
from .language import Program, Recursion
from .proof import Equation, Proof, Recurrence, Step

__all__ = [
    "Derivation",
    "DeriveError",
    "Equation",
    "Formula",
    "LanguageError",
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
    "activation",
    "equivalent_convolution",
    "erf",
    "gelu",
    "impulse_response",
    "models",
    "nngp",
    "ntk",
    "relu",
    "scale_factors",
    "sigmoid",
    "sin",
    "state_evolution",
    "step",
    "tanh",
]
