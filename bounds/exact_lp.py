"""Linear programmes solved exactly: HiGHS proposes a basis, rational arithmetic settles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import flint
import highspy
import numpy as np

from fairbound.bounds.errors import FairboundError


class LinearProgramError(FairboundError):
    """A linear programme is infeasible or unbounded."""


@dataclass(frozen=True)
class Row:
    """One constraint `sum_j coefficients[j] * x_j  (<= or =)  rhs`."""

    coefficients: Mapping[int, Fraction]
    sense: Literal["<=", "="]
    rhs: Fraction


@dataclass(frozen=True)
class Solution:
    """
    An exact optimum with its proof.

    Attributes
    ----------
    value : Fraction
        The optimum.
    x : tuple of Fraction, shape (n,)
        A maximiser.
    dual : tuple of Fraction, shape (rows,)
        Multipliers `y` (non-negative on ``<=`` rows) with `A^T y >= c` and `b^T y = value`.
    """

    value: Fraction
    x: tuple[Fraction, ...]
    dual: tuple[Fraction, ...]


def maximise(objective: Sequence[Fraction], rows: Sequence[Row]) -> Solution:
    """
    Maximise `c . x` over `x >= 0` subject to rows, exactly.

    HiGHS solves in floating point; its final basis is re-solved over the rationals and checked for primal and dual
    feasibility. If that basis is not exactly optimal, the rational simplex method (Bland's rule) goes on alone.

    Parameters
    ----------
    objective : sequence of Fraction, shape (n,)
    rows : sequence of Row

    Returns
    -------
    Solution
        Verified: primal and dual are feasible and their values are equal.

    Raises
    ------
    LinearProgramError
        If the programme is infeasible or unbounded.
    """
    basis = _float_basis(objective, rows)
    solution = None if basis is None else _solve_basis(objective, rows, basis)
    if solution is None or not verify(objective, rows, solution):
        solution = rational_simplex(objective, rows)
    if not verify(objective, rows, solution):
        raise AssertionError("the rational simplex method returned a pair that is not optimal")
    return solution


def verify(objective: Sequence[Fraction], rows: Sequence[Row], solution: Solution) -> bool:
    """Whether primal and dual are feasible with equal values (weak duality then proves optimality)."""
    x, dual = solution.x, solution.dual
    if any(v < 0 for v in x):
        return False
    reduced = list(objective)
    for row, multiplier in zip(rows, dual, strict=True):
        activity = sum((c * x[j] for j, c in row.coefficients.items()), Fraction(0))
        if activity > row.rhs or (row.sense == "=" and activity != row.rhs):
            return False
        if row.sense == "<=" and multiplier < 0:
            return False
        for j, c in row.coefficients.items():
            reduced[j] -= multiplier * c
    primal_value = sum((c * v for c, v in zip(objective, x, strict=True)), Fraction(0))
    dual_value = sum((row.rhs * m for row, m in zip(rows, dual, strict=True)), Fraction(0))
    return all(r <= 0 for r in reduced) and primal_value == dual_value == solution.value


def _float_basis(objective: Sequence[Fraction], rows: Sequence[Row]) -> list[int] | None:
    """Basic columns (variables, then one slack per row) of HiGHS's optimum; None if it found none."""
    n = len(objective)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n, len(rows)
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = np.array([float(c) for c in objective])
    lp.col_lower_, lp.col_upper_ = np.zeros(n), np.full(n, highspy.kHighsInf)
    lp.row_upper_ = np.array([float(row.rhs) for row in rows])
    lp.row_lower_ = np.array([float(row.rhs) if row.sense == "=" else -highspy.kHighsInf for row in rows])
    entries = [sorted(row.coefficients.items()) for row in rows]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *map(len, entries)])
    lp.a_matrix_.index_ = np.array([j for row in entries for j, _ in row], dtype=np.int32)
    lp.a_matrix_.value_ = np.array([float(c) for row in entries for _, c in row])
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.silent()
    solver.setOptionValue("presolve", "off")
    solver.passModel(lp)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    basis = solver.getBasis()
    basic = highspy.HighsBasisStatus.kBasic
    statuses = [*basis.col_status, *basis.row_status]
    return [j for j, status in enumerate(statuses) if status == basic]


def _column(rows: Sequence[Row], n: int, j: int) -> list[Fraction]:
    if j >= n:
        return [Fraction(int(i == j - n)) for i in range(len(rows))]
    return [row.coefficients.get(j, Fraction(0)) for row in rows]


def _matrix(columns: Sequence[Sequence[Fraction]], m: int) -> flint.fmpq_mat:
    entries = [flint.fmpq(col[i].numerator, col[i].denominator) for i in range(m) for col in columns]
    return flint.fmpq_mat(m, len(columns), entries)


def _fraction(value: flint.fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _solve_basis(objective: Sequence[Fraction], rows: Sequence[Row], basis: Sequence[int]) -> Solution | None:
    """Primal and dual solution of a basis, exact; None if the basis matrix is singular."""
    n, m = len(objective), len(rows)
    if len(basis) != m:
        return None
    matrix = _matrix([_column(rows, n, j) for j in basis], m)
    costs = [objective[j] if j < n else Fraction(0) for j in basis]
    try:
        values = matrix.solve(_matrix([[row.rhs for row in rows]], m))
        multipliers = matrix.transpose().solve(_matrix([costs], m))
    except ZeroDivisionError:
        return None
    x = [Fraction(0)] * n
    for position, j in enumerate(basis):
        if j < n:
            x[j] = _fraction(values[position, 0])
    dual = tuple(_fraction(multipliers[i, 0]) for i in range(m))
    value = sum((c * v for c, v in zip(objective, x, strict=True)), Fraction(0))
    return Solution(value, tuple(x), dual)


def rational_simplex(objective: Sequence[Fraction], rows: Sequence[Row]) -> Solution:
    """
    Two-phase simplex method over the rationals with Bland's rule; needs no floating point at all.

    Parameters and errors are those of `maximise`; slower, and independent of HiGHS.
    """
    n = len(objective)
    # An equality becomes two inequalities, so that every row has a slack and its dual is a reduced cost.
    halves: list[tuple[int, int]] = [(i, 1) for i in range(len(rows))]
    halves += [(i, -1) for i, row in enumerate(rows) if row.sense == "="]
    m = len(halves)
    tableau = []
    for k, (i, sign) in enumerate(halves):
        line = [Fraction(0)] * (n + m + 2)
        for j, c in rows[i].coefficients.items():
            line[j] = sign * c
        line[n + k] = Fraction(1)
        # One artificial variable x_0 with coefficient -1 in every row makes any right-hand side feasible.
        line[n + m] = Fraction(-1)
        line[-1] = sign * rows[i].rhs
        tableau.append(line)
    basis = [n + k for k in range(m)]
    artificial = n + m

    def pivot(r: int, j: int, costs: list[Fraction]) -> None:
        scale = tableau[r][j]
        tableau[r] = [v / scale for v in tableau[r]]
        for line in [*tableau[:r], *tableau[r + 1 :], costs]:
            if line[j]:
                factor = line[j]
                line[:] = [v - factor * w if w else v for v, w in zip(line, tableau[r], strict=True)]
        basis[r] = j

    def optimise(costs: list[Fraction], allowed: int) -> None:
        while True:
            entering = next((j for j in range(allowed) if costs[j] > 0), None)
            if entering is None:
                return
            candidates = [
                (line[-1] / line[entering], basis[r], r) for r, line in enumerate(tableau) if line[entering] > 0
            ]
            if not candidates:
                raise LinearProgramError("the linear programme is unbounded.")
            pivot(min(candidates)[2], entering, costs)

    if m and min(line[-1] for line in tableau) < 0:
        phase_one = [Fraction(0)] * (n + m + 2)
        phase_one[artificial] = Fraction(-1)
        worst = min(range(m), key=lambda r: tableau[r][-1])
        pivot(worst, artificial, phase_one)
        optimise(phase_one, artificial + 1)
        if phase_one[-1] != 0:
            raise LinearProgramError("the linear programme is infeasible.")
        if artificial in basis:
            r = basis.index(artificial)
            entering = next(j for j in range(artificial) if tableau[r][j])
            pivot(r, entering, phase_one)
    costs = [*objective, *[Fraction(0)] * (m + 2)]
    for r, j in enumerate(basis):
        if costs[j]:
            factor = costs[j]
            costs = [v - factor * w for v, w in zip(costs, tableau[r], strict=True)]
    optimise(costs, artificial)
    x = [Fraction(0)] * n
    for r, j in enumerate(basis):
        if j < n:
            x[j] = tableau[r][-1]
    dual = [Fraction(0)] * len(rows)
    for k, (i, sign) in enumerate(halves):
        dual[i] -= sign * costs[n + k]
    value = sum((c * v for c, v in zip(objective, x, strict=True)), Fraction(0))
    return Solution(value, tuple(x), tuple(dual))
