"""The report of a recursion that is not the linear RNN: its kernels derived, proved, measured and typeset."""

from wideproof.reports.sections.nonlinear.assembly import document
from wideproof.reports.sections.nonlinear.run import KernelRun, run_kernels

__all__ = ["KernelRun", "document", "run_kernels"]
