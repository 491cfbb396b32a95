"""The text of loops that sum tables over the lanes of a chunk of columns, for the sweeps that are written as text.

A row contracts the core with its basis once, for all columns. A vector of lanes takes two orders of Clenshaw's sum at a
time: the bases of the columns stay in registers for all orders, which have no fewer terms the lower they are, and the
coefficients of the row are read from memory, each for a whole vector; beyond sixteen terms, the others are added one by
one. The derivative by the covariance takes the same products (`derive.expectation.tables.covariance_slopes`).
"""

from __future__ import annotations

from collections.abc import Sequence

from wideproof.derive.expectation.swept_means import Slot
from wideproof.derive.expectation.tables.lane_vectors import LANES, of_lanes

RANKS = (4, 6, 8, 10, 12, 14, 16)
"""Terms whose bases are held in registers; orders of more take the others one by one."""


def contracted(prefix: str) -> list[str]:
    """Lines that contract the cores with the bases of rows start to stop, at all steps: `PREFIX_terms`."""
    each = {
        name: "\n".join(line.format(n=n, p=prefix, lanes=LANES) for n in range(4)) for name, line in VECTORS.items()
    }
    return of_lanes(CONTRACTED.format(p=prefix, lanes=LANES, **each), LANES).splitlines()


def summed(n: int, slot: Slot, covariance: str, lanes: int = LANES) -> list[str]:
    """Lines that write an expectation from the covariances `work[covariance]`, of `swept_means.Loaded` at a step.

    So many lanes are a vector.
    """
    sloped = slot.slope is not None
    parts = {"e": n, "c": covariance, "value": WORK + slot.value, "slope": WORK + (slot.slope or 0), "lanes": lanes}
    filled = {name: text.format(**parts) if sloped else "" for name, text in SLOPED.items()}
    orders = "\n".join("        " + line for line in _orders(RANKS, 0, sloped))
    whole = SUMMED.format(**parts, orders=orders, **filled)
    return [line for line in of_lanes(whole, lanes).splitlines() if line.strip()]


def _orders(ranks: tuple[int, ...], held: int, sloped: bool) -> list[str]:
    """Lines of Clenshaw's sum from the order k on, of which so many terms' bases are held in registers."""
    rank, *more = ranks
    again = f"k > lowest and all_shapes[table, {PLACE}] {'==' if more else '>='} {rank}"
    lines = [f"b{n} = lanes(column_table, (at + {n}, here))" for n in range(held, rank)]
    lines += [f"while {again}:", *("    " + line for line in _two(rank, not more, sloped))]
    if more:
        lines += ["if k > lowest:", *("    " + line for line in _orders(tuple(more), rank, sloped))]
    return lines


def _two(rank: int, others: bool, sloped: bool) -> list[str]:
    """Lines that take two orders of the sum, and of its derivative, by so many terms, and by others one by one."""
    lines = ["upper, lower, k = k * wide, k * wide - wide, k - 2"]
    lines += [f"{name} = {_sum(place, rank)}" for name, place in ORDERS]
    if others:
        lines += [
            f"for n in range({rank}, all_shapes[table, 5 + (k >> 1)]):",
            "    beyond = lanes(column_table, (at + n, here))",
            *(f"    {name} = {name} + share(all_terms, (table, {place} + n)) * beyond" for name, place in ORDERS),
        ]
    lines.append("middle = (high - lost) + twice * last")
    if sloped:
        lines += [
            "turned = (last - gone) + twice * turning",
            "turning, gone = (middle - turning) + twice * turned, turned",
        ]
    return [*lines, "last, lost = (low - last) + twice * middle, middle"]


def _sum(place: str, rank: int) -> str:
    """The sum of terms, of even and of odd ones, so that neither waits for the other."""
    terms = [f"share(all_terms, (table, {place} + {n})) * b{n}" for n in range(rank)]
    return f"({' + '.join(terms[::2])}) + ({' + '.join(terms[1::2])})"


def started(slots: Sequence[Slot]) -> list[str]:
    """Lines that make room for the tables of one sequence, `swept_means.Whole`, its variances and its columns."""
    return STARTED.format(count=len(slots)).splitlines()


def at_time(slots: Sequence[Slot], row: str, column: str) -> list[str]:
    """Lines that work out what a sequence contributes at time t, where its variances are so many letters of each side.

    Not a number where one is outside the range of the tables.
    """
    places = [(row.format(slot.row), column.format(slot.column)) for slot in slots]
    read = [f"variances[{side}, {e}] = {place}" for e, both in enumerate(places) for side, place in enumerate(both)]
    return [*read, *AT_TIME.splitlines()]


WORK = 3
"""Rows of lanes of the array `work`: w, 2 y and the derivative of 2 y; then the expectations of a step, and letters."""
PLACE = "np.uint64(4) + (np.uint64(k) >> np.uint64(1))"
"""Where `Loaded.shapes` says how many terms an order k takes; signed, it would be asked whether it is negative."""
ORDERS = (("high", "upper"), ("low", "lower"))

CONTRACTED = """{p}_rows, {p}_columns, {p}_cores, {p}_shapes, {p}_layers = {p}_tables
{p}_width = {p}_columns.shape[2] // max(1, {p}_shapes.shape[1])
{p}_terms = np.empty(({p}_shapes.shape[0], stop - start, {p}_shapes.shape[1], {p}_cores.shape[3]))
for at in range({p}_shapes.shape[0]):
    for i in range(start, stop):
        for e in range({p}_shapes.shape[1]):
            table = {p}_shapes[at, e, 0]
            taken = ({p}_shapes[at, e, 1] + {p}_shapes[at, e, 2]) * ({p}_width - 5)
            for n in range(0, taken, 4 * {lanes}):
{begin}
                for m in range({p}_shapes[at, e, 3]):
                    part = share({p}_rows, (i, at, e, 5 + m))
{add}
{keep}"""
"""Four vectors at a time, of which the last ones may be taken twice."""

VECTORS = {
    "begin": "                at{n}, sum{n} = min(n + {n} * {lanes}, taken - {lanes}), spread(0.0)",
    "add": "                    sum{n} = sum{n} + part * lanes({p}_cores, (e, table, m, at{n}))",
    "keep": "                keep({p}_terms, (at, i - start, e, at{n}), sum{n})",
}
"""The lines of a vector."""

STARTED = """sides, ends, cores, all_shapes, all_layers = tables
variances, values = np.empty((2, {count})), np.empty((2, {count}, 2 + sides.shape[2]))
columns = np.empty((steps, {count} * values.shape[2], 1))
all_terms, row_table, table_width = np.empty(({count}, cores.shape[2])), values[0], values.shape[2]"""

AT_TIME = """for e in range(variances.shape[1]):
    least, most, softening, first, last = ends[e]
    for side in range(2):
        variance, series, value = variances[side, e], sides[side, e], values[side, e]
        if not least <= variance <= most:
            variance = math.nan
        value[0], value[1] = 1.0 / math.sqrt(softening + variance), variance / (softening + variance)
        twice = 2.0 * (2.0 * math.log(softening + variance) - first - last) / (last - first)
        for m in range(series.shape[0]):
            one = two = 0.0
            for order in range(series.shape[1] - 1, 0, -1):
                one, two = series[m, order] + twice * one - two, one
            value[2 + m] = series[m, 0] + 0.5 * twice * one - two
    for m in range(values.shape[2]):
        columns[t, e * values.shape[2] + m, 0] = values[1, e, m]
    for n in range(cores.shape[2]):
        whole = 0.0
        for m in range(cores.shape[1]):
            whole += values[0, e, 5 + m] * cores[e, m, n]
        all_terms[e, n] = whole"""

SLOPED = {
    "turn": """
    keep(work, (2, j), spread(4.0 * (1.0 + layer)) * within * scaled * over * inverse * softened)
    keep(work, ({slope}, j), spread(slope) * lanes(column_table, (at - 2, here)))""",
    "begin": """
        turning = gone = spread(0.0)""",
    "end": """
        turned = turning - spread(0.5) * (lost + twice * gone)
        softened = spread(shift) * lanes(column_table, (at - 5, here))
        more = spread(2.0) * scaled if parity == 0 else spread(3.0) * scaled * scaled
        steep = lanes(work, ({slope}, j)) + (more * softened * found + power * turned * lanes(work, (2, j)))
        keep(work, ({slope}, j), steep)""",
}
"""The lines of the derivative by the covariance."""

SUMMED = """table, at, wide = {e}, {e} * table_width + 5, table_width - 5
shift, part, mean, slope = row_table[{e}, 0], row_table[{e}, 1], row_table[{e}, 2], row_table[{e}, 3]
layer = all_layers[{e}]
for j in range(np.uint64(0), width, np.uint64({lanes})):
    here, unit, covariance = skip + j, spread(1.0), lanes(work, ({c}, j))
    softened = spread(shift) * lanes(column_table, (at - 5, here))
    scaled, widest = covariance * softened, spread(part) * lanes(column_table, (at - 4, here))
    least, longest = root(unit - widest), root(unit - lesser(scaled * scaled, widest))
    turned, within = longest - least, spread(layer) * greater(unit - least, spread(1e-300))
    inverse = unit / ((turned + within) * longest)
    over = inverse * longest
    value = spread(mean) * lanes(column_table, (at - 3, here))
    keep(work, (0, j), scaled)
    keep(work, (1, j), spread(2.0) - spread(4.0 * (1.0 + layer)) * turned * over)
    keep(work, ({value}, j), value + spread(slope) * lanes(column_table, (at - 2, here)) * covariance){turn}
for parity in range(2):
    lowest, count = parity * all_shapes[{e}, 1], all_shapes[{e}, 1 + parity]
    if count == 0:
        continue
    for j in range(np.uint64(0), width, np.uint64({lanes})):
        here, scaled, twice, k = skip + j, lanes(work, (0, j)), lanes(work, (1, j)), lowest + count - 1
        last = lost = spread(0.0){begin}
{orders}
        power = scaled * scaled if parity == 0 else scaled * scaled * scaled
        found = last - spread(0.5) * twice * lost
        keep(work, ({value}, j), lanes(work, ({value}, j)) + power * found){end}"""
