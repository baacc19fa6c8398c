"""Sweeps: many runs of the protocol from one configuration file, in parallel, resumable, and their tables."""

from __future__ import annotations

import json
import os
import secrets
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from fairbound.bounds.errors import FairboundError
from fairbound.bounds.files import write_atomically
from fairbound.empirical.data import Dataset, load_dataset
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.means import mean_interval
from fairbound.empirical.measurement import choose
from fairbound.empirical.models import FitProgress
from fairbound.empirical.plan import POOLED_STAGES, PROTOCOL_STAGES, STAGES, ProtocolConfig, ProtocolPlan, plan_protocol
from fairbound.empirical.protocol import execute, prepare_features
from fairbound.empirical.runs import append_run, key, resume

RESULTS_FILE, TIMINGS_FILE, SUMMARY_FILE = "results.parquet", "timings.parquet", "summary.md"

_ENTRY_KEYS = {
    "dataset",
    "attribute",
    "groups",
    "include_attribute",
    "directions",
    "rehearsals",
    "alphas",
    "stages",
    "seeds",
    "first_seed",
    "choose_rehearsal",
    "config",
}
_DEFAULTS: dict[str, Any] = {
    "include_attribute": True,
    "directions": "both",
    "rehearsals": [0.5],
    "alphas": [0, 1],
    "stages": list(PROTOCOL_STAGES),
    "seeds": 1,
    "first_seed": 0,
    "choose_rehearsal": [],
}

#: What identifies a row of the results, in the order in which they are sorted.
KEYS = (
    "dataset",
    "attribute",
    "group_pair",
    "include_attribute",
    "alpha0",
    "alpha1",
    "loss",
    "without_rehearsal",
    "constraint_rows",
    "start",
    "other",
    "rehearsal",
    "stage",
    "seed",
    "config_hash",
)


@dataclass(frozen=True)
class SweepTask:
    """One run of a sweep.

    Attributes
    ----------
    dataset : str
        As `load_dataset` takes it.
    settings : dict
        Keyword arguments of `plan_protocol`.
    seed : int
    choose_rehearsal : tuple of float
        Rehearsals among which one is chosen on validation rows, for the summary.
    """

    dataset: str
    settings: dict[str, Any]
    seed: int
    choose_rehearsal: tuple[float, ...] = ()

    def plan(self) -> ProtocolPlan:
        """The checked plan.

        Returns
        -------
        ProtocolPlan

        Raises
        ------
        FairboundError
            As `load_dataset` and `plan_protocol` do.
        """
        return plan_protocol(_dataset(self.dataset), **self.settings)


@dataclass(frozen=True)
class Sweep:
    """What a configuration file asks for.

    Attributes
    ----------
    name : str
    tasks : tuple of SweepTask
        Seed by seed, so that a sweep that is stopped early holds every configuration.
    """

    name: str
    tasks: tuple[SweepTask, ...]


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep.

    Attributes
    ----------
    records : list of dict
        One per task, in the order of the tasks.
    failures : list of str
        What went wrong in runs that could not be made.
    files : dict from str to pathlib.Path
        "runs", "results", "timings" and "summary".
    """

    records: list[dict[str, Any]]
    failures: list[str]
    files: dict[str, Path]


def read_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Read a sweep configuration.

    A TOML file with a name and one table ``[[entry]]`` for each data set and pair of groups: "dataset", "attribute"
    and "groups" (G0 and G1), and optionally "directions" ("both", or "first": from the first group alone),
    "rehearsals", "alphas" (of the two worlds), "stages", "seeds" (their number), "first_seed", "include_attribute",
    "choose_rehearsal" (rehearsals among which the summary chooses on validation rows) and "config" (settings of
    `ProtocolConfig`). Each of the optional ones may stand at the top, for all entries. Stages that depend neither on
    the direction nor on the rehearsal run once per seed.

    Parameters
    ----------
    path : path

    Returns
    -------
    Sweep

    Raises
    ------
    ProtocolError
        If the file cannot be read, or a setting is absent, unknown or of the wrong kind.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ProtocolError(f"Cannot read the sweep {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"The sweep {path} is no TOML: {error}.") from error
    entries = content.pop("entry", None)
    name = content.pop("name", None)
    if not isinstance(name, str) or not isinstance(entries, list) or not entries:
        raise ProtocolError(f"The sweep {path} needs a name and at least one [[entry]].")
    common = content.pop("config", {})
    tasks: list[SweepTask] = []
    for number, entry in enumerate(entries, start=1):
        where = f"entry {number} of {path}"
        unknown = sorted((set(content) | set(entry)) - _ENTRY_KEYS)
        if unknown:
            raise ProtocolError(f"The sweep has no setting {unknown[0]!r} ({where}); it has: {_listed(_ENTRY_KEYS)}.")
        chosen = _DEFAULTS | content | entry | {"config": {**common, **entry.get("config", {})}}
        tasks += _tasks(chosen, where)
    return Sweep(name, tuple(sorted(tasks, key=lambda task: task.seed)))


def run_sweep(
    sweep: Sweep,
    out: str | os.PathLike[str],
    *,
    jobs: int = 1,
    progress: FitProgress | None = None,
) -> SweepResult:
    """Make the runs that a folder lacks, and the tables of all of them.

    Workers hand their results to this process, which alone writes: one line of ``OUT/runs.jsonl`` per run as it
    comes. A sweep that was killed goes on from there, and ends with the same tables. Runs are spread by joblib, so
    its `parallel_config` chooses other workers than processes of this machine; they may not be threads, which share
    torch's random numbers.

    Parameters
    ----------
    sweep : Sweep
    out : path
        Folder, created if need be. One sweep may write to a folder at a time.
    jobs : int, default 1
        Workers; -1: one for each core.
    progress : callable, optional
        Called with "runs", the number of those made now and of those to be made, first before any is made; and with
        "features of" a data set and numbers of rows while frozen features are computed.

    Returns
    -------
    SweepResult

    Raises
    ------
    FairboundError
        If a data set cannot be loaded or a configuration does not fit it; nothing is run then.
    ProtocolError
        If the folder cannot be written, its run file is damaged, or the workers are threads.
    """
    folder = Path(out)
    if jobs != 1 and getattr(get_active_backend(prefer="processes")[0], "supports_sharedmem", False):
        raise ProtocolError("The workers of a sweep share torch's random numbers if they are threads; use processes.")
    hashes = [(task.plan().config_hash(), task.seed) for task in sweep.tasks]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = {key(record): record for record in resume(folder)}
        todo = [task for task, wanted in zip(sweep.tasks, hashes, strict=True) if wanted not in known]
        # Workers would compute the same features side by side.
        for dataset in dict.fromkeys(task.dataset for task in todo):
            told = None if progress is None else partial(progress, f"features of {dataset}")
            prepare_features(next(task for task in todo if task.dataset == dataset).plan(), told)
        if progress is not None:
            progress("runs", 0, len(todo))
        failures = []
        made = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(
            delayed(_run)(task) for task in todo
        )
        for done, result in enumerate(made, start=1):
            if isinstance(result, str):
                failures.append(result)
            else:
                append_run(result, folder)
                known[key(result)] = result
            if progress is not None:
                progress("runs", done, len(todo))
        records = [known[wanted] for wanted in hashes if wanted in known]
        files = {"runs": folder / "runs.jsonl"} | _write_tables(sweep, records, folder)
    except OSError as error:
        raise ProtocolError(f"Cannot write the sweep to {folder}: {error.strerror}.") from error
    return SweepResult(records, sorted(failures), files)


def tidy(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per run and stage, sorted, with every measure in a column of its own.

    Parameters
    ----------
    records : iterable of dict

    Returns
    -------
    pandas.DataFrame
        The columns `KEYS` first; nested measures are joined by dots ("advantage.label_balanced.upper"), lists and notes
        left out. CPU seconds are among them.
    """
    rows = []
    for record in records:
        config = record["config"]
        for stage, measured in record["stages"].items():
            pooled = stage in POOLED_STAGES
            identity = {name: record[name] for name in KEYS if name in record} | {
                "group_pair": " / ".join(sorted((record["start"], record["other"]))),
                "loss": config["loss"],
                "without_rehearsal": config["without_rehearsal"],
                "constraint_rows": config["constraint_rows"],
                "stage": stage,
                # What these stages are does not depend on either.
                "start": "" if pooled else record["start"],
                "other": "" if pooled else record["other"],
                "rehearsal": None if pooled else record["rehearsal"],
            }
            rest = {name: value for name, value in measured.items() if name not in ("notes", "disparity")}
            about = {name: record[name] for name in ("label_shift", "raw_certifiable")}
            about |= {name: config[name] for name in ("confidence", "tau")}
            rows.append({name: identity[name] for name in KEYS} | about | _flat(rest))
    frame = pd.DataFrame(rows)
    if len(frame):
        frame = frame.sort_values(list(KEYS), kind="stable", ignore_index=True)
    return frame


def choose_rehearsals(records: Sequence[dict[str, Any]], among: Sequence[float]) -> list[dict[str, Any]]:
    """Of runs that differ in the rehearsal alone, the one that validation rows choose (see `measurement.choose`).

    Parameters
    ----------
    records : sequence of dict
        Those with the stage "fft" whose constraint did not see validation rows count.
    among : sequence of float
        Rehearsals to choose among.

    Returns
    -------
    list of dict
        One record for each configuration and seed of which all of `among` are there.
    """
    able = [
        r
        for r in records
        if r["rehearsal"] in among and "fft" in r["stages"] and r["config"]["constraint_rows"] == "train"
    ]
    chosen = []
    for _, same in groupby(sorted(able, key=_without_rehearsal), key=_without_rehearsal):
        runs = sorted(same, key=lambda r: r["rehearsal"])
        if len(runs) == len(set(among)):
            config = runs[0]["config"]
            measured = [run["stages"]["fft"]["validation"] for run in runs]
            chosen.append(runs[choose(measured, loss=config["loss"], slack=config["slack"])])
    return chosen


def summarise_sweep(sweep: Sweep, records: Sequence[dict[str, Any]]) -> str:
    """Means over the seeds as tables in Markdown, and what was checked over all runs.

    Parameters
    ----------
    sweep : Sweep
    records : sequence of dict
        Of its runs.

    Returns
    -------
    str
    """
    frame = tidy(records)
    lines = [
        f"# {sweep.name}",
        "",
        "Mean over the seeds on the certification split, +- half of Student's 95 % interval of that mean. A seed "
        "splits the same rows anew, so the interval covers split and training, not the choice of the data set. T1 "
        "and its bound (confidence "
        + ", ".join(sorted({f"{r['config']['confidence']:g}" for r in records}))
        + ') are those of the label-balanced labelled game, "raw T1" and "raw bound" of the raw one; "< tau" is the '
        "share of runs whose bound is below tau ("
        + ", ".join(sorted({f"{r['config']['tau']:g}" for r in records}))
        + '); gaps are those of the accuracy; "fair" is what a log of these cell sizes shows if both '
        "groups have the pooled rates: the mean measured Delta_EO, and the bound without any disparity.",
        "",
    ]
    about = list(KEYS[: KEYS.index("start")])
    configured = _configured(records)
    for config, alike in configured.items():
        for values, part in tidy(alike).groupby(about, sort=False, dropna=False):
            named = dict(zip(about, values, strict=True))
            shift = part["label_shift"].mean()
            lines += [
                f"## {named['dataset']}, {named['attribute']}: {named['group_pair']}",
                "",
                _settings(named, shift) + (f" Configuration: `{config}`." if len(configured) > 1 else ""),
                "",
            ]
            lines += _table(part, _chosen(sweep, alike, named))
    lines += _checks(frame)
    return "\n".join(lines) + "\n"


def _configured(records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Records by what of their configuration differs and is in no column of the results."""
    shown = {"stages", *KEYS}
    names = sorted({name for record in records for name in record["config"]} - shown)
    texts = {name: [json.dumps(record["config"].get(name), sort_keys=True) for record in records] for name in names}
    varying = [name for name in names if len(set(texts[name])) > 1]
    found: dict[str, list[dict[str, Any]]] = {}
    for i, record in enumerate(records):
        found.setdefault(", ".join(f"{name} = {texts[name][i]}" for name in varying), []).append(record)
    return found


@lru_cache(maxsize=4)
def _dataset(name: str) -> Dataset:
    return load_dataset(name)


def _run(task: SweepTask) -> dict[str, Any] | str:
    """A record, or what went wrong."""
    try:
        with warnings.catch_warnings():
            # They are in the record.
            warnings.simplefilter("ignore")
            return execute(task.plan(), task.seed).record
    except FairboundError as error:
        named = {name: value for name, value in task.settings.items() if name != "config"}
        return f"{task.dataset}, seed {task.seed}, {named}: {error}"


def _tasks(chosen: Mapping[str, Any], where: str) -> list[SweepTask]:
    try:
        dataset, attribute, (first, second) = chosen["dataset"], chosen["attribute"], chosen["groups"]
        seeds = range(chosen["first_seed"], chosen["first_seed"] + chosen["seeds"])
        alpha0, alpha1 = chosen["alphas"]
        rehearsals = list(chosen["rehearsals"])
        stages = tuple(chosen["stages"])
        among = tuple(chosen["choose_rehearsal"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(
            f"{where} needs dataset, attribute and two groups, and settings of the right kind: {error}."
        ) from error
    if chosen["directions"] not in ("both", "first") or not rehearsals or not seeds:
        raise ProtocolError(f"{where}: directions is 'both' or 'first', and there is at least one rehearsal and seed.")
    if unknown := [stage for stage in stages if stage not in STAGES]:
        raise ProtocolError(f"There is no stage {unknown[0]!r} ({where}); choose from: {', '.join(STAGES)}.")
    directions = [(first, second), (second, first)][: 2 if chosen["directions"] == "both" else 1]
    own = [stage for stage in stages if stage not in POOLED_STAGES]
    pooled = [stage for stage in stages if stage in POOLED_STAGES]
    wanted = [(own, direction, rehearsal) for direction in directions for rehearsal in rehearsals if own]
    if pooled:
        wanted.append((pooled, directions[0], rehearsals[-1]))
    tasks = []
    for names, (start, other), rehearsal in wanted:
        settings = {
            "attribute": attribute,
            "start": start,
            "other": other,
            "rehearsal": rehearsal,
            "alpha0": alpha0,
            "alpha1": alpha1,
            "include_attribute": chosen["include_attribute"],
            "config": ProtocolConfig.from_dict({**chosen["config"], "stages": names}),
        }
        tasks += [SweepTask(dataset, settings, seed, among) for seed in seeds]
    return tasks


def _write_tables(sweep: Sweep, records: Sequence[dict[str, Any]], folder: Path) -> dict[str, Path]:
    """Results, timings and summary; the first and the last hold nothing that differs between equal runs."""
    frame = tidy(records)
    files = {name: folder / name for name in (RESULTS_FILE, TIMINGS_FILE, SUMMARY_FILE)}
    if len(frame):
        write_parquet(frame.drop(columns="cpu_seconds"), files[RESULTS_FILE])
        write_parquet(frame[[*KEYS, "cpu_seconds"]], files[TIMINGS_FILE])
    write_atomically(files[SUMMARY_FILE], summarise_sweep(sweep, records).encode())
    return dict(zip(("results", "timings", "summary"), files.values(), strict=True))


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Replace a Parquet file in one step; equal frames give equal bytes.

    Parameters
    ----------
    frame : pandas.DataFrame
    path : Path
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    target = str(scratch).replace("'", "''")
    try:
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.register("frame", frame)
            connection.execute(f"COPY (SELECT * FROM frame) TO '{target}' (FORMAT parquet)")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings with dotted names; lists are left out."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            flat[prefix + name] = value
    return flat


def _without_rehearsal(record: Mapping[str, Any]) -> str:
    names = ("dataset", "attribute", "start", "other", "alpha0", "alpha1", "include_attribute", "config", "seed")
    return repr([record[name] for name in names])


def _chosen(sweep: Sweep, records: Sequence[dict[str, Any]], named: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of "fft" at the rehearsal that validation rows choose, for the entries of one heading."""
    rows = []
    for among in sorted({task.choose_rehearsal for task in sweep.tasks if task.choose_rehearsal}):
        found = tidy(choose_rehearsals(records, among))
        if len(found):
            same = (found[list(named)] == pd.Series(dict(named))).all(axis=1) & (found["stage"] == "fft")
            label = " or ".join(f"{value:g}" for value in among)
            rows.append(found[same].assign(rehearsal=f"{label}, by validation"))
    return pd.concat(rows) if rows else pd.DataFrame()


def _settings(named: Mapping[str, Any], shift: float) -> str:
    seen = "an input" if named["include_attribute"] else "no input"
    parts = [f"TV_Y {shift:.3f}", f"the attribute is {seen}"]
    if (named["alpha0"], named["alpha1"]) != ("0", "1"):
        parts.append(f"worlds with shares {named['alpha0']} and {named['alpha1']} of the other group")
    if named["loss"] != "plain":
        parts.append(f"loss {named['loss']}")
    if named["without_rehearsal"] != "reference":
        parts.append("without rehearsal the constraint is on the base model's frozen rates")
    if named["constraint_rows"] != "train":
        parts.append(f"constraint on {named['constraint_rows']}")
    return "; ".join(parts) + "."


#: Columns of the summary: heading, measure, whether it has an interval.
_COLUMNS = (
    ("accuracy", "accuracy", True),
    ("bal. acc.", "balanced_accuracy", False),
    ("AUC", "auc", False),
    ("Delta_EO", "delta_eo", True),
    ("Delta_EO W", "advantage.raw.delta_eo_times_W", False),
    ("T1", "advantage.label_balanced.point", True),
    ("bound", "advantage.label_balanced.upper", False),
    ("< tau", "advantage.label_balanced.below_tau", False),
    ("gap", "accuracy_gap.label_balanced", False),
    ("raw T1", "advantage.raw.point", False),
    ("raw bound", "advantage.raw.upper", False),
    ("raw < tau", "advantage.raw.below_tau", False),
    ("raw gap", "accuracy_gap.raw", False),
    ("fair: Delta_EO", "noise_floor.delta_eo_mean", False),
    ("fair: bound", "noise_floor.label_balanced_upper", False),
)


def _table(part: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    names = ["G0", "rehearsal", "model", *(name for name, _, _ in _COLUMNS), "seeds"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    order = {stage: i for i, stage in enumerate(STAGES)}
    part = _each_base_once(part)
    shown = part["rehearsal"].where(part["stage"] != "base")
    part = pd.concat([part.assign(rehearsal=shown.map(_rehearsal)), chosen])
    by = sorted(
        part.groupby(["start", "rehearsal", "stage"], sort=False),
        key=lambda item: (item[0][0] == "", item[0][0], item[0][1], order[item[0][2]]),
    )
    for (start, rehearsal, stage), rows in by:
        cells = []
        for _, column, with_interval in _COLUMNS:
            values = [float(value) for value in rows[column].dropna()]
            mean, half = mean_interval(values) if values else (float("nan"), float("nan"))
            text = "–" if not values else f"{mean:.3f}"
            cells.append(text + (f" +- {half:.3f}" if with_interval and half == half else ""))
        model = f"**{stage}**" if stage == "fft" else stage
        flags = " (near constant)" if rows["near_constant"].any() else ""
        # A bar in a name would start another column.
        first = start.replace("|", "\\|") or "both"
        lines.append(f"| {first} | {rehearsal} | {model}{flags} | {' | '.join(cells)} | {len(rows)} |")
    return [*lines, ""]


def _each_base_once(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the repetitions of base models, which are the same at every rehearsal."""
    return frame[~((frame["stage"] == "base") & _repeated(frame))]


def _repeated(frame: pd.DataFrame) -> pd.Series:
    """Which rows are of the same model as one before them: all that was measured agrees."""
    return frame.drop(columns=["rehearsal", "config_hash", "cpu_seconds"]).duplicated()


def _rehearsal(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:g}"


def _checks(frame: pd.DataFrame) -> list[str]:
    """What held over all runs and stages."""
    if not len(frame):
        return ["No run was made."]
    # Where a rehearsal is capped by the rows that there are, two of them make the same models.
    frame = frame[~_repeated(frame)]
    lines = ["## Over all models", ""]
    paper, exact = (int(frame[f"gap_exceeds_{form}"].sum()) for form in ("paper_form", "exact"))
    lines += [
        f"- The raw accuracy gap is above Delta_EO * W in {paper} of {len(frame)} models (C1), and above T1's exact "
        f"value in {exact} (T1 excludes it).",
    ]
    for game in ("raw", "label_balanced"):
        column = frame.get(f"fresh.{game}.exceeded")
        if column is not None and column.notna().any():
            told = column.dropna().astype(bool)
            lines.append(
                f"- {game.replace('_', '-')} game: the accuracy gap on one half of the certification rows is above the "
                f"bound from the other half in {int(told.sum())} of {len(told)} models."
            )
    return lines


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
