"""A Gaussian matrix known only through its products: the conditioning rule, written once for all samplers.

The law of W v given all earlier products is derived in `derive.alternating.conditioning`; here it is used as an
algorithm, right and left products alike.  What a fresh Gaussian vector is (n numbers, or few coordinates in a growing
basis) is left to the subclasses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from wideproof.numeric.core.arrays import Array, Namespace


class Products:
    """Orthonormal queries on one side of a matrix and its products with them, both (..., k, n), row by row.

    In a batch a query that is new in some trials only is a zero row in the others.
    """

    def __init__(self, xp: Namespace, leading: tuple[int, ...], size: int) -> None:
        self._xp, self.count = xp, 0
        self._rows = xp.zeros((2, *leading, 2, size))

    @property
    def queries(self) -> Array:
        """The unit queries.  Shapes: (..., k, n)."""
        return self._rows[0, ..., : self.count, :]

    @property
    def images(self) -> Array:
        """The products with the queries.  Shapes: (..., k, n)."""
        return self._rows[1, ..., : self.count, :]

    def append(self, query: Array, image: Array) -> None:
        """Keep one more query and its product.  Shapes: (..., n), (..., n)."""
        if self.count == self._rows.shape[-2]:
            self._rows = self._xp.concat([self._rows, self._xp.zeros_like(self._rows)], axis=-2)
        self._rows[0, ..., self.count, :] = query
        self._rows[1, ..., self.count, :] = image
        self.count += 1

    def widen(self, extra: int) -> None:
        """Give every vector `extra` further coordinates, all zero."""
        zeros = self._xp.zeros((*self._rows.shape[:-1], extra))
        self._rows = self._xp.concat([self._rows, zeros], axis=-1)

    def project(self, v: Array) -> tuple[Array, Array]:
        """Write v = Σ coordinate · query + rest.  Shapes: v (..., n) -> (..., k), (..., n)."""
        coordinates = along(self._xp, self.queries, v)
        return coordinates, v - combined(self._xp, coordinates, self.queries)

    def direction(self, rest: Array, new: Array) -> tuple[Array, Array, Array]:
        """Write rest = Σ coordinate · query + length · unit, the unit vector orthogonal to all queries.

        Shapes: rest (..., n), new (...) -> (..., k), (..., n), (...); all zero where not new.
        Error: rounding, as this is the second pass of Gram-Schmidt ("twice is enough").
        """
        xp, length = self._xp, _norm(self._xp, rest)
        coordinates, unit = self.project(rest / xp.where(new, length, xp.ones_like(length))[..., None])
        norm = _norm(xp, unit)
        new = new & (norm > 0.5)  # a rest of rounding errors alone does not survive
        length = xp.where(new, length, xp.zeros_like(length))
        unit = xp.where(new[..., None], unit / xp.where(new, norm, xp.ones_like(norm))[..., None], 0.0 * unit)
        return length[..., None] * coordinates, unit, length * norm


class RevealedMatrix(ABC):
    """An n × n matrix of independent N(0, deviation²) entries, drawn along the directions it is asked about.

    Shapes: vectors (..., n), the leading axes are independent matrices.  Units: of an entry times a vector.
    Error: rounding; the joint law of all answers is the dense one at every n ≥ 1, up to queries within
    absolute + relative · length of earlier ones.  Source: derive.alternating.conditioning.
    """

    def __init__(
        self, xp: Namespace, leading: tuple[int, ...], size: int, deviation: float, absolute: float, relative: float
    ) -> None:
        self._xp, self.deviation, self.tolerance, self.relative = xp, deviation, absolute, relative
        self.dropped = 0.0
        self.right, self.left = Products(xp, leading, size), Products(xp, leading, size)

    @abstractmethod
    def fresh(self) -> Array:
        """A new vector of n independent N(0, 1) entries.  Shapes: (..., n)."""

    def pad(self, vector: Array) -> Array:
        """The vector in the coordinates as they are now."""
        return vector

    def apply(self, v: Array) -> Array:
        """W v, drawing the image of what is new in v.  Shapes: (..., n) -> (..., n)."""
        return self._product(self.right, self.left, v)

    def apply_transpose(self, u: Array) -> Array:
        """Wᵀ u, by the same rule with the roles exchanged.  Shapes: (..., n) -> (..., n)."""
        return self._product(self.left, self.right, u)

    def _product(self, own: Products, other: Products, v: Array) -> Array:
        xp, v = self._xp, self.pad(v)
        coordinates, rest = own.project(v)
        length = _norm(xp, rest)
        new = length > self.tolerance + self.relative * _norm(xp, v)
        if not self.relative:  # under an absolute tolerance what is dropped is an error to report
            self.dropped = max(self.dropped, float(xp.max(xp.where(new, 0.0 * length, length))))
        if bool(xp.any(new)):
            more, length = self.learn(own, other, rest, new)
            coordinates = xp.concat([coordinates + more, length[..., None]], axis=-1)
        return combined(xp, coordinates, own.images)

    def learn(self, own: Products, other: Products, rest: Array, new: Array) -> tuple[Array, Array]:
        """Query the direction of a rest where it is new, and return the rest's coordinates in the queries of before.

        Shapes: rest (..., n), new (...) -> (..., k), and its length along the new query, (...).
        """
        more, unit, length = own.direction(rest, new)
        image = self.image(unit, other)
        own.append(self.pad(unit), self._xp.where((length > 0)[..., None], image, 0.0 * image))
        return more, length

    def image(self, unit: Array, other: Products) -> Array:
        """W times a unit vector orthogonal to its queries: what the other side tells, and noise beyond it.

        With U the queries of the other side and Z their products: U Zᵀ v + (I − U Uᵀ) g.
        """
        told = along(self._xp, other.images, unit)
        noise = self.deviation * self.fresh()  # may widen the coordinates
        return noise + combined(self._xp, told - along(self._xp, other.queries, noise), other.queries)


def along(xp: Namespace, rows: Array, v: Array) -> Array:
    """Inner products of a vector with rows.  Shapes: (..., k, n), (..., n) -> (..., k)."""
    return xp.matmul(rows, v[..., None])[..., 0]


def combined(xp: Namespace, coordinates: Array, rows: Array) -> Array:
    """Σ coordinate · row.  Shapes: (..., k), (..., k, n) -> (..., n)."""
    return xp.matmul(coordinates[..., None, :], rows)[..., 0, :]


def _norm(xp: Namespace, v: Array) -> Array:
    return xp.sqrt(xp.sum(v * v, axis=-1))
