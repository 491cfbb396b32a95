"""The untied twin of a recursion: declared as one would by hand, equal where weights are met once."""

import numpy as np
import pytest

from wideproof.derive import models
from wideproof.derive.language.variants import changed, untied
from wideproof.numeric import Kernel

NU = {"nu_W": 0.8, "nu_F": 1.0, "nu_C": 1.0, "nu_b": 0.1}
X = np.random.default_rng(0).standard_normal((2, 3, 2))


def test_the_twin_is_the_model_declared_untied():
    assert untied(models.elman()) == models.elman(tied=False).program()
    assert untied(untied(models.elman())) == untied(models.elman())
    program = models.stacked().program()
    assert changed(program, lambda p: p) == program


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_the_kernels_differ_between_times_and_agree_on_one_step(quantity):
    tied, fresh = (getattr(Kernel(p, **NU), quantity)(X) for p in (models.elman(), untied(models.elman())))
    assert np.allclose(tied[:, 0, :, 0], fresh[:, 0, :, 0], rtol=1e-12)
    assert np.max(np.abs(tied[:, 2, :, 1] - fresh[:, 2, :, 1])) > 0.01
