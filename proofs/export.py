"""Write a certified bound as a Coq file: the checker, proved sound, and the user's own numbers as a theorem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from fairbound.bounds.certify import Certification, PairResult
from fairbound.bounds.channel import Disparities
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.errors import CertificateError
from fairbound.bounds.transport import cheapest_plan

MAX_CERTIFICATES = 400
CHECKER = Path(__file__).parent / "kernel" / "Checker.v"


def coq_file(result: Certification) -> str:
    """
    A self-contained Coq file that proves a confidence bound's last step, for plain ``coqc``.

    For given compositions it holds one certificate. Where label marginals were estimated, the bound is the largest over
    the vertices of the marginals within their limits, and the file holds a certificate for each vertex. What it proves
    is, for each composition pair that it lists, the step from the upper limits of the disparities to the advantage, for
    rational channels and tests. Not part of it (T9): that the limits hold with the stated confidence, that the listed
    pairs are the vertices, and that the worst case over all marginals within their limits is at a vertex.

    Parameters
    ----------
    result : Certification

    Returns
    -------
    str

    Raises
    ------
    CertificateError
        If the limits are not Clopper-Pearson's, or the file would be too large.
    """
    if result.method != "clopper-pearson":
        raise CertificateError(
            f"the method {result.method} bounds the advantage without limits of single disparities, from which the Coq "
            "proof starts; choose --method clopper-pearson (method='clopper-pearson')."
        )
    upper = result.upper_disparities
    bound = _rational(result.upper)
    parts = [CHECKER.read_text(encoding="utf-8").rstrip(), "", _header(result)]
    names: list[str] = []
    for number, pair_result in enumerate(result.pairs):
        for vertex, (pair, distances) in enumerate(_instances(result, pair_result)):
            if len(names) == MAX_CERTIFICATES:
                raise CertificateError(
                    f"the Coq file would hold more than {MAX_CERTIFICATES} certificates; name one pair of groups "
                    "(--pure), or give the compositions (--pair)."
                )
            name = f"pair_{number}_{vertex}"
            names.append(name)
            body = _certificate(pair, distances, upper.per_label, result.theorem == "T1b")
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
    game = re.sub(r"[^\w -]", "", result.game.name)
    return (
        f"(** * The certified numbers\n\n    {balance}{game} game, {result.theorem}, {result.counts.rows} "
        f"rows, {pairs} pair{'s' if pairs > 1 else ''} of worlds, confidence {result.confidence}.\n"
        "    Groups and labels are numbered in the order of the log's alphabets (two pure worlds: their two groups).\n"
        "    Where several certificates belong to one pair, they are the vertices of the label marginals within their\n"
        "    limits. That the limits hold and that the worst case is at a vertex is T9, which is not proved here. *)\n"
    )


def _instances(result: Certification, pair_result: PairResult) -> list[tuple[CompositionPair, Disparities]]:
    """The pairs of worlds whose values have to be bounded, with the upper limits of their groups' distances."""
    upper = result.upper_disparities
    marginals = result.limits.label_marginals
    if marginals is None or pair_result.groups is None:
        return [(pair_result.pair, upper)]
    # The other groups have no mass in either world.
    two = tuple(result.counts.groups.index(group) for group in pair_result.groups)
    distances = Disparities(
        upper.labels, tuple(tuple(tuple(matrix[a][b] for b in two) for a in two) for matrix in upper.pairwise)
    )
    labels = result.counts.labels
    nothing = (Fraction(0),) * len(labels)

    def pair(p: tuple[Fraction, ...], q: tuple[Fraction, ...]) -> tuple[CompositionPair, Disparities]:
        worlds = (Composition(pair_groups, labels, rows) for rows in ((p, nothing), (nothing, q)))
        return CompositionPair(*worlds), distances

    pair_groups = pair_result.groups
    first, second = (marginals[a] for a in two)
    if result.label_balanced:
        common = tuple((p + q) / 2 for p, q in zip(first, second, strict=True))
        return [pair(p, p) for p in _extreme_points(common)]
    return [pair(p, q) for p in _extreme_points(first) for q in _extreme_points(second)]


def _extreme_points(lower: tuple[Fraction, ...]) -> list[tuple[Fraction, ...]]:
    rest = 1 - sum(lower)
    return [tuple(v + rest if i == j else v for j, v in enumerate(lower)) for i in range(len(lower))]


def _certificate(pair: CompositionPair, distances: Disparities, disparity: Sequence[Fraction], pairwise: bool) -> str:
    plan = cheapest_plan(pair, distances)
    labels = []
    for y, flows in enumerate(plan.flows):
        cells = "; ".join(
            f"Cell {_rational(row_0[y])} {_rational(row_1[y])}"
            for row_0, row_1 in zip(pair.world_0.mass, pair.world_1.mass, strict=True)
        )
        shipped = "; ".join(f"Ship {a} {b} {_rational(mass)}" for a, b, mass in flows)
        matrix = ""
        if pairwise:
            matrix = "; ".join(f"[{'; '.join(map(_rational, row))}]" for row in distances.pairwise[y])
        labels.append(f"  Label [{cells}]\n    [{shipped}] {_rational(disparity[y])} [{matrix}]")
    return f"  Certificate {len(pair.groups)} [\n" + ";\n".join(labels) + "\n  ]"


def _rational(value: Fraction) -> str:
    sign = f"({value.numerator})" if value < 0 else str(value.numerator)
    return f"({sign}#{value.denominator})" if value.numerator else "0"
