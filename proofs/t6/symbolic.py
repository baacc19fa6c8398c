"""T6, derived cell by cell: what is computed from a view, at random or not, is no better than the view."""

from __future__ import annotations

from sympy import QQ, ring

from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
SIZES = ((2, 2), (2, 3), (3, 2), (3, 3), (4, 2))
"""Numbers of views before and after."""


def processed(differences: list[Poly], kernel: list[list[Poly]]) -> list[Poly]:
    """Differences of the processed views: `sum_v x_v k(w | v)`."""
    return [sum(x * row[w] for x, row in zip(differences, kernel, strict=True)) for w in range(len(kernel[0]))]


def run() -> str:
    """Derive T6 in every sign cell of the sizes named above."""
    cells = sum(size(*shape) for shape in SIZES)
    return (
        f"for up to 4 views before and 3 after ({cells} sign cells): advantage before minus advantage after is a sum "
        "of kernel entries times absolute differences, whatever the two worlds' views and the kernel"
    )


def size(before: int, after: int) -> int:
    """One size; returns the number of sign cells."""
    names = [f"x{v}" for v in range(before)] + [f"k{v}{w}" for v in range(before) for w in range(1, after)]
    _, *symbols = ring(names, QQ)
    x, free = symbols[:before], iter(symbols[before:])
    kernel = []
    for _ in range(before):
        row = [next(free) for _ in range(1, after)]
        kernel.append([1 - sum(row), *row])
    y = processed(x, kernel)
    cells = 0
    for signs in sign_patterns([*x, *y]):
        cell = Cell([*signs, *(k for row in kernel for k in row)])
        lost = [
            (kernel[v][w], cell.absolute(x[v]))
            for v in range(before)
            for w in range(after)
            if cell.sign(x[v]) != cell.sign(y[w])
        ]
        cell.nonnegative(cell.half_l1(x) - cell.half_l1(y), lost, "processing raises the advantage")
        cells += 1
    return cells
