"""The table of `fairbound queries`: what a bound on one draw means for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fairbound.bounds.certificate import Certificate
from fairbound.bounds.channel import Channel
from fairbound.bounds.check import KNOWLEDGE_SCHEMA, SCHEMA
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import CertificateError
from fairbound.bounds.games import get_game
from fairbound.bounds.queries import (
    MAX_DRAWS,
    AdvantageAfter,
    advantage_after,
    draws_needed,
    worst_case_above,
)
from fairbound.bounds.rational import decimal_above, float_above

DRAWS = (1, 10, 100, 1000, 10_000)
TARGETS = (Fraction(1, 2), Fraction(9, 10), Fraction(99, 100))
ASSUMPTION = (
    "Draws are independent, from one world, and shown by one model. The worst case is a fixed, rising function of the "
    "bound of one draw, so a confidence bound keeps its confidence (T5)."
)
POINT_ESTIMATE = (
    "The measured channel is a point estimate: the best test against the log's own rates, without sampling error."
)


@dataclass(frozen=True)
class OneDraw:
    """
    What is known about one draw.

    Attributes
    ----------
    advantage : Fraction
        Its bound.
    source : str
        Where the bound comes from, in words.
    confidence : Fraction or None
        Of the bound, where it is one of a certificate with counts.
    measured : (str, tuple of Fraction, tuple of Fraction) or None
        The pair of worlds with the largest bound at the measured rates, by name, and what one draw shows in each.
    """

    advantage: Fraction
    source: str
    confidence: Fraction | None = None
    measured: tuple[str, tuple[Fraction, ...], tuple[Fraction, ...]] | None = None

    @classmethod
    def of_certificate(cls, certificate: Certificate) -> OneDraw:
        """
        Read a checked certificate of either form.

        Parameters
        ----------
        certificate : Certificate
            A log's bound (the confidence bound counts), or a worst case given facts (its value counts).

        Raises
        ------
        CertificateError
            For another form.
        """
        data = certificate.data
        if data["schema"] == KNOWLEDGE_SCHEMA:
            return cls(Fraction(data["value"]), f"worst case given facts, {data['game']} game")
        if data["schema"] != SCHEMA:
            raise CertificateError(f"a certificate of the form {data['schema']} bounds no game of single draws.")
        claim = data["claim"]
        balanced = "label-balanced " if claim["label_balanced"] else ""
        return cls(
            Fraction(data["advantage"]["upper"]),
            f"certified, {balanced}{claim['game']} game",
            Fraction(claim["confidence"]),
            _measured(data),
        )


@dataclass(frozen=True)
class ManyDraws:
    """
    The table.

    Attributes
    ----------
    one : OneDraw
    rows : tuple of (int, float, AdvantageAfter or None)
        Number of draws, the worst case rounded up, and the advantage against the measured channel.
    needed : tuple of (Fraction, int or None)
        Targets, and the least number of draws that may reach them.
    """

    one: OneDraw
    rows: tuple[tuple[int, float, AdvantageAfter | None], ...]
    needed: tuple[tuple[Fraction, int | None], ...]

    @classmethod
    def of(cls, one: OneDraw, draws: Sequence[int] = DRAWS, targets: Sequence[Fraction] = TARGETS) -> ManyDraws:
        """
        Fill the table.

        Parameters
        ----------
        one : OneDraw
        draws : sequence of int
        targets : sequence of Fraction

        Raises
        ------
        NumberError
            If a number of draws is negative, or the advantage or a target lies outside [0, 1].
        """

        def measured(n: int) -> AdvantageAfter | None:
            if one.measured is None or n > MAX_DRAWS:
                return None
            return advantage_after(one.measured[1], one.measured[2], n)

        return cls(
            one,
            tuple((n, worst_case_above(one.advantage, n), measured(n)) for n in draws),
            tuple((target, draws_needed(one.advantage, target)) for target in targets),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready numbers: upper values are rounded up, lower values down."""
        measured = self.one.measured
        return {
            "advantage": float_above(self.one.advantage),
            "source": self.one.source,
            "confidence": None if self.one.confidence is None else float(self.one.confidence),
            "measured_pair": None if measured is None else measured[0],
            "draws": [
                {
                    "draws": n,
                    "worst_case": worst,
                    "measured": None
                    if found is None
                    else {
                        "lower": -float_above(-found.lower),
                        "upper": float_above(found.upper),
                        "method": found.method,
                    },
                }
                for n, worst, found in self.rows
            ],
            "draws_needed": [{"target": float(target), "draws": n} for target, n in self.needed],
            "assumption": ASSUMPTION,
        }

    def cells(self) -> list[tuple[str, str, str]]:
        """The rows as text: draws, worst case (rounded up), measured channel."""
        return [
            # One draw's worst case is what was given; the float above it would be rounded up twice.
            (
                f"{n:,}",
                decimal_above(self.one.advantage if n == 1 else Fraction(worst)),
                "" if found is None else _shown(found),
            )
            for n, worst, found in self.rows
        ]


def _shown(found: AdvantageAfter) -> str:
    """Four digits if the enclosure settles them, else both ends."""
    low, high = f"{float(found.lower):.4f}", f"{float(found.upper):.4f}"
    return low if low == high else f"{low} to {high}"


def _measured(data: Mapping[str, Any]) -> tuple[str, tuple[Fraction, ...], tuple[Fraction, ...]] | None:
    """What one draw shows in the worst pair of worlds at the measured rates; None if a cell has no rows."""
    entry = data["counts"]
    groups, labels, outputs = (tuple(entry[name]) for name in ("groups", "labels", "outputs"))
    counts = Counts(groups, labels, outputs, tuple(tuple(map(tuple, plane)) for plane in entry["table"]))
    if counts.missing_cells():
        return None
    worst = max(data["pairs"], key=lambda pair: Fraction(pair["point"]))
    if "groups" in worst:
        name, pair = " / ".join(map(str, worst["groups"])), CompositionPair.pure(counts, *worst["groups"])
    else:
        masses = [[[Fraction(m) for m in row] for row in worst[world]] for world in ("world_0", "world_1")]
        compositions = (Composition(groups, labels, tuple(map(tuple, mass))) for mass in masses)
        name, pair = "the given pair", CompositionPair(*compositions)
    if data["claim"]["label_balanced"]:
        pair = pair.label_balanced()
    p, q = get_game(data["claim"]["game"]).views(pair, Channel.from_counts(counts))
    return name, p, q
