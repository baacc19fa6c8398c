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
    lower_marginals,
    parse_confidence,
    upper_advantage_balanced,
    upper_advantage_given,
    upper_advantage_pure,
)
from fairbound.bounds.counts import Counts
from fairbound.bounds.deviances import (
    DevianceLimits,
    Knot,
    World,
    WorldBound,
    bound_worlds,
    count_terms,
    marginal_scenarios,
    marginal_share,
    radius,
)
from fairbound.bounds.errors import AlphabetError, CompositionError
from fairbound.bounds.exact import label_shift_reason, transport_bound, worst_case_advantage
from fairbound.bounds.games import Game, accuracy_gap, get_game
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import decimal_above, decimal_below, float_above
from fairbound.bounds.transport import TransportPlan, cheapest_plan

SCHEMA = "fairbound.result/1"
Theorem = Literal["T1", "T1b"]
Method = Literal["clopper-pearson", "fisher", "relative-entropy", "smallest"]
METHODS: tuple[Method, ...] = ("fisher", "clopper-pearson", "relative-entropy", "smallest")
# "smallest" tries these, each at its share of the error.
_TRIED: tuple[Literal["clopper-pearson", "fisher"], ...] = ("clopper-pearson", "fisher")


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
        Proves `upper` for a given pair, with Clopper-Pearson limits.
    deviance : WorldBound or None
        Proves `upper` with the other methods.
    point, upper : Fraction
        The bound at the measured rates, and the confidence bound.
    """

    groups: tuple[Symbol, Symbol] | None
    raw_pair: CompositionPair
    pair: CompositionPair
    plan: TransportPlan
    upper_plan: TransportPlan | None
    deviance: WorldBound | None
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
    limits : SimultaneousLimits or DevianceLimits
        The confidence limits (T9).
    split : int
        Methods among which the error was split, of which this one gave the smallest bound.
    disparities, upper_disparities : Disparities
        As measured, and their upper limits: simultaneous, but with the method "fisher" each at the level by itself.
    pairs : tuple of PairResult
        Every pair of worlds that the bound covers.
    """

    counts: Counts
    game: Game
    label_balanced: bool
    theorem: Theorem
    on_missing: OnMissing
    limits: SimultaneousLimits | DevianceLimits
    split: int
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
        """Level of the upper bound."""
        return 1 - self.split * (1 - self.limits.confidence)

    @property
    def method(self) -> Method:
        """How sampling error was covered, as `certify_counts` takes it."""
        return self.limits.method if self.split == 1 else "smallest"

    @property
    def estimated(self) -> bool:
        """Whether the worlds are pure groups of the log, whose label marginals were estimated."""
        return self.pairs[0].groups is not None

    @property
    def uniformity(self) -> str:
        """What the level is uniform over, in a sentence."""
        if self.limits.method == "fisher":
            of = "the bound" if len(self.pairs) == 1 else "the largest bound over the pairs"
            return (
                f"The level is that of {of}, and of each upper limit by itself; for several limits at once use the "
                "method clopper-pearson or relative-entropy."
            )
        return "All upper limits hold at once with the stated confidence."

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bound rests on, in sentences."""
        counts = self.counts
        lines = [f"{line[0].upper()}{line[1:]}." for line in self.game.assumptions]
        lines.append("The log's rows are independent draws, and none was used to train, tune or select the model.")
        chosen = "Game, method and level" if self.limits.method != "fisher" else "Game, method, level and worlds"
        lines.append(f"{chosen} were chosen without a look at the log.")
        lines.append(
            f"There are no labels but {shown_names(counts.labels)}, and no outputs but {shown_names(counts.outputs)}."
        )
        if not self.estimated:
            lines.append("The two compositions are given, and taken as exact.")
        else:
            lines.append("The groups' label marginals were estimated from the log; their error is covered.")
        if empty := [cell for pair in self.pairs for cell in self.empty_cells(pair)]:
            a, y = empty[0]
            lines.append(
                f"Cells without rows (such as group {shown_names([a])}, label {shown_names([y])}) count as disparity 1."
            )
        return tuple(lines)

    def empty_cells(self, pair: PairResult) -> tuple[tuple[Symbol, Symbol], ...]:
        """
        (group, label) cells without rows that the bound of a pair may depend on.

        Parameters
        ----------
        pair : PairResult
            One of `pairs`.
        """
        return self.counts.missing_cells(None if self.theorem == "T1" else pair.groups)

    @cached_property
    def measured(self) -> dict[str, Fraction | None]:
        """What the log itself shows for the worst pair: accuracy gaps, and the best test's advantage in the game."""
        counts, raw = self.counts, self.worst.raw_pair
        if self.worst.groups is not None:
            counts = counts.select([counts.group_index(group) for group in self.worst.groups])
            raw = CompositionPair.pure(counts, *self.worst.groups)
        if counts.missing_cells():
            return dict.fromkeys(("accuracy_raw", "accuracy_label_balanced", "advantage"))
        channel = Channel.from_counts(counts)
        try:
            balanced: CompositionPair | None = raw.label_balanced()
        except CompositionError:
            balanced = None
        used = balanced if self.label_balanced else raw
        assert used is not None
        return {
            "accuracy_raw": accuracy_gap(raw, channel),
            "accuracy_label_balanced": None if balanced is None else accuracy_gap(balanced, channel),
            "advantage": self.game.advantage(used, channel),
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

        limits = self.limits
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
            if result.deviance is not None:
                entry["multiplier"] = str(result.deviance.multiplier)
                if result.deviance.knots is not None:
                    entry["knots"] = _knots(result.deviance.knots)
                if result.deviance.spans is not None:
                    entry["spans"] = [list(span) for span in result.deviance.spans]
                    entry["marginal_points"] = result.deviance.marginal_points
            elif result.groups is None:
                entry["upper_plan"] = flows(result.upper_plan or result.plan)
            pairs.append(entry)
        proof: dict[str, Any] = {
            "method": limits.method,
            "split": self.split,
            "label_marginals": [[str(v) for v in row] for row in limits.label_marginals or ()],
        }
        if isinstance(limits, SimultaneousLimits):
            proof["number"] = limits.number
            proof["rates"] = [[[str(v) for v in row] for row in plane] for plane in limits.rates]
        else:
            for name in ("share", "radius", "disparity_radius"):
                proof[name] = str(getattr(limits, name))
            proof["multipliers"] = [str(v) for v in limits.multipliers]
            proof["knots"] = _knots(limits.knots)
        claim: dict[str, Any] = {
            "game": self.game.name,
            "label_balanced": self.label_balanced,
            "theorem": self.theorem,
            "confidence": str(self.confidence),
            "compositions": "estimated" if self.estimated else "given",
        }
        if (bins := self.game.bins) is not None:
            claim["bins"] = {"column": bins.column, "low": str(bins.low), "high": str(bins.high)}
        disparity = zip(self.counts.labels, self.disparities.per_label, self.upper_disparities.per_label, strict=True)
        return Certificate.seal(
            {
                "claim": claim,
                "counts": self.counts.to_dict(),
                "rows": self.counts.rows,
                "on_missing": self.on_missing,
                "limits": proof,
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
            "method": self.limits.method,
            "uniformity": self.uniformity,
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
                "source": "estimated from the log" if self.estimated else "given",
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
    theorem: Theorem | None = None,
    method: Method | None = None,
) -> Certification:
    """
    Bound the advantage of a distribution inference adversary from a log's counts.

    Parameters
    ----------
    counts : Counts
        Group x label x prediction.
    pure : (group, group), optional
        The two worlds consist of one of these groups each, with its label marginal in the log. With the method "fisher"
        name them without a look at the log; the default, every pair, covers a later choice.
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
    theorem : {"T1", "T1b"}, optional
        Price what moves between the worlds at the label's largest disparity of any two groups (T1), or at the distance
        of the groups between which it moves (T1b, never above). The default is T1b for pure worlds of a log with more
        than two groups, where it is T1 on the log of the two groups alone; T1 for two groups and for a given pair.
    method : {"fisher", "clopper-pearson", "relative-entropy", "smallest"}, optional
        How sampling error is covered (T9), to be chosen before seeing the data: the combined binomial tails of the
        rates that matter (the default, but for T1b with a given pair), separate limits of every rate, a ball of
        relative entropy around all rates, or the smaller of the first two at half the error each.

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
    if theorem is None:
        theorem = "T1b" if pair is None and len(counts.groups) > 2 else "T1"
    if theorem not in ("T1", "T1b"):
        raise AlphabetError(f"no theorem {theorem!r} to certify with; choose T1 or T1b.")
    if on_missing not in ("error", "vacuous"):
        raise AlphabetError(f"on_missing is {on_missing!r}; choose 'error' or 'vacuous'.")
    if not isinstance(label_balanced, bool):
        raise AlphabetError(f"label_balanced is {label_balanced!r}; choose True or False.")
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
    if method is None:
        method = "clopper-pearson" if pair is not None and theorem == "T1b" else "fisher"
    if method not in METHODS:
        raise AlphabetError(f"no method {method!r} to cover sampling error; choose one of {', '.join(METHODS)}.")
    if pair is not None and theorem == "T1b" and method != "clopper-pearson":
        raise AlphabetError(f"T1b for a given pair goes with the method clopper-pearson, not {method}.")
    measured = []
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
        measured.append(_Measured(world, groups, raw, used, plan, bound.value))
    tried: Sequence[Any] = _TRIED if method == "smallest" else (method,)
    results = []
    for name in tried:
        inner = 1 - (1 - level) / len(tried)
        cover = _separate if name == "clopper-pearson" else _joint
        limits, upper, pairs = cover(counts, measured, name, inner, bool(label_balanced), theorem)
        results.append(
            Certification(
                counts, chosen, bool(label_balanced), theorem, on_missing, limits, len(tried), disparities, upper, pairs
            )
        )
    return min(results, key=lambda result: result.upper)


@dataclass(frozen=True)
class _Measured:
    """One pair of worlds, and its value at the measured rates."""

    world: tuple[int, int] | None
    groups: tuple[Symbol, Symbol] | None
    raw: CompositionPair
    used: CompositionPair
    plan: TransportPlan
    point: Fraction

    def result(
        self, upper: Fraction, *, upper_plan: TransportPlan | None = None, deviance: WorldBound | None = None
    ) -> PairResult:
        return PairResult(self.groups, self.raw, self.used, self.plan, upper_plan, deviance, self.point, upper)


def _separate(
    counts: Counts, measured: list[_Measured], _: str, level: Fraction, label_balanced: bool, theorem: Theorem
) -> tuple[SimultaneousLimits, Disparities, tuple[PairResult, ...]]:
    """Separate limits of every rate (T9 (i))."""
    limits = SimultaneousLimits.from_counts(counts, level, estimated=measured[0].world is not None)
    upper = limits.disparities(counts)
    pairs = []
    for item in measured:
        if item.world is None:
            plan = cheapest_plan(item.used, upper) if theorem == "T1b" else None
            pairs.append(item.result(upper_advantage_given(item.used, upper, plan), upper_plan=plan))
            continue
        assert limits.label_marginals is not None
        first, second = item.world
        worst_over_marginals = upper_advantage_balanced if label_balanced else upper_advantage_pure
        value = worst_over_marginals(
            limits.label_marginals[first],
            limits.label_marginals[second],
            upper.between(first, second) if theorem == "T1b" else upper.per_label,
        )
        pairs.append(item.result(value))
    return limits, upper, tuple(pairs)


def _joint(
    counts: Counts,
    measured: list[_Measured],
    method: Literal["fisher", "relative-entropy"],
    level: Fraction,
    label_balanced: bool,
    theorem: Theorem,
) -> tuple[DevianceLimits, Disparities, tuple[PairResult, ...]]:
    """A total of deviances (T9 (ii), (iii))."""
    alpha = 1 - level
    estimated = measured[0].world is not None
    share = marginal_share(method, estimated=estimated, label_balanced=label_balanced)
    lower = lower_marginals(counts, alpha * share / (len(counts.groups) * len(counts.labels))) if share else None
    given = None if estimated else list(measured[0].used.moved)
    terms, exact = count_terms(method, counts, moved=given, label_balanced=label_balanced)
    whole = radius(terms, alpha * (1 - share), exact=exact)
    single = radius(2, alpha, exact=True) if method == "fisher" else whole
    worlds = []
    for item in measured:
        scenarios: list[tuple[Fraction, list[Fraction]]] | None = None
        if item.world is None:
            scenarios = [(item.used.label_shift, list(item.used.moved))]
        elif lower is not None:
            scenarios = marginal_scenarios(lower[item.world[0]], lower[item.world[1]], label_balanced=label_balanced)
        worlds.append(World(item.world, scenarios))
    knots, multipliers, largest, bounds = bound_worlds(
        counts,
        worlds,
        radius=whole,
        disparity_radius=single,
        tails=method == "fisher",
        own_prices=theorem == "T1b",
    )
    limits = DevianceLimits(method, level, share, terms, whole, single, lower, knots, tuple(multipliers))
    points = Disparities.from_counts(counts, on_missing="vacuous").per_label
    limit_of = [max(point, value) for point, value in zip(points, largest, strict=True)]
    groups = range(len(counts.groups))
    upper = Disparities(
        counts.labels, tuple(tuple(tuple(v * (a != b) for b in groups) for a in groups) for v in limit_of)
    )
    pairs = tuple(
        item.result(min(Fraction(1), max(item.point, bound.upper)), deviance=bound)
        for item, bound in zip(measured, bounds, strict=True)
    )
    return limits, upper, pairs


def _knots(knots: Sequence[Sequence[Knot]]) -> list[list[list[Any]]]:
    """Knots for a certificate: ratio and tangents; the checker computes the values."""
    return [[[str(knot.ratio), knot.points] for knot in label] for label in knots]


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
