"""Finite width, in Coq: moments of the impulse response and of the empirical tangent kernel."""

from wideproof.derive.certificate.exporters.finite_width import kernels, responses  # noqa: F401 (they register)
