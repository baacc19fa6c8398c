"""From counts to a certified bound: the road of the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

from fairbound.bounds.alphabet import Symbol, shown_names
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.channel import Channel, Disparities, OnMissing
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.confidence import (
    SimultaneousLimits,
    parse_confidence,
    upper_advantage_balanced,
    upper_advantage_given,
    upper_advantage_pure,
)
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import AlphabetError, CompositionError
from fairbound.bounds.exact import label_shift_reason, transport_bound, worst_case_advantage
from fairbound.bounds.games import Game, accuracy_gap, get_game
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import decimal_above, decimal_below, float_above
from fairbound.bounds.transport import TransportPlan, cheapest_plan

SCHEMA = "fairbound.result/1"
Theorem = Literal["T1", "T1b"]


@dataclass(frozen=True)
class PairResult:
    """
    The bound for one pair of worlds.

    Attributes
    ----------
    groups : tuple of Symbol or None
        The two pure groups; None for a given pair.
    raw_pair, pair : CompositionPair
        As measured or given, and as the game uses it (label-balanced if so asked).
    plan : TransportPlan
        Proves `point`.
    upper_plan : TransportPlan or None
        Proves `upper` for a given pair.
    point, upper : Fraction
        The bound at the measured rates, and the confidence bound.
    """

    groups: tuple[Symbol, Symbol] | None
    raw_pair: CompositionPair
    pair: CompositionPair
    plan: TransportPlan
    upper_plan: TransportPlan | None
    point: Fraction
    upper: Fraction

    @property
    def name(self) -> str:
        """The two worlds in words."""
        return "the given pair" if self.groups is None else f"{self.groups[0]} / {self.groups[1]}"


@dataclass(frozen=True, repr=False)
class Certification:
    """
    A bound on the distribution inference advantage, computed from a log's counts.

    Attributes
    ----------
    counts : Counts
    game : Game
    label_balanced : bool
    theorem : {"T1", "T1b"}
    on_missing : {"error", "vacuous"}
    limits : SimultaneousLimits
        The confidence limits (T9 (i)).
    disparities, upper_disparities : Disparities
        As measured, and their simultaneous upper limits.
    pairs : tuple of PairResult
        Every pair of worlds that the bound covers.
    """

    counts: Counts
    game: Game
    label_balanced: bool
    theorem: Theorem
    on_missing: OnMissing
    limits: SimultaneousLimits
    disparities: Disparities
    upper_disparities: Disparities
    pairs: tuple[PairResult, ...]

    @cached_property
    def worst(self) -> PairResult:
        """The pair with the largest bound at the measured rates."""
        return max(self.pairs, key=lambda result: result.point)

    @property
    def point(self) -> Fraction:
        """Largest bound over the pairs, at the measured rates."""
        return self.worst.point

    @cached_property
    def upper(self) -> Fraction:
        """Largest confidence bound over the pairs: holds for all of them at once."""
        return max(result.upper for result in self.pairs)

    @property
    def confidence(self) -> Fraction:
        """Joint level of everything estimated."""
        return self.limits.confidence

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bound rests on, in sentences."""
        counts = self.counts
        lines = [f"{line[0].upper()}{line[1:]}." for line in self.game.assumptions]
        lines.append("The log's rows are independent draws, and none was used to train, tune or select the model.")
        lines.append(
            f"There are no labels but {shown_names(counts.labels)}, and no outputs but {shown_names(counts.outputs)}."
        )
        if self.limits.label_marginals is None:
            lines.append("The two compositions are given, and taken as exact.")
        else:
            lines.append("The groups' label marginals were estimated from the log; their error is covered.")
        if self.on_missing == "vacuous" and counts.missing_cells():
            a, y = counts.missing_cells()[0]
            lines.append(
                f"Cells without rows (such as group {shown_names([a])}, label {shown_names([y])}) count as disparity 1."
            )
        return tuple(lines)

    @cached_property
    def measured(self) -> dict[str, Fraction | None]:
        """What the log itself shows for the worst pair: accuracy gaps, and the best test's advantage in the game."""
        if self.counts.missing_cells():
            return dict.fromkeys(("accuracy_raw", "accuracy_label_balanced", "advantage"))
        channel = Channel.from_counts(self.counts)
        raw = self.worst.raw_pair
        try:
            balanced: Fraction | None = accuracy_gap(raw.label_balanced(), channel)
        except CompositionError:
            balanced = None
        return {
            "accuracy_raw": accuracy_gap(raw, channel),
            "accuracy_label_balanced": balanced,
            "advantage": self.game.advantage(self.worst.pair, channel),
        }

    def certificate(self) -> Certificate:
        """
        Everything needed to check the bound again, checked once already.

        Returns
        -------
        Certificate

        Raises
        ------
        CertificateError
            If the independent checker refuses it (too large, or a defect of this library).
        """
        groups = self.counts.groups

        def flows(plan: TransportPlan) -> list[list[list[Any]]]:
            return [[[groups[a], groups[b], str(mass)] for a, b, mass in label] for label in plan.flows]

        estimated = self.limits.label_marginals
        pairs = []
        for result in self.pairs:
            pair = result.pair
            entry: dict[str, Any] = {
                "label_shift": str(pair.label_shift),
                "moved": [str(m) for m in pair.moved],
                "distance": str(pair.distance),
                "plan": flows(result.plan),
                "point": str(result.point),
                "upper": str(result.upper),
            }
            if result.groups is not None:
                entry["groups"] = list(result.groups)
            else:
                for name, world in (
                    ("world_0", result.raw_pair.world_0),
                    ("world_1", result.raw_pair.world_1),
                ):
                    entry[name] = [[str(m) for m in row] for row in world.mass]
                entry["upper_plan"] = flows(result.upper_plan or result.plan)
            pairs.append(entry)
        rates = [[[str(v) for v in row] for row in plane] for plane in self.limits.rates]
        disparity = zip(self.counts.labels, self.disparities.per_label, self.upper_disparities.per_label, strict=True)
        return Certificate.seal(
            {
                "claim": {
                    "game": self.game.name,
                    "label_balanced": self.label_balanced,
                    "theorem": self.theorem,
                    "confidence": str(self.confidence),
                    "compositions": "given" if estimated is None else "estimated",
                },
                "counts": self.counts.to_dict(),
                "rows": self.counts.rows,
                "on_missing": self.on_missing,
                "limits": {
                    "method": "clopper-pearson",
                    "number": self.limits.number,
                    "rates": rates,
                    "label_marginals": [[str(v) for v in row] for row in estimated or ()],
                },
                "disparity": [{"label": y, "point": str(p), "upper": str(u)} for y, p, u in disparity],
                "equalized_odds": {
                    "point": str(self.disparities.equalized_odds),
                    "upper": str(self.upper_disparities.equalized_odds),
                },
                "pairs": pairs,
                "advantage": {"point": str(self.point), "upper": str(self.upper)},
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """
        The result as JSON-ready numbers.

        Points are the nearest floats; upper bounds are rounded up. The entry ``exact`` holds both as exact texts.
        """
        worst, labels = self.worst, self.counts.labels
        point, upper = self.disparities.per_label, self.upper_disparities.per_label
        paper_value = self.disparities.equalized_odds * worst.pair.distance
        reason = label_shift_reason(worst.pair)
        measured = {name: None if gap is None else float(gap) for name, gap in self.measured.items()}
        return {
            "schema": SCHEMA,
            "game": self.game.name,
            "label_balanced": self.label_balanced,
            "confidence": float(self.confidence),
            "rows": self.counts.rows,
            "groups": list(self.counts.groups),
            "labels": list(labels),
            "cell_rows": {
                str(g): {str(y): n for y, n in zip(labels, row, strict=True)}
                for g, row in zip(self.counts.groups, self.counts.cell_rows, strict=True)
            },
            "pair": None if worst.groups is None else list(worst.groups),
            "composition": {
                "label_shift": float(worst.pair.label_shift),
                "moved": {str(y): float(m) for y, m in zip(labels, worst.pair.moved, strict=True)},
                "distance": float(worst.pair.distance),
                "source": "given" if self.limits.label_marginals is None else "estimated from the log",
            },
            "disparity": {
                str(y): {"point": float(p), "upper": float_above(u)}
                for y, p, u in zip(labels, point, upper, strict=True)
            },
            "equalized_odds": {
                "point": float(self.disparities.equalized_odds),
                "upper": float_above(self.upper_disparities.equalized_odds),
            },
            "advantage": {
                "point": float(self.point),
                "upper": float_above(self.upper),
                "theorem": self.theorem,
            },
            "paper_form": {
                "value": float(paper_value),
                "applies": reason is None,
                "reason": reason or "the worlds' label marginals agree, so Delta_EO * W bounds the advantage (T1a)",
            },
            "adversary_accuracy": float_above((1 + self.upper) / 2),
            "measured_gap": {
                "accuracy_raw": measured["accuracy_raw"],
                "accuracy_label_balanced": measured["accuracy_label_balanced"],
            },
            "measured_advantage": measured["advantage"],
            "pairs": [
                {"pair": result.name, "point": float(result.point), "upper": float_above(result.upper)}
                for result in self.pairs
            ],
            "assumptions": list(self.assumptions),
            "not_covered": list(self.game.not_covered),
            "exact": {
                "confidence": str(self.confidence),
                "advantage": {"point": str(self.point), "upper": str(self.upper)},
                "equalized_odds": str(self.disparities.equalized_odds),
                "disparity": {str(y): str(p) for y, p in zip(labels, point, strict=True)},
                "label_shift": str(worst.pair.label_shift),
                "moved": {str(y): str(m) for y, m in zip(labels, worst.pair.moved, strict=True)},
            },
        }

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return (
            f"{'label-balanced ' if self.label_balanced else ''}{self.game.name} game, {self.worst.name}: advantage at "
            f"most {decimal_above(self.upper)} with confidence {decimal_below(self.confidence)} "
            f"({float(self.point):.4f} at the measured rates; {self.theorem}, {self.counts.rows} rows)"
        )


@proved_by("T1", "T1b", "T9")
def certify_counts(
    counts: Counts,
    *,
    pure: Sequence[Any] | None = None,
    pair: CompositionPair | None = None,
    game: str | Game = "labelled",
    label_balanced: bool = False,
    confidence: float | str | Fraction = 0.95,
    on_missing: OnMissing = "error",
    theorem: Theorem = "T1",
) -> Certification:
    """
    Bound the advantage of a distribution inference adversary from a log's counts.

    Parameters
    ----------
    counts : Counts
        Group x label x prediction.
    pure : (group, group), optional
        The two worlds consist of one of these groups each, with its label marginal in the log.
    pair : CompositionPair, optional
        The two worlds, given exactly. With neither `pure` nor `pair`: every pair of pure groups.
    game : {"labelled", "correctness", "unlabelled"} or Game
        What the adversary sees.
    label_balanced : bool
        Replace both worlds' label marginals by their average.
    confidence : float, text or Fraction
        Joint level of the upper bound, in [1/2, 1).
    on_missing : {"error", "vacuous"}
        What a (group, label) cell without rows means: an error, or the trivial disparity 1.
    theorem : {"T1", "T1b"}
        Price matched mass at the label's disparity (exact worst case), or at each pair's own distance.

    Returns
    -------
    Certification
        Point values are exact (T1 or T1b at the measured rates); upper bounds cover every quantity that was
        estimated, jointly (T9 (i)).

    Raises
    ------
    SingleGroupError, MissingCellError, AlphabetError, CompositionError, NumberError
        As their docstrings say.
    """
    chosen = get_game(game)
    level = parse_confidence(confidence)
    if theorem not in ("T1", "T1b"):
        raise AlphabetError(f"no theorem {theorem!r} to certify with; choose T1 or T1b.")
    if on_missing not in ("error", "vacuous"):
        raise AlphabetError(f"on_missing is {on_missing!r}; choose 'error' or 'vacuous'.")
    if pure is not None and pair is not None:
        raise CompositionError("give either two pure groups or a composition pair, not both.")
    if pair is not None and not isinstance(pair, CompositionPair):
        raise CompositionError(f"pair is a {type(pair).__name__}; give a CompositionPair (CompositionPair.from_dict).")
    counts.require_groups()
    if len(counts.labels) < 2:
        raise AlphabetError(
            f"only the label {counts.labels[0]!r} occurs; equalized odds compares groups within each of at least two "
            "labels. Declare the labels if the other one is merely absent."
        )
    if len(counts.outputs) < 2:
        raise AlphabetError(f"only the output {counts.outputs[0]!r} is declared; a model shows at least two.")
    disparities = Disparities.from_counts(counts, on_missing=on_missing)
    names = _worlds(counts, pure, pair)
    limits = SimultaneousLimits.from_counts(counts, level, estimated=pair is None)
    upper = limits.disparities(counts)
    results = []
    todo: list[tuple[int, int] | None] = [*names] if names else [None]
    for world in todo:
        if world is None:
            assert pair is not None
            raw, groups = pair, None
            if (raw.groups, raw.labels) != (counts.groups, counts.labels):
                raise CompositionError(
                    "the composition pair and the log have different groups or labels, or in another order; lay the "
                    "pair out on the log's: CompositionPair.from_dict(data, counts.groups, counts.labels)."
                )
        else:
            groups = (counts.groups[world[0]], counts.groups[world[1]])
            raw = CompositionPair.pure(counts, *groups)
        used = raw.label_balanced() if label_balanced else raw
        if theorem == "T1b":
            bound, plan = transport_bound(used, disparities)
        else:
            bound, plan = worst_case_advantage(used, disparities.per_label), cheapest_plan(used, disparities)
        upper_plan = None
        if world is None:
            upper_plan = cheapest_plan(used, upper) if theorem == "T1b" else None
            upper_value = upper_advantage_given(used, upper, upper_plan)
        else:
            assert limits.label_marginals is not None
            prices = [matrix[world[0]][world[1]] for matrix in upper.pairwise]
            worst_over_marginals = upper_advantage_balanced if label_balanced else upper_advantage_pure
            upper_value = worst_over_marginals(
                limits.label_marginals[world[0]],
                limits.label_marginals[world[1]],
                prices if theorem == "T1b" else upper.per_label,
            )
        results.append(PairResult(groups, raw, used, plan, upper_plan, bound.value, upper_value))
    return Certification(
        counts, chosen, bool(label_balanced), theorem, on_missing, limits, disparities, upper, tuple(results)
    )


def _worlds(counts: Counts, pure: Sequence[Any] | None, pair: CompositionPair | None) -> list[tuple[int, int]]:
    """Positions of the two groups of each pure pair; empty for a given pair."""
    if pair is not None:
        return []
    if pure is None:
        return list(combinations(range(len(counts.groups)), 2))
    if isinstance(pure, str) or not isinstance(pure, Sequence) or len(pure) != 2:
        raise CompositionError(f"a pure pair names two groups, as in pure=('a', 'b'), not {pure!r}.")
    first, second = (counts.group_index(group) for group in pure)
    if first == second:
        raise CompositionError(f"a pure pair needs two different groups, not {pure[0]!r} twice.")
    return [(first, second)]
