"""The independent audit: importing it registers what each kind of claim means, in values and not in rules."""

from wideproof.derive.audit import (  # noqa: F401 (each registers what its claims mean)
    adjoint,
    alternating,
    conditioning,
    finite_width,
    inequalities,
    matrix_equations,
    memory_horizon,
    momentum,
)
from wideproof.derive.audit.auditor import audit, audit_step, check, worlds
from wideproof.derive.proof.proof import Proof

Proof.auditors.append(audit)

__all__ = ["audit", "audit_step", "check", "worlds"]
