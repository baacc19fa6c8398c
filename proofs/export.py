"""Write a certified bound as a Coq file: the checker, proved sound, and the user's own numbers as a theorem."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from fairbound.bounds.certify import Certification, PairResult
from fairbound.bounds.channel import Disparities
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.transport import cheapest_plan

CHECKER = Path(__file__).parent / "kernel" / "Checker.v"


def coq_file(result: Certification) -> str:
    """
    A self-contained Coq file that proves a confidence bound's last step, for plain ``coqc``.

    For given compositions it holds one certificate. Where label marginals were estimated, the bound is the largest over
    the vertices of the marginals within their limits, and the file holds a certificate for each vertex. What it proves
    is the step from the upper limits of the disparities to the advantage; that the limits hold with the stated
    confidence (T9) is not part of it.

    Parameters
    ----------
    result : Certification

    Returns
    -------
    str
    """
    upper = result.upper_disparities
    bound = _rational(result.upper)
    parts = [CHECKER.read_text(encoding="utf-8").rstrip(), "", _header(result)]
    names = []
    for number, pair_result in enumerate(result.pairs):
        for vertex, pair in enumerate(_vertices(result, pair_result)):
            name = f"pair_{number}_{vertex}"
            names.append(name)
            body = _certificate(pair, upper, result.theorem == "T1b")
            parts.append(f"Definition {name} : certificate :=\n{body}.\n")
    listed = "; ".join(names)
    parts.append(
        f"Definition the_bound : Q := {bound}.\n\n"
        f"Definition all_certificates : list certificate := [{listed}].\n\n"
        "Theorem certified : forallb (fun c => check c the_bound) all_certificates = true.\n"
        "Proof. vm_compute. reflexivity. Qed.\n\n"
        "Corollary certified_bound : forall c, In c all_certificates ->\n"
        "  forall (Out View : Type) (os : list Out) (sees : nat -> Out -> View),\n"
        "  bounds_advantage c the_bound os sees.\n"
        "Proof.\n"
        "  intros c Hc. pose proof certified as H. rewrite forallb_forall in H.\n"
        "  exact (proj2 (proj2 (check_sound c the_bound (H c Hc)))).\n"
        "Qed.\n\n"
        "Print Assumptions certified_bound.\n"
    )
    return "\n".join(parts)


def _header(result: Certification) -> str:
    balance = "label-balanced " if result.label_balanced else ""
    pairs = len(result.pairs)
    return (
        f"(** * The certified numbers\n\n    {balance}{result.game.name} game, {result.theorem}, {result.counts.rows} "
        f"rows, {pairs} pair{'s' if pairs > 1 else ''} of worlds, confidence {result.confidence}.\n"
        "    Groups and labels are numbered in the order of the log's alphabets. Where several certificates\n"
        "    belong to one pair, they are the vertices of the label marginals within their limits (T9). *)\n"
    )


def _vertices(result: Certification, pair_result: PairResult) -> list[CompositionPair]:
    """The pairs of worlds whose values have to be bounded."""
    marginals = result.limits.label_marginals
    if marginals is None or pair_result.groups is None:
        return [pair_result.pair]
    first, second = (result.counts.groups.index(group) for group in pair_result.groups)

    def world(group: int, marginal: tuple[Fraction, ...]) -> Composition:
        nothing = (Fraction(0),) * len(marginal)
        rows = tuple(marginal if a == group else nothing for a in range(len(result.counts.groups)))
        return Composition(result.counts.groups, result.counts.labels, rows)

    if result.label_balanced:
        lower = tuple((p + q) / 2 for p, q in zip(marginals[first], marginals[second], strict=True))
        return [CompositionPair(world(first, p), world(second, p)) for p in _extreme_points(lower)]
    return [
        CompositionPair(world(first, p), world(second, q))
        for p in _extreme_points(marginals[first])
        for q in _extreme_points(marginals[second])
    ]


def _extreme_points(lower: tuple[Fraction, ...]) -> list[tuple[Fraction, ...]]:
    rest = 1 - sum(lower)
    return [tuple(v + rest if i == j else v for j, v in enumerate(lower)) for i in range(len(lower))]


def _certificate(pair: CompositionPair, upper: Disparities, pairwise: bool) -> str:
    plan = cheapest_plan(pair, upper)
    labels = []
    for y, flows in enumerate(plan.flows):
        cells = "; ".join(
            f"Cell {_rational(row_0[y])} {_rational(row_1[y])}"
            for row_0, row_1 in zip(pair.world_0.mass, pair.world_1.mass, strict=True)
        )
        shipped = "; ".join(f"Ship {a} {b} {_rational(mass)}" for a, b, mass in flows)
        matrix = ""
        if pairwise:
            matrix = "; ".join(f"[{'; '.join(map(_rational, row))}]" for row in upper.pairwise[y])
        labels.append(f"  Label [{cells}]\n    [{shipped}] {_rational(upper.per_label[y])} [{matrix}]")
    return f"  Certificate {len(pair.groups)} [\n" + ";\n".join(labels) + "\n  ]"


def _rational(value: Fraction) -> str:
    sign = f"({value.numerator})" if value < 0 else str(value.numerator)
    return f"({sign}#{value.denominator})" if value.numerator else "0"
