"""
T1, dual leg: strong duality, exactly, on a family of instances.

The worst case of one label is a linear programme in the groups' rates. cvxpy models it and solves it in floating point;
HiGHS's basis, re-solved over the rationals, gives an exact optimum with exact multipliers, checked by weak duality. On
every instance of the family the closed form, the exact optimum and the witness's replayed advantage are one fraction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import cvxpy

from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.exact import witness, worst_case_advantage
from fairbound.bounds.exact_lp import Row, Solution, maximise, verify
from fairbound.proofs import instances
from fairbound.proofs.failure import require

TRUSTED_BASE = "Python fractions: primal and dual feasibility and equal values, per instance"
SEED = 0
INSTANCES = 1000
MODELLED = 25


def label_rows(n_groups: int, delta: Fraction) -> list[Row]:
    """Constraints of one label: rates at most 1, and any two within `delta`."""
    one = Fraction(1)
    rows = [Row({a: one}, "<=", one) for a in range(n_groups)]
    for a, b in combinations(range(n_groups), 2):
        rows += [Row({a: one, b: -one}, "<=", delta), Row({b: one, a: -one}, "<=", delta)]
    return rows


def label_optimum(differences: Sequence[Fraction], delta: Fraction) -> Solution:
    """Exact optimum of one label's programme: the largest `sum_a d_a r_a`."""
    return maximise(list(differences), label_rows(len(differences), delta))


def modelled_optimum(differences: Sequence[Fraction], delta: Fraction) -> float:
    """The same programme as cvxpy reads it, in floating point."""
    rates = cvxpy.Variable(len(differences))
    constraints = [rates >= 0, rates <= 1, cvxpy.max(rates) - cvxpy.min(rates) <= float(delta)]
    problem = cvxpy.Problem(cvxpy.Maximize([float(d) for d in differences] @ rates), constraints)
    return float(problem.solve(solver=cvxpy.HIGHS))


def claimed(pair: CompositionPair, delta: tuple[Fraction, ...]) -> Fraction:
    """The closed form."""
    return worst_case_advantage(pair, delta).value


def run() -> str:
    """
    Compare closed form, exact optimum and witness on the family.

    Returns
    -------
    str

    Raises
    ------
    ProofFailure
        Naming the first instance on which they differ.
    """
    start = time.perf_counter()
    programmes = 0
    for number, pair in enumerate(instances.composition_pairs(INSTANCES, seed=SEED)):
        delta = instances.disparities(pair, seed=number)
        value = Fraction(0)
        for column, limit in zip(zip(*pair.difference, strict=True), delta, strict=True):
            solution = label_optimum(column, limit)
            programmes += 1
            require(verify(list(column), label_rows(len(column), limit), solution), f"instance {number}: dual")
            value += solution.value
            if number < MODELLED:
                gap = abs(modelled_optimum(column, limit) - float(solution.value))
                require(gap < 1e-6, f"instance {number}: the model in cvxpy differs by {gap:.1e}")
        require(claimed(pair, delta) == value, f"instance {number}: the closed form is not the optimum {value}")
        require(witness(pair, delta).replay() == value, f"instance {number}: the witness does not attain {value}")
    average = 1000 * (time.perf_counter() - start) / INSTANCES
    return (
        f"{INSTANCES} instances (2-4 groups, 2-5 labels, label shift; seed {SEED}): closed form = exact optimum = "
        f"witness; {programmes} programmes with exact duals, {average:.1f} ms per instance; cvxpy agrees on the first "
        f"{MODELLED}"
    )
