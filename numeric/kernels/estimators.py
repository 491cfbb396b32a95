"""Estimators for scikit-learn: infinitely wide recurrent networks that learn sequences, with their uncertainty."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.special import ndtr

from wideproof.derive import Program, Recursion, models
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.derive.language.scalars import check_keywords
from wideproof.numeric.core.arrays import Host, to_host
from wideproof.numeric.core.inputs import choice, finite_array, real, unmasked
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.kernels.prediction import Prediction, WideTraining, log_marginal_likelihood, posterior
from wideproof.numeric.kernels.remembered import RememberedKernel

try:
    _base: Any = importlib.import_module("sklearn.base")
    _validation: Any = importlib.import_module("sklearn.utils.validation")
except ImportError:
    _base = _validation = None

Base: Any = _base.BaseEstimator if _base else object
Regressor: Any = _base.RegressorMixin if _base else type("Regressor", (), {})
Classifier: Any = _base.ClassifierMixin if _base else type("Classifier", (), {})
Transformer: Any = _base.TransformerMixin if _base else type("Transformer", (), {})
NODES = 64
"""Of the quadrature over the output of one class."""

OPTIONS = ("recursion", "kernel", "parameterization", "readout", "ridge", "time")
KERNELS = ("ntk", "nngp")


class RefusedData(ParameterError, TypeError):
    """Data that scikit-learn refuses for its kind."""


@contextmanager
def _refusals() -> Iterator[None]:
    """What scikit-learn refuses, in its own words, as an error of ours."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(error, ParameterError | ShapeError):
            raise
        kind = RefusedData if isinstance(error, TypeError) else ParameterError
        raise kind("fit or predict", "data for scikit-learn", str(error).rstrip("."), "See its user guide.") from error


class _Wide(Base):
    """What both estimators share: parameters, the kernel, and the shapes of sequences."""

    def __init__(
        self,
        recursion: Recursion | Program | None = None,
        kernel: str = "ntk",
        parameterization: str = "ntk",
        readout: str = "last",
        ridge: float = 1e-6,
        time: float = np.inf,
        **variances: float,
    ) -> None:
        self.recursion, self.kernel, self.parameterization = recursion, kernel, parameterization
        self.readout, self.ridge, self.time = readout, ridge, time
        for name, value in variances.items():
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options and variances by name.  Source: scikit-learn."""
        own = vars(self)
        return {k: own[k] for k in own if k in OPTIONS or not (k.endswith("_") or k.startswith("_"))}

    def set_params(self, **parameters: Any) -> Any:
        """Set options and variances; returns the estimator.  Error: ParameterError for another name."""
        for name in sorted(parameters, key=lambda name: name not in OPTIONS):  # the recursion before its variances
            if name not in self.get_params():
                check_keywords("set_params", (name,), (), self._program().symbols, OPTIONS)
            setattr(self, name, parameters[name])
        return self

    def _program(self) -> Program:
        return as_program(models.feed_forward(1) if self.recursion is None else self.recursion)

    def _made_kernel(self) -> Kernel:
        choice("kernel", self.kernel, KERNELS, "Which ensemble predicts.")
        if self.readout == "all":
            hint = "Use WideTraining for targets at every step."
            raise ParameterError("readout", '"last" or "average"', repr("all"), hint)
        symbols = self._program().symbols
        check_keywords(f"variances of {self._program().name}", set(self.get_params()) - set(OPTIONS), (), symbols)
        values: dict[str, Any] = {name: getattr(self, name, 1.0) for name in symbols}
        return RememberedKernel(self._program(), self.parameterization, readout=self.readout, **values)

    def _learn(self, X: Any, Y: Host) -> None:
        if Y.shape[:1] != (len(X),):
            raise ShapeError("fit: y", f"{len(X)} targets", Y.shape, "One for each sequence.")
        real("ridge", self.ridge, 0.0, hint="It is a penalty in units of the kernel.")
        real("time", self.time, 0.0, infinite=True, hint="It is that of the flow, infinity allowed.")
        self.kernel_ = self._made_kernel()
        self.X_fit_, self.y_fit_ = X, Y
        if self.kernel == "ntk":
            self.training_ = WideTraining(self.kernel_, X, Y, ridge=self.ridge)

    def _said(self, X: Any) -> Prediction:
        if self.kernel == "nngp":
            return posterior(self.kernel_, self.X_fit_, self.y_fit_, X, noise=self.ridge)
        return self.training_.flow(self.time, X)

    def _read(self, X: Any, y: Any = None, reset: bool = True) -> tuple[Any, Any]:
        """Sequences as a list of (T_i, n_x) or (N, T, n_x), features (N, n_x) as one step; checked targets."""
        if not reset and _validation is not None:
            _validation.check_is_fitted(self)
        X, y = unmasked("X", X), unmasked("y", y)
        found, columns = listed(X), columns_of(X)
        if found is not None:
            if reset:
                self._columns = columns
            check_columns(self._columns, columns)
            return self._known_inputs(found, {x.shape[1] for x in found}, reset), y
        self._columns = self._columns if hasattr(self, "_columns") and not reset else None
        if _validation is None:
            X = finite_array("X", X, (2, 3))
        else:
            if isinstance(X, np.ndarray) and X.ndim == 3:
                X = finite_array("X", X)
            dimensions = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
            rules = {"allow_nd": True, "ensure_2d": dimensions < 3, "dtype": np.float64}
            with _refusals():
                if reset:
                    X, y = _validation.validate_data(self, X, y, **rules, **self._targets)
                else:
                    X = _validation.validate_data(self, X, reset=False, **rules)
        if X.ndim not in (2, 3):
            raise ShapeError("X", "(N, n_x), (N, T, n_x) or a list of (T_i, n_x)", X.shape, "Sequences of inputs.")
        return self._known_inputs(X[:, None, :] if X.ndim == 2 else X, {X.shape[-1]}, reset), y

    def _known_inputs(self, X: Any, sizes: set[int], reset: bool) -> Any:
        """The sequences, if each step has as many inputs as those that were fitted."""
        if reset and len(sizes) == 1:
            (self.n_features_in_,) = sizes
        if sizes != {self.n_features_in_} if hasattr(self, "n_features_in_") else len(sizes) > 1:
            known = getattr(self, "n_features_in_", "one number of")
            raise ShapeError("X", f"{known} inputs at each step", sorted(sizes), "The last axis is that of the inputs.")
        return X


def columns_of(X: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a list of frames, None where there are no frames.

    Error: ParameterError where two frames differ.  Source: definition.
    """
    frames = [x for x in X if hasattr(x, "columns")] if isinstance(X, Sequence) else []
    named = [tuple(map(str, frame.columns)) for frame in frames]
    for names in named:
        check_columns(named[0], names)
    return named[0] if named else None


def check_columns(known: tuple[str, ...] | None, names: tuple[str, ...] | None) -> None:
    """Do nothing for equal columns, or where one side has no names.  Error: ParameterError.  Source: definition."""
    if known is not None and names is not None and known != names:
        hint = "Give every frame the same columns in the same order: frame[columns]."
        raise ParameterError("X", f"the columns {', '.join(known)}", ", ".join(names), hint)


def listed(X: Any) -> list[Host] | None:
    """A list of (T_i, n_x), also where it comes as an array of objects; None for anything else."""
    objects = isinstance(X, np.ndarray) and X.dtype.hasobject and X.ndim == 1
    if not (isinstance(X, Sequence) or objects) or not len(X) or np.ndim(X[0]) == 0:
        return None
    found = [finite_array("X", x, empty=True) for x in X]
    if all(x.ndim == 2 for x in found):
        return found
    if len({x.shape for x in found}) > 1:
        shapes = ", ".join(map(str, sorted({x.shape for x in found})[:3]))
        hint = "Each sequence is steps by inputs: with one input at each step write x[:, None]."
        raise ShapeError("X", "(N, n_x), (N, T, n_x) or a list of (T_i, n_x)", f"a list of {shapes}, ...", hint)
    return None


def shares_of_largest(mean: Host, std: Host) -> Host:
    """Return the probability of each of some independent Gaussian outputs, of one variance, to be the largest.

    Shapes: mean (N, K), std (N,); (N, K), rows sum to 1.  Units: probability.  Error: of quadrature, below 1e-8.
    Source: definition.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    least = np.finfo(float).tiny + 1e-12 * np.abs(mean).max(axis=1, initial=0.0)
    gaps = (mean[:, :, None] - mean[:, None, :]) / np.maximum(std, least)[:, None, None]
    if mean.shape[1] == 2:
        first = ndtr(gaps[:, 0, 1] / np.sqrt(2.0))
        return np.stack([first, 1.0 - first], axis=1)
    others = ndtr(nodes[None, None, None, :] + gaps[..., None])  # (N, class, other, node)
    own = np.arange(mean.shape[1])
    others[:, own, own, :] = 1.0
    shares = others.prod(axis=2) @ weights
    return shares / shares.sum(axis=1, keepdims=True)


class WideRegressor(Regressor, _Wide):
    """Predict targets of sequences by the ensemble of infinitely wide networks of a recursion.

    `kernel="ntk"`: all parameters trained by gradient flow for `time` (units of `train_network`), pulled to their
    start by `ridge`; "nngp": the posterior of the process, with targets of noise variance `ridge`. Variances of the
    recursion are parameters too (default 1): WideRegressor(models.elman(), nu_W=0.9), GridSearchCV over nu_W. A process
    computes kernels of the same sequences and variances once: those of a fold serve a whole grid of `ridge` and `time`.
    Shapes: X (N, n_x), (N, T, n_x) or a list of (T_i, n_x); y (N,) or (N, n_y).
    Units: of y; ridge as WideTraining or `posterior` says.  Error: ShapeError, ParameterError, scikit-learn's own.
    Source: lee2019wide, (9)-(16).

    >>> X, y = [[[1.0], [2.0]], [[-1.0], [-2.0]]], [1.0, -1.0]
    >>> network = wp.WideRegressor(wp.models.elman("erf"), nu_W=0.5).fit(X, y)
    >>> network.predict(X).round(3)
    array([ 1., -1.])
    """

    _targets = {"multi_output": True, "y_numeric": True}  # noqa: RUF012

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> WideRegressor:
        """Compute the kernel of the sequences.  Shapes, units, error, source: as the class says."""
        X, y = self._read(X, y)
        self._learn(X, finite_array("fit: y", y, (1, 2), hint="Drop the sequences without a target."))
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean over the ensemble, and its standard deviation (one for all outputs) where asked.

        Shapes: as y; std (N,).  Units: of y.  Error, source: as the class says.
        """
        X, _ = self._read(X, reset=False)
        said = self._said(X)
        return (to_host(said.mean), to_host(said.std)) if return_std else to_host(said.mean)

    def log_marginal_likelihood(self, **variances: float) -> float:
        """Return the log density of the fitted targets under random networks and noise of variance `ridge`.

        `variances` replaces some of the estimator's, and its `ridge`, without fitting again; the largest value chooses
        them without data set aside. It is about the process at the start, so `kernel="nngp"`.
        Shapes: number, summed over outputs.  Units: log of 1/y.  Error: as `log_marginal_likelihood`.
        Source: rasmussen2006gaussian, (5.8).
        """
        if _validation is not None:
            _validation.check_is_fitted(self)
        if self.kernel != "nngp":
            hint = 'Trained networks (kernel="ntk") have no likelihood of their targets: they fit them.'
            raise ParameterError("log_marginal_likelihood", 'kernel="nngp"', repr(self.kernel), hint)
        other = type(self)(**self.get_params()).set_params(**variances)
        return log_marginal_likelihood(other._made_kernel(), self.X_fit_, self.y_fit_, noise=other.ridge)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the variance of y explained, averaged over outputs.  Source: scikit-learn's R^2."""
        y, said = np.asarray(y, dtype=np.float64), self.predict(X)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        centre = np.average(y, axis=0, weights=weight)
        left, all_of = (np.average((y - z) ** 2, axis=0, weights=weight) for z in (said, centre))
        share = np.where(all_of > 0, left / np.where(all_of > 0, all_of, 1.0), 1.0 * (left > 0))
        return float(np.mean(1.0 - share))


class WideClassifier(Classifier, _Wide):
    """Classify sequences by regression on one column of +-1 for each class, with the largest as the answer.

    Parameters, units, error and source as WideRegressor; y (N,) of labels.
    Shapes: X as WideRegressor; labels (N,).

    >>> X, y = [[[1.0], [2.0]], [[-1.0], [-2.0]]], ["up", "down"]
    >>> network = wp.WideClassifier(wp.models.elman("erf"), nu_W=0.5).fit(X, y)
    >>> network.predict([[[0.5], [1.0]]])
    array(['up'], dtype='<U4')
    """

    _targets: dict[str, Any] = {}  # noqa: RUF012

    def fit(self, X: Any, y: Any) -> WideClassifier:
        """Compute the kernel of the sequences and list the classes.  Shapes, units, error: as the class says."""
        X, y = self._read(X, y)
        if _base is not None:
            importlib.import_module("sklearn.utils.multiclass").check_classification_targets(y)
        if np.ndim(y) != 1:
            raise ShapeError("fit: y", "one label for each sequence", np.shape(y), "Several outputs: WideRegressor.")
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            hint = "Give sequences of another class."
            raise ParameterError("fit: y", "more than one class", "only one class", hint)
        self._learn(X, 2.0 * np.eye(len(self.classes_))[index] - 1.0)
        return self

    def decision_function(self, X: Any) -> Host:
        """Return the mean outputs, one column for each class; their difference for two.

        Shapes: (N, classes), or (N,) for two classes.  Units: targets are +-1.  Error: as the class says.
        Source: definition.
        """
        X, _ = self._read(X, reset=False)
        found = to_host(self._said(X).mean)
        return found[:, 1] - found[:, 0] if len(self.classes_) == 2 else found

    def predict_proba(self, X: Any) -> Host:
        """Return the share of the ensemble's networks whose largest output is that of each class.

        Outputs of one network are independent Gaussian, of equal variance: the share is an integral over one of them.
        It tells how far networks agree, not how often the labels are right.
        Shapes: (N, classes), rows sum to 1.  Units: probability.  Error: 1e-8 of quadrature.  Source: definition.
        """
        X, _ = self._read(X, reset=False)
        said = self._said(X)
        return shares_of_largest(to_host(said.mean), to_host(said.std))

    def predict(self, X: Any) -> Any:
        """Return the class of the largest output.  Shapes: (N,).  Units: labels.  Source: definition."""
        found = self.decision_function(X)
        return self.classes_[(found > 0).astype(int) if found.ndim == 1 else np.argmax(found, axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of labels found.  Source: scikit-learn's accuracy."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))
