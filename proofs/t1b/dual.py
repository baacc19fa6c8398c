"""
T1b, dual leg: the transport plan is the dual of the worst case over rates at given pairwise distances.

For a binary output and distances that a channel shows (a metric), the largest `sum_a d_a r_a` over rates with
`|r_a - r_b| <= c_ab` equals the cost of the cheapest plan plus the surplus: Kantorovich duality, checked exactly on a
family of instances. So T1b cannot be improved on without more knowledge.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

from fairbound.bounds.channel import Disparities
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.exact import transport_bound
from fairbound.bounds.exact_lp import Row, maximise
from fairbound.proofs import instances
from fairbound.proofs.failure import require

TRUSTED_BASE = "Python fractions: feasible plans and rates of equal value, per instance"
SEED = 1
INSTANCES = 300


def worst_case_at_distances(pair: CompositionPair, measured: Disparities) -> Fraction:
    """Largest labelled advantage over binary channels with given pairwise distances, label by label."""
    one = Fraction(1)
    value = Fraction(0)
    for column, matrix in zip(zip(*pair.difference, strict=True), measured.pairwise, strict=True):
        groups = range(len(column))
        rows = [Row({a: one}, "<=", one) for a in groups]
        rows += [Row({a: one, b: -one}, "<=", matrix[a][b]) for a, b in permutations(groups, 2)]
        value += maximise(list(column), rows).value
    return value


def run() -> str:
    """
    Compare plan and worst case on the family.

    Returns
    -------
    str

    Raises
    ------
    ProofFailure
        Naming the first instance on which they differ.
    """
    flows = 0
    for number, pair in enumerate(instances.composition_pairs(INSTANCES, seed=SEED, max_labels=3)):
        channel = instances.channel(pair, seed=number)
        measured = channel.disparities()
        bound, plan = transport_bound(pair, measured)
        flows += sum(map(len, plan.flows))
        require(
            bound.value == worst_case_at_distances(pair, measured),
            f"instance {number}: the plan's cost is not the worst case",
        )
    return (
        f"{INSTANCES} instances (2-4 groups, 2-3 labels; seed {SEED}): cheapest plan = worst case at these distances; "
        f"{flows} flows"
    )
