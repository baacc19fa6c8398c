"""Transport plans: the certificate of an upper bound on the advantage, which needs no solver to check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fairbound.bounds.channel import Disparities
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.proved_by import proved_by

Flow = tuple[int, int, Fraction]
"""Positions of a group with d > 0 and one with d < 0, and the mass matched between them."""


@dataclass(frozen=True)
class TransportPlan:
    """
    Mass matched between groups inside each label.

    Inside label y all of the smaller of `Dp_y`, `Dm_y` is matched against the other; a matched unit contributes at
    most the distance of its two groups to the advantage, the unmatched surplus at most `|s_y|`, half of which is
    paid for by the opposite shift of other labels (T1, T1b).

    Attributes
    ----------
    flows : tuple, shape (K,)
        Per label, the flows (from, to, mass).
    label_shift : Fraction
        `TV_Y`, the price of all surpluses.
    """

    flows: tuple[tuple[Flow, ...], ...]
    label_shift: Fraction

    def cost(self, disparities: Disparities, *, pairwise: bool) -> Fraction:
        """
        The upper bound that the plan proves.

        Parameters
        ----------
        disparities : Disparities
        pairwise : bool
            Price a flow at its own pair's distance (T1b) instead of the label's disparity (T1).
        """
        total = self.label_shift
        for matrix, largest, flows in zip(disparities.pairwise, disparities.per_label, self.flows, strict=True):
            for a, b, mass in flows:
                total += mass * (matrix[a][b] if pairwise else largest)
        return total


@proved_by("T1b")
def cheapest_plan(pair: CompositionPair, disparities: Disparities) -> TransportPlan:
    """
    The plan with the least cost under pairwise distances (T1b); under T1's prices all plans cost the same.

    Parameters
    ----------
    pair : CompositionPair
    disparities : Disparities
        Over the same groups and labels.
    """
    flows = tuple(
        _match(column, matrix)
        for column, matrix in zip(zip(*pair.difference, strict=True), disparities.pairwise, strict=True)
    )
    return TransportPlan(flows, pair.label_shift)


def _match(differences: Sequence[Fraction], prices: Sequence[Sequence[Fraction]]) -> tuple[Flow, ...]:
    sources = [a for a, d in enumerate(differences) if d > 0]
    sinks = [a for a, d in enumerate(differences) if d < 0]
    if not sources or not sinks:
        return ()
    if len(sources) == len(sinks) == 1:
        a, b = sources[0], sinks[0]
        return ((a, b, min(differences[a], -differences[b])),)
    from fairbound.bounds.exact_lp import Row, maximise

    edges = [(a, b) for a in sources for b in sinks]
    supply = sum((differences[a] for a in sources), Fraction(0))
    demand = -sum((differences[b] for b in sinks), Fraction(0))
    one = Fraction(1)
    rows = [
        Row(
            {k: one for k, edge in enumerate(edges) if edge[side] == group},
            "=" if total <= other else "<=",
            abs(differences[group]),
        )
        for side, groups, total, other in ((0, sources, supply, demand), (1, sinks, demand, supply))
        for group in groups
    ]
    best = maximise([-prices[a][b] for a, b in edges], rows)
    return tuple((a, b, mass) for (a, b), mass in zip(edges, best.x, strict=True) if mass)
