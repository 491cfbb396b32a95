"""The text of loops that sum tables over the lanes of a chunk of columns, for the sweeps that are written as text.

A row contracts the core with its basis once a step, for all columns: that of the second piece where one of them asks. A
vector of lanes takes two orders of Clenshaw's sum at a time: the bases of the columns stay in registers for all orders,
which have no fewer terms the lower they are, and the coefficients of the row are read from memory, each for a whole
vector; beyond sixteen terms, the others are added one by one. The derivative by the covariance takes the same products
(`derive.expectation.tables.covariance_slopes`).
"""

from __future__ import annotations

from collections.abc import Sequence

from wideproof.derive.expectation.swept_means import OWN, Slot
from wideproof.derive.expectation.tables.compiled_sweep import TINY
from wideproof.derive.expectation.tables.flat_cores import HEAD
from wideproof.derive.expectation.tables.lane_vectors import LANES, of_lanes

RANKS = (4, 6, 8, 10, 12, 14, 16)
"""Terms whose bases are held in registers; orders of more take the others one by one."""
SUMS = 8
"""Vectors of sums, of rows that are contracted together, that are held in registers."""


def room(prefix: str, steps: str) -> list[str]:
    """Lines that make room for what rows start to stop make of cores at so many steps, `PREFIX_terms`.

    `PREFIX_deep` says of each whether second pieces are among them.
    """
    return ROOM.format(p=prefix, steps=steps).splitlines()


def contracted(prefix: str, at: str, kept: str, rows: int) -> list[str]:
    """Lines that contract the first pieces of a step with the bases of rows start to stop, where they are kept."""
    lines = _contraction(
        terms=f"{prefix}_terms, ({kept}, {{i}} - start, e, ", rows=f"{prefix}_rows, ({{i}}, {at}, e, ",
        cores=f"{prefix}_cores, (e, {prefix}_shapes[{at}, e, 0], ", rank=f"{prefix}_shapes[{at}, e, 5]", count=rows,
    )  # fmt: skip
    begun = CONTRACTED.format(p=prefix, at=at, kept=kept, rows=rows).splitlines()
    return [*begun, *("        " + line for line in lines)]


def _contraction(terms: str, rows: str, cores: str, rank: str, count: int) -> list[str]:
    """Lines that write the terms from `before` to `after` of so many rows from `bunch` on, the last ones perhaps twice.

    A number of a core is read once for them; eight sums are held in registers.
    """
    vectors, places = range(SUMS // count), range(count)
    lines = [f"row{i} = min(bunch + {i}, stop - 1)" for i in places]
    lines += [f"for n in range(before, after, {len(vectors) * LANES}):"]
    lines += [f"    to{v} = min(n + {v * LANES}, after - {LANES})" for v in vectors]
    lines += [f"    sum{i}_{v} = spread(0.0)" for i in places for v in vectors]
    lines += [f"    for m in range({rank}):"]
    lines += [f"        core{v} = lanes({cores}m, to{v}))" for v in vectors]
    for i in places:
        lines.append(f"        part = share({rows.format(i=f'row{i}')}{OWN} + m))")
        lines += [f"        sum{i}_{v} = sum{i}_{v} + part * core{v}" for v in vectors]
    lines += [f"    keep({terms.format(i=f'row{i}')}to{v}), sum{i}_{v})" for i in places for v in vectors]
    return of_lanes("\n".join(lines), LANES).splitlines()


def summed(
    n: int, slot: Slot, covariance: str, lanes: int = LANES, diagonal: str | None = None, rows: int = 1
) -> list[str]:
    """Lines that write an expectation from the covariances `work[covariance]`, of `swept_means.Loaded` at a step.

    So many lanes are a vector; a single one has tables of one piece. `diagonal` is the lane of the row itself, if any.
    """
    sloped = slot.slope is not None
    parts = {"e": n, "c": covariance, "value": WORK + slot.value, "slope": WORK + (slot.slope or 0), "lanes": lanes,
             "diagonal": diagonal, "first": OWN, "rows": rows, "tiny": TINY,
             "series": 2 if lanes == 1 else "4 if asked else 2"}  # fmt: skip
    deeper = _contraction(
        terms=f"terms_of, ({{i}} - start, {n}, ", rows=f"table_of, ({{i}}, at_row, {n}, ", rank=f"all_shapes[{n}, 6]",
        cores=f"all_cores, ({n}, all_shapes[{n}, 0], ", count=rows,
    )  # fmt: skip
    parts |= {"deeper": "\n".join("    " + line for line in deeper)}
    used = {"sloped": sloped, "pieces": lanes > 1, "diagonal": lanes > 1 and diagonal is not None and slot.alike}
    used["diagonal slope"] = used["diagonal"] and sloped
    for when, texts in PARTS.items():
        parts |= {name: text.format(**parts) if used[when] else "" for name, text in texts.items()}
    orders = "\n".join("        " + line for line in _orders(RANKS, 0, sloped))
    whole = SUMMED.format(**parts, orders=orders)
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
    lines = ["upper, lower, k = shifted + k * wide, shifted + k * wide - wide, k - 2"]
    lines += [f"{name} = {_sum(place, rank)}" for name, place in ORDERS]
    if others:
        lines += [
            f"for n in range({rank}, all_shapes[table, {HEAD + 1} + (k >> 1)]):",
            "    beyond = lanes(column_table, (at + n, here))",
            *(f"    {name} = {name} + share(row_terms, (table, {place} + n)) * beyond" for name, place in ORDERS),
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
    terms = [f"share(row_terms, (table, {place} + {n})) * b{n}" for n in range(rank)]
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
    return [*read, *AT_TIME.format(first=OWN).splitlines()]


WORK = 3
"""Rows of lanes of the array `work`: w, 2 y and the derivative of 2 y; then the expectations of a step, and letters."""
PLACE = f"np.uint64({HEAD}) + (np.uint64(k) >> np.uint64(1))"
"""Where `Loaded.shapes` says how many terms an order k takes; signed, it would be asked whether it is negative."""
ORDERS = (("high", "upper"), ("low", "lower"))

ROOM = """{p}_rows, {p}_columns, {p}_cores, {p}_shapes, {p}_layers = {p}_tables
{p}_width = {p}_columns.shape[2] // max(1, {p}_shapes.shape[1])
{p}_terms = np.empty(({steps}, stop - start, {p}_shapes.shape[1], {p}_cores.shape[3]))
{p}_deep = np.zeros(({steps}, stop - start, {p}_shapes.shape[1]), dtype=np.bool_)"""

CONTRACTED = """{p}_deep[{kept}] = False
for bunch in range(start, stop, {rows}):
    for e in range({p}_shapes.shape[1]):
        before, after = 0, ({p}_shapes[{at}, e, 1] + {p}_shapes[{at}, e, 2]) * {p}_shapes[{at}, e, 7]"""

STARTED = """sides, ends, cores, all_shapes, all_layers = tables
variances, values = np.empty((2, {count})), np.empty((2, {count}, 2 + sides.shape[2]))
columns = np.empty((steps, {count} * values.shape[2], 1))
row_terms, row_table, table_width = np.empty(({count}, cores.shape[2])), values[0], values.shape[2]"""

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
            whole += values[0, e, {first} + m] * cores[e, m, n]
        row_terms[e, n] = whole"""

PARTS = {
    "pieces": {
        "asked": """
ends, asked = spread(2.0 * all_layers[{e}, 1]), False
for j in range(np.uint64(0), width, np.uint64({lanes})):
    asked = asked or not all_below(lanes(work, (1, j)), ends)
if asked and not all_deep[i - start, {e}]:
    bunch, before = i - (i - start) % {rows}, (all_shapes[{e}, 1] + all_shapes[{e}, 2]) * all_shapes[{e}, 7]
    for n in range(bunch, min(bunch + {rows}, stop)):
        all_deep[n - start, {e}] = True
    after = before + (all_shapes[{e}, 3] + all_shapes[{e}, 4]) * all_shapes[{e}, 8]
{deeper}""",
        "piece": """
    first = -1.0 if series < 2 else all_layers[{e}, 1]
    final = min(1.0, all_layers[{e}, 1]) if series < 2 else 1.0
    stretch = 2.0 / (final - first)""",
        "passed": """
        if all_below(twice, ends) if series >= 2 else not some_below(twice, ends):
            continue
        whole, twice = twice, spread(stretch) * twice - spread(stretch * (first + final))
        twice = lesser(greater(twice, spread(-2.0)), spread(2.0))""",
        "stretched": "spread(stretch) * ",
        "mine": """
        new = pick(whole, ends, new, old) if series < 2 else pick(whole, ends, old, new)""",
    },
    "sloped": {
        "turn": """
    keep(work, (2, j), spread(4.0 * (1.0 + layer)) * within * scaled * over * inverse * softened)
    keep(work, ({slope}, j), spread(slope) * lanes(column_table, (alone + 3, here)))""",
        "begun": """
        turning = gone = spread(0.0)""",
        "end": """
        turned = turning - spread(0.5) * (lost + twice * gone)
        softened = spread(shift) * lanes(column_table, (alone, here))
        more = spread(2.0) * scaled if parity == 0 else spread(3.0) * scaled * scaled
        old, rate = lanes(work, ({slope}, j)), {stretched}lanes(work, (2, j))
        new = old + (more * softened * found + power * turned * rate){mine}
        keep(work, ({slope}, j), new)""",
    },
    "diagonal": {
        "same": """
own = {diagonal}
same = own >= 0 and all_layers[{e}, 1] < 1.0 and abs(work[0, own] - part) <= 1e-12 * part
if same:
    work[1, own] = -2.0""",
        "known": """
if same:
    work[{value}, own] = row_table[{e}, 5]""",
    },
    "diagonal slope": {
        "steeper": """
if same:
    work[{slope}, own] = row_table[{e}, 6]"""
    },
}
"""Lines for derivatives by the covariance, for tables of two pieces, and for the lane of the row itself."""

SUMMED = """table, alone, at = {e}, {e} * table_width, {e} * table_width + {first}
shift, part, mean, slope = row_table[{e}, 0], row_table[{e}, 1], row_table[{e}, 2], row_table[{e}, 3]
layer = all_layers[{e}, 0]
for j in range(np.uint64(0), width, np.uint64({lanes})):
    here, unit, covariance = skip + j, spread(1.0), lanes(work, ({c}, j))
    softened = spread(shift) * lanes(column_table, (alone, here))
    scaled, widest = covariance * softened, spread(part) * lanes(column_table, (alone + 1, here))
    least, longest = root(unit - widest), root(unit - lesser(scaled * scaled, widest))
    turned, within = longest - least, spread(layer) * greater(unit - least, spread({tiny}))
    inverse = unit / ((turned + within) * longest)
    over = inverse * longest
    value = spread(mean) * lanes(column_table, (alone + 2, here))
    keep(work, (0, j), scaled)
    keep(work, (1, j), spread(2.0) - spread(4.0 * (1.0 + layer)) * turned * over)
    value = value + spread(slope) * lanes(column_table, (alone + 3, here)) * covariance
    keep(work, ({value}, j), value){turn}{same}{asked}
lowest = origin = 0
for series in range({series}):
    parity, count, wide = series & 1, all_shapes[{e}, 1 + series], all_shapes[{e}, 7 + (series >> 1)]
    if count == 0:
        continue
    shifted = origin - lowest * wide{piece}
    for j in range(np.uint64(0), width, np.uint64({lanes})):
        here, scaled, twice, k = skip + j, lanes(work, (0, j)), lanes(work, (1, j)), lowest + count - 1{passed}
        last = lost = spread(0.0){begun}
{orders}
        power = scaled * scaled if parity == 0 else scaled * scaled * scaled
        found = last - spread(0.5) * twice * lost
        old = lanes(work, ({value}, j))
        new = old + power * found{mine}
        keep(work, ({value}, j), new){end}
    lowest, origin = lowest + count, origin + count * wide{known}{steeper}"""
