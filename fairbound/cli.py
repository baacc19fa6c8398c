"""The command line: exit status 0 holds, 1 the checked property fails, 2 bad input."""

from __future__ import annotations

import json
import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from fairbound.bounds.alphabet import from_text, printable
from fairbound.bounds.errors import FairboundError, NumberError

app = typer.Typer(
    name="fairbound",
    help="Certified bounds on distribution inference from measured fairness.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

FAILS, BAD_INPUT = 1, 2


class GameName(StrEnum):
    """What the adversary sees."""

    LABELLED = "labelled"
    CORRECTNESS = "correctness"
    UNLABELLED = "unlabelled"


class OnMissing(StrEnum):
    """What an empty cell means."""

    ERROR = "error"
    VACUOUS = "vacuous"


class Theorem(StrEnum):
    """Which closed form."""

    T1 = "T1"
    T1B = "T1b"


Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


def _alphabet(text: str | None, role: str) -> list[int | str] | None:
    """A declared alphabet: symbols separated by commas."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    symbols = from_text(names, role)
    return [symbols[name] for name in names]


def _print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


@app.command("certify")
def certify_command(
    log: Annotated[Path, typer.Argument(help="Prediction log: CSV or Parquet.", show_default=False)],
    label: Annotated[str, typer.Option(help="Column of the true label.")] = "label",
    prediction: Annotated[str, typer.Option(help="Column of the hard prediction.")] = "prediction",
    group: Annotated[str, typer.Option(help="Column of the sensitive attribute.")] = "group",
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
    groups: Annotated[str | None, typer.Option(help="Declared groups, separated by commas.", metavar="A,B")] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Declared labels, if one may be absent by chance (with --on-missing vacuous).", metavar="0,1"
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
        Theorem,
        typer.Option(help="T1: the labels' disparities. T1b: each pair of groups at its own distance."),
    ] = Theorem.T1,
    max_advantage: Annotated[
        str | None, typer.Option(help="Exit 1 if the upper bound is above this (a gate for CI).", metavar="X")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the certificate here.", metavar="CERT.json")] = None,
    coq: Annotated[
        Path | None,
        typer.Option(
            help="Write a Coq file that proves the step from the limits to the bound; compile it with coqc.",
            metavar="OUT.v",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bound what a model's predictions leak about its population, from a prediction log."""
    from fairbound.bounds.certify import certify_counts
    from fairbound.bounds.noise import noise_floor
    from fairbound.bounds.rational import float_above, to_fraction
    from fairbound.files import write_text
    from fairbound.ingest import count_file, read_pair

    try:
        limit = None if max_advantage is None else to_fraction(max_advantage)
    except NumberError:
        raise NumberError(f"--max-advantage {max_advantage!r} is no rational number; write 0.3 or 3/10.") from None
    if limit is not None and not 0 <= limit <= 1:
        raise NumberError(f"--max-advantage {max_advantage} lies outside [0, 1]; an advantage is no percentage.")
    for target in (out, coq):
        if target is not None and target.exists() and log.exists() and target.samefile(log):
            raise FairboundError(f"{target} is the log itself; write to another file.")
    counts = count_file(
        log,
        label=label,
        prediction=prediction,
        group=group,
        groups=_alphabet(groups, "--groups"),
        labels=_alphabet(labels, "--labels"),
        outputs=_alphabet(outputs, "--outputs"),
    )
    result = certify_counts(
        counts,
        pure=pure,
        pair=None if pair is None else read_pair(pair, counts),
        game=game.value,
        label_balanced=label_balanced,
        confidence=confidence,
        on_missing=on_missing.value,
        theorem=theorem.value,
    )
    certificate = None if out is None else result.certificate()
    if certificate is not None and out is not None:
        certificate.write(out)
    if coq is not None:
        from fairbound.proofs.export import coq_file

        write_text(coq, coq_file(result))
    holds = limit is None or result.upper <= limit
    floor = noise_floor(result)
    if as_json:
        data = result.to_dict()
        data["noise_floor"] = {
            "equalized_odds_mean": floor.equalized_odds_mean,
            "equalized_odds_quantile_95": floor.equalized_odds_quantile_95,
            "advantage_upper": float_above(floor.advantage_upper),
        }
        data["max_advantage"] = None if limit is None else {"limit": float(limit), "holds": holds}
        data["coq"] = None if coq is None else str(coq)
        data["certificate"] = None if certificate is None else {"path": str(out), "digest": certificate.digest}
        _print_json(data)
    else:
        from fairbound.console import print_certification

        written = None if out is None or certificate is None else (out, certificate)
        print_certification(result, floor=floor, limit=limit, certificate=written)
        if coq is not None:
            typer.echo(f"Coq: {coq}; compile it with: coqc {coq}")
    if not holds:
        raise typer.Exit(FAILS)


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
        verified, refused = check.check(check.load(text)), None
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
    dataset: Annotated[str, typer.Argument(help="compas, adult or german.", show_default=False)],
    attribute: Annotated[str, typer.Option(help="Sensitive attribute.")],
    start: Annotated[str, typer.Option(help="G0: the group that the base model is trained on.")],
    other: Annotated[str | None, typer.Option(help="G1; needed if the attribute has more than two groups.")] = None,
    rehearsal: Annotated[float, typer.Option(help="Rows of G0 mixed in, as a fraction of the rows of G1.")] = 0.5,
    seeds: Annotated[int, typer.Option(help="Number of runs.", min=1)] = 1,
    first_seed: Annotated[int, typer.Option(help="Seed of the first run; the others follow.", min=0)] = 0,
    include_attribute: Annotated[bool, typer.Option(help="Whether the models see the attribute.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for runs.jsonl and the prediction logs.")] = Path("results/fft"),
    as_json: Json = False,
) -> None:
    """Train on one group, fine-tune fairly on the other, and measure; resumes where it stopped."""
    _need_training()
    from fairbound.fft import run_fft

    records = run_fft(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
        seeds=range(first_seed, first_seed + seeds),
        include_attribute=include_attribute,
        out=out,
        quiet=as_json,
    )
    if as_json:
        _print_json(records)


@app.command("figures")
def figures_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Figures to make; default: all.", show_default=False)
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder that `fairbound fft` or `fairbound demo` wrote.")] = Path(
        "fairbound-demo"
    ),
    out: Annotated[Path, typer.Option(help="Folder for the pictures and their data.")] = Path("results/figures"),
    as_json: Json = False,
) -> None:
    """Regenerate figures, each as PNG and PDF with its data as CSV."""
    from fairbound.figures import make_figures

    paths = [str(path) for path in make_figures(names, results=results, out=out)]
    if as_json:
        _print_json(paths)
    else:
        typer.echo("\n".join(paths))


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
        sys.exit(130)


def _complain(message: str) -> NoReturn:
    """One line on standard error, free of control characters, and exit status 2."""
    sys.stderr.write(f"fairbound: error: {printable(' '.join(message.split()))}\n")
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
