"""
The exact worst case over W and Delta, attained by witness channels (T1, T2).

Theory only: two worlds with equal label marginals that differ in which group the rows come from.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.bounds import Composition, CompositionPair, witness, worst_case_advantage
from fairbound.bounds.games import GAMES
from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row

DISPARITIES = (Fraction(1, 20), Fraction(1, 5), Fraction(1, 2), Fraction(1))
STEPS = 20
BASE_RATE = Fraction(3, 10)


def worlds(distance: Fraction) -> CompositionPair:
    """Two mixtures of two groups, with one base rate, whose total variation is the distance."""

    def mixture(share: Fraction) -> Composition:
        labels = (1 - BASE_RATE, BASE_RATE)
        return Composition(
            ("A", "B"), (0, 1), (tuple(share * p for p in labels), tuple((1 - share) * p for p in labels))
        )

    return CompositionPair(mixture((1 + distance) / 2), mixture((1 - distance) / 2))


def load(results: Path) -> list[Row]:
    """Exact value and each game's replayed witness, per disparity and distance of the worlds."""
    rows = []
    for delta in DISPARITIES:
        for step in range(STEPS + 1):
            pair = worlds(Fraction(step, STEPS))
            rows.append(
                {
                    "disparity": float(delta),
                    "W": float(pair.distance),
                    "exact": float(worst_case_advantage(pair, (delta, delta)).value),
                }
                | {f"witness_{game}": float(witness(pair, (delta, delta), game).replay()) for game in GAMES}
            )
    return rows


def table(data: list[Row]) -> list[Row]:
    """The plotted numbers."""
    return data


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    figure = style.new_figure(4.6, 3.6)
    # One game's marks after another along each line: they would hide each other.
    marks = dict(zip(GAMES, style.MARKERS, strict=False))
    with rc_context(style.SETTINGS):
        axis = figure.subplots()
        for delta, colour, line in zip(DISPARITIES, style.SERIES, style.LINES, strict=False):
            shown = [row for row in data if row["disparity"] == float(delta)]
            x, y = [row["W"] for row in shown], [row["exact"] for row in shown]
            axis.plot(x, y, color=colour, linestyle=line)
            axis.annotate(
                f"Delta_EO = {float(delta):g}", (1, y[-1]), xytext=(4, 0), textcoords="offset points", va="center"
            )
            for offset, (game, marker) in enumerate(marks.items()):
                every = slice(2 + 2 * offset, None, 2 * len(marks))
                axis.plot(
                    x[every],
                    [row[f"witness_{game}"] for row in shown][every],
                    marker,
                    color=colour,
                    markeredgecolor="black",
                    markersize=5,
                    clip_on=False,
                )
        for game, marker in marks.items():
            axis.plot([], [], marker, color="white", markeredgecolor="black", label=f"witness, {game} game")
        axis.set_xlabel("W, total variation between the two compositions")
        axis.set_ylabel("largest advantage (T1)")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.02)
        axis.legend(fontsize=8, loc="upper left")
    return figure


def caption(data: list[Row]) -> str:
    """What the figure shows."""
    return (
        f"Largest advantage of one draw's adversary over all models, for two mixtures of two groups with base rate "
        f"{float(BASE_RATE):g} in both and one disparity Delta_EO for both labels (theory, no sampling). Advantage "
        "and W: total variation, 0 to 1. Lines: the exact worst case, here Delta_EO * W (T1, T1a); marks: what the "
        "witness channels attain, recomputed from the definition of each game (T2)."
    )
