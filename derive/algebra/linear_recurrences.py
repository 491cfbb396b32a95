"""Linear recurrences in a symbolic lag, solved by divided differences and proved by induction.

m_{j+1} = A m_j with triangular A is solved by (A^j)_{ik} = sum over dependency paths i -> ... -> k of
(product of the weights on the path) x (divided difference of x^j at the diagonal entries on the path), which
holds for equal and zero diagonal entries alike. Its induction is one identity, `PowerDD.stepped`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import j as LAG

EXPANDED_DEGREE = 12


class PowerDD(sp.Function):
    """The divided difference of x^j at the nodes (l_0, ..., l_k): h_{j-k}(l_0, ..., l_k), and 0 for j < k.

    One node gives l^j, two equal ones j l^{j-1} (0 at j = 0, also for l = 0), two different ones
    (a^j - b^j)/(a - b). Nodes are kept sorted; `.doit()` is the textbook form. A power of one node is written out for
    a symbol only: SymPy writes (1/2)^j in two ways, 2^{-j} beside a number, which it does not take for equal.
    """

    @classmethod
    def eval(cls, j: sp.Expr, *nodes: sp.Expr) -> sp.Expr | None:
        """Canonical node order; values at integer j; one node is a power."""
        if not nodes:
            raise ValueError("PowerDD needs at least one node")
        if len(nodes) == 1 and (nodes[0].is_Symbol or nodes[0] in (0, 1) or j.is_Integer):
            return nodes[0] ** j
        ordered = tuple(sorted(nodes, key=sp.default_sort_key))
        order = len(nodes) - 1
        if j.is_Integer:
            return _complete_homogeneous(int(j) - order, ordered)
        if all(node == 0 for node in nodes):
            return sp.KroneckerDelta(j, order)
        return cls(j, *ordered) if ordered != tuple(nodes) else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Differentiating by a node repeats it; the lag is an integer, so there is no derivative by it."""
        if argindex == 1:
            raise sp.core.function.ArgumentIndexError(self, argindex)
        return PowerDD(self.args[0], *self.args[1:], self.args[argindex - 1])

    def _eval_is_real(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None

    def _eval_is_nonnegative(self) -> bool | None:
        return True if all(a.is_nonnegative for a in self.args) else None

    def doit(self, **hints: Any) -> sp.Expr:
        """The textbook form, valid where no base 0 meets a negative power and different symbols differ."""
        j, *nodes = (a.doit(**hints) for a in self.args) if hints.get("deep", True) else self.args
        x = sp.Dummy("x", nonnegative=True)
        if len(count := Counter(nodes)) == 1 and nodes[0].is_positive is not None:
            order = len(nodes) - 1
            falling = sp.prod([j - i for i in range(order)]) / sp.factorial(order)
            return falling * nodes[0] ** (j - order)
        total = sp.S.Zero
        for node, times in count.items():
            others = sp.prod([(x - other) ** -power for other, power in count.items() if other != node])
            total += sp.diff(x**j * others, x, times - 1).subs(x, node) / sp.factorial(times - 1)
        return sp.powsimp(total)

    def _eval_simplify(self, **kwargs: Any) -> sp.Expr:
        return self.doit()

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        written = self.doit()
        body = printer._print(written)
        body = rf"\left({body}\right)" if written.is_Add or exp else body
        return f"{body}^{{{exp}}}" if exp else body


def textbook(expr: sp.Expr) -> sp.Expr:
    """The same with every divided difference written out; sums stay as they are."""
    return expr.xreplace({power: power.doit() for power in expr.atoms(PowerDD)})


def _complete_homogeneous(degree: int, nodes: tuple[sp.Expr, ...]) -> sp.Expr | None:
    """h_degree(nodes), by multiplying the series 1/(1 - node x); None where the polynomial would be huge."""
    if degree < 0:
        return sp.S.Zero
    if len(set(nodes)) == 1:
        order = len(nodes) - 1
        return sp.binomial(degree + order, order) * nodes[0] ** degree
    if degree > EXPANDED_DEGREE and not all(node.is_number for node in nodes):
        return None
    row = [sp.S.One] + [sp.S.Zero] * degree
    for node in nodes:
        for d in range(1, degree + 1):
            row[d] = sp.expand(row[d] + node * row[d - 1])
    return row[degree]


@dataclass(frozen=True)
class LinearRecurrence:
    """m_{j+1}[i] = sum_k step[i][k] m_j[k], m_0 = base."""

    step: Mapping[Hashable, Mapping[Hashable, sp.Expr]]
    base: Mapping[Hashable, sp.Expr]

    def reaches(self, start: Hashable) -> set[Hashable]:
        """The unknowns that `start` depends on, itself included."""
        seen, todo = {start}, [start]
        while todo:
            for k, weight in self.step[todo.pop()].items():
                if weight != 0 and k not in seen:
                    seen.add(k)
                    todo.append(k)
        return seen

    def paths(self, start: Hashable) -> Iterator[tuple[sp.Expr, tuple[sp.Expr, ...], Hashable]] | None:
        """(weight, nodes, end) of every dependency path, or None where unknowns feed each other in a circle."""
        cyclic = any(k != i and i in self.reaches(k) for i in self.reaches(start) for k in self.reaches(i))
        return None if cyclic else self._walk(start, sp.S.One, ())

    def _walk(
        self, i: Hashable, weight: sp.Expr, nodes: tuple[sp.Expr, ...]
    ) -> Iterator[tuple[sp.Expr, tuple[sp.Expr, ...], Hashable]]:
        nodes = (*nodes, self.step[i].get(i, sp.S.Zero))
        yield weight, nodes, i
        for k, w in self.step[i].items():
            if k != i and w != 0:
                yield from self._walk(k, weight * w, nodes)

    def solve(self, target: Hashable) -> sp.Expr | None:
        """The closed form of m_j[target] in the symbol j, or None: no triangular order exists."""
        paths = self.paths(target)
        if paths is None:
            return None
        return sp.Add(*(w * self.base[end] * PowerDD(LAG, *nodes) for w, nodes, end in paths))

    def prove(self, target: Hashable) -> None:
        """Induction on j: base and step of every closed form that `target` needs simplify to zero."""
        for i in self.reaches(target):
            closed = self.solve(i)
            if closed is None:
                raise ProofError(
                    f"closed form of {i}", "a triangular system", "a coupled block", "Keep the recurrence."
                )
            gaps = {"base": closed.subs(LAG, 0) - self.base[i], "step": self._step_gap(i)}
            for where, gap in gaps.items():
                if sp.expand(gap) != 0:
                    raise ProofError(f"induction, {where} of {i}", "0", gap, "The closed form is wrong.")

    def _step_gap(self, i: Hashable) -> sp.Expr:
        """closed_i(j + 1) - sum_k step[i][k] closed_k(j), using DD(j+1; n, l) = l DD(j; n, l) + DD(j; n)."""
        own = self.step[i].get(i, sp.S.Zero)
        paths = self.paths(i)
        assert paths is not None
        after = sp.Add(*(w * self.base[end] * _stepped(nodes, own) for w, nodes, end in paths))
        before = sp.Add(*(w * closed for k, w in self.step[i].items() if (closed := self.solve(k)) is not None))
        return after - before


def _stepped(nodes: tuple[sp.Expr, ...], node: sp.Expr) -> sp.Expr:
    """PowerDD(j + 1; nodes) written at j, by taking one occurrence of `node` out."""
    rest = list(nodes)
    rest.remove(node)
    return node * PowerDD(LAG, *nodes) + (PowerDD(LAG, *rest) if rest else 0)
