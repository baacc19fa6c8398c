"""Watching a log: what is read, what is refused, alarms, and resuming."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds.errors import (
    AlphabetError,
    FileFormatError,
    MissingValueError,
    NumberError,
    ScoresError,
    UnknownColumnError,
)
from fairbound.bounds.sequential import Monitor, MonitorPlan
from fairbound.watch import WatchSettings, _complete, _CsvStream, run_watch

HEADER = "group,label,prediction\n"
DECLARED = {"groups": ("a", "b"), "labels": (0, 1)}


def rows(n, gap, seed=0):
    """Rows of a model whose rates differ between groups by `gap` in both labels, as (group, label, prediction)."""
    generator = np.random.default_rng(seed)
    b, y = generator.random(n) < 0.5, generator.random(n) < 0.3
    z = generator.random(n) < 0.1 + 0.5 * y + gap * b
    return list(zip(b.astype(int).tolist(), y.astype(int).tolist(), z.astype(int).tolist(), strict=True))


def lines(table):
    return "".join(f"{'ab'[a]},{y},{z}\n" for a, y, z in table)


CHANGING = rows(12_000, 0.05) + rows(8_000, 0.35, seed=1)
OPTIONS = {"max_advantage": "0.1", "window": 1000, **DECLARED}


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + lines(CHANGING))
    return path


def monitored(table):
    monitor = Monitor(MonitorPlan(2, 2, 2, Fraction(1, 10), window=1000))
    monitor.update([4 * a + 2 * y + z for a, y, z in table])
    return monitor


@pytest.fixture
def watch(run):
    """Run `fairbound watch` in this process."""
    return partial(run, "watch")


def test_a_file_is_the_stream_of_its_rows(log):
    result = run_watch(str(log), WatchSettings(**OPTIONS))
    expected = monitored(CHANGING)
    assert result.alarm == expected.alarm
    assert 12_000 < result.alarm.row < 14_000
    assert result.monitor.to_dict() == expected.to_dict()


def test_the_command_line_alarms_with_one_line_and_status_1(watch, log):
    options = ("--max-advantage", "0.1", "--window", 1000, "--groups", "a,b", "--labels", "0,1")
    alarm = monitored(CHANGING).alarm
    status, out, err = watch(log, *options)
    assert status == 1
    assert err == ""
    assert out.startswith(f"ALARM at row {alarm.row}: over the rows after row {alarm.since} (start {alarm.start}) ")
    assert "for a / b is 0.1" in out
    assert "above 0.1 (worst-case advantage, labelled game, confidence 95 %)" in out
    assert out.count("\n") == 1
    status, out, _ = watch(log, *options, "--json")
    begin, event = map(json.loads, out.splitlines())
    assert status == 1
    assert (begin["event"], begin["groups"], begin["outputs"], begin["quantity"]) == ("begin", ["a", "b"], [0, 1], "T1")
    assert event["event"] == "alarm"
    assert (event["row"], event["since_row"], event["pair"]) == (alarm.row, alarm.since, ["a", "b"])
    assert Fraction(event["exact"]["lower"]) == alarm.lower
    assert event["limit"] < event["lower"] <= alarm.lower


def test_a_fair_log_ends_with_limits_and_status_0(watch, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + lines(rows(5000, 0.05)))
    options = ("--max-advantage", "0.1", "--groups", "a,b", "--labels", "0,1", "--game", "correctness")
    status, out, _ = watch(path, *options)
    assert status == 0
    assert out.startswith("No alarm in 5000 rows; if the rates were constant, the advantage is between ")
    assert "correctness game" in out
    assert "Not covered" in out
    status, out, _ = watch(path, *options, "--json")
    end = json.loads(out.splitlines()[-1])
    assert status == 0
    assert end["event"] == "end"
    assert end["rows"] == 5000
    assert end["lower"] <= Fraction(end["exact"]["lower"]) < 0.05 < Fraction(end["exact"]["upper"]) <= end["upper"]


def test_standard_input(log):
    command = [
        sys.executable,
        "-m",
        "fairbound.cli",
        "watch",
        "-",
        "--max-advantage",
        "1/10",
        "--window",
        "1000",
        "--json",
    ]
    done = subprocess.run(command, input=log.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    begin, event = map(json.loads, done.stdout.splitlines())
    # Alphabets were learned from the first rows, which are not counted.
    assert begin["rows_not_counted"] == 100
    alarm = monitored(CHANGING[100:]).alarm
    assert (event["row"], event["since_row"]) == (alarm.row + 100, alarm.since + 100)
    assert Fraction(event["exact"]["lower"]) == alarm.lower


def test_learned_alphabets_are_those_that_occur_first(log):
    result = run_watch(str(log), WatchSettings("1"))
    assert (result.alphabets.groups, result.alphabets.labels, result.alphabets.outputs) == (("a", "b"), (0, 1), (0, 1))
    assert (result.learned, result.rows) == (100, 20_000)
    table = np.zeros(8, int)
    for a, y, z in CHANGING[100:]:
        table[4 * a + 2 * y + z] += 1
    assert result.monitor.to_dict()["counts"] == table.tolist()


def test_rows_too_few_to_learn_from_are_said_to_be(watch, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + lines(CHANGING[:50]))
    status, out, _ = watch(path, "--max-advantage", "0.1")
    assert status == 0
    assert "50 rows are fewer than the 100 (--every)" in out
    assert json.loads(watch(path, "--max-advantage", "0.1", "--json")[1])["rows"] == 50
    path.write_text(HEADER + "a,0,0\n" * 200)
    status, _, err = watch(path, "--max-advantage", "0.1")
    assert status == 2
    assert "only one group" in err
    assert "--groups" in err


def test_the_same_values_in_other_writing(tmp_path):
    """Delimiters, quotes, CRLF, truth values, integral decimals, spaces and unused columns change nothing."""
    path = tmp_path / "log.csv"
    words = [" true", "1.0", "True"], ["0", "False", "+0"]
    body = "".join(
        f'"{"ab"[a]}";"x ""y"";\n{i}";{words[1 - y][i % 3]};{words[1 - z][(i + 1) % 3]}\r\n'
        for i, (a, y, z) in enumerate(CHANGING)
    )
    path.write_bytes(("\ufeffgroup;note;label;prediction\r\n" + body).encode())
    assert run_watch(str(path), WatchSettings(**OPTIONS)).alarm == monitored(CHANGING).alarm


def test_text_labels_and_intersectional_groups(tmp_path):
    path = tmp_path / "log.csv"
    names = ["no", "yes"]
    path.write_text(
        "sex,age,label,prediction\n"
        + "".join(
            f"{'FM'[a]},{'1.0' if i % 3 else '2'},{names[y]},{names[z]}\n" for i, (a, y, z) in enumerate(CHANGING)
        )
    )
    options = {"max_advantage": "1", "group": ("sex", "age")}
    learned = run_watch(str(path), WatchSettings(**options))
    assert learned.alphabets.groups == ("F & 1", "F & 2", "M & 1", "M & 2")
    declared = run_watch(
        str(path), WatchSettings(**options, groups=("F & 1", "F & 2", "M & 1", "M & 2"), labels=("no", "yes"))
    )
    assert sum(declared.monitor.to_dict()["counts"]) == len(CHANGING)
    # Digits and text together are text.
    path.write_text(HEADER + "a,0,unsure\nb,1,0\n")
    mixed = run_watch(str(path), WatchSettings("1", **DECLARED, outputs=(0, 1, "unsure")))
    assert mixed.alphabets.labels == ("0", "1")
    assert mixed.rows == 2


@pytest.mark.parametrize(
    ("content", "options", "error", "words"),
    [
        ("", {}, FileFormatError, "no header line"),
        ("group,label\na,1\n", {}, UnknownColumnError, "--prediction"),
        ("group,group,label,prediction\na,a,1,1\n", {}, FileFormatError, "2 columns"),
        (HEADER + "a,0,0\na,0\n", {}, FileFormatError, "row 2 has 2 fields"),
        (HEADER + "a,0,0,1\n", {}, FileFormatError, "row 1 has 4 fields"),
        (HEADER + "a,0,0\nc,0,0\n", {}, AlphabetError, r"'group' \(row 2\) holds 'c'.*--groups"),
        (HEADER + "a,0,2\n", {}, AlphabetError, r"'prediction' \(row 1\) holds 2.*--outputs"),
        (HEADER + "a,0,0\na,,0\n", {}, MissingValueError, r"'label' \(row 2\) holds missing"),
        (HEADER + "a,0,nan\n", {}, MissingValueError, "missing"),
        (HEADER + "a,0,0.7\n", {}, ScoresError, "0.7"),
        (HEADER + '"a,0,0\nb,1,1\n', {}, FileFormatError, "cannot be read as CSV"),
        (HEADER + 'a,0,"0"x\n', {}, FileFormatError, "cannot be read as CSV"),
        ("PAR1", {}, FileFormatError, "no plain CSV"),
        (HEADER + "\xff,0,0\n", {}, FileFormatError, "UTF-8"),
        (HEADER, {"max_advantage": "30%"}, NumberError, "--max-advantage"),
        (HEADER, {"max_advantage": "30"}, NumberError, "percentage"),
        (HEADER, {"confidence": "2"}, NumberError, "confidence"),
        (HEADER, {"window": 1050}, NumberError, "multiple"),
        (HEADER, {"groups": ("a", "a")}, AlphabetError, "repeats"),
        (HEADER, {"label": "group"}, UnknownColumnError, "different columns"),
    ],
)
def test_bad_input_is_one_error(tmp_path, content, options, error, words):
    path = tmp_path / "log.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(error, match=words):
        run_watch(str(path), WatchSettings(**{**OPTIONS, **options}))


def test_a_missing_value_that_is_declared_is_a_symbol(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + "none,0,0\nb,1,1\n")
    assert run_watch(str(path), WatchSettings("1", groups=("none", "b"), labels=(0, 1))).rows == 2


def test_errors_end_with_status_2_and_one_line(watch, tmp_path):
    for arguments in ((tmp_path / "absent.csv",), (tmp_path,), ("-", "--state", tmp_path / "state.json")):
        status, out, err = watch(*arguments, "--max-advantage", "0.1")
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert err.startswith("fairbound: error: ")


@given(st.lists(st.sampled_from([b'"', b"\n", b"a", b",", b'""']), max_size=30).map(b"".join))
def test_records_end_at_newlines_outside_quotes(content):
    end, outside = 0, True
    for i, symbol in enumerate(content.decode()):
        outside ^= symbol == '"'
        if symbol == "\n" and outside:
            end = i + 1
    assert _complete(content) == end


@settings(max_examples=20)
@given(st.lists(st.integers(0, 240_000), max_size=4), st.booleans())
def test_a_resumed_watch_gives_the_same_alarm_wherever_it_was_cut(tmp_path_factory, cuts, declared):
    """The log grows by arbitrary bytes, half lines included, and every part is a new process's work."""
    folder = tmp_path_factory.mktemp("watch")
    path, state = folder / "log.csv", folder / "state.json"
    content = (HEADER + lines(CHANGING)).encode()
    options = WatchSettings(**{**OPTIONS, **({} if declared else {"groups": None})})
    expected = run_watch(str(_written(path, content)), options)
    for cut in [*sorted(len(HEADER) + cut for cut in cuts), len(content)]:
        result = run_watch(str(_written(path, content[:cut])), options, state=state)
    # A look at the end of a part may notice earlier than the looks that were planned.
    assert result.alarm.row <= expected.alarm.row
    assert result.alarm.row == expected.alarm.row or result.alarm.row % 100
    again = run_watch(str(path), options, state=state)
    assert again.alarm == result.alarm
    assert again.monitor.to_dict() == result.monitor.to_dict()


def _written(path, content):
    # In place, as an appending process does.
    if not path.exists():
        path.touch()
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
    return path


def test_a_watch_that_was_killed_goes_on_without_reading_again(log, tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    monkeypatch.setattr("fairbound.watch._CHUNK", 20_000)

    class Killed(Exception):
        pass

    def kill(result):
        if result.rows > 8000:
            raise Killed

    with pytest.raises(Killed):
        run_watch(str(log), WatchSettings(**OPTIONS), state=state, on_progress=kill)
    offset = json.loads(state.read_text())["source"]["offset"]
    assert offset > 40_000
    read = []

    def records(self, text):
        read.append(len(text))
        return plain(self, text)

    plain = _CsvStream._records
    monkeypatch.setattr(_CsvStream, "_records", records)
    result = run_watch(str(log), WatchSettings(**OPTIONS), state=state)
    assert 0 < sum(read) <= log.stat().st_size - offset
    assert result.alarm == monitored(CHANGING).alarm
    assert result.monitor.to_dict() == monitored(CHANGING).to_dict()


def test_a_state_tells_of_its_alarm_again(watch, log, tmp_path):
    options = (log, "--max-advantage", "0.1", "--window", 1000, "--state", tmp_path / "state.json")
    first, second = watch(*options), watch(*options)
    assert first == second
    assert first[0] == 1


def appending(path, text, *, pause=0.02):
    """Append in pieces that end anywhere, as another process would."""

    def work():
        for i in range(0, len(text), 7001):
            with path.open("a") as file:
                file.write(text[i : i + 7001])
            time.sleep(pause)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_appended_rows_are_read_as_they_come(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER)
    writer = appending(path, lines(CHANGING), pause=0.005)
    result = run_watch(str(path), WatchSettings(**OPTIONS), follow=True, poll=0.01)
    writer.join()
    assert result.alarm == monitored(CHANGING).alarm


def test_an_interrupted_watch_says_where_it_stands(tmp_path):
    path, state = tmp_path / "log.csv", tmp_path / "state.json"
    path.write_text(HEADER + lines(rows(3000, 0.0)))
    options = ["--max-advantage", "0.5", "--groups", "a,b", "--labels", "0,1", "--follow", "--state", str(state)]
    command = [sys.executable, "-m", "fairbound.cli", "watch", str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "fairbound: interrupted after 3,000 rows without an alarm")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_text(HEADER + "a,0,0\n"), "truncated"),
        (lambda path: path.unlink(), "has gone"),
        (lambda path: (path.rename(f"{path}.1"), path.write_text(HEADER + lines(CHANGING))), "replaced"),
    ],
)
def test_a_followed_file_must_stay_the_same(tmp_path, spoil, words):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + lines(CHANGING[:1000]))
    with pytest.raises(FileFormatError, match=words):
        run_watch(
            str(path),
            WatchSettings(**OPTIONS),
            follow=True,
            poll=0.01,
            on_progress=lambda result: spoil(path) if result.rows == 1000 else None,
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + lines(CHANGING[:500]), "truncated or replaced"),
        (HEADER.replace("group", "sex") + lines(CHANGING[:2000]), "column"),
        (HEADER.replace("\n", ",note\n") + lines(CHANGING[:2000]), "truncated or replaced"),
        (HEADER + lines(CHANGING[2000:4000]), "rewritten"),
    ],
)
def test_a_state_goes_with_its_own_log(tmp_path, content, words):
    path, state = tmp_path / "log.csv", tmp_path / "state.json"
    path.write_text(HEADER + lines(CHANGING[:1000]))
    run_watch(str(path), WatchSettings(**OPTIONS), state=state)
    path.write_text(content)
    with pytest.raises((FileFormatError, UnknownColumnError), match=words):
        run_watch(str(path), WatchSettings(**OPTIONS), state=state)


def test_a_state_goes_with_its_own_settings(log, tmp_path):
    state = tmp_path / "state.json"
    run_watch(str(log), WatchSettings(**OPTIONS), state=state)
    for change in ({"max_advantage": "0.2"}, {"window": 2000}, {"confidence": "0.9"}, {"groups": ("b", "a")}):
        with pytest.raises(FileFormatError, match=f"another {next(iter(change))}"):
            run_watch(str(log), WatchSettings(**{**OPTIONS, **change}), state=state)
    with pytest.raises(FileFormatError, match="is what is read"):
        run_watch(str(log), WatchSettings(**OPTIONS), state=log)


def forged(data):
    """A state whose digest fits, as anyone can make one."""
    data.pop("digest", None)
    content = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps({**data, "digest": hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: "{",
        lambda data: "[]",
        lambda data: "9" * 5000,
        lambda data: "[" * 100_000,
        lambda data: json.dumps({**data, "learned": 1}),
        lambda data: forged({**data, "schema": "fairbound.watch/9"}),
        lambda data: forged({**data, "settings": None}),
        lambda data: forged({**data, "settings": {**data["settings"], "confidence": "0.5"}}),
        lambda data: forged({**data, "alphabets": None}),
        lambda data: forged({**data, "alphabets": {**data["alphabets"], "groups": ["a", "a"]}}),
        lambda data: forged({**data, "alphabets": {**data["alphabets"], "groups": [["a"], ["b"]]}}),
        lambda data: forged({**data, "alphabets": {**data["alphabets"], "groups": []}}),
        lambda data: forged({**data, "alphabets": {**data["alphabets"], "groups": ["a", "c"]}}),
        lambda data: forged({**data, "learned": 100}),
        lambda data: forged({**data, "source": {**data["source"], "offset": -1}}),
        lambda data: forged({**data, "source": {**data["source"], "offset": "0"}}),
        lambda data: forged({**data, "source": {**data["source"], "rows": 7}}),
        lambda data: forged({**data, "monitor": {**data["monitor"], "rows": 7}}),
        lambda data: forged({**data, "monitor": {**data["monitor"], "counts": [0] * 8}}),
        lambda data: forged({**data, "monitor": []}),
    ],
)
def test_a_spoiled_state_is_refused(tmp_path, watch, spoil):
    path, state = tmp_path / "log.csv", tmp_path / "state.json"
    path.write_text(HEADER + lines(CHANGING[:1000]))
    options = (path, "--max-advantage", "0.1", "--groups", "a,b", "--labels", "0,1", "--state", state)
    assert watch(*options)[0] == 0
    data = json.loads(state.read_text())
    state.write_text(forged(data))
    assert watch(*options)[0] == 0
    state.write_text(spoil(data))
    status, out, err = watch(*options)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "unexpected" not in err


def test_rows_that_only_taught_the_alphabets_are_said_not_to_count(watch, log):
    alarm = watch(log, "--max-advantage", "0.1", "--window", 1000)[1]
    assert "Not counted: the first 100 rows" in alarm
    assert "Not counted: the first 50 rows" in watch(log, "--max-advantage", "1", "--every", 50)[1]
    assert "Not counted" not in watch(log, "--max-advantage", "1", "--groups", "a,b", "--labels", "0,1")[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.counts.json", '{"schema": "fairbound.counts/1"}', "is a count file; watch needs rows"),
        ("part-?.csv", None, "patterns are not expanded"),
        ("absent.csv", None, "no file"),
        ("names.csv", HEADER + '"c, d",0,0\n', "holds 'c, d', which is not among 'a, b', 'c'"),
    ],
)
def test_what_watch_cannot_read_is_said_in_one_line(watch, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    status, out, err = watch(tmp_path / name, "--max-advantage", "0.1", "--groups", '"a, b",c', "--labels", "0,1")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_broken_state_is_said_to_be_no_json(watch, log, tmp_path):
    (tmp_path / "state.json").write_text("{")
    status, _, err = watch(log, "--max-advantage", "0.1", "--state", tmp_path / "state.json")
    assert status == 2
    assert "is no JSON" in err
    assert "delete it to start a new watch" in err
