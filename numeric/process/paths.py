"""Sample paths of a derived process: every Gaussian form by conditioning on the earlier ones, every state by its map.

Covariances of products are means over the paths themselves, so the law is found step by step together with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from wideproof.derive.language.program import Previous
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.block_cholesky import Revealed
from wideproof.numeric.process.layout import Law, Layout, evaluate, within_step

Normals = Callable[[int], Array]
"""Gives the next so many independent standard normal variables, (paths, N)."""


@dataclass
class Paths:
    """One set of M paths of a process for N sequences of T steps, each path driven by the same products.

    Backward states are zero from the end of their sequence on.
    Shapes: X (N, T, n_x), ends (N,); values (M, N).  Units: those of the recursion.  Error: that of means over M paths.
    Source: yang2020tensor2, master theorem, through derive.calculus.gaussian_process.
    """

    layout: Layout
    xp: Any
    X: Array
    normals: Normals
    count: int
    ends: Array
    forms: dict[Any, Array] = field(default_factory=dict)
    known: dict[Any, Array] = field(default_factory=dict)
    moments: dict[Any, Array] = field(default_factory=dict)
    revealed: dict[int, Revealed] = field(default_factory=dict)
    blocks: dict[int, list[tuple[sp.Symbol, int, Array]]] = field(default_factory=dict)

    def run(self) -> None:
        """Take all steps."""
        for step in range(self.X.shape[1]):
            for state in self.layout.bodies:
                self.value(state, self.X.shape[1] - 1 - step if self.layout.backward(state) else step)

    def value(self, process: sp.Expr, step: int) -> Array:
        """A process at a step, as the update of that step reads it.  Shapes: (M, N)."""
        key = (process, step)
        if key not in self.known:
            with within_step(self.layout.program, step):
                self.known[key] = self._value(process, step)
        return self.known[key]

    def _value(self, process: sp.Expr, step: int) -> Array:
        body = self.layout.bodies.get(process)
        if body is not None and not 0 <= step < self.X.shape[1]:
            return self._initial(process)
        expr = self.layout.in_forms(process) if body is None else body
        found = evaluate(expr, lambda symbol: self._read(symbol, step))
        if self.layout.backward(process):
            found = found * (step < self.ends)
        return found if hasattr(found, "shape") else self.xp.full((self.count, self.X.shape[0]), found)

    def _read(self, symbol: sp.Symbol, step: int) -> Array:
        if symbol in self.layout.forms:
            return self._form(symbol, step)
        term = self.layout.program.table[symbol]
        if isinstance(term, Previous):
            return self.value(self.layout.program.updated[term.state], step + term.state.back)
        return self.value(symbol, step)

    def _initial(self, state: sp.Expr) -> Array:
        within, between = self.layout.start(state)
        shape = (self.count, self.X.shape[0])
        total = self.xp.zeros(shape)
        for variance, draws in ((between, 1), (within - between, shape[1])):
            if variance > 0:
                total = total + variance**0.5 * self.normals(draws)
        return total

    # ---- Gaussian forms -------------------------------------------------------------------------------
    def _form(self, name: sp.Symbol, step: int) -> Array:
        if (name, step) not in self.forms:
            form, group = self.layout.forms[name], self.layout.groups[name]
            own = self._covariance(name, step, name, step)  # may reveal forms of this group that it reads
            earlier = self.blocks.setdefault(group, [])
            cross = [self._covariance(name, step, other, past) for other, past, _ in earlier]
            factors = self.revealed.setdefault(group, Revealed()).append(cross, own)
            noise = [z for _, _, z in earlier] + [self.normals(self.X.shape[0])]
            earlier.append((name, step, noise[-1]))
            self.forms[name, step] = form.mean + sum(z @ factor.T for z, factor in zip(noise, factors, strict=True))
        return self.forms[name, step]

    def _covariance(self, first: sp.Symbol, step: int, second: sp.Symbol, other: int) -> Array:
        """Cov of two forms over all pairs of sequences.  Shapes: (N, N)."""
        total = self.xp.zeros((self.X.shape[0],) * 2)
        for c, weight in self.layout.forms[first].weights:
            for d, factor in self.layout.forms[second].weights:
                law = self.layout.laws.get((c, d))
                if law is not None:
                    with within_step(self.layout.program, max(step, other)) as finite:
                        total = finite(total + weight * factor * self.law(law, step, other))
        return total

    def law(self, law: Law, step: int, other: int) -> Array:
        """The value of a law at two steps.  Shapes: (N, N)."""
        size = self.X.shape[0]
        if law.redrawn and step != other:
            return self.xp.zeros((size, size))
        if law.gram:
            return law.weight * (self.X[:, step, :] @ self.X[:, other, :].T)
        if law.moment is None:
            return self.xp.full((size, size), law.weight)
        return law.weight * self.moment(*law.moment, step, other)

    def moment(self, u: sp.Expr, v: sp.Expr, step: int, other: int) -> Array:
        """The mean of u_step v_other over the paths.  Shapes: (N, N)."""
        key = (u, v, step, other)
        if key not in self.moments:
            turned = (v, u, other, step)
            if turned in self.moments:
                self.moments[key] = self.moments[turned].T
            else:
                self.moments[key] = self.value(u, step).T @ self.value(v, other) / self.count
        return self.moments[key]
