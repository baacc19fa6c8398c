"""The command line: exit status 0 holds, 1 the checked property fails, 2 bad input."""

from __future__ import annotations

import csv
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fairbound.bounds.alphabet import from_text, printable, shown_names
from fairbound.bounds.errors import AlphabetError, FairboundError, FileFormatError, NumberError

if TYPE_CHECKING:
    from fairbound.bounds.games import Game

app = typer.Typer(
    name="fairbound",
    help="Certified bounds on distribution inference from measured fairness.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

data_app = typer.Typer(help="Data sets: what there is, how to get it, what is in it.", no_args_is_help=True)
app.add_typer(data_app, name="data")
spin_app = typer.Typer(help="Suppress the weights that fairness and privacy share in a language model (SPIN).")
app.add_typer(spin_app, name="spin")

FAILS, BAD_INPUT, INTERRUPTED = 1, 2, 130


class GameName(StrEnum):
    """What the adversary sees."""

    LABELLED = "labelled"
    CORRECTNESS = "correctness"
    UNLABELLED = "unlabelled"


class OnMissing(StrEnum):
    """What an empty cell means."""

    ERROR = "error"
    VACUOUS = "vacuous"


class MethodName(StrEnum):
    """How sampling error is covered."""

    FISHER = "fisher"
    CLOPPER_PEARSON = "clopper-pearson"
    RELATIVE_ENTROPY = "relative-entropy"
    SMALLEST = "smallest"


class LossName(StrEnum):
    """How labels are weighted in training."""

    PLAIN = "plain"
    LABEL_BALANCED = "label_balanced"


class WithoutRehearsal(StrEnum):
    """How a constraint is stated without rows of the starting group."""

    REFERENCE = "reference"
    FROZEN = "frozen"


class ConstraintRows(StrEnum):
    """Which rows serve the constraint."""

    TRAIN = "train"
    WITH_VALIDATION = "train+validation"


class Adversaries(StrEnum):
    """Who attacks: one who knows the defence, one who does not, or both."""

    BOTH = "both"
    YES = "yes"
    NO = "no"


class Theorem(StrEnum):
    """Which closed form."""

    T1 = "T1"
    T1B = "T1b"


Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


_SEPARATED = "separated by commas; one that holds a comma in quotes ('\"a, b\",c')"


def _alphabet(text: str | None, role: str, *, truth_values: bool = True) -> list[int | str] | None:
    """A declared alphabet: symbols separated by commas, those with a comma in quotes."""
    if text is None:
        return None
    try:
        line = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise AlphabetError(f'{role} {text!r} is no list of names ({error}); write them as a,"b, c",d.') from None
    names = [name.strip() for name in line or [""]]
    symbols = from_text(names, role, truth_values=truth_values)
    return [symbols[name] for name in names]


def _print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


Logs = Annotated[
    list[str],
    typer.Argument(
        help="Prediction logs (CSV, Parquet, count files) that make up one log; patterns are expanded.",
        metavar="LOG",
        show_default=False,
    ),
]
LabelColumn = Annotated[str, typer.Option(help="Column of the true label.")]
PredictionColumn = Annotated[str, typer.Option(help="Column of the hard prediction.")]
GroupColumns = Annotated[
    list[str] | None,
    typer.Option(
        help="Column of the sensitive attribute; several make intersectional groups. Default: group.",
        show_default=False,
    ),
]


MaxAdvantage = Annotated[
    str | None, typer.Option(help="Exit 1 if the upper bound is above this (a gate for CI).", metavar="X")
]


ReportFile = Annotated[
    Path | None, typer.Option(help="Write a report here: one HTML page without scripts.", metavar="FILE.html")
]
ReportDate = Annotated[
    str | None,
    typer.Option(help="Date to show in the report; without one, equal results give equal bytes.", metavar="DATE"),
]


def _only_with_report(report: Path | None, date: str | None) -> None:
    if date is not None and report is None:
        raise AlphabetError("--report-date dates a report; add --report FILE.html.")


def _limit(max_advantage: str | None) -> Fraction | None:
    """The largest acceptable advantage."""
    from fairbound.bounds.rational import to_fraction

    try:
        limit = None if max_advantage is None else to_fraction(max_advantage)
    except NumberError:
        raise NumberError(f"--max-advantage {max_advantage!r} is no rational number; write 0.3 or 3/10.") from None
    if limit is not None and not 0 <= limit <= 1:
        raise NumberError(f"--max-advantage {max_advantage} lies outside [0, 1]; an advantage is no percentage.")
    return limit


def _finish(data: Any, holds: bool, *, as_json: bool) -> None:
    """Print a result as JSON if so asked, and leave with the status of its gate."""
    if as_json:
        _print_json(data)
    if not holds:
        raise typer.Exit(FAILS)


def _refuse_unused_columns(files: list[Path], label: str, prediction: str, group: list[str] | None) -> None:
    """
    Refuse names of columns where only count files are read, which carry their own.

    Raises
    ------
    FileFormatError
    """
    from fairbound.count_format import is_count_file
    from fairbound.logs import beginning

    named = {"--label": label != "label", "--prediction": prediction != "prediction", "--group": group is not None}
    for option in [option for option, given in named.items() if given]:
        if all(is_count_file(path, beginning(path)) for path in files):
            raise FileFormatError(f"{option} has no effect: count files carry their columns' names; leave it out.")


@contextmanager
def _file_progress(n_files: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while several files are read."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=n_files < 2 or not console.is_terminal) as progress:
        task = progress.add_task("counting files", total=n_files)
        yield lambda done, _: progress.update(task, completed=done)


@contextmanager
def _working(what: str) -> Iterator[None]:
    """A sign of life on standard error during a long computation."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@app.command("certify")
def certify_command(
    logs: Logs,
    label: LabelColumn = "label",
    prediction: PredictionColumn = "prediction",
    group: GroupColumns = None,
    pure: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two groups: the worlds consist of one of them each. Default: every pair.", metavar="A B"),
    ] = None,
    pair: Annotated[
        Path | None,
        typer.Option(
            help='Two compositions: {"world_0": {group: {label: mass}}, "world_1": ...}.', metavar="FILE.json"
        ),
    ] = None,
    groups: Annotated[str | None, typer.Option(help=f"Declared groups, {_SEPARATED}.", metavar="A,B")] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Declared labels, written likewise, if one may be absent by chance (with --on-missing vacuous).",
            metavar="0,1",
        ),
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(help="Declared predictions; default: the labels, and what occurs.", metavar="0,1")
    ] = None,
    game: Annotated[GameName, typer.Option(help="What the adversary sees.")] = GameName.LABELLED,
    label_balanced: Annotated[
        bool, typer.Option("--label-balanced", help="Give both worlds the average of their label marginals.")
    ] = False,
    confidence: Annotated[str, typer.Option(help="Joint level of the upper bound.")] = "0.95",
    on_missing: Annotated[
        OnMissing, typer.Option(help="An empty (group, label) cell: an error, or the trivial disparity 1.")
    ] = OnMissing.ERROR,
    theorem: Annotated[
        Theorem | None,
        typer.Option(
            help="T1: each label's largest disparity of any two groups. T1b: that of the groups between "
            "which mass moves (the default for pure worlds of a log with more than two groups).",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        MethodName | None,
        typer.Option(
            help="How sampling error is covered; choose before seeing the data. fisher: combined tails (the default). "
            "clopper-pearson: all limits at once. smallest: the smaller of both, at half the error each.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Column of a score, in place of the prediction: bounds adversaries who compare it with a threshold.",
            metavar="COL",
        ),
    ] = None,
    bins: Annotated[
        int | None,
        typer.Option(
            help="With --score: bounds adversaries who see which of N bins of equal width a score is in.", metavar="N"
        ),
    ] = None,
    score_range: Annotated[
        tuple[float, float] | None,
        typer.Option(help="With --bins: where they begin and end. Default: 0 1.", metavar="LOW HIGH"),
    ] = None,
    max_advantage: MaxAdvantage = None,
    out: Annotated[Path | None, typer.Option(help="Write the certificate here.", metavar="CERT.json")] = None,
    coq: Annotated[
        Path | None,
        typer.Option(
            help="Write a Coq file that proves the step from the limits to the bound; compile it with coqc.",
            metavar="OUT.v",
        ),
    ] = None,
    report: ReportFile = None,
    report_date: ReportDate = None,
    as_json: Json = False,
) -> None:
    """Bound what a model's predictions leak about its population, from prediction logs or count files."""
    from fairbound.bounds.certify import certify_counts
    from fairbound.bounds.noise import noise_floor
    from fairbound.bounds.rational import float_above
    from fairbound.files import write_text
    from fairbound.ingest import count_files, read_pair, refuse_overwriting
    from fairbound.logs import log_files

    _only_with_report(report, report_date)
    limit = _limit(max_advantage)
    files = log_files(logs)
    targets = [target for target in (out, coq, report) if target is not None]
    for i, target in enumerate(targets):
        refuse_overwriting(target, [*files, *([] if pair is None else [pair])])
        if target.resolve() in [other.resolve() for other in targets[:i]]:
            raise FileFormatError(f"two results would be written to {target}; name a file for each.")
    columns: dict[str, Any] = {
        "label": label,
        "group": group or "group",
        "groups": _alphabet(groups, "--groups", truth_values=False),
        "labels": _alphabet(labels, "--labels"),
    }
    if score is not None or bins is not None or score_range is not None:
        from fairbound import scores

        named = {
            "--game": game != GameName.LABELLED,
            "--theorem": theorem is not None,
            "--method": method is not None,
        }
        named |= {"--coq": coq is not None, "--report": report is not None}
        scores.check_options(score, bins, score_range, named, outputs, game.value)
    if score is not None and bins is None:
        data, holds = scores.run_scores(
            files,
            score=score,
            columns=columns,
            prediction=prediction,
            pair=pair,
            options={
                "pure": pure,
                "label_balanced": label_balanced,
                "confidence": confidence,
                "on_missing": on_missing.value,
            },
            limit=limit,
            out=out,
            quiet=as_json,
        )
        _finish(data, holds, as_json=as_json)
        return
    if score is not None and bins is not None:
        ends = score_range or (0.0, 1.0)
        seen: str | Game = scores.binned_game(game.value, score, bins, ends)
        counts = scores.count_bins_file(files, score=score, bins=bins, score_range=ends, **columns)
    else:
        seen = game.value
        _refuse_unused_columns(files, label, prediction, group)
        with _file_progress(len(files)) as progress:
            counts = count_files(
                files,
                prediction=prediction,
                outputs=_alphabet(outputs, "--outputs"),
                progress=progress,
                **columns,
            )
    worlds = None if pair is None else read_pair(pair, counts)
    with _working(f"certifying {len(counts.groups)} groups, {len(counts.labels)} labels"):
        result = certify_counts(
            counts,
            pure=pure,
            pair=worlds,
            game=seen,
            label_balanced=label_balanced,
            confidence=confidence,
            on_missing=on_missing.value,
            theorem=None if theorem is None else theorem.value,
            method=None if method is None else method.value,
        )
        certificate = result.certificate() if out or report else None
        floor = noise_floor(result)
    if certificate is not None and out is not None:
        certificate.write(out)
    if certificate is not None and report is not None:
        from fairbound.certify_report import CertifiedGame, certify_page, other_balance
        from fairbound.report import write_report

        asked = CertifiedGame(result, floor, certificate, None if out is None else str(out))
        page = certify_page(asked, other_balance(result), sources=[str(file) for file in files], limit=limit)
        write_report(report, page, date=report_date)
    if coq is not None:
        from fairbound.proofs.export import coq_file

        write_text(coq, coq_file(result))
    holds = limit is None or result.upper <= limit
    if as_json:
        data = result.to_dict()
        data["noise_floor"] = {
            "equalized_odds_mean": floor.equalized_odds_mean,
            "equalized_odds_quantile_95": floor.equalized_odds_quantile_95,
            "advantage_upper": float_above(floor.advantage_upper),
        }
        data["max_advantage"] = None if limit is None else {"limit": float(limit), "holds": holds}
        if bins is not None:
            # A bin is neither right nor wrong.
            data["measured_gap"] = dict.fromkeys(data["measured_gap"])
            data["score"] = {"column": score, "bins": bins, "range": ends}
            data["statement"] = scores.STATEMENT
        data["coq"] = None if coq is None else str(coq)
        data["report"] = None if report is None else str(report)
        data["certificate"] = (
            None if out is None or certificate is None else {"path": str(out), "digest": certificate.digest}
        )
        _print_json(data)
    else:
        from fairbound.console import print_certification

        written = None if out is None or certificate is None else (out, certificate)
        print_certification(result, floor=floor, hard=bins is None, limit=limit, certificate=written)
        if bins is not None:
            typer.echo(f"\n{scores.binned(bins, ends)}")
        if coq is not None:
            typer.echo(f"\nCoq: {coq}; compile it with: coqc {coq}")
        if report is not None:
            typer.echo(f"\nReport: {report}")
    if not holds:
        raise typer.Exit(FAILS)


@app.command("count")
def count_command(
    logs: Logs,
    out: Annotated[
        Path, typer.Option(help="Write the count file here.", metavar="SHARD.counts.json", show_default=False)
    ],
    label: LabelColumn = "label",
    prediction: PredictionColumn = "prediction",
    group: GroupColumns = None,
    groups: Annotated[
        str | None, typer.Option(help=f"Declared groups, {_SEPARATED}: others are refused.", metavar="A,B")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Declared labels, written likewise.", metavar="0,1")] = None,
    outputs: Annotated[str | None, typer.Option(help="Declared predictions, written likewise.", metavar="0,1")] = None,
    as_json: Json = False,
) -> None:
    """Count logs into a file that certify reads: rows per group, label and prediction leave a site, nothing else."""
    from fairbound.ingest import write_counts
    from fairbound.logs import log_files

    files = log_files(logs)
    _refuse_unused_columns(files, label, prediction, group)
    with _file_progress(len(files)) as progress:
        counts = write_counts(
            out,
            files,
            label=label,
            prediction=prediction,
            group=group or "group",
            groups=_alphabet(groups, "--groups", truth_values=False),
            labels=_alphabet(labels, "--labels"),
            outputs=_alphabet(outputs, "--outputs"),
            progress=progress,
        )
    (a, y, z), smallest = min((cell for cell in counts.cells() if cell[1]), key=lambda cell: cell[1])
    if as_json:
        _print_json(
            {
                "counts": str(out),
                "rows": counts.rows,
                "groups": list(counts.groups),
                "labels": list(counts.labels),
                "outputs": list(counts.outputs),
                "smallest_cell": {"group": a, "label": y, "prediction": z, "rows": smallest},
            }
        )
    else:
        typer.echo(
            f"{out}: {counts.rows} rows, {len(counts.groups)} groups, {len(counts.labels)} labels, "
            f"{len(counts.outputs)} predictions.\nSmallest cell with rows: {smallest} of group {shown_names([a])}, "
            f"label {shown_names([y])}, prediction {shown_names([z])}; small cells may disclose who is in them.\n"
            f"Certify it, with other shards if there are any: fairbound certify {shlex.quote(str(out))}"
        )


@app.command("two-models")
def two_models_command(
    logs: Logs,
    model_0: Annotated[str, typer.Option("--model-0", help="Column of the predictions of world 0's model.")],
    model_1: Annotated[str, typer.Option("--model-1", help="Column of the predictions of world 1's model.")],
    label: LabelColumn = "label",
    group: GroupColumns = None,
    groups: Annotated[str | None, typer.Option(help=f"Declared groups, {_SEPARATED}.", metavar="A,B")] = None,
    labels: Annotated[str | None, typer.Option(help="Declared labels, written likewise.", metavar="0,1")] = None,
    outputs: Annotated[str | None, typer.Option(help="Declared predictions, written likewise.", metavar="0,1")] = None,
    confidence: Annotated[str, typer.Option(help="Joint level of the upper bound.")] = "0.95",
    on_missing: Annotated[
        OnMissing, typer.Option(help="An empty (group, label) cell: an error, or the trivial distance 1.")
    ] = OnMissing.ERROR,
    max_advantage: MaxAdvantage = None,
    as_json: Json = False,
) -> None:
    """Bound what an answer tells about which of two models gave it: one model per world (shadow models)."""
    from fairbound.logs import log_files
    from fairbound.two_models import run_two_models

    limit = _limit(max_advantage)
    data, holds = run_two_models(
        log_files(logs),
        columns={
            "model_0": model_0,
            "model_1": model_1,
            "label": label,
            "group": group or "group",
            "groups": _alphabet(groups, "--groups", truth_values=False),
            "labels": _alphabet(labels, "--labels"),
            "outputs": _alphabet(outputs, "--outputs"),
        },
        options={"confidence": confidence, "on_missing": on_missing.value},
        limit=limit,
        quiet=as_json,
    )
    _finish(data, holds, as_json=as_json)


@app.command("check")
def check_command(
    certificate: Annotated[
        Path, typer.Argument(help="A certificate that certify or metrics wrote.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Check a certificate again, with Python's standard library alone."""
    from fairbound.bounds import check

    try:
        with certificate.open("rb") as file:
            text = file.read(check.MAX_BYTES + 1)
    except OSError as error:
        raise FairboundError(f"cannot read {certificate}: {error.strerror or error}.") from None
    try:
        data = check.load(text)
    except check.CheckError as error:
        raise FileFormatError(
            f"{certificate} is no certificate ({error}); give one that certify or metrics wrote."
        ) from None
    try:
        with _working("checking"):
            verified, refused = check.check(data), None
    except check.CheckError as error:
        verified, refused = None, str(error)
    if as_json:
        _print_json(
            {
                "certificate": str(certificate),
                "holds": refused is None,
                "verified": verified,
                "refused": refused,
            }
        )
    elif refused is None:
        typer.echo(f"{certificate}: holds.\n{printable(str(verified))}")
    else:
        typer.echo(f"{certificate}: REFUSED.\nFirst line that does not hold: {printable(str(refused))}", err=True)
    if refused is not None:
        raise typer.Exit(FAILS)


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for report, figure, certificates and logs.")] = Path(
        "fairbound-demo"
    ),
    as_json: Json = False,
) -> None:
    """Run the main job on real data: COMPAS, before and after fair fine-tuning."""
    from rich.console import Console

    from fairbound.demo import run_demo

    _need_training()
    result = run_demo(out, console=Console(highlight=False, soft_wrap=True, quiet=as_json))
    if as_json:
        _print_json(result)


@app.command("fft")
def fft_command(
    dataset: Annotated[
        str, typer.Argument(help="A data set of `fairbound data list`, options after a colon.", show_default=False)
    ],
    attribute: Annotated[str, typer.Option(help="Sensitive attribute.")],
    start: Annotated[str, typer.Option(help="G0: the group that the base model is trained on.")],
    other: Annotated[str | None, typer.Option(help="G1; needed if the attribute has more than two groups.")] = None,
    rehearsal: Annotated[float, typer.Option(help="Rows of G0 mixed in, as a fraction of the rows of G1.")] = 0.5,
    both_directions: Annotated[
        bool, typer.Option("--both-directions", help="Afterwards swap G0 and G1 and run again.")
    ] = False,
    alpha0: Annotated[
        str, typer.Option(help="Share of G1 in the world that the base model is trained on.", metavar="X")
    ] = "0",
    alpha1: Annotated[str, typer.Option(help="Share of G1 in the world that it is fine-tuned on.", metavar="X")] = "1",
    stages: Annotated[
        str | None,
        typer.Option(
            help="Stages to run, separated by commas, or all. Default: base,fine_tuned,fft,pooled.", metavar="NAMES"
        ),
    ] = None,
    strength: Annotated[
        list[float] | None,
        typer.Option(help="Constraint strength; of several the one to keep is chosen on validation rows."),
    ] = None,
    loss: Annotated[LossName, typer.Option(help="Whether every label gets the same weight.")] = LossName.PLAIN,
    without_rehearsal: Annotated[
        WithoutRehearsal, typer.Option(help="How the constraint is stated with --rehearsal 0.")
    ] = WithoutRehearsal.REFERENCE,
    constraint_rows: Annotated[
        ConstraintRows, typer.Option(help="Whether validation rows serve the constraint too.")
    ] = ConstraintRows.TRAIN,
    full: Annotated[
        bool, typer.Option("--full", help="Of images and texts: train whole networks, not a head on frozen features.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Number of runs.", min=1)] = 1,
    first_seed: Annotated[int, typer.Option(help="Seed of the first run; the others follow.", min=0)] = 0,
    include_attribute: Annotated[bool, typer.Option(help="Whether the models see the attribute.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for runs.jsonl and the prediction logs.")] = Path("results/fft"),
    report: ReportFile = None,
    report_date: ReportDate = None,
    as_json: Json = False,
) -> None:
    """Train on one group, fine-tune fairly on the other, and measure; resumes where it stopped."""
    _only_with_report(report, report_date)
    _need_training()
    from fairbound.empirical.plan import STAGES, ProtocolConfig
    from fairbound.fft import run_fft

    chosen: dict[str, Any] = {"loss": loss.value, "without_rehearsal": without_rehearsal.value, "full": full}
    chosen["constraint_rows"] = constraint_rows.value
    if stages is not None:
        chosen["stages"] = STAGES if stages == "all" else [name.strip() for name in stages.split(",")]
    if strength:
        chosen["candidates"] = [{"penalty": value} for value in strength]
    records = run_fft(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
        seeds=range(first_seed, first_seed + seeds),
        include_attribute=include_attribute,
        out=out,
        alphas=(alpha0, alpha1),
        both_directions=both_directions,
        config=ProtocolConfig.from_dict(chosen),
        quiet=as_json,
    )
    if report is not None:
        from fairbound.fft_report import fft_page
        from fairbound.report import write_report

        write_report(report, fft_page(records, out), date=report_date)
    if as_json:
        _print_json(records)
    elif report is not None:
        typer.echo(f"Report: {report}")


@app.command("attack")
def attack_command(
    dataset: Annotated[
        str, typer.Argument(help="A data set of `fairbound data list`, options after a colon.", show_default=False)
    ],
    attribute: Annotated[str, typer.Option(help="Sensitive attribute.")],
    ratios: Annotated[
        tuple[str, str], typer.Option(help="Share of the group in world 0 and in world 1.", metavar="X X")
    ] = ("0.5", "0.8"),
    group: Annotated[
        str | None, typer.Option(help="The group whose share is the secret. Default: the first one alphabetically.")
    ] = None,
    other: Annotated[str | None, typer.Option(help="The group of the other rows. Default: everybody else.")] = None,
    defences: Annotated[
        str | None,
        typer.Option(
            help="Separated by commas, of none, fft, fine_tuned, fft_own, pooled, resampled, reweighed, postprocessed, "
            "reduction, dp_sgd; or all. Default: all but the last.",
            metavar="NAMES",
        ),
    ] = None,
    adaptive: Annotated[
        Adversaries, typer.Option(help="Whether the adversary's shadow models are trained with the defence.")
    ] = Adversaries.BOTH,
    attacks: Annotated[
        str | None, typer.Option(help="Attacks, separated by commas. Default: all.", metavar="NAMES")
    ] = None,
    shadows: Annotated[int, typer.Option(help="Shadow models for each world.", min=4)] = 100,
    victims: Annotated[int, typer.Option(help="Victims for each world.", min=2)] = 100,
    one_by_one: Annotated[
        int, typer.Option(help="Limit on both for reduction and dp_sgd, which train models singly.", min=4)
    ] = 32,
    rows: Annotated[int, typer.Option(help="Rows that each model is trained on.", min=2)] = 2000,
    queries: Annotated[int, typer.Option(help="Rows that models are queried with, for each world.", min=1)] = 500,
    include_attribute: Annotated[bool, typer.Option(help="Whether the models see the attribute.")] = True,
    null: Annotated[
        bool, typer.Option("--null", help="Give both worlds the first ratio: nothing may be found. Fails otherwise.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of pools, draws, training and attacks.", min=0)] = 0,
    write_queries: Annotated[
        Path | None,
        typer.Option(help="Only write the queries for one deployed model to answer.", metavar="FILE.parquet"),
    ] = None,
    victim_predictions: Annotated[
        Path | None,
        typer.Option(help="Audit the one model that gave these answers (Parquet or CSV).", metavar="FILE"),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(help="With --victim-predictions: ratios to choose among, separated by commas.", metavar="X,X,..."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Workers; -1: one for each core.")] = -1,
    out: Annotated[Path, typer.Option(help="Folder for models and tables.")] = Path("results/attacks"),
    report: ReportFile = None,
    report_date: ReportDate = None,
    as_json: Json = False,
) -> None:
    """Guess from trained models which of two populations they come from, defence by defence, beside the bound.

    Resumes where it stopped. An attack above the bound is a finding, not a failure: the exit status stays 0.
    """
    _only_with_report(report, report_date)
    _need_training()
    from fairbound import attack

    def named(text: str | None, default: Sequence[str]) -> list[str]:
        return list(default) if text is None else [name.strip() for name in text.split(",")]

    chosen = named(defences, attack.DEFAULT_DEFENCES) if defences != "all" else list(attack.DEFENCES)
    settings: dict[str, Any] = {"attribute": attribute, "group": group, "other": other, "rows": rows}
    settings |= {"queries": queries, "include_attribute": include_attribute}
    if write_queries is not None or victim_predictions is not None:
        from fairbound.attack_audit import run_audit, write_query_file

        more = named(grid, [])
        plan = attack.plan_attack(dataset, ratios=[*ratios, *(x for x in more if x not in ratios)], **settings)
        if write_queries is not None:
            result = write_query_file(plan, seed, write_queries, quiet=as_json)
        else:
            assert victim_predictions is not None
            result = run_audit(
                plan,
                victim_predictions,
                out=out,
                defence=chosen[0] if defences is not None else "none",
                attack=attacks or "kl_voting",
                shadows=shadows,
                seed=seed,
                jobs=jobs,
                quiet=as_json,
            )
        _finish(result, True, as_json=as_json)
        return
    plan = attack.plan_attack(dataset, ratios=[ratios[0], ratios[0]] if null else ratios, **settings)
    summary, found = attack.run_attack(
        plan,
        out=out,
        defences=chosen,
        adaptive={"both": (False, True), "yes": (True,), "no": (False,)}[adaptive.value],
        attacks=named(attacks, attack.ALL_ATTACKS),
        shadows=shadows,
        victims=victims,
        one_by_one=one_by_one,
        seed=seed,
        jobs=jobs,
        quiet=as_json,
    )
    if report is not None and not attack.is_null(plan):
        from fairbound.report import write_report

        write_report(report, attack.attack_report(plan, found, seed), date=report_date)
        if not as_json:
            typer.echo(f"Report: {report}")
    _finish(summary, summary.get("null_holds", True), as_json=as_json)


@app.command("sweep")
def sweep_command(
    config: Annotated[Path, typer.Argument(help="What to run (TOML); sweeps/ has some.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder for runs and tables. Default: results/ and the file's name.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Runs made at the same time; -1: one for each core.")] = -1,
    as_json: Json = False,
) -> None:
    """Run the protocol over data sets, directions, rehearsals and seeds; resumes where it stopped."""
    _need_training()
    from fairbound.sweep import run_sweep_command

    folder = Path("results") / config.stem if out is None else out
    summary, holds = run_sweep_command(config, out=folder, jobs=jobs, quiet=as_json)
    _finish(summary, holds, as_json=as_json)


_MODEL = typer.Option(help="Folder or hub id of a causal language model. Default: SmolLM2-135M-Instruct.")
_DEVICE = typer.Option(help="auto, cpu or cuda.")


@spin_app.callback(invoke_without_command=True)
def spin_command(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="One edit and its control on a fixed sample.")] = False,
    protocol: Annotated[str | None, typer.Option(help="demo, study, confirm or a TOML file.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Report on every question, and over every row of the files.")
    ] = False,
    model: Annotated[str | None, _MODEL] = None,
    judge: Annotated[
        Path | None, typer.Option(help="Folder of a language model that judges, such as MD-Judge.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered together.")] = 32,
    device: Annotated[str, _DEVICE] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Folder, where it also resumes. Default: results/spin, or spin-demo.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Suppress the weights that fairness and privacy share in a language model (SPIN), and measure what it does."""
    if context.invoked_subcommand is not None:
        return
    if not demo and protocol is None:
        raise FairboundError("say what to run: --demo, --protocol study, or --protocol FILE.toml.")
    if demo and protocol is not None:
        raise FairboundError("--demo is a protocol of its own; leave out --protocol.")
    _need_training()
    from fairbound.spin import run_spin

    name = protocol or "demo"
    default = Path("results/spin" if name == "study" else f"results/spin-{Path(name).stem}")
    folder = out or (default.with_name(f"{default.name}-full") if full else default)
    results = run_spin(
        name,
        out=folder,
        every_question=full,
        model=model,
        judge=judge,
        batch_size=batch_size,
        device=device,
        quiet=as_json,
    )
    if as_json:
        _print_json(results)


@spin_app.command("apply")
def spin_apply_command(
    edit: Annotated[Path, typer.Argument(help="Edit file (safetensors).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the model.", show_default=False)],
    model: Annotated[str | None, _MODEL] = None,
    as_json: Json = False,
) -> None:
    """Zero the weights of an edit file in the model it was made for, and write that model."""
    _change_model(edit, model, out, undo=False, as_json=as_json)


@spin_app.command("undo")
def spin_undo_command(
    edit: Annotated[Path, typer.Argument(help="Edit file (safetensors).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the model.", show_default=False)],
    model: Annotated[str | None, _MODEL] = None,
    as_json: Json = False,
) -> None:
    """Put the old weights of an edit file back into an edited model, bit for bit, and write that model."""
    _change_model(edit, model, out, undo=True, as_json=as_json)


def _change_model(edit: Path, model: str | None, out: Path, *, undo: bool, as_json: bool) -> None:
    _need_training()
    from fairbound.spin import change_model

    done = change_model(edit, model=model, out=out, undo=undo)
    if as_json:
        _print_json(done)
    else:
        typer.echo(f"{done['weights']:,} weights {'put back' if undo else 'set to zero'}; model in {out}")


@spin_app.command("inspect")
def spin_inspect_command(
    edit: Annotated[Path, typer.Argument(help="Edit file (safetensors).", show_default=False)],
    as_json: Json = False,
) -> None:
    """Show what an edit file does, matrix by matrix."""
    _need_training()
    from fairbound.spin import inspect_edit

    found = inspect_edit(edit, quiet=as_json)
    if as_json:
        _print_json(found)


@data_app.command("list")
def data_list_command(as_json: Json = False) -> None:
    """List the data sets, whether they are here, and what gets them."""
    from fairbound.data_commands import run_list

    entries = run_list(quiet=as_json)
    if as_json:
        _print_json(entries)


@data_app.command("get")
def data_get_command(
    name: Annotated[str, typer.Argument(help="A data set, or all.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Fetch a data set and check its files, or say how to get it."""
    from fairbound.data_commands import run_get

    results = run_get(name, quiet=as_json)
    if as_json:
        _print_json(results)


@data_app.command("describe")
def data_describe_command(
    name: Annotated[
        str,
        typer.Argument(
            help="A data set, options after a colon: acs_income:states=CT+RI,rows=10000.", show_default=False
        ),
    ],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help='Attribute or intersection ("sex & race"), may be repeated; default: every attribute.'),
    ] = None,
    path: Annotated[Path | None, typer.Option(help="Read this file or folder instead, of whatever version.")] = None,
    as_json: Json = False,
) -> None:
    """Describe a data set: task, groups with base rates and label shift, faults, licence."""
    from fairbound.data_commands import run_describe

    summary = run_describe(name, attributes=attribute or (), path=path, quiet=as_json)
    if as_json:
        _print_json(summary)


@app.command("figures")
def figures_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Figures and tables to make; default: all whose results are there.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Say what there is and what each needs; make nothing.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of stored results.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="Folder for pictures, tables and their data.")] = Path("results/figures"),
    as_json: Json = False,
) -> None:
    """Regenerate figures (PNG, PDF) and tables (Markdown, LaTeX), each with its data as CSV, from stored results."""
    from fairbound.figures import listing, make_figures

    if show:
        found = listing(results)
        if as_json:
            _print_json(found)
        else:
            for entry in found:
                state = "ready" if entry["ready"] else f"needs: {entry['command']}"
                typer.echo(f"{entry['name']:<18}{entry['about']}\n{'':<18}{state}")
        return
    made = make_figures(names, results=results, out=out)
    if as_json:
        _print_json({"files": [str(path) for path in made.files], "left": list(made.left)})
    else:
        typer.echo("\n".join([*map(str, made.files), *(f"not made: {line}" for line in made.left)]))


@app.command("prove")
def prove_command(
    claims: Annotated[list[str] | None, typer.Argument(help="T1, C1, ...; default: all.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Run the machine-checked proofs, and show how far each claim is established."""
    from fairbound.prove import run_prove

    records, holds = run_prove(claims, quiet=as_json)
    if as_json:
        _print_json(records)
    if not holds:
        raise typer.Exit(FAILS)


@app.command("metrics")
def metrics_command(
    out: Annotated[Path, typer.Option(help="Folder for the table and its certificates.")] = Path("results/metrics"),
    as_json: Json = False,
) -> None:
    """Table of fairness metrics: which bound the leak, by how much, each entry with a certificate (T4)."""
    from fairbound.describe import NOT_COVERED_IN_SHORT
    from fairbound.metrics_table import CAPTION, entries, markdown, write

    table = entries()
    paths = write(table, out)
    if as_json:
        _print_json(
            [
                {
                    "known": entry.metric,
                    "game": entry.game,
                    "label_balanced": entry.label_balanced,
                    "worst_case": float(entry.worst.value),
                    "exact": str(entry.worst.value),
                    "certificate": str(out / entry.file_name),
                }
                for entry in table
            ]
        )
    else:
        typer.echo(f"{CAPTION}\n\n{markdown(table)}\n{NOT_COVERED_IN_SHORT}")
        typer.echo(f"{len(paths) - 1} certificates in {out}; check one with: fairbound check {paths[1]}")


@app.command("queries")
def queries_command(
    certificate: Annotated[
        Path | None, typer.Argument(help="A certificate that certify or metrics wrote.", show_default=False)
    ] = None,
    advantage: Annotated[
        str | None, typer.Option(help="The bound of one draw, instead of a certificate.", metavar="X")
    ] = None,
    draws: Annotated[
        list[int] | None, typer.Option(help="Number of draws; may be repeated. Default: 1, 10, ..., 10000.", min=0)
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Advantage aimed at; may be repeated. Default: 0.5, 0.9, 0.99.", metavar="T"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what a bound on one draw means for many independent draws (T5)."""
    from rich.console import Console

    from fairbound.bounds.certificate import Certificate
    from fairbound.bounds.rational import to_fraction
    from fairbound.queries import DRAWS, TARGETS, ManyDraws, OneDraw

    if (certificate is None) == (advantage is None):
        raise FairboundError("give either a certificate or --advantage.")
    with Console(stderr=True, quiet=as_json).status("Counting words ..."):
        if certificate is not None:
            one = OneDraw.of_certificate(Certificate.read(certificate))
        else:
            one = OneDraw(to_fraction(advantage), "given")
        table = ManyDraws.of(one, draws or DRAWS, [to_fraction(t) for t in target or ()] or TARGETS)
    if as_json:
        _print_json(table.to_dict())
    else:
        from fairbound.console import print_many_draws

        print_many_draws(table)


@app.command("plan")
def plan_command(
    width: Annotated[
        str,
        typer.Option(help="How far the bound may be above the exact worst case at the planned rates.", metavar="X"),
    ],
    n_groups: Annotated[str | None, typer.Option("--groups", help="Number of groups. Default: 2.", metavar="N")] = None,
    n_labels: Annotated[str | None, typer.Option("--labels", help="Number of labels. Default: 2.", metavar="N")] = None,
    n_outputs: Annotated[
        str | None, typer.Option("--outputs", help="Number of predictions. Default: as many as labels.", metavar="N")
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="Share of each prediction (of two, that of the second is enough), in every label; repeat it to give "
            "each group its own. Default: 1/2, the worst case.",
            metavar="R",
        ),
    ] = None,
    label_marginal: Annotated[
        list[str] | None,
        typer.Option(
            help="Share of each label in a group, likewise. Default: equally many rows in every (group, label) cell.",
            metavar="P",
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(help="Plan a log like this pilot (CSV, Parquet, count file); may be repeated.", metavar="LOG"),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="Plan a log like the one that a certificate holds. Worlds, game, --label-balanced, --confidence and "
            "--method are the certificate's where they are not given.",
            metavar="CERT.json",
        ),
    ] = None,
    label: LabelColumn = "label",
    prediction: PredictionColumn = "prediction",
    group: GroupColumns = None,
    pure: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two groups, the worlds consist of one of them each. Default: every pair.", metavar="A B"),
    ] = None,
    pair: Annotated[
        Path | None, typer.Option(help="Two given compositions, as for certify.", metavar="FILE.json")
    ] = None,
    game: Annotated[
        GameName | None, typer.Option(help="What the adversary sees. Default: labelled.", show_default=False)
    ] = None,
    label_balanced: Annotated[
        bool | None,
        typer.Option(
            "--label-balanced/--no-label-balanced",
            help="Give both worlds the average of their label marginals. Default: no.",
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(help="Joint level of the upper bound. Default: 0.95.", show_default=False)
    ] = None,
    method: Annotated[
        MethodName | None,
        typer.Option(
            help="How sampling error is covered; the others are shown for comparison. Default: fisher.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell how many rows a bound of a given width takes, before there is a log or from a pilot."""
    from fairbound.bounds.planning import Design
    from fairbound.ingest import count_files, read_pair
    from fairbound.logs import log_files
    from fairbound.plan import pilot, read_number, read_shares, run_plan

    planned = {
        "--groups": n_groups,
        "--labels": n_labels,
        "--outputs": n_outputs,
        "--rate": rate,
        "--label-marginal": label_marginal,
    }
    clashing = [name for name, given in planned.items() if given]
    claimed: dict[str, Any] = {}
    if log and certificate is not None:
        raise FairboundError("give either --log or --certificate as the pilot, not both.")
    if (log or certificate is not None) and clashing:
        raise FairboundError(f"a pilot says what {clashing[0]} would say; leave that out.")
    if log:
        files = log_files(log)
        _refuse_unused_columns(files, label, prediction, group)
        with _file_progress(len(files)) as progress:
            counts = count_files(files, label=label, prediction=prediction, group=group or "group", progress=progress)
        design = Design.from_counts(counts)
    elif certificate is not None:
        counts, claimed = pilot(certificate)
        design = Design.from_counts(counts)
    else:
        design = Design.of(
            groups=read_number(n_groups, "--groups", 2),
            labels=read_number(n_labels, "--labels", 2),
            outputs=read_number(n_outputs, "--outputs", None),
            rates=read_shares(rate, "--rate"),
            label_marginals=read_shares(label_marginal, "--label-marginal"),
        )
    given = {
        "pure": pure,
        "pair": None if pair is None else read_pair(pair, design.counts(1)),
        "game": None if game is None else game.value,
        "label_balanced": label_balanced,
        "confidence": confidence,
        "method": None if method is None else method.value,
    }
    if pure is not None or pair is not None:
        claimed = {name: value for name, value in claimed.items() if name not in ("pure", "pair")}
    options = {"method": "fisher", **claimed, **{name: value for name, value in given.items() if value is not None}}
    data = run_plan(design, width, quiet=as_json, **options)
    if as_json:
        _print_json(data)


@app.command("watch")
def watch_command(
    source: Annotated[
        str, typer.Argument(help="CSV file with a header line, or - for standard input.", show_default=False)
    ],
    max_advantage: Annotated[
        str,
        typer.Option(
            help="Exit 1 once the lower confidence limit of the exact worst case is above this.",
            metavar="X",
            show_default=False,
        ),
    ],
    label: LabelColumn = "label",
    prediction: PredictionColumn = "prediction",
    group: GroupColumns = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help=f"Declared groups, {_SEPARATED}. Where groups or labels are not declared, the first rows "
            "(--every) show what occurs and are not counted.",
            metavar="A,B",
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Declared labels, written likewise.", metavar="0,1")] = None,
    outputs: Annotated[
        str | None, typer.Option(help="Declared predictions; default: the labels.", metavar="0,1")
    ] = None,
    game: Annotated[GameName, typer.Option(help="What the adversary sees.")] = GameName.LABELLED,
    label_balanced: Annotated[
        bool, typer.Option("--label-balanced", help="Give both worlds the average of their label marginals.")
    ] = False,
    confidence: Annotated[str, typer.Option(help="1 minus the chance of ever raising a false alarm.")] = "0.95",
    window: Annotated[int, typer.Option(help="Rows between starts: how far a changed stream is diluted.")] = 2000,
    every: Annotated[int, typer.Option(help="Rows between looks.")] = 100,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for rows to be appended.")] = False,
    state: Annotated[
        Path | None, typer.Option(help="Keep the watch here, and resume it from here.", metavar="FILE.json")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only, one event per line.")] = False,
) -> None:
    """Watch a growing prediction log, and stop with exit status 1 once it certainly leaks more than a limit."""
    from rich.console import Console

    from fairbound.describe import NOT_COVERED_IN_SHORT
    from fairbound.watch import WatchResult, WatchSettings, run_watch

    def alphabet(text: str | None, role: str, *, truth_values: bool = True) -> tuple[int | str, ...] | None:
        symbols = _alphabet(text, role, truth_values=truth_values)
        return None if symbols is None else tuple(symbols)

    settings = WatchSettings(
        max_advantage,
        label=label,
        prediction=prediction,
        group=tuple(group or ("group",)),
        groups=alphabet(groups, "--groups", truth_values=False),
        labels=alphabet(labels, "--labels"),
        outputs=alphabet(outputs, "--outputs"),
        game=game.value,
        label_balanced=label_balanced,
        confidence=confidence,
        window=window,
        every=every,
    )

    def event(data: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(data) + "\n")
        sys.stdout.flush()

    with Console(stderr=True).status("Watching ...") as status:
        rows = 0

        def progress(result: WatchResult) -> None:
            nonlocal rows
            rows = result.rows
            status.update(f"Watching: {rows:,} rows, no alarm")

        def begin(result: WatchResult) -> None:
            if as_json:
                event(result.begin_event())

        try:
            result = run_watch(source, settings, follow=follow, state=state, on_begin=begin, on_progress=progress)
        except KeyboardInterrupt:
            sys.stderr.write(f"fairbound: interrupted after {rows:,} rows without an alarm\n")
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        event(result.end_event() if result.alarm is None else result.alarm_event())
    else:
        typer.echo(result.sentence())
        if result.alarm is None:
            typer.echo(NOT_COVERED_IN_SHORT)
    if result.alarm is not None:
        raise typer.Exit(FAILS)


def _need_training() -> None:
    """Say what to install where the optional training libraries are absent."""
    from importlib.util import find_spec

    missing = [name for name, module in (("torch", "torch"), ("scikit-learn", "sklearn")) if find_spec(module) is None]
    if missing:
        raise FairboundError(f"training needs {' and '.join(missing)}; install it with: pip install 'fairbound[train]'")


def _version(show: bool) -> None:
    if show:
        from fairbound import __version__

        typer.echo(f"fairbound {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a deliberate error is one line on standard error and exit status 2."""
    try:
        app()
    except SystemExit as stopped:
        # Nobody reads on: what a shell says of SIGPIPE, not the 1 that means that a checked property fails.
        if stopped.code == 1 and isinstance(stopped.__context__, BrokenPipeError):
            sys.exit(128 + 13)
        raise
    except FairboundError as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except Exception as error:
        # Status 1 would tell a CI gate that the checked property fails.
        if os.environ.get("FAIRBOUND_DEBUG"):
            traceback.print_exc()
        _complain(f"unexpected {type(error).__name__}: {error}; FAIRBOUND_DEBUG=1 shows where, please report it")
    except KeyboardInterrupt:
        sys.stderr.write("fairbound: interrupted\n")
        sys.exit(INTERRUPTED)


def _complain(message: str) -> NoReturn:
    """One line on standard error, free of control characters, and exit status 2."""
    sys.stderr.write(f"fairbound: error: {printable(' '.join(message.split()))}\n")
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
