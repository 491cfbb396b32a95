"""The independent audit: importing it registers what each kind of claim means, in values and not in rules."""

from wideproof.derive.audit import adjoint, alternating, conditioning, inequalities, memory_horizon, referee  # noqa: F401 (each registers what its claims mean)
from wideproof.derive.audit.auditor import audit, audit_step, check, worlds
from wideproof.derive.audit.linear import finite_width, matrix_equations, momentum  # noqa: F401
from wideproof.derive.audit.widths import polynomial_recursions, width_expansion  # noqa: F401
from wideproof.derive.proof.proof import Proof

Proof.auditors.append(audit)

__all__ = ["audit", "audit_step", "check", "worlds"]
