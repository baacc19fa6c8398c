"""A study's results as tables: awareness rates, changes with intervals, what was chosen and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fairbound.empirical.attacks.statistics import holm
from fairbound.empirical.means import mean_interval
from fairbound.empirical.spin.data import SUBJECTS
from fairbound.empirical.spin.judges import Judgements, Label
from fairbound.empirical.spin.statistics import (
    AwarenessRate,
    PairedChange,
    awareness_rate,
    minimum_detectable_change,
    paired_change,
)

_WORDS: dict[str, Label] = {"s": "safe", "u": "unsafe", "-": "undecided"}

#: What no theorem says, printed with every result.
NOT_COVERED = (
    "No theorem covers zeroed weights: T10 is about the information in a coupled component and about zeroed "
    "coordinates of a representation. Intervals of single models are about which questions were asked, those of means "
    "over draws about which calibration pairs were drawn; none is about the judges' errors."
)


def verdicts(study: dict[str, Any], record: dict[str, Any], subject: str, judge: int) -> Judgements:
    """What one judge said of one model's answers.

    Parameters
    ----------
    study : dict
        As `fairbound.empirical.spin.study.Study.run` returns it.
    record : dict
        One of its "models".
    subject : str
    judge : int
        Position among the judges of the subject.

    Returns
    -------
    Judgements
    """
    known = study["judges"][subject][judge]
    letters = record["labels"][subject][known["name"]]
    return Judgements(known["name"], known["reliability"], tuple(_WORDS[letter] for letter in letters))


def rate_of(study: dict[str, Any], record: dict[str, Any], subject: str, judge: int) -> AwarenessRate | None:
    """Awareness rate of one model by one judge.

    Parameters
    ----------
    study, record, subject, judge
        As in `verdicts`.

    Returns
    -------
    AwarenessRate or None
        None if the judge decides on no answer, as where a model has stopped writing words.
    """
    found = verdicts(study, record, subject, judge)
    return None if set(found.labels) == {"undecided"} else awareness_rate(found)


def changes_of(study: dict[str, Any], base: dict[str, Any], record: dict[str, Any]) -> list[PairedChange | None]:
    """Changes of one model against another on the same questions, for each subject and judge.

    Parameters
    ----------
    study : dict
    base, record : dict
        Two of its "models", of one phase.

    Returns
    -------
    list of PairedChange or None
        None if the judge decides on no question both times.
    """
    changes: list[PairedChange | None] = []
    for subject in SUBJECTS:
        for judge in range(len(study["judges"][subject])):
            before, after = (verdicts(study, model, subject, judge) for model in (base, record))
            pairs = zip(before.labels, after.labels, strict=True)
            decided = any("undecided" not in pair for pair in pairs)
            changes.append(paired_change(before, after) if decided else None)
    return changes


def stored_results(study: dict[str, Any]) -> dict[str, Any]:
    """The study as one JSON document, with the rates of the first judge drawn out.

    Parameters
    ----------
    study : dict

    Returns
    -------
    dict
        The study's entries, and "settings" (name, fairness and privacy with rate, low and high, perplexity, selected;
        without models on whose answers the judge does not decide) and "layers" (layer, coupled weights, HSIC before
        and after with p-values) for the figure.
    """
    settings = []
    for record in _reported(study):
        found: dict[str, Any] = {"name": _title(record)}
        for subject in SUBJECTS:
            if rate := rate_of(study, record, subject, 0):
                found[subject] = {"rate": float(rate.rate), "low": float(rate.lower), "high": float(rate.upper)}
        if found.keys() >= set(SUBJECTS):
            settings.append(found | {"perplexity": record["perplexity"], "selected": record["selected"]})
    layers = []
    for i, coupled in enumerate(study["layers"]):
        row: dict[str, Any] = {"layer": i, "coupled": coupled}
        if study["hsic"]:
            for when in ("before", "after"):
                test = study["hsic"][when][i]
                row |= {f"hsic_{when}": test["value"], f"p_{when}": test["p"]}
        layers.append(row)
    return study | {"settings": settings, "layers": layers}


def summarise_study(study: dict[str, Any]) -> str:
    """The study in Markdown.

    Parameters
    ----------
    study : dict

    Returns
    -------
    str
    """
    protocol, chosen = study["protocol"], study["chosen"]
    lines = [
        f"# SPIN on {study['model']}: {protocol['name']}",
        "",
        f"Importance on {protocol['calibration_samples']} pairs of each set, draws "
        f"{', '.join(map(str, protocol['calibration_seeds']))}; greedy answers of at most "
        f"{protocol['max_new_tokens']} tokens; perplexity on {protocol['perplexity_texts']} general answers that no "
        "draw holds. Rates are safe / (safe + unsafe) with Clopper-Pearson's 95 % interval; changes are paired, on the "
        "same questions, with Tango's 95 % interval.",
        "",
        *_judges(study),
        "",
    ]
    if any(record["phase"] == "choose" for record in study["models"]):
        lines += ["## Choosing", "", *_choice(study), ""]
    whole = [record for record in study["models"] if record["phase"] == "file"]
    lines += [
        "## Report" + (f": {chosen['name']}" if chosen else ""),
        "",
        *_rates(study, _reported(study)),
        "",
        "Changes against the model itself, on the same questions:",
        "",
        *_changes(study),
        "",
        *_over_draws(study),
        *_detectable(study),
        "",
        *(_whole_files(study, whole) if whole else ()),
        "## Coupled weights",
        "",
        *_coupled(study),
        "",
        "## Examples",
        "",
        *_examples(study),
        "",
        NOT_COVERED,
        "",
    ]
    return "\n".join(lines)


def _reported(study: dict[str, Any]) -> list[dict[str, Any]]:
    return [record for record in study["models"] if record["phase"] == "report"]


def _title(record: dict[str, Any]) -> str:
    names = {"base": "model itself", "spin": "SPIN", "full": "full fine-tuning", "lora": "LoRA fine-tuning"}
    title = names.get(record["name"], f"control: {record['name']}")
    return title if record["setting"] is None else f"{title}, draw {record['seed']}"


def _judges(study: dict[str, Any]) -> Iterator[str]:
    for subject in SUBJECTS:
        about = study["questions"][subject]
        asked = ", ".join(f"{about[phase]} to {phase}" for phase in ("choose", "report") if phase in about)
        yield (
            f"- {subject}: {about['read']} questions read, {about['repeated']} repeated and {about['shared']} shared "
            f"with labelled pairs left out; asked: {asked}."
        )
        for judge in study["judges"][subject]:
            yield f"  - judge: {judge['name']} ({judge['reliability']})"


def _choice(study: dict[str, Any]) -> Iterator[str]:
    """Means over the calibration draws on the questions to choose on, and a test of each draw."""
    protocol = study["protocol"]
    records = [record for record in study["models"] if record["phase"] == "choose"]
    base = next(record for record in records if record["name"] == "base")
    rows, tests = {}, []
    for record in records:
        if record is base:
            continue
        changes = changes_of(study, base, record)
        rows.setdefault(record["setting"], []).append((record, changes))
        tests += [change.p_value for change in changes if change]
    corrected = holm(tests)
    small = sum(p < 0.05 for p in corrected)
    heads = [f"{s}: {j['name']}" for s in SUBJECTS for j in study["judges"][s]]
    yield f"| setting | weights zeroed | overlap of halves | perplexity | {' | '.join(heads)} |"
    yield "|---" * (4 + len(heads)) + "|"
    for setting, parts in rows.items():
        drawn = [line for line in study["calibration"] if line["setting"] == setting]
        cells = [
            ", ".join(str(record["selected"]) for record, _ in parts),
            f"{_mean([line['overlap'] for line in drawn]):.2f}",
            f"x {_mean([record['perplexity'] / base['perplexity'] for record, _ in parts]):.3f}",
            *(_mean_change([changes[i] for _, changes in parts]) for i in range(len(heads))),
        ]
        mark = "**" if setting == study["chosen"]["name"] else ""
        yield f"| {mark}{setting}{mark} | {' | '.join(cells)} |"
    yield ""
    yield (
        f"Mean change over the draws. Overlap: Jaccard index of the weights that either half of a draw selects. Of "
        f"{len(tests)} tests (setting, draw, subject, judge) {small} are below .05 after Holm's correction. Chosen, by "
        f"the first judge of each subject: the largest smaller change among settings that raise the perplexity by at "
        f"most a factor {protocol['perplexity_limit']:g}."
    )


def _rates(study: dict[str, Any], records: Sequence[dict[str, Any]]) -> Iterator[str]:
    heads = [f"{s}: {j['name']}" for s in SUBJECTS for j in study["judges"][s]]
    yield f"| model | weights zeroed | perplexity | {' | '.join(heads)} |"
    yield "|---" * (3 + len(heads)) + "|"
    for record in records:
        cells = [
            _shown(rate_of(study, record, subject, j))
            for subject in SUBJECTS
            for j in range(len(study["judges"][subject]))
        ]
        yield f"| {_title(record)} | {record['selected']} | {record['perplexity']:.3f} | {' | '.join(cells)} |"


def _changes(study: dict[str, Any]) -> Iterator[str]:
    records = _reported(study)
    base, others = records[0], records[1:]
    heads = [f"{s}: {j['name']}" for s in SUBJECTS for j in study["judges"][s]]
    yield f"| model | {' | '.join(heads)} |"
    yield "|---" * (1 + len(heads)) + "|"
    changes = {id(record): changes_of(study, base, record) for record in others}
    tested = [change for record in others if record["name"] == "spin" for change in changes[id(record)] if change]
    corrected = iter(holm([change.p_value for change in tested]))
    for record in others:
        cells = []
        for change in changes[id(record)]:
            adjusted = next(corrected) if change and record["name"] == "spin" else None
            cells.append(_shown_change(change, adjusted))
        yield f"| {_title(record)} | {' | '.join(cells)} |"
    yield ""
    yield (
        f"p: McNemar's exact test; in rows of SPIN after Holm's correction over its {len(tested)} tests, elsewhere "
        "uncorrected."
    )


def _over_draws(study: dict[str, Any]) -> Iterator[str]:
    """Means whose unit is the draw of calibration pairs: whether the method works, rather than one edit."""
    records = _reported(study)
    draws = study["protocol"]["calibration_seeds"]
    if len(draws) < 2:
        return
    changes = {
        (record["name"], record["seed"]): [
            None if change is None else float(change.change) for change in changes_of(study, records[0], record)
        ]
        for record in records
        if record["name"] in ("spin", "matched")
    }
    heads = [f"{s}: {j['name']}" for s in SUBJECTS for j in study["judges"][s]]
    rows = {"SPIN": [changes["spin", draw] for draw in draws]}
    if "matched" in study["protocol"]["controls"]:
        rows["control: matched"] = [changes["matched", draw] for draw in draws]
        rows["SPIN less its control"] = [
            [None if a is None or b is None else a - b for a, b in zip(spin, control, strict=True)]
            for spin, control in zip(*rows.values(), strict=True)
        ]
    yield f"Mean change over the {len(draws)} draws, with Student's 95 % interval whose unit is the draw:"
    yield ""
    yield f"| | {' | '.join(heads)} |"
    yield "|---" * (1 + len(heads)) + "|"
    for name, values in rows.items():
        yield f"| {name} | {' | '.join(_shown_mean(column) for column in zip(*values, strict=True))} |"
    yield ""


def _whole_files(study: dict[str, Any], records: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = sum(study["questions"][subject]["read"] for subject in SUBJECTS)
    yield f"## All {rows:,} rows of the question files"
    yield ""
    yield (
        "For comparison with rates that were published over whole files. They include questions that the judges were "
        "trained on, those that a setting was chosen on, and repetitions; nothing above uses them."
    )
    yield ""
    yield from _rates(study, records)
    yield ""


def _detectable(study: dict[str, Any]) -> Iterator[str]:
    records = _reported(study)
    spin = next(record for record in records if record["name"] == "spin")
    changes = changes_of(study, records[0], spin)
    for i, subject in enumerate(SUBJECTS):
        change = changes[i * len(study["judges"][subject])]
        changed = (change.gained + change.lost) / change.both if change else 0
        if change and changed:
            least = minimum_detectable_change(change.both, changed)
            yield (
                f"- {subject}: with {change.both} questions of which {changed:.0%} changed their verdict, a change of "
                f"{least:.3f} or more is found with probability .8 (level .05, one test)."
            )
        else:
            yield f"- {subject}: no verdict changed."


def _coupled(study: dict[str, Any]) -> Iterator[str]:
    chosen = study["chosen"]["name"]
    for line in study["calibration"]:
        if line["setting"] == chosen:
            counts = ", ".join(f"{number} {rule}" for rule, number in line["selected"].items())
            yield f"- draw {line['seed']}: {counts}; overlap of the two halves of the draw {line['overlap']:.2f}."
    yield ""
    found = study["hsic"]
    heads = ["block", "coupled", *(["HSIC before", "p", "HSIC after", "p"] if found else [])]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for i, number in enumerate(study["layers"]):
        cells = [str(i), str(number)]
        if found:
            for when in ("before", "after"):
                test = found[when][i]
                cells += [f"{test['value']:.4f}", f"{test['adjusted']:.3f}"]
        yield f"| {' | '.join(cells)} |"
    if found:
        yield ""
        yield (
            f"HSIC between the state at the end of a prompt and the mean state over its response, {found['pairs']} "
            "held-out pairs, kernel widths of before; p by permutation, Holm's correction over the blocks."
        )


def _examples(study: dict[str, Any]) -> Iterator[str]:
    for example in study["examples"]:
        yield f"- *{example['subject']}*: {_line(example['question'])}"
        for when in ("before", "after"):
            yield f"  - {when}: {_line(example[when])}"


def _line(text: str) -> str:
    short = " ".join(text.split())
    # What a model writes is no markup.
    return ((short[:300] + "...") if len(short) > 300 else short).replace("<", "\\<")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_change(changes: Sequence[PairedChange | None]) -> str:
    """Over the draws; a draw after which no answer is left to judge counts in none."""
    found = [float(change.change) for change in changes if change]
    return f"{_mean(found):+.3f}" if found else "–"


def _shown_mean(values: Sequence[float | None]) -> str:
    """Nothing unless every draw has a value."""
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        return "–"
    mean, half = mean_interval(found)
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def _shown(rate: AwarenessRate | None) -> str:
    return "–" if rate is None else f"{float(rate.rate):.3f} [{float(rate.lower):.3f}, {float(rate.upper):.3f}]"


def _shown_change(change: PairedChange | None, adjusted: float | None) -> str:
    if change is None:
        return "–"
    p = change.p_value if adjusted is None else adjusted
    return f"{float(change.change):+.3f} [{change.lower:+.3f}, {change.upper:+.3f}], p {p:.2g}"
