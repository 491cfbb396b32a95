"""What several sections on a recursion that is not the linear RNN need."""

from __future__ import annotations

from wideproof import derive
from wideproof.reports.sections.needs import derived

nngp = derived(derive.nngp)
ntk = derived(derive.ntk)
NAMES = {"nngp": "NNGP kernel", "ntk": "tangent kernel"}
