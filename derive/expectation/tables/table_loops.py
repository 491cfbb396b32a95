"""The text of loops that sum tables over the lanes of a chunk of columns, for the sweeps that are written as text.

A row contracts the core with its basis once, for all columns. Over the lanes of a chunk, two orders of Clenshaw's sum
at a time, four terms of the rank a loop: the coefficients stay in registers, the bases of the columns in the first
cache, and the lanes are vectors. Two orders share what they load; that, and 64 lanes, was the quickest of the forms
tried, 9 products a nanosecond beside 6.5 for one order and 32 lanes (a busy core, by turns).
"""

from __future__ import annotations


def contracted(prefix: str) -> list[str]:
    """Lines that contract the cores with the bases of rows start to stop, at all steps: `PREFIX_terms`."""
    return CONTRACTED.format(p=prefix).splitlines()


def summed(slot: int, law: int, covariance: str) -> list[str]:
    """Lines that write `found[slot]` from the covariances `kept[covariance]`, of `swept_means.Loaded` at a step."""
    groups = [
        "        six, upper = 6 * (rank % 4 // 2), k * wide",
        _group(6, "if six:", "n = 0", "="),
        _group(4, "else:", "n = 0", "="),
        _group(4, "for n in range(six if six else 4, rank, 4):", "pass", "+="),
    ]
    return SUMMED.format(e=slot, law=law, c=covariance, groups="\n".join(groups)).splitlines()


def _group(count: int, head: str, place: str, how: str) -> str:
    """Lines that add so many terms of the rank to two orders."""
    loads = [f"    {name}{n} = terms[{order} + n + {n}]" for n in range(count) for name, order in ORDERS]
    sums = [" + ".join(f"{name}{n} * column_table[at + n + {n}, skip + j]" for n in range(count)) for name, _ in ORDERS]
    lines = [head, f"    {place}", *loads, "    for j in range(width):"]
    lines += [f"        {to}[j] {how} {terms}" for to, terms in zip(("high", "low"), sums, strict=True)]
    return "\n".join("        " + line for line in lines)


ORDERS = (("d", "upper"), ("e", "upper - wide"))

CONTRACTED = """{p}_rows, {p}_columns, {p}_cores, {p}_shapes, {p}_layers = {p}_tables
{p}_terms = np.zeros((stop - start, *{p}_shapes.shape[:2], {p}_cores.shape[3]))
for i in range(start, stop):
    for at in range({p}_shapes.shape[0]):
        for e in range({p}_shapes.shape[1]):
            shape, whole = {p}_shapes[at, e], {p}_terms[i - start, at, e]
            core = {p}_cores[e, shape[0]]
            for m in range(shape[3]):
                share = {p}_rows[i, at, e, 5 + m]
                for n in range(core.shape[1]):
                    whole[n] += share * core[m, n]"""

SUMMED = """terms, shape, at = all_terms[{e}], all_shapes[{e}], {e} * (column_table.shape[0] // all_shapes.shape[0]) + 5
shift, part, mean, slope = row_table[{e}, 0], row_table[{e}, 1], row_table[{e}, 2], row_table[{e}, 3]
layer, rank, wide = all_layers[{e}], shape[4], column_table.shape[0] // all_shapes.shape[0] - 5
if shape[5] == 0:
    for j in range(width):
        scaled = kept[{c}, j] * shift * column_table[at - 5, skip + j]
        widest = part * column_table[at - 4, skip + j]
        least = math.sqrt(1.0 - widest)
        turned = math.sqrt(1.0 - min(scaled * scaled, widest)) - least
        angles[{law}, 0, j] = scaled
        angles[{law}, 1, j] = 2.0 - 4.0 * (1.0 + layer) * turned / (turned + layer * max(1.0 - least, 1e-300))
for j in range(width):
    found[{e}, j] = mean * column_table[at - 3, skip + j] + slope * column_table[at - 2, skip + j] * kept[{c}, j]
for parity in range(2):
    lowest, count = parity * shape[1], shape[1 + parity]
    if count == 0:
        continue
    for j in range(width):
        one[j] = 0.0
        two[j] = 0.0
    for k in range(lowest + count - 1, lowest, -2):
{groups}
        for j in range(width):
            twice, last = angles[{law}, 1, j], one[j]
            middle = high[j] + (twice * last - two[j])
            two[j] = middle
            one[j] = low[j] + (twice * middle - last)
    for j in range(width):
        scaled = angles[{law}, 0, j]
        power = scaled * scaled if parity == 0 else scaled * scaled * scaled
        found[{e}, j] += power * (one[j] - 0.5 * angles[{law}, 1, j] * two[j])"""
