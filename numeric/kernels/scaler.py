"""Inputs of sequences brought to one scale, with scikit-learn or without it."""

from __future__ import annotations

from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.inputs import finite_array
from wideproof.numeric.kernels.estimators import Base, Transformer, check_columns, columns_of, listed


class SequenceScaler(Transformer, Base):
    """Give each input the mean 0 and the standard deviation 1 over all steps of all sequences that were fitted.

    Before `WideRegressor` or `WideClassifier` in a pipeline: kernels depend on the scale of the inputs. An input that
    never changes is only shifted.
    Shapes: X (N, T, n_x), (N, n_x), or a list of (T_i, n_x), frames too; the same comes back, frames as arrays.
    Units: of the standard deviation.  Error: ShapeError, ParameterError.  Source: definition.

    >>> X = [[[1.0], [3.0]], [[5.0], [7.0]]]
    >>> wp.SequenceScaler().fit(X).transform([[[4.0]]])
    array([[[0.]]])
    """

    def __init__(self, with_mean: bool = True) -> None:
        self.with_mean = with_mean

    def fit(self, X: Any, y: Any = None) -> SequenceScaler:
        """Measure each input.  Shapes, error: as the class says; y is not read."""
        if not isinstance(self.with_mean, bool | np.bool_):
            raise ParameterError("SequenceScaler: with_mean", "True or False", repr(self.with_mean), "True shifts too.")
        self.names_, arrays = columns_of(X), _arrays(X)
        steps = np.concatenate([x.reshape(-1, x.shape[-1]) for x in arrays])
        spread = steps.std(axis=0)
        self.mean_ = steps.mean(axis=0) if self.with_mean else np.zeros(steps.shape[1])
        self.scale_ = np.where(spread > 10 * np.finfo(float).eps * np.abs(steps).max(axis=0), spread, 1.0)
        self.n_features_in_ = steps.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        """Return the inputs in units of their standard deviation.  Shapes, error: as the class says."""
        check_columns(self.names_, columns_of(X))
        return _like(X, [(x - self.mean_) / self.scale_ for x in _arrays(X, self.n_features_in_)])

    def inverse_transform(self, X: Any) -> Any:
        """Return the inputs in their own units.  Shapes, error: as the class says."""
        return _like(X, [x * self.scale_ + self.mean_ for x in _arrays(X, self.n_features_in_)])


def _like(X: Any, arrays: list[Host]) -> Any:
    """One array where one came, or where the sequences have one length; else a list."""
    if listed(X) is None:
        return arrays[0]
    return arrays if len({x.shape for x in arrays}) > 1 else np.stack(arrays)


def _arrays(X: Any, inputs: int | None = None) -> list[Host]:
    """The sequences, each (T_i, n_x), or one array of all."""
    found = listed(X) or [finite_array("SequenceScaler: X", X, (2, 3))]
    sizes = {x.shape[-1] for x in found}
    if len(sizes) > 1 or (inputs is not None and sizes != {inputs}):
        known = "one number of" if inputs is None else inputs
        raise ShapeError("X", f"{known} inputs at each step", sorted(sizes), "The last axis is that of the inputs.")
    return [np.ascontiguousarray(x) for x in found]  # the order of a sum is not that of a frame's memory
