"""Estimators by scikit-learn's own checks, in a grid search, in a support vector machine, and without scikit-learn."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from wideproof.derive import ParameterError, models
from wideproof.derive.language.errors import LanguageError, ShapeError
from wideproof.numeric import Kernel, SequenceScaler
from wideproof.numeric.kernels import estimators, remembered
from wideproof.numeric.kernels.estimators import WideClassifier, WideRegressor
from wideproof.numeric.kernels.prediction import WideTraining, log_marginal_likelihood, posterior

RNN = models.elman("erf")
NU = {"nu_W": 0.9, "nu_F": 0.5, "nu_b": 0.1, "nu_C": 1.0}


@pytest.fixture(scope="module")
def sequences():
    """Is the first input larger than the last? Neither alone tells."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5, 1))
    return X, X[:, 0, 0] - X[:, -1, 0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([WideRegressor(), WideClassifier()])
def test_scikit_learn_accepts_them(estimator, check):
    check(estimator)


def test_a_regressor_is_the_ensemble(sequences):
    X, y = sequences
    kernel = Kernel(RNN, "ntk", readout="last", **NU)
    for options, want in (
        ({"time": 30.0, "ridge": 0.2}, WideTraining(kernel, X[:40], y[:40], ridge=0.2).flow(30.0, X[40:])),
        ({"kernel": "nngp", "ridge": 0.2}, posterior(kernel, X[:40], y[:40], X[40:], noise=0.2)),
    ):
        mean, std = WideRegressor(RNN, **options, **NU).fit(X[:40], y[:40]).predict(X[40:], return_std=True)
        np.testing.assert_allclose(mean, want.mean, rtol=1e-12)
        np.testing.assert_allclose(std, want.std, rtol=1e-12)
    assert WideRegressor(RNN, **NU).fit(X[:40], y[:40]).score(X[40:], y[40:]) > 0.9


def test_the_order_of_a_sequence_matters(sequences):
    """The recurrent kernel learns a difference of two times; the target of reversed sequences is its opposite."""
    X, y = sequences
    fitted = WideRegressor(RNN, **NU).fit(X[:40], y[:40])
    assert fitted.score(X[40:, ::-1], y[40:]) < 0 < fitted.score(X[40:, ::-1], -y[40:])


def test_variances_are_parameters_of_a_grid_search(sequences):
    X, y = sequences
    grid = {"nu_W": [0.01, 0.9]}
    search = GridSearchCV(WideRegressor(RNN, **NU), grid, cv=2).fit(X[:40], y[:40])
    assert search.best_params_["nu_W"] == 0.9  # with 0.01 the first input is forgotten
    assert search.best_estimator_.get_params()["nu_F"] == 0.5
    labels = np.where(y > 0, "first", "last")
    search = GridSearchCV(WideClassifier(RNN, **NU), {"time": [np.inf, 50.0]}, cv=2).fit(X[:40], labels[:40])
    assert search.score(X[40:], labels[40:]) > 0.85


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_a_grid_over_ridges_computes_the_kernels_of_each_fold_once(sequences, kernel, monkeypatch):
    X, y = sequences
    computed = []
    block = Kernel.block
    monkeypatch.setattr(Kernel, "block", lambda self, asked, batch: computed.append(asked) or block(self, asked, batch))

    def count(grid):
        monkeypatch.setattr(remembered, "STORE", remembered.Store(remembered.MOST))
        computed.clear()
        search = GridSearchCV(WideRegressor(models.linear_rnn(), kernel=kernel), grid, cv=2).fit(X[:40], y[:40])
        return len(computed), search

    one, _ = count({"ridge": [0.1]})
    many, search = count({"ridge": [0.01, 0.1, 1.0]})
    assert 0 < many == one
    assert count({"ridge": [0.01, 0.1, 1.0], "nu_W": [0.5, 0.9]})[0] > one
    monkeypatch.setattr(remembered, "STORE", remembered.Store(0))  # nothing is remembered, and nothing changes
    again = GridSearchCV(WideRegressor(models.linear_rnn(), kernel=kernel), {"ridge": [0.01, 0.1, 1.0]}, cv=2).fit(
        X[:40], y[:40]
    )
    assert len(computed) > 3 * many
    np.testing.assert_array_equal(search.predict(X[40:]), again.predict(X[40:]))
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"])


def test_what_is_remembered_is_told_apart_and_bounded(sequences, monkeypatch):
    X = sequences[0][:4]
    store = remembered.Store(300.0)  # two kernels of 4 x 4 numbers
    monkeypatch.setattr(remembered, "STORE", store)
    kernel = remembered.RememberedKernel(RNN, "ntk", readout="last", **NU)
    plain = Kernel(RNN, "ntk", readout="last", **NU)
    for arguments in ((X,), (X, X[:2]), (X[:2], X[2:]), (list(X[:2]), list(X[2:])), (-X,)):
        np.testing.assert_array_equal(kernel.ntk(*arguments), plain.ntk(*arguments))
        np.testing.assert_array_equal(kernel.nngp(*arguments), plain.nngp(*arguments))
        assert sum(x.nbytes for x in store._arrays.values()) <= 300
    first = kernel.ntk(X)
    first[:] = 0.0  # a copy: what is remembered stays
    np.testing.assert_array_equal(kernel.ntk(X), plain.ntk(X))
    other = remembered.RememberedKernel(RNN, "ntk", readout="average", **NU)
    assert np.any(other.ntk(X) != kernel.ntk(X))


def test_a_support_vector_machine_takes_the_kernel(sequences):
    X, y = sequences
    kernel, labels = Kernel(RNN, "ntk", readout="last", **NU), y > 0
    machine = SVC(kernel="precomputed", C=10.0).fit(kernel.ntk(X[:40]), labels[:40])
    assert machine.score(kernel.ntk(X[40:], X[:40]), labels[40:]) > 0.85


def test_sequences_may_differ_in_length(sequences):
    X, y = sequences
    ragged = [x[: 3 + i % 3] for i, x in enumerate(X)]
    last = np.array([x[-1, 0] - x[-2, 0] for x in ragged])
    assert WideRegressor(RNN, **NU).fit(ragged[:45], last[:45]).score(ragged[45:], last[45:]) > 0.8
    several = np.stack([last, y], axis=1)
    assert WideRegressor(RNN, **NU).fit(ragged[:45], several[:45]).predict(ragged[45:]).shape == (15, 2)
    three = np.digitize(last, [-0.5, 0.5])
    classifier = WideClassifier(RNN, readout="average", **NU).fit(ragged, three)
    assert classifier.decision_function(ragged).shape == (60, 3)
    assert classifier.score(ragged, three) > 0.9


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (lambda X, y: WideRegressor(RNN, **NU).set_params(nu_X=1.0), ParameterError),
        (lambda X, y: WideRegressor(RNN, kernel="rbf", **NU).fit(X, y), ParameterError),
        (lambda X, y: WideRegressor(RNN, readout="all", **NU).fit(X, y), ParameterError),
        (lambda X, y: WideRegressor(RNN, **NU).fit(list(X), y[:3]), ShapeError),
        (lambda X, y: WideRegressor(RNN, **NU).fit(X[..., None], y), ShapeError),
        (lambda X, y: WideClassifier(RNN, **NU).fit(X, np.ones(60, dtype=int)), ParameterError),
        (lambda X, y: WideClassifier(RNN, **NU).fit(list(X), np.ones((60, 2))), ShapeError),
        (lambda X, y: WideRegressor(RNN, nu_w=0.9).fit(X, y), ParameterError),
        (lambda X, y: WideRegressor(RNN, ridge=-1.0, **NU).fit(X, y), ParameterError),
        (lambda X, y: WideRegressor(RNN, time=-1.0, **NU).fit(X, y), ParameterError),
        (lambda X, y: WideRegressor(RNN, **NU).fit(list(X), y * np.nan), ParameterError),
        (lambda X, y: WideRegressor(RNN, **NU).fit([x[: 3 + i % 2, 0] for i, x in enumerate(X)], y), ShapeError),
        (lambda X, y: WideRegressor(RNN, **NU).fit(X, y).predict(np.tile(X, 2)), ShapeError),
        (lambda X, y: WideRegressor(RNN, **NU).fit(list(X), y).predict([np.tile(X[0], 2)]), ShapeError),
        (lambda X, y: WideRegressor(RNN, **NU).predict(list(X)), NotFittedError),
        (lambda X, y: WideRegressor("elman").fit(X, y), LanguageError),
    ],
)
def test_what_has_no_meaning_is_refused(sequences, broken, error):
    with pytest.raises(error):
        broken(*sequences)


def test_sequences_come_as_arrays_of_any_length_lists_and_arrays_of_objects(sequences):
    X, y = sequences
    fitted = WideRegressor(RNN, **NU).fit(X[:40], y[:40])
    short = fitted.predict(X[40:, 1:])
    ragged = np.empty(20, dtype=object)
    ragged[:] = list(X[40:, 1:])
    np.testing.assert_array_equal(fitted.predict(ragged), short)
    np.testing.assert_array_equal(fitted.predict([x.tolist() for x in ragged]), short)
    np.testing.assert_allclose(fitted.predict(X[40:, 1:].astype(np.float32)), short, rtol=0, atol=1e-5)
    objects = GridSearchCV(WideRegressor(RNN, **NU), {"nu_W": [0.9]}, cv=2, error_score="raise").fit(ragged, y[40:])
    assert objects.n_features_in_ == 1


def test_fitted_estimators_survive_copies(sequences):
    X, y = sequences
    ensembles = (WideRegressor(RNN, kernel="nngp", **NU), WideRegressor(RNN, time=9.0, **NU))
    for estimator in (*ensembles, WideClassifier(RNN, **NU)):
        target = y[:6] > 0 if isinstance(estimator, WideClassifier) else y[:6]
        fitted = clone(estimator).fit(X[:6, :2], target)
        for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
            np.testing.assert_array_equal(copied.predict(X[:6, :2].copy()), fitted.predict(X[:6, :2]))


def test_a_score_of_constant_targets_is_finite(sequences):
    X, _ = sequences
    fitted = WideRegressor(RNN, **NU).fit(X, np.ones(60))
    assert fitted.score(X, np.full(60, 2.0)) == 0.0


def test_they_work_without_scikit_learn():
    code = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from wideproof.numeric.kernels.estimators import WideClassifier, WideRegressor
X = np.linspace(-1, 1, 6)[:, None]
fitted = WideRegressor().fit(X, X[:, 0])
assert fitted.score(X, X[:, 0]) > 0.99 and fitted.set_params(ridge=1.0).get_params()["ridge"] == 1.0
assert WideClassifier().fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0) == 1.0
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_probabilities_are_shares_of_the_ensemble(sequences):
    """By drawing outputs of networks: means and standard deviations of the prediction, nothing of the quadrature."""
    X, y = sequences
    labels = np.digitize(y, (-0.7, 0.7))
    fitted = WideClassifier(RNN, **NU).fit(X[:40], labels[:40])
    shares = fitted.predict_proba(X[40:])
    said = fitted.training_.flow(np.inf, X[40:])
    drawn = said.mean + said.std[:, None] * np.random.default_rng(1).standard_normal((40_000, *said.mean.shape))
    counted = np.stack([(drawn.argmax(-1) == k).mean(0) for k in range(3)], axis=1)
    assert np.abs(shares - counted).max() < 5 * 0.5 / 200
    assert np.abs(shares.sum(1) - 1).max() < 1e-12
    assert (fitted.classes_[shares.argmax(1)] == fitted.predict(X[40:])).all()
    two = WideClassifier(RNN, **NU).fit(X[:40], y[:40] > 0)
    assert (two.classes_[two.predict_proba(X[40:]).argmax(1)] == two.predict(X[40:])).all()


@pytest.mark.parametrize("gap", [0.0, 0.3, 2.0, 30.0])
def test_two_equal_others_share_what_one_leaves(gap):
    """Three outputs of which two are alike, against the integral by SciPy; and two outputs by the same rule."""
    from scipy import integrate, stats

    (shares,) = estimators.shares_of_largest(np.array([[gap, 0.0, 0.0]]), np.array([1.0]))
    want, _ = integrate.quad(lambda z: stats.norm.pdf(z) * stats.norm.cdf(z + gap) ** 2, -12, 12)
    assert shares[0] == pytest.approx(want, abs=1e-8)
    assert shares[1] == pytest.approx(shares[2], abs=1e-12)


def test_the_likelihood_is_that_of_a_gaussian_and_of_scikit_learn(sequences):
    from scipy import stats
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Kernel as Covariance

    X, y = sequences
    kernel = Kernel(RNN, readout="last", **NU)

    class Ours(Covariance):
        def __init__(self):
            pass

        def __call__(self, A, B=None, eval_gradient=False):
            return kernel.nngp(*(x.reshape(len(x), 5, 1) for x in (A, A if B is None else B)))

        def diag(self, A):
            return np.diag(self(A))

        def is_stationary(self):
            return False

    fitted = WideRegressor(RNN, kernel="nngp", ridge=0.3, **NU).fit(X[:20], y[:20])
    value = fitted.log_marginal_likelihood()
    law = stats.multivariate_normal(np.zeros(20), kernel.nngp(X[:20]) + 0.3 * np.eye(20))
    assert value == pytest.approx(law.logpdf(y[:20]), rel=1e-10)
    theirs = GaussianProcessRegressor(Ours(), alpha=0.3, optimizer=None).fit(X[:20].reshape(20, -1), y[:20])
    assert value == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-10)
    mean, std = theirs.predict(X[40:].reshape(20, -1), return_std=True)
    assert np.allclose(mean, fitted.predict(X[40:]), atol=1e-9)
    assert np.allclose(std, fitted.predict(X[40:], return_std=True)[1], atol=1e-6)
    assert fitted.log_marginal_likelihood(nu_W=0.2) != value
    assert fitted.log_marginal_likelihood(nu_W=NU["nu_W"], ridge=0.3) == value
    assert fitted.get_params()["nu_W"] == NU["nu_W"]
    with pytest.raises(ParameterError, match="nngp"):
        WideRegressor(RNN, **NU).fit(X[:20], y[:20]).log_marginal_likelihood()
    with pytest.raises(ParameterError, match="positive variance"):
        log_marginal_likelihood(kernel, np.concatenate([X[:1], X[:1]]), y[:2], noise=0.0)


def test_frames_are_sequences_and_keep_their_columns(sequences):
    X, y = sequences
    wide = np.concatenate([X, X**2], axis=2)
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in wide]
    fitted = WideRegressor(RNN, **NU).fit(frames[:40], y[:40])
    assert np.array_equal(
        fitted.predict(frames[40:]), WideRegressor(RNN, **NU).fit(wide[:40], y[:40]).predict(wide[40:])
    )
    swapped = [frame[["b", "a"]] for frame in frames]
    with pytest.raises(ParameterError, match="the columns a, b, got b, a"):
        fitted.predict(swapped[40:])
    with pytest.raises(ParameterError, match="the columns a, b"):
        WideRegressor(RNN, **NU).fit([*frames[:39], swapped[39]], y[:40])
    pipe = make_pipeline(SequenceScaler(), WideRegressor(RNN, **NU)).fit(frames[:40], y[:40])
    with pytest.raises(ParameterError, match="the columns a, b"):
        pipe.predict(swapped[40:])
