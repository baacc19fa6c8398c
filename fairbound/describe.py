"""Plain sentences: what was bounded, against whom, under which assumptions, and what is not covered."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from fairbound.bounds.alphabet import Symbol, printable
from fairbound.bounds.certify import Certification
from fairbound.bounds.exact import label_shift_reason
from fairbound.bounds.noise import NoiseFloor
from fairbound.bounds.rational import decimal_above, decimal_below


def percent(value: Fraction) -> str:
    """A level as a percentage, rounded down."""
    return f"{decimal_below(100 * value)} %"


def above(value: Fraction) -> str:
    """An upper bound with four digits after the point, rounded up."""
    return decimal_above(value, 4)


def percent_above(value: Fraction) -> str:
    """An upper bound as a percentage, rounded up."""
    return f"{decimal_above(100 * value, 2)} %"


def names(symbols: Iterable[Symbol]) -> str:
    """Symbols of a log, safe to show."""
    return ", ".join(printable(str(symbol)) for symbol in symbols)


def worlds(result: Certification) -> str:
    """The populations that the adversary tells apart, as the object of "tells"."""
    if result.pairs[0].groups is None:
        return "the first given population from the second"
    if len(result.pairs) == 1:
        first, second = result.pairs[0].groups
        return f"a population of {names([first])} only from one of {names([second])} only"
    return f"any two populations of one group each ({names(result.counts.groups)}) apart"


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
    lines.append(
        f"There are no labels but {names(result.counts.labels)}, and no outputs but {names(result.counts.outputs)}."
    )
    if result.limits.label_marginals is None:
        lines.append("The two compositions are given, and taken as exact.")
    else:
        lines.append("The groups' label marginals were estimated from the log; their error is covered.")
    if result.on_missing == "vacuous" and result.counts.missing_cells():
        a, y = result.counts.missing_cells()[0]
        lines.append(f"Cells without rows (such as group {names([a])}, label {names([y])}) count as disparity 1.")
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
    """What a perfectly fair model with the pooled rates would measure at this size."""
    return (
        f"With the groups' rates pooled, a perfectly fair model would show an equalized odds difference of "
        f"{floor.equalized_odds_mean:.4f} on average on a log of this size (95 % of logs: up to "
        f"{floor.equalized_odds_quantile_95:.4f}), and a log without any disparity the bound "
        f"{above(floor.advantage_upper)}."
    )


def label_shift_floor(result: Certification, limit: Fraction) -> str | None:
    """Why no fairness could bring the raw game under a limit, where that is so."""
    shift = result.worst.pair.label_shift
    if shift <= limit:
        return None
    return (
        f"The label shift of {printable(result.worst.name)} alone is {float(shift):.4f}, above the limit "
        f"{float(limit):g}: no fairness constraint can certify this game. The label-balanced game (--label-balanced) "
        "asks what the model adds."
    )
