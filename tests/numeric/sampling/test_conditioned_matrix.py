"""A matrix revealed by its products has the law of a matrix drawn whole, and three wrong rules are noticed."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from wideproof.numeric.core.arrays import backend, seed_sequence, stream, to_host
from wideproof.numeric.sampling.conditioned_matrix import RevealedMatrix, along
from wideproof.numeric.sampling.revealed_matrices import ExplicitMatrix

NUMPY = backend("numpy")
LEVEL = 1e-4


class Whole:
    """The definition: a drawn matrix."""

    def __init__(self, width, trials, variance, source):
        self.W = math.sqrt(variance) * source.normal(trials, width, width)

    def apply(self, v):
        return (self.W @ v[..., None])[..., 0]

    def apply_transpose(self, u):
        return (self.W.mT @ u[..., None])[..., 0]


class Forgetful(ExplicitMatrix):
    """Wrong: every product is fresh, as with untied matrices."""

    def apply(self, v):
        return self.deviation * self.fresh() * np.linalg.norm(v, axis=1)[:, None]


class Unprojected(ExplicitMatrix):
    """Wrong: the noise is not orthogonal to the other side's queries."""

    def image(self, unit, other):
        told = along(NUMPY, other.images, unit)
        return self.deviation * self.fresh() + (told[..., None, :] @ other.queries)[..., 0, :]


class Deaf(ExplicitMatrix):
    """Wrong: what the other side's products tell is left out."""

    def image(self, unit, other):
        noise = self.deviation * self.fresh()
        return noise - (along(NUMPY, other.queries, noise)[..., None, :] @ other.queries)[..., 0, :]


def conversation(matrix, width, trials, source):
    """Right and left products, each query a non-linear function of earlier answers; repeated ones too."""
    a, b = source.normal(trials, width), source.normal(trials, width)
    met = [a, b]
    met.append(matrix.apply(a) / math.sqrt(width))
    met.append(matrix.apply_transpose(b) / math.sqrt(width))
    met.append(matrix.apply(np.tanh(met[2]) + met[3]) / math.sqrt(width))
    met.append(matrix.apply_transpose(np.tanh(met[2] - met[4])) / math.sqrt(width))
    met.append(matrix.apply(met[5] * met[0]) / math.sqrt(width))
    met.append(matrix.apply_transpose(met[2] + met[3]) / math.sqrt(width))
    met.append(matrix.apply(0.5 * a) / math.sqrt(width))
    return np.stack(met, axis=1)  # (B, 9, n)


def statistics(vectors):
    """Inner products of all vectors, entries, their products, and cosines of random combinations."""
    _, count, width = vectors.shape
    rows, columns = np.triu_indices(count)
    grams = (vectors @ vectors.transpose(0, 2, 1))[:, rows, columns] / width
    entries = vectors[:, :, 0]
    directions = np.random.default_rng(0).normal(size=(count, 20)) / math.sqrt(count)
    cubes = entries[:, rows] * entries[:, columns]
    skew = vectors[:, :, 0] ** 2 * vectors[:, ::-1, -1] ** 2
    fourth = grams[:, rows[:9]] * grams[:, columns[:9]]
    return np.concatenate([entries, grams, cubes, skew, fourth, np.cos(2 * entries @ directions)], axis=1)


def smallest_p(first, second):
    """Bonferroni over Welch's tests of equal means of every statistic."""
    spread = np.sqrt(first.var(axis=0) / len(first) + second.var(axis=0) / len(second))
    seen = spread > 1e-12
    score = np.abs(first.mean(axis=0) - second.mean(axis=0))[seen] / spread[seen]
    return min(1.0, 2 * stats.norm.sf(score.max()) * seen.sum())


def compare(width, kind, trials=12_000):
    parts = []
    for key, law in enumerate((Whole, kind)):
        source = stream(NUMPY, seed_sequence(7, key, width))
        parts.append(statistics(conversation(law(width, trials, 0.8, source), width, trials, source)))
    assert parts[0].shape[1] > 100
    return smallest_p(*parts)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 10, 50])
def test_a_conversation_with_a_revealed_matrix_has_the_dense_law(width):
    assert compare(width, ExplicitMatrix) > LEVEL


@pytest.mark.parametrize("width", [3, 10])
@pytest.mark.parametrize("wrong", [Forgetful, Unprojected, Deaf])
def test_a_wrong_rule_is_noticed(width, wrong):
    assert compare(width, wrong) < LEVEL


@pytest.mark.parametrize("width", [1, 2, 4, 30])
def test_all_answers_are_those_of_one_matrix(width):
    source = stream(NUMPY, seed_sequence(1))
    matrix = ExplicitMatrix(width, 5, 0.8, source)
    answers = []
    for _ in range(6):
        v, u = source.normal(5, width), source.normal(5, width)
        answers.append((u, v, matrix.apply(v), matrix.apply_transpose(u)))
    for u, _, _, Wtu in answers:
        for _, v, Wv, _ in answers:
            assert np.allclose(np.sum(u * Wv, axis=1), np.sum(v * Wtu, axis=1), rtol=1e-9, atol=1e-9)
    assert all(np.allclose(matrix.apply(v), Wv) for _, v, Wv, _ in answers)
    queries = matrix.right.queries
    gram = queries @ queries.mT
    assert np.allclose(gram, np.where(np.diagonal(gram, axis1=1, axis2=2)[:, None, :] > 0.5, 1, 0) * np.eye(
        gram.shape[1]), atol=1e-12)  # fmt: skip


def test_a_query_that_is_new_in_some_trials_only_leaves_the_others_alone():
    source = stream(NUMPY, seed_sequence(2))
    matrix = ExplicitMatrix(6, 3, 1.0, source)
    a, b = source.normal(3, 6), source.normal(3, 6)
    first = matrix.apply(a)
    mixed = np.where(np.array([True, False, True])[:, None], 2 * a, b)
    second = matrix.apply(mixed)
    assert np.allclose(second[[0, 2]], 2 * first[[0, 2]])
    assert not np.allclose(second[1], 2 * first[1])
    assert np.allclose(matrix.apply(a + mixed), first + second)


def test_zero_variance_and_zero_vectors_give_zeros():
    source = stream(NUMPY, seed_sequence(0))
    assert not np.any(ExplicitMatrix(4, 2, 0.0, source).apply(source.normal(2, 4)))
    matrix = ExplicitMatrix(4, 2, 1.0, source)
    assert not np.any(matrix.apply(np.zeros((2, 4))))
    assert matrix.right.count == 0


def test_the_rule_runs_in_the_strict_namespace_with_the_same_numbers():
    answers = []
    for xp in (array_api_strict, NUMPY):
        source = stream(xp, seed_sequence(4))
        matrix: RevealedMatrix = ExplicitMatrix(5, 3, 0.7, source)
        v = source.normal(3, 5)
        answers.append(to_host(matrix.apply_transpose(matrix.apply(v)) + matrix.apply(v)))
    assert np.allclose(*answers, rtol=1e-12)
