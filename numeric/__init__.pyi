from .core.checks import Check as Check, Level as Level
from .core.enclosures import Enclosure as Enclosure
from .core.statistics import Estimate as Estimate
from .kernels.estimators import WideClassifier as WideClassifier, WideRegressor as WideRegressor
from .kernels.kernel import Kernel as Kernel, KernelValue as KernelValue
from .kernels.prediction import (
    Indefinite as Indefinite,
    Prediction as Prediction,
    WideTraining as WideTraining,
    log_marginal_likelihood as log_marginal_likelihood,
    posterior as posterior,
)
from .kernels.scaler import SequenceScaler as SequenceScaler
from .linear_rnn.training import train as train
from .linear_rnn.width_advice import WidthAdvice as WidthAdvice, width_for as width_for
from .memory_horizon.enclosures import EnclosedPoint as EnclosedPoint, certified_points as certified_points
from .networks.empirical_kernels import empirical_ntk as empirical_ntk
from .networks.gradients import gradients as gradients
from .networks.narrow_width import NarrowWidth as NarrowWidth
from .networks.training import train_network as train_network
from .validation.judged import Validation as Validation
from .validation.linear_rnn.plan import Plan as Plan
from .validation.runs import Run as Run, load_run as load_run
from .validation.validate import validate as validate
