"""The independent audit: importing it registers what each kind of claim means, in values and not in rules."""

from ..proof import Proof
from . import adjoint, algebra, bounds, conditioning, finite_width, memory, momentum, transposes  # noqa: F401
from .steps import audit, audit_step, check, worlds

Proof.auditors.append(audit)

__all__ = ["audit", "audit_step", "check", "worlds"]
