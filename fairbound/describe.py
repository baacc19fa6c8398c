"""Plain sentences: what was bounded, against whom, under which assumptions, and what is not covered."""

from __future__ import annotations

from fractions import Fraction

from fairbound.bounds.certify import Certification


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
    """The populations that the adversary tells apart."""
    if result.pairs[0].groups is None:
        return "the two given populations"
    named = [f"one of {pair.groups[0]} only and one of {pair.groups[1]} only" for pair in result.pairs if pair.groups]
    if len(named) == 1:
        return named[0]
    return f"populations of one group each (any two of {', '.join(map(str, result.counts.groups))})"


def verdict(result: Certification) -> str:
    """The bound in one sentence."""
    balance = " whose label marginals are made equal" if result.label_balanced else ""
    return (
        f"With confidence {percent(result.confidence)}, an adversary who sees {result.game.sees} of one random person "
        f"tells {worlds(result)}{balance} apart with an advantage of at most {above(result.upper)}: it "
        f"guesses right at most {percent_above((1 + result.upper) / 2)} of the time, where 50 % is blind guessing."
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
