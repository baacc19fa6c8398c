"""Plain sentences: what was bounded, against whom, under which assumptions, and what is not covered."""

from __future__ import annotations

from fractions import Fraction

from fairbound.bounds.certify import Certification
from fairbound.bounds.exact import label_shift_reason
from fairbound.bounds.noise import NoiseFloor


def percent(value: Fraction | float) -> str:
    """A probability as a percentage."""
    return f"{100 * float(value):.4g} %"


def above(value: Fraction) -> str:
    """An upper bound with four digits after the point, rounded up."""
    return f"{-(-value * 10_000 // 1) / 10_000:.4f}"


def percent_above(value: Fraction) -> str:
    """An upper bound as a percentage, rounded up."""
    return f"{-(-value * 10_000 // 1) / 100:.2f} %"


def worlds(result: Certification) -> str:
    """The populations that the adversary tells apart, as the object of "tells"."""
    if result.pairs[0].groups is None:
        return "the first given population from the second"
    if len(result.pairs) == 1:
        first, second = result.pairs[0].groups
        return f"a population of {first} only from one of {second} only"
    return f"any two populations of one group each ({', '.join(map(str, result.counts.groups))}) apart"


def verdict(result: Certification) -> str:
    """The bound in one sentence."""
    balance = " (label marginals made equal)" if result.label_balanced else ""
    return (
        f"With confidence {percent(result.confidence)}, an adversary who sees {result.game.sees} of one random person "
        f"tells {worlds(result)}{balance}, with an advantage of at most {above(result.upper)}: it guesses right at "
        f"most {percent_above((1 + result.upper) / 2)} of the time, where 50 % is blind guessing."
    )


def assumptions(result: Certification) -> list[str]:
    """What the bound rests on."""
    lines = [f"{assumption}." for assumption in result.game.assumptions]
    lines.append("The log's rows are independent draws, and none was used to train, tune or select the model.")
    if result.limits.label_marginals is None:
        lines.append("The two compositions are given, and taken as exact.")
    else:
        lines.append("The groups' label marginals were estimated from the log; their error is covered.")
    if result.on_missing == "vacuous" and result.counts.missing_cells():
        a, y = result.counts.missing_cells()[0]
        lines.append(f"Cells without rows (such as group {a}, label {y}) count as disparity 1.")
    return [line[0].upper() + line[1:] for line in lines]


def not_covered(result: Certification) -> list[str]:
    """Adversaries that the bound says nothing about."""
    return [f"{line[0].upper()}{line[1:]}." for line in result.game.not_covered]


def published_form(result: Certification) -> str:
    """The published bound at the measured rates, and whether it is one."""
    pair = result.worst.pair
    value = float(result.disparities.equalized_odds * pair.distance)
    reason = label_shift_reason(pair)
    return (
        f"The published form Delta_EO * W, taken as its abstract states it (the full theorem may assume more), is "
        f"{value:.4f}; " + ("it is a bound here." if reason is None else f"it is no bound here: {reason}")
    )


def noise_floor_sentence(floor: NoiseFloor) -> str:
    """What a perfectly fair model would measure at this size."""
    return (
        f"A perfectly fair model would show an equalized odds difference of {floor.equalized_odds_mean:.4f} on average "
        f"on a log of this size ({floor.equalized_odds_quantile_95:.4f} or more in 5 % of logs), and no model's bound "
        f"could be below about {above(floor.advantage_upper)}."
    )


def label_shift_floor(result: Certification, limit: Fraction) -> str | None:
    """Why no fairness could bring the raw game under a limit, where that is so."""
    shift = result.worst.pair.label_shift
    if shift <= limit:
        return None
    return (
        f"The label shift of {result.worst.name} alone is {float(shift):.4f}, above the limit {float(limit):g}: no "
        "fairness constraint can certify this game. The label-balanced game (--label-balanced) asks what the model "
        "adds."
    )
