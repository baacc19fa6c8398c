"""The `attack` command: train shadow models and victims, attack every defence, and print the bound beside it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbound.attack_report import AttackedDefence, AttackReport, MeasuredAttack, attack_page
from fairbound.bounds.alphabet import printable
from fairbound.bounds.games import LABELLED
from fairbound.bounds.rational import decimal_above
from fairbound.empirical.data import load_dataset
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.shadows.defences import DEFENCES
from fairbound.empirical.shadows.experiment import ALL_ATTACKS, AttackedVictims, attack_defences
from fairbound.empirical.shadows.plan import DistributionInferencePlan, plan_distribution_inference
from fairbound.empirical.shadows.pools import Pools
from fairbound.empirical.sweep import write_parquet
from fairbound.files import write_text
from fairbound.paper_figs.stored import read_table
from fairbound.progress import parts_progress
from fairbound.report import Page

MODELS_FOLDER = "models"
#: What is run unless told otherwise: what takes no more than a minute or so for a hundred models of each kind.
DEFAULT_DEFENCES = tuple(name for name in DEFENCES if name != "dp_sgd")
CONFIDENCE = 0.95

COVERED = f"one draw from the population that one model serves, of which the adversary sees {LABELLED.sees}"
OUTSIDE = (
    "All attacks here are outside it: they compare models trained in each world and query them many times, or read "
    "weights (C8). A verdict says how one attack's interval stands against the number, and does not refute the bound."
)

OVERLAP = (
    "Where that is much, shadow models are told apart in part by rows that victims do not share, and attacks are "
    "stronger on a larger data set."
)

#: Columns that say which game a row is from.
_GAME = ("dataset", "attribute", "group", "other", "ratios", "rows", "queries", "include_attribute", "seed")


def plan_attack(
    dataset: str,
    *,
    attribute: str,
    group: str | None,
    ratios: Sequence[str],
    other: str | None = None,
    rows: int = 2000,
    queries: int = 500,
    include_attribute: bool = True,
) -> DistributionInferencePlan:
    """
    Check the settings of a game.

    Parameters
    ----------
    dataset, attribute, other, rows, queries, include_attribute
        As in `plan_distribution_inference`.
    group : str or None
        None: the attribute's first group in alphabetical order.
    ratios : sequence of str
        Shares of the group in world 0, in world 1, and in further ones.

    Returns
    -------
    DistributionInferencePlan

    Raises
    ------
    FairboundError
        As in `plan_distribution_inference`.
    """
    data = load_dataset(dataset)
    chosen = group or str(np.unique(data.groups_of(attribute))[0])
    settings: dict[str, Any] = {"rows": rows, "queries": queries, "include_attribute": include_attribute}
    # By its name, so that workers load it themselves.
    return plan_distribution_inference(
        dataset, attribute=attribute, group=chosen, other=other, ratios=ratios, **settings
    )


def run_attack(
    plan: DistributionInferencePlan,
    *,
    out: Path,
    defences: Sequence[str] = DEFAULT_DEFENCES,
    adaptive: Sequence[bool] = (False, True),
    attacks: Sequence[str] = ALL_ATTACKS,
    shadows: int = 100,
    victims: int = 100,
    one_by_one: int = 32,
    seed: int = 0,
    jobs: int = -1,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[AttackedVictims]]:
    """
    Attack every defence, write the tables and print them.

    Parameters
    ----------
    plan : DistributionInferencePlan
        Of two worlds; of one ratio, for a null run.
    out : Path
        Folder. Tables of other games in it are kept.
    defences, adaptive, attacks, shadows, victims, one_by_one, seed, jobs
        As in `attack_defences`.
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    summary : dict
        JSON-ready: the game, one record for each attack, and the files.
    found : list of AttackedVictims

    Raises
    ------
    FairboundError
        As in `attack_defences`.
    """
    with parts_progress() as progress:
        found = attack_defences(
            plan,
            out / MODELS_FOLDER,
            defences=defences,
            adaptive=adaptive,
            attacks=attacks,
            shadows=shadows,
            victims=victims,
            one_by_one=one_by_one,
            seed=seed,
            confidence=CONFIDENCE,
            jobs=jobs,
            progress=progress,
        )
    game = describe_game(plan, seed)
    null = is_null(plan)
    share = {"overlap": overlap(plan, seed)}
    records = [game | share | row for measured in found for row in measured.rows(plan)]
    stem = "null" if null else "attacks"
    files = {"table": out / f"{stem}.parquet", "summary": out / ("null.md" if null else "summary.md")}
    kept = _other_games(files["table"], game) + records
    _write_table(kept, files["table"])
    write_text(files["summary"], summarise(kept))
    if not quiet:
        _print(records, null=null)
        Console(highlight=False, soft_wrap=True).print(Text(f"Tables: {files['summary']}, {files['table']}"))
    summary = {"game": game, "attacks": records, "files": {name: str(path) for name, path in files.items()}}
    if null:
        summary["null_holds"] = null_holds(records)
    return summary, found


def is_null(plan: DistributionInferencePlan) -> bool:
    """Whether both worlds have one ratio, so that there is nothing to find."""
    return plan.ratios[0] == plan.ratios[1]


def null_holds(records: Sequence[dict[str, Any]]) -> bool:
    """Whether no attack on equal worlds is further from 50 % than chance allows, at the 5 % level for all together."""
    return all(record["p_value"] > 1 - CONFIDENCE for record in records)


def describe_game(plan: DistributionInferencePlan, seed: int) -> dict[str, Any]:
    """
    What identifies a game.

    Parameters
    ----------
    plan : DistributionInferencePlan
    seed : int

    Returns
    -------
    dict
        JSON-ready.
    """
    return {
        "dataset": plan.source if isinstance(plan.source, str) else plan.dataset.name,
        "attribute": plan.attribute,
        "group": plan.group,
        "other": plan.other,
        "ratios": " / ".join(f"{float(ratio):g}" for ratio in plan.ratios[:2]),
        "rows": plan.rows,
        "queries": plan.queries,
        "include_attribute": plan.include_attribute,
        "seed": seed,
    }


def attack_report(plan: DistributionInferencePlan, found: Sequence[AttackedVictims], seed: int) -> Page:
    """
    The findings as a page.

    Parameters
    ----------
    plan : DistributionInferencePlan
        Of two different worlds.
    found : sequence of AttackedVictims
    seed : int

    Returns
    -------
    Page
    """
    first, second = (f"{float(100 * ratio):g} %" for ratio in plan.ratios[:2])
    defences = []
    for measured in found:
        assert measured.bound is not None
        assert measured.bound_mean is not None
        attacks = [
            MeasuredAttack(
                result.name,
                knows,
                result.advantage.value,
                result.advantage.lower,
                result.advantage.upper,
                result.p_value,
                result.verdict(measured.bound),
            )
            for knows, result in measured.attacks
        ]
        bounds = [
            ("T1 certified, largest of the victims", float(measured.bound)),
            ("T1 measured, mean of the victims", float(measured.bound_mean)),
        ]
        defences.append(AttackedDefence(measured.defence, attacks, bounds, measured.utility, measured.delta_eo))
    facts = [
        f"{plan.source}, {plan.attribute}: the secret is the share of {plan.group!r} beside {plan.other!r}.",
        f"Every model has {plan.rows} rows of its own draw, with the same label shares in both worlds.",
        f"{plan.queries} queries for each world, from rows on which no model was trained.",
        *(
            f"{measured.defence}: {DEFENCES[measured.defence].about}; {measured.victims} victims and "
            f"{_numbers(measured)} shadow models for each world."
            for measured in found
        ),
        f"One draw takes up to {overlap(plan, seed):.0%} of its pool's rows of one group and label. {OVERLAP}",
        "Accuracy, Delta_EO and T1 are measured on rows that no model was trained on or queried with.",
        f"Seed {seed}.",
    ]
    return attack_page(
        AttackReport(
            f"models of a population with {first} of {plan.group!r} from models of one with {second}",
            COVERED,
            LABELLED.not_covered,
            CONFIDENCE,
            "accuracy",
            defences,
            facts,
        )
    )


def overlap(plan: DistributionInferencePlan, seed: int) -> float:
    """
    Largest share of a pool's cell that one draw takes.

    Parameters
    ----------
    plan : DistributionInferencePlan
    seed : int

    Returns
    -------
    float
        See `Pools.overlap`.
    """
    return Pools(plan, seed).overlap()


def summarise(records: Sequence[dict[str, Any]]) -> str:
    """
    The tables as Markdown.

    Parameters
    ----------
    records : sequence of dict
        As `run_attack` makes them, of one or more games.

    Returns
    -------
    str
    """
    lines = [
        "# Attacks beside the bound",
        "",
        f"T1's bound covers {COVERED}. {OUTSIDE}",
        "",
        "Advantage: 2 accuracy - 1 over fresh victims, with its 95 % interval; the unit is the model. It is negative "
        "where an attack, which chooses all it chooses on shadow models, is wrong more often than right. p: of guesses "
        "that have nothing to do with the worlds, adjusted over the game's whole table (Holm). T1: exact value at a "
        "victim's measured rates, mean of the victims. Bound: its upper limit, the largest of the victims, jointly at "
        "95 %. Draws: rows from the population that the attack is worth, by the formula and exactly.",
        "",
    ]
    for game in _games(records):
        own = [record for record in records if _key(record) == game]
        named = dict(zip(_GAME, game, strict=True))
        lines += [
            f"## {named['dataset']}, {named['attribute']}: share of {named['group']} {named['ratios']}",
            "",
            f"{named['rows']} rows for each model, {named['queries']} queries for each world, seed {named['seed']}"
            + ("." if named["include_attribute"] else "; models do not see the attribute.")
            + f" One draw takes up to {own[0]['overlap']:.0%} of its pool's rows of one group and label. {OVERLAP}",
            "",
            "Shadows: models for each world of the adversary who does not know the defence / who does.",
            "",
            "| defence | victims | shadows | accuracy | Delta_EO | T1 | bound | strongest, not adaptive | strongest, "
            "adaptive |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for defence in dict.fromkeys(record["defence"] for record in own):
            rows = [record for record in own if record["defence"] == defence]
            best = [_strongest([row for row in rows if row["adaptive"] is knows]) for knows in (False, True)]
            first = rows[0]
            lines.append(
                f"| {defence} | {first['victims']} | {_shadow_numbers(rows)} | {first['utility']:.3f} "
                f"| {first['delta_eo']:.3f} | {_three(first['bound_mean'])} | {_up(first['bound'])} "
                f"| {best[0]} | {best[1]} |"
            )
        lines += [
            "",
            "| defence | adaptive | attack | advantage | accuracy | AUC | p | verdict | draws |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['defence']} | {'yes' if row['adaptive'] else 'no'} | {row['attack']} | {_advantage(row)} "
            f"| {row['accuracy']:.3f} | {row['auc']:.3f} | {_p(row['p_value'])} | {row['verdict'] or '–'} "
            f"| {_draws(row)} |"
            for row in own
        ]
        lines.append("")
    return "\n".join(lines)


def _print(records: Sequence[dict[str, Any]], *, null: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    game = records[0]
    ratios = game["ratios"].replace(" / ", " and ")
    told = f"{game['dataset']}, {game['attribute']}: worlds with a share of {game['group']} of {ratios}"
    console.print(Text(printable(f"{told}; {game['rows']} rows for each model, seed {game['seed']}.")))
    console.print(f"One draw takes up to {game['overlap']:.0%} of its pool's rows of one group and label. {OVERLAP}")
    for defence in dict.fromkeys(record["defence"] for record in records):
        rows = [record for record in records if record["defence"] == defence]
        first = rows[0]
        bound = "no bound, for the worlds are equal"
        if not null:
            bound = f"T1 {first['bound_mean']:.4f} on average, certified at most {_up(first['bound'])} for all"
        console.print(Text(f"\n{defence}: {DEFENCES[defence].about}", style="bold"))
        console.print(
            f"{first['victims']} victims for each world: accuracy "
            f"{first['utility']:.3f}, Delta_EO {first['delta_eo']:.3f}, {bound}"
        )
        for knows in (False, True):
            own = [row for row in rows if row["adaptive"] is knows]
            if own:
                number = own[0]["shadows"]
                name = f"adaptive: {number} shadow models for each world, defended alike"
                if not knows:
                    name = f"not adaptive: {number} undefended shadow models for each world"
                console.print(_attack_table(name.removeprefix("not adaptive: ") if defence == "none" else name, own))
    if null:
        holds = "no attack is" if null_holds(records) else "an attack is"
        console.print(f"\nNull run: {holds} further from 50 % than chance allows (5 % level over all of them).")
    else:
        console.print(f"\nVerdicts compare with the certified number. It covers {COVERED}. {OUTSIDE}")
        console.print(
            "draws: rows from the population that the attack is worth, by the formula (the table has it exactly)."
        )


def _attack_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=title or None, title_justify="left")
    for name in ("attack", "advantage", "p", "verdict", "draws"):
        table.add_column(name, justify="right" if name in ("p", "draws") else "left", no_wrap=True)
    for row in rows:
        name = row["attack"].replace("_label_only", " (labels)")
        draws = "–" if row["n_leaked"] is None else f"{row['n_leaked']:.1f}"
        table.add_row(name, _advantage(row), _p(row["p_value"]), row["verdict"] or "–", draws)
    return table


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in _GAME)


def _games(records: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(map(_key, records)))


def _other_games(path: Path, game: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a table of earlier games but this one."""
    if not path.exists():
        return []
    return [row for row in read_table(path, (*_GAME, "overlap")) if _key(row) != _key(game)]


def _write_table(records: Sequence[dict[str, Any]], path: Path) -> None:
    # Empty columns would have no type.
    types = {"verdict": "string", "bound": "Float64", "bound_mean": "Float64", "n_leaked": "Float64"}
    frame = pd.DataFrame(records).astype(types | {"n_leaked_exactly": "Int64"})
    try:
        write_parquet(frame, path)
    except OSError as error:
        raise ProtocolError(f"Cannot write {path}: {error.strerror or error}.") from error


def _numbers(measured: AttackedVictims) -> str:
    """Shadow models of each adversary."""
    return " / ".join(str(measured.shadows[knows]) for knows in dict.fromkeys(knows for knows, _ in measured.attacks))


def _shadow_numbers(rows: Sequence[dict[str, Any]]) -> str:
    return " / ".join(str(number) for _, number in dict.fromkeys((row["adaptive"], row["shadows"]) for row in rows))


def _strongest(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "–"
    best = max(rows, key=lambda row: row["advantage"])
    return f"{best['attack']} {_advantage(best)}, {best['verdict'] or 'no bound'}"


def _advantage(row: dict[str, Any]) -> str:
    return f"{row['advantage']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _draws(row: dict[str, Any]) -> str:
    if row["n_leaked"] is None:
        return "–"
    exactly = row["n_leaked_exactly"]
    return f"{row['n_leaked']:.1f}, {'all' if exactly is None else exactly}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _up(value: float | None) -> str:
    return "–" if value is None else decimal_above(Fraction(value), 4)
