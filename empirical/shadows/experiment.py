"""Defences under attack: victims of each, adversaries who know the defence or do not, and T1's bound beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from fairbound.bounds import Counts, certify_counts
from fairbound.bounds.confidence import parse_confidence
from fairbound.empirical.attacks import (
    ATTACKS,
    AttackResult,
    Guesses,
    WhiteBoxMetaClassifier,
    advantage_interval,
    auc_interval,
    get_attack,
    holm,
    n_leaked,
    n_leaked_exactly,
    run_attacks,
    true_positives_at,
)
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.models import FitProgress
from fairbound.empirical.shadows.defences import DEFENCES, get_defence
from fairbound.empirical.shadows.plan import DistributionInferencePlan
from fairbound.empirical.shadows.sweep import ShadowOutputs, run_shadows
from fairbound.empirical.torch_tools import one_thread

WHITE_BOX = WhiteBoxMetaClassifier.name
ALL_ATTACKS = (*ATTACKS, WHITE_BOX)
#: Models trained at once by one worker; whole chunks of a smaller experiment serve a larger one.
CHUNK = 50


@dataclass(frozen=True, eq=False)
class AttackedVictims:
    """What was measured on the victims of one defence.

    Attributes
    ----------
    defence : str
    utility : float
        Mean accuracy of the victims on the evaluation part, whose groups and labels are those of the data.
    delta_eo : float
        Mean of the victims' Delta_EO there.
    bound_mean : Fraction or None
        T1's value for the two worlds at a victim's measured rates, the mean over victims. None in a null run.
    bound : Fraction or None
        T1's upper confidence bound, the largest of the victims; the limits of all victims hold jointly (Bonferroni).
    shadows : dict from bool to int
        Shadow models for each world of the adversary who knows the defence (True) and of the one who does not.
    victims : int
        For each world.
    attacks : tuple of (bool, AttackResult)
        Whether the adversary's shadows were defended alike, and what an attack attained. p-values are adjusted over
        everything that was run together.
    """

    defence: str
    utility: float
    delta_eo: float
    bound_mean: Fraction | None
    bound: Fraction | None
    shadows: dict[bool, int]
    victims: int
    attacks: tuple[tuple[bool, AttackResult], ...]

    def rows(self, plan: DistributionInferencePlan) -> list[dict[str, Any]]:
        """One flat, JSON-ready record for each attack.

        Parameters
        ----------
        plan : DistributionInferencePlan
            The game that was played.

        Returns
        -------
        list of dict
        """
        first, second = plan.ratios[:2]
        records = []
        for adaptive, result in self.attacks:
            victims = sum(result.guesses.models)
            accuracy = sum(Fraction(k, 2 * n) for k, n in zip(result.guesses.right, result.guesses.models, strict=True))
            told = first != second
            records.append(
                {
                    "defence": self.defence,
                    "adaptive": adaptive,
                    "attack": result.name,
                    "accuracy": result.accuracy,
                    "advantage": result.advantage.value,
                    "low": result.advantage.lower,
                    "high": result.advantage.upper,
                    "auc": result.auc.value,
                    "p_value": result.p_value,
                    "bound": None if self.bound is None else float(self.bound),
                    "bound_mean": None if self.bound_mean is None else float(self.bound_mean),
                    "verdict": None if self.bound is None else result.verdict(self.bound),
                    "n_leaked": n_leaked(result.accuracy, float(first), float(second), models=victims)
                    if told
                    else None,
                    "n_leaked_exactly": n_leaked_exactly(accuracy, first, second) if told else None,
                    "utility": self.utility,
                    "delta_eo": self.delta_eo,
                    "right_0": result.guesses.right[0],
                    "right_1": result.guesses.right[1],
                    "shadows": self.shadows[adaptive],
                    "victims": self.victims,
                }
            )
        return records


def attack_defences(
    plan: DistributionInferencePlan,
    out: str | os.PathLike[str],
    *,
    defences: Sequence[str] = ("none", "fft"),
    adaptive: Sequence[bool] = (False, True),
    attacks: Sequence[str] = ALL_ATTACKS,
    shadows: int = 100,
    victims: int = 100,
    one_by_one: int = 32,
    seed: int = 0,
    confidence: float | str | Fraction = 0.95,
    jobs: int | None = None,
    progress: FitProgress | None = None,
) -> list[AttackedVictims]:
    """Train shadow models and victims, and attack the victims of each defence.

    The adaptive adversary knows the defence: its shadow models are trained with it. The other one has undefended shadow
    models. "none" has the latter alone. If the plan's two ratios agree, it is a null run: there is nothing to find, no
    bound is made, and p-values are two-sided as those of `null_check`.

    Parameters
    ----------
    plan : DistributionInferencePlan
        Its first two ratios are the worlds.
    out : path
        Folder of the models; what is there is not trained again (see `run_shadows`).
    defences : sequence of str
        Names of `DEFENCES`.
    adaptive : sequence of bool
        Adversaries.
    attacks : sequence of str
        Names of `ATTACKS`, and "white_box", which is left out where models are no networks.
    shadows, victims : int, default 100
        For each world.
    one_by_one : int, default 32
        Limit on the models of either kind that are trained with a defence that takes one after the other. Undefended
        shadow models are trained in bulk and keep their number.
    seed : int
    confidence : rational
        Of each attack's interval, and of the victims' bounds together.
    jobs : int, optional
        Workers; -1: one for each core.
    progress : callable, optional
        Called with what is done, the number of parts done, and of all.

    Returns
    -------
    list of AttackedVictims
        In the order of `defences`.

    Raises
    ------
    ProtocolError
        If a defence is unknown, nothing is asked for, or a pool is too small.
    AttackInputError
        If an attack is unknown.
    FairboundError
        If a model cannot be trained; what was trained before is kept.
    """
    level = parse_confidence(confidence)
    if not defences or not adaptive or not attacks:
        raise ProtocolError("Name at least one defence, one adversary and one attack.")
    chosen = {name: get_defence(name) for name in dict.fromkeys(defences)}
    names = tuple(dict.fromkeys(attacks))
    for name in names:
        if name != WHITE_BOX:
            get_attack(name)
    undefended = DEFENCES["none"].recipe
    games = []
    for name, defence in chosen.items():
        most = one_by_one if defence.one_by_one else max(shadows, victims)
        number = {True: min(shadows, most), False: shadows}
        for knows in (False,) if name == "none" else adaptive:
            told = None if progress is None else _named(progress, f"{name}, {'adaptive' if knows else 'not adaptive'}")
            outputs = run_shadows(
                plan,
                defence.recipe if knows else undefended,
                out,
                victim_recipe=defence.recipe,
                shadows=number[knows],
                victims=min(victims, most),
                seed=seed,
                chunk=CHUNK,
                keep_parameters=True,
                jobs=jobs,
                progress=told,
            )
            games.append((name, number, knows, outputs))
    found = []
    made = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_attack)(outputs, names, seed, level) for *_, outputs in games
    )
    for done, results in enumerate(made, start=1):
        found.append(results)
        if progress is not None:
            progress("attacks", done, len(games))
    null = plan.ratios[0] == plan.ratios[1]
    adjusted = iter(holm([_two_sided(r) if null else r.p_value for results in found for r in results]))
    measured = {}
    for (name, number, knows, outputs), results in zip(games, found, strict=True):
        if name not in measured:
            each = len(outputs.evaluation_prediction["victim"]) // 2
            measured[name] = AttackedVictims(name, *_measure(plan, outputs, level, null=null), number, each, ())
        own = tuple((knows, replace(result, p_value=float(next(adjusted)))) for result in results)
        measured[name] = replace(measured[name], attacks=measured[name].attacks + own)
    return list(measured.values())


def _named(progress: FitProgress, what: str) -> FitProgress:
    """Report under another name, and not at all where nothing is to be trained."""

    def told(_: str, done: int, total: int) -> None:
        if total:
            progress(what, done, total)

    return told


def _attack(outputs: ShadowOutputs, names: Sequence[str], seed: int, level: Fraction) -> list[AttackResult]:
    """The results of all attacks, with p-values of their own; runs in a worker."""
    with one_thread(), threadpool_limits(1):
        queries, shadows, victims = outputs.two_worlds()
        known = [name for name in names if name != WHITE_BOX]
        results = run_attacks(queries, shadows, victims, known, seed, confidence=level)
        results = [replace(result, p_value=result.guesses.p_value()) for result in results]
        if WHITE_BOX in names and outputs.parameters["shadow"] and outputs.parameters["victim"]:
            fitted = WhiteBoxMetaClassifier().fit(
                outputs.weights_of("shadow"), np.random.default_rng([seed, *WHITE_BOX.encode()])
            )
            weights = outputs.weights_of("victim")
            guess, score, world = fitted.guess(weights), fitted.score(weights), victims.two_worlds()
            guesses = Guesses.of(guess, world)
            results.append(
                AttackResult(
                    WHITE_BOX,
                    world,
                    guess,
                    score,
                    guesses,
                    advantage_interval(guesses, level),
                    auc_interval(score, world, level),
                    true_positives_at(score, world),
                    guesses.p_value(),
                )
            )
        return results


def _two_sided(result: AttackResult) -> float:
    mirrored = Guesses.of(1 - result.guess, result.world)
    return min(1.0, 2 * min(result.guesses.p_value(), mirrored.p_value()))


def _measure(
    plan: DistributionInferencePlan, outputs: ShadowOutputs, level: Fraction, *, null: bool
) -> tuple[float, float, Fraction | None, Fraction | None]:
    """Mean accuracy, mean Delta_EO, mean of T1's values and the largest joint upper bound of the victims."""
    label, group = outputs.evaluation_label, outputs.evaluation_group
    names = np.array(plan.groups)[group]
    classes = range(len(plan.label_shares))
    predictions = outputs.evaluation_prediction["victim"]
    pair = plan.pair(0, 1)
    # All limits hold together: each victim's error is its share of the whole.
    each = 1 - (1 - level) / len(predictions)
    odds, points, uppers = [], [], []
    for prediction in predictions:
        counts = Counts.from_arrays(
            label, prediction, sensitive_features=names, groups=plan.groups, labels=classes, outputs=classes
        )
        result = certify_counts(counts, pair=pair, confidence=each)
        odds.append(result.disparities.equalized_odds)
        points.append(result.point)
        uppers.append(result.upper)
    accuracy = float((predictions == label).mean())
    mean_odds = float(sum(odds) / len(odds))
    if null:
        return accuracy, mean_odds, None, None
    return accuracy, mean_odds, sum(points, Fraction(0)) / len(points), max(uppers)
