"""Plain sentences: what was bounded, against whom, under which assumptions, and what is not covered."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from fairbound.bounds.alphabet import printable, shown_names
from fairbound.bounds.certify import Certification, PairResult
from fairbound.bounds.counts import Counts
from fairbound.bounds.exact import label_shift_reason, transport_bound
from fairbound.bounds.noise import NoiseFloor
from fairbound.bounds.queries import draws_needed, worst_case_above
from fairbound.bounds.rational import decimal_above, decimal_below
from fairbound.bounds.scores import ScoreCertification

_MOST_NAMED = 6


def percent(value: Fraction) -> str:
    """A level as a percentage, rounded down."""
    return f"{decimal_below(100 * value)} %"


def above(value: Fraction) -> str:
    """An upper bound with four digits after the point, rounded up."""
    return decimal_above(value, 4)


def percent_above(value: Fraction) -> str:
    """An upper bound as a percentage, rounded up."""
    return f"{decimal_above(100 * value, 2)} %"


def worlds(result: Certification | ScoreCertification) -> str:
    """The populations that the adversary tells apart, as the object of "tells"."""
    if result.pairs[0].groups is None:
        return "the first given population from the second"
    if len(result.pairs) == 1:
        first, second = result.pairs[0].groups
        return f"a population of {shown_names([first])} only from one of {shown_names([second])} only"
    groups = result.counts.groups
    more = f" and {len(groups) - _MOST_NAMED} more" if len(groups) > _MOST_NAMED else ""
    return f"any two populations of one group each ({shown_names(groups[:_MOST_NAMED])}{more}) apart"


def verdict(result: Certification) -> str:
    """The bound in one sentence."""
    balance = " (label marginals made equal)" if result.label_balanced else ""
    return (
        f"With confidence {percent(result.confidence)}, an adversary who, for one random person, sees "
        f"{result.game.sees} tells {worlds(result)}{balance}, with an advantage of at most {above(result.upper)}: it "
        f"guesses right at most {percent_above((1 + result.upper) / 2)} of the time, where 50 % is blind guessing."
    )


def sentence(clause: str) -> str:
    """A clause with a capital letter and a full stop."""
    return f"{clause[0].upper()}{clause[1:]}."


def not_covered(result: Certification) -> list[str]:
    """Adversaries that the bound says nothing about."""
    return list(map(sentence, result.game.not_covered))


def label_shift(result: Certification | ScoreCertification) -> str:
    """How much of the distance between the worst two worlds is label shift."""
    pair = result.worst.pair
    return (
        f"Of the distance {float(pair.distance):.4f} between the worlds ({printable(result.worst.name)}), label shift "
        f"makes up {float(pair.label_shift):.4f}."
    )


def t1b_point(result: Certification) -> Fraction:
    """The measured value by T1b: what moves is priced at the disparity of the groups between which it moves."""
    return max(transport_bound(pair.pair, result.disparities)[0].value for pair in result.pairs)


def priced_at(result: Certification) -> str | None:
    """Which groups' disparities the value is made of, where a log has more than two groups; None elsewhere."""
    if result.theorem == "T1b":
        if len(result.counts.groups) == 2 or not result.estimated:
            return None
        table = "the table shows each label's largest of any two groups."
        several = f"T1b prices each pair at the disparities between its own two groups; {table}"
        if len(result.pairs) > 1 or len(result.counts.labels) > _MOST_NAMED or result.empty_cells(result.worst):
            return several
        groups = result.worst.groups or ()
        distances = result.disparities.between(*map(result.counts.group_index, groups))
        named = ", ".join(
            f"{float(distance):.4f} for label {shown_names([label])}"
            for label, distance in zip(result.counts.labels, distances, strict=True)
        )
        first, second = (shown_names([group]) for group in groups)
        return f"The disparities between {first} and {second}, at which T1b prices them, are {named}; {table}"
    own = t1b_point(result)
    if own == result.point:
        return None
    return (
        "T1 prices what moves at each label's largest disparity of any two groups of the log. T1b takes the disparity "
        f"of the groups between which it moves, and is never above: {float(own):.4f} in place of "
        f"{float(result.point):.4f} at the measured rates. Choose before seeing the log."
    )


def many_draws(result: Certification) -> str:
    """What the bound on one draw says about several."""
    after = ", ".join(f"{above(Fraction(worst_case_above(result.upper, n)))} after {n}" for n in (10, 100, 1000))
    goal = Fraction(9, 10)
    needed = draws_needed(result.upper, goal)
    reached = "no number of draws gives" if needed is None else f"it takes at least {needed} to have"
    return (
        f"Independent draws add up. With the same confidence the advantage is at most {after} of them (T5), and "
        f"{reached} the advantage {float(goal):g}."
    )


def published_form(result: Certification) -> str:
    """The published bound at the measured rates, and whether it is one."""
    pair = result.worst.pair
    value = float(result.disparities.equalized_odds * pair.distance)
    reason = label_shift_reason(pair)
    return (
        f"The published form Delta_EO * W, taken as its abstract states it (the full theorem may assume more), is "
        f"{value:.4f} at the measured rates; "
        + (
            "there it is a bound, but it covers no sampling error."
            if reason is None
            else f"it is no bound here: {reason}"
        )
    )


def numbers(result: Certification) -> list[tuple[str, Fraction | None, Fraction]]:
    """Disparities and advantages: name, measured value (None where an empty cell stands for it), upper limit."""
    empty = {label for _, label in result.counts.missing_cells()}
    point, upper = result.disparities, result.upper_disparities
    rows: list[tuple[str, Fraction | None, Fraction]] = [
        (f"disparity of label {y}", None if y in empty else p, u)
        for y, p, u in zip(result.counts.labels, point.per_label, upper.per_label, strict=True)
    ]
    rows.append(("equalized odds difference", None if empty else point.equalized_odds, upper.equalized_odds))
    return rows + advantages(result)


def advantages(result: Certification | ScoreCertification) -> list[tuple[str, Fraction | None, Fraction]]:
    """The same of the advantage for every pair of worlds, and the largest of several."""

    def measured(pair: Any) -> bool:
        empty = {label for _, label in result.empty_cells(pair)}
        # Labels without matched mass do not enter the value.
        return not any(m and y in empty for y, m in zip(result.counts.labels, pair.pair.moved, strict=True))

    rows: list[tuple[str, Fraction | None, Fraction]] = [
        (f"advantage, {pair.name}", pair.point if measured(pair) else None, pair.upper) for pair in result.pairs
    ]
    if len(result.pairs) > 1:
        point = result.point if all(measured(pair) for pair in result.pairs) else None
        rows.append(("advantage, worst pair", point, result.upper))
    return rows


def shown_point(value: Fraction | None) -> str:
    """A measured value to the nearest, or a dash."""
    return "-" if value is None else f"{float(value):.4f}"


def empty_cells(counts: Counts) -> str:
    """Which cells have no rows, in a sentence."""
    cells = counts.missing_cells()
    named = "; ".join(f"group {shown_names([a])}, label {shown_names([y])}" for a, y in cells[:_MOST_NAMED])
    more = f"; and {len(cells) - _MOST_NAMED} more" if len(cells) > _MOST_NAMED else ""
    return f"Without rows: {named}{more}. What depends on them was not measured (-)."


def facts_at_measured_rates(result: Certification, floor: NoiseFloor | None) -> list[str]:
    """The published form and the noise floor; where a cell has no rows, which ones instead."""
    if result.counts.missing_cells():
        return [empty_cells(result.counts)]
    return [published_form(result), *([] if floor is None else [noise_floor_sentence(floor)])]


def noise_floor_sentence(floor: NoiseFloor) -> str:
    """What a perfectly fair model with the pooled rates would measure at this size."""
    return (
        f"With the groups' rates pooled, a perfectly fair model would show an equalized odds difference of "
        f"{floor.equalized_odds_mean:.4f} on average on a log of this size (95 % of logs: up to "
        f"{floor.equalized_odds_quantile_95:.4f}), and a log without any disparity the bound "
        f"{above(floor.advantage_upper)}."
    )


def label_shift_floor(pair: PairResult, limit: Fraction) -> str | None:
    """Why no fairness could bring a pair of worlds under a limit in the raw game, where that is so."""
    shift = pair.pair.label_shift
    if shift <= limit:
        return None
    return (
        f"The label shift of {printable(pair.name)} alone is {float(shift):.4f}, above the limit "
        f"{float(limit):g}: no fairness constraint can certify this game. The label-balanced game (--label-balanced, "
        "label_balanced=True) asks what the model adds."
    )


NOT_COVERED_IN_SHORT = (
    "Not covered: adversaries who compare models trained in each world (shadow models, C8), who see scores or "
    "parameters, or who draw several times."
)
