from . import models as models
from .alternating.corrections import corrections as corrections
from .alternating.line_limits import line_evolution as line_evolution
from .emit.derivation import Derivation as Derivation
from .emit.formula import Formula as Formula
from .language.activations import (
    abrelu as abrelu,
    activation as activation,
    cos as cos,
    define as define,
    erf as erf,
    erf_sigmoid as erf_sigmoid,
    exp as exp,
    gaussian as gaussian,
    gelu as gelu,
    leaky_relu as leaky_relu,
    relu as relu,
    sigmoid as sigmoid,
    sign as sign,
    silu as silu,
    sin as sin,
    softplus as softplus,
    step as step,
    tanh as tanh,
)
from .language.alternating import Alternating as Alternating
from .language.errors import (
    DeriveError as DeriveError,
    LanguageError as LanguageError,
    NotAccurate as NotAccurate,
    NotClosed as NotClosed,
    NotDiagonal as NotDiagonal,
    NotLinear as NotLinear,
    ParameterError as ParameterError,
    ProofError as ProofError,
    ShapeError as ShapeError,
    SlowExpectations as SlowExpectations,
)
from .language.program import Program as Program
from .language.recursion import Recursion as Recursion
from .limits.adjoint import adjoint as adjoint
from .limits.kernels import nngp as nngp, ntk as ntk, state_evolution as state_evolution
from .limits.output_mean import output_mean as output_mean
from .linear.convolution import (
    equivalent_convolution as equivalent_convolution,
    impulse_response as impulse_response,
    scale_factors as scale_factors,
)
from .linear.finite_width import (
    KernelEntry as KernelEntry,
    fourth_moment as fourth_moment,
    moments as moments,
    ntk_covariance as ntk_covariance,
    ntk_mean as ntk_mean,
    ntk_variance as ntk_variance,
    second_moment as second_moment,
)
from .linear.gradient_descent import training_bound as training_bound, trajectory_gain as trajectory_gain
from .linear.gradient_flow import flow_gain as flow_gain
from .linear.momentum import momentum_flow_gain as momentum_flow_gain, momentum_gain as momentum_gain
from .linear.realization import convolution_of as convolution_of, realization as realization
from .linear.scale_factor_bounds import (
    refuted_bounds as refuted_bounds,
    scale_factor_bound as scale_factor_bound,
    scale_factor_peak as scale_factor_peak,
)
from .linear.spectral_radius import stability as stability
from .linear.width_bound import ntk_deviation as ntk_deviation, ntk_gap as ntk_gap
from .linear.width_correction import WidthCorrection as WidthCorrection, width_correction as width_correction
from .memory_horizon.memory import Memory as Memory, memory as memory
from .model_files.load import load_model as load_model
from .proof.claims import (
    Counterexample as Counterexample,
    Equation as Equation,
    Inequality as Inequality,
    MatrixEquation as MatrixEquation,
    Recurrence as Recurrence,
)
from .proof.proof import Proof as Proof, Step as Step
from .referee.judgement import Judgement as Judgement, check as check
from .width_expansion.corrections import nngp_correction as nngp_correction, ntk_correction as ntk_correction
