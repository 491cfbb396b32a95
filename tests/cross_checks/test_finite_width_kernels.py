"""The mean of the empirical kernel at a great width against the kernel of an impulse at infinite width."""

import numpy as np
import pytest

from tests.derive.linear.test_finite_width import residual, several
from wideproof.derive import KernelEntry, models, ntk_mean
from wideproof.numeric import Kernel


@pytest.mark.parametrize(
    "make",
    [models.linear_rnn, residual, lambda: several(biased=False), lambda: models.deep_linear(depth=2)],
    ids=["linear-rnn", "residual", "several", "deep-linear"],
)
def test_means_tend_to_the_kernel_of_an_impulse(make):
    rnn = make()
    nu = {name: 0.4 + 0.1 * i for i, name in enumerate(rnn.program().symbols)}
    impulse = np.array([1.0, 0.0, 0.0])[None, :, None]
    limit = Kernel(rnn, **nu).ntk(impulse, impulse)[0, :, 0]
    for t, s in ((0, 0), (1, 1), (2, 2), (0, 2), (1, 2)):
        mean = ntk_mean(rnn, KernelEntry(t, s)).formula
        at_width = mean.compile()(n=1e10, **{name: x for name, x in nu.items() if name in mean.symbols})
        assert float(at_width) == pytest.approx(limit[t, s], rel=1e-6, abs=1e-4)
