"""T4, dual leg: exact optima and multipliers on a family, T1 as a special case, and what parity metrics bound."""

from __future__ import annotations

from fractions import Fraction

from fairbound.bounds import check
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.exact import constant_classifier_counterexample, worst_case_advantage
from fairbound.bounds.games import GAMES
from fairbound.bounds.knowledge import Knowledge, worst_case_given
from fairbound.proofs import instances
from fairbound.proofs.failure import require

TRUSTED_BASE = "Python fractions and the certificate checker (standard library), per instance"
SEED = 2
INSTANCES = 40


def parity_statements(pair: CompositionPair, limit: Fraction) -> None:
    """Check which parity metric bounds which game for two pure worlds."""
    population = Composition.mixture([Fraction(1, 2)] * 2, [pair.world_0, pair.world_1])
    nothing = Knowledge.nothing(pair)
    facts = {
        "unlabelled": nothing.demographic_parity(population, limit),
        "correctness": nothing.accuracy_parity(population, limit),
    }
    for game in GAMES:
        require(worst_case_given(pair, nothing, game).value == 1, f"with nothing known the {game} game is not worth 1")
        for own_game, known in facts.items():
            found = worst_case_given(pair, known, game)
            require(found.witness.replay() == found.value, f"the witness in the {game} game does not attain its value")
            if game == own_game:
                require(found.value == limit, f"parity does not bound the {game} game by its limit")
            else:
                require(found.value > 2 * limit, f"parity bounds the {game} game, which it does not speak of")
    odds = nothing.equalized_odds(limit)
    for fact in (odds.accuracy(population, Fraction(17, 20)), odds.operating_point(population, 1, 1, Fraction(3, 5))):
        for game in GAMES:
            found = worst_case_given(pair, fact, game)
            check.check(dict(found.certificate().data))
            require(found.value <= worst_case_given(pair, odds, game).value, "one more fact raises the worst case")
            require(
                found.witness.replay() == found.value, "the witness with an equality fact does not attain its value"
            )
    correct = worst_case_given(pair, odds.accuracy(population, Fraction(17, 20)), "correctness").value
    require(correct < worst_case_given(pair, odds, "correctness").value, "a known accuracy tells nothing")
    free = worst_case_given(pair, nothing.equalized_odds(limit, only=[1])).value
    require(free == worst_case_advantage(pair, (Fraction(1), limit)).value, "equal opportunity bounds the other label")


def run() -> str:
    """
    Run the family and the parity statements.

    Returns
    -------
    str

    Raises
    ------
    ProofFailure
        Naming the step that does not hold.
    """
    pairs = instances.composition_pairs(INSTANCES, seed=SEED, max_groups=3, max_labels=2)
    for number, pair in enumerate(pairs):
        delta = instances.disparities(pair, seed=number)
        known = Knowledge.nothing(pair)
        for label, limit in zip(pair.labels, delta, strict=True):
            known = known.equalized_odds(limit, only=[label])
        for game in GAMES:
            found = worst_case_given(pair, known, game)
            check.check(dict(found.certificate().data))
            require(found.value == worst_case_advantage(pair, delta).value, f"instance {number}: T1 in the {game} game")
    parity_statements(constant_classifier_counterexample(Fraction(1, 10), Fraction(3, 10)).pair, Fraction(1, 20))
    return (
        f"{INSTANCES} instances x 3 games (seed {SEED}): per-label limits give T1, every certificate checks; "
        "demographic and accuracy parity bound their own game only"
    )
