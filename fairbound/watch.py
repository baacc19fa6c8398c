"""Watch a prediction log while it grows, with an alarm that looking often does not trigger (T9 (iv))."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fairbound.bounds.alphabet import (
    Symbol,
    from_text,
    missing_value,
    one_kind,
    printable,
    reads_as_missing,
    well_formed,
)
from fairbound.bounds.confidence import parse_confidence
from fairbound.bounds.errors import AlphabetError, FairboundError, FileFormatError, NumberError
from fairbound.bounds.files import write_atomically
from fairbound.bounds.rational import decimal_above, decimal_below, to_fraction
from fairbound.bounds.sequential import Alarm, Monitor, MonitorPlan
from fairbound.describe import percent
from fairbound.ingest import refuse_overwriting
from fairbound.logs import read_header
from fairbound.tally import Columns, Tally

SCHEMA = "fairbound.watch/1"
STANDARD_INPUT = "-"

_CHUNK = 1 << 20
_LONGEST_RECORD = 1 << 20
_TAIL = 4096
_MAX_STATE = 1 << 26
_OPTIONS = ("--groups", "--labels", "--outputs")


@dataclass(frozen=True)
class WatchSettings:
    """
    What is watched for; a resumed watch must have the same.

    Parameters
    ----------
    max_advantage : str
        Limit of the worst-case advantage at the stream's disparities and label marginals (T1, each pair of groups by
        itself).
    label, prediction : str
        Column names.
    group : tuple of str
        Columns of sensitive attributes; several make intersectional groups.
    groups, labels, outputs : tuple of Symbol, optional
        Declared alphabets. If groups or labels are not declared, the first `every` rows show what occurs, and are not
        counted; outputs are the labels unless declared or learned.
    game : str
        What the adversary sees; the worst case is the same in all three games.
    label_balanced : bool
        Whether both worlds get the average of their label marginals.
    confidence : str
        1 minus the probability of ever raising a false alarm.
    window, every : int
        Rows between the starts of confidence sequences, and between looks.
    """

    max_advantage: str
    label: str = "label"
    prediction: str = "prediction"
    group: tuple[str, ...] = ("group",)
    groups: tuple[Symbol, ...] | None = None
    labels: tuple[Symbol, ...] | None = None
    outputs: tuple[Symbol, ...] | None = None
    game: str = "labelled"
    label_balanced: bool = False
    confidence: str = "0.95"
    window: int = 2000
    every: int = 100

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def columns(self) -> Columns:
        """The columns that are read."""
        return Columns(self.group, self.label, self.prediction)

    def plan(self, alphabets: Alphabets) -> MonitorPlan:
        """The monitor's plan for alphabets of given sizes."""
        return MonitorPlan(
            len(alphabets.groups),
            len(alphabets.labels),
            len(alphabets.outputs),
            max_advantage=self.limit,
            confidence=parse_confidence(self.confidence),
            window=self.window,
            every=self.every,
            label_balanced=self.label_balanced,
        )

    @property
    def limit(self) -> Fraction:
        """`max_advantage` as an exact number in [0, 1]."""
        try:
            limit = to_fraction(self.max_advantage)
        except NumberError:
            raise NumberError(
                f"--max-advantage {self.max_advantage!r} is no rational number; write 0.3 or 3/10."
            ) from None
        if not 0 <= limit <= 1:
            raise NumberError(
                f"--max-advantage {self.max_advantage} lies outside [0, 1]; an advantage is no percentage."
            )
        return limit


@dataclass(frozen=True)
class Alphabets:
    """Groups, labels and outputs, fixed before the first row that is counted."""

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]


_Record = tuple[str | tuple[str, ...], str, str]
"""Group, label and prediction as texts; several sensitive attributes are a tuple."""


class _CsvStream:
    """Complete records of a CSV file or of standard input, as they come."""

    def __init__(self, source: str, file: BinaryIO, settings: WatchSettings) -> None:
        self.name = "standard input" if source == STANDARD_INPUT else Path(source).name
        self.path = None if source == STANDARD_INPUT else Path(source)
        self.offset = 0
        self.rows = 0
        self._rest = b""
        self._file = file
        header, header_end = b"", -1
        while header_end < 0 and len(header) < _LONGEST_RECORD:
            more = self._read()
            header += more
            header_end = header.find(b"\n")
            if not more:
                break
        if not header.strip():
            raise FileFormatError(f"{self.name} has no header line; write it before watching.")
        if header.startswith((b"PAR1", b"\x1f\x8b")):
            raise FileFormatError(f"{self.name} is no plain CSV; watch reads CSV text that can be appended to.")
        if header.lstrip().startswith(b"{"):
            raise FileFormatError(f"{self.name} is a count file; watch needs rows: give the log itself (CSV).")
        end = len(header) if header_end < 0 else header_end + 1
        self._rest, line = header[end:], header[:end]
        self.offset = end
        self.header_digest = hashlib.sha256(line).hexdigest()
        text = self._decode(line).lstrip("\ufeff")
        if "\r" in text.rstrip("\r\n"):
            raise FileFormatError(f"{self.name} is no CSV: its first line ends in a lone CR.")
        self.delimiter, names = read_header(text, settings.columns, self.name)
        self.width = len(names)
        self.positions = tuple(names.index(name) for name in settings.columns.names)

    def _read(self) -> bytes:
        # Whatever is there: a pipe must not wait for a whole chunk.
        return self._file.read1(_CHUNK) if hasattr(self._file, "read1") else self._file.read(_CHUNK)

    def _decode(self, content: bytes) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise FileFormatError(f"{self.name} is no UTF-8 text after row {self.rows}; save it as UTF-8.") from None

    def tail_digest(self) -> str:
        """Hash of the last bytes that were read as rows: whether a resumed file is the same file."""
        if self.path is None:
            raise FileFormatError("a watch of standard input cannot be resumed.")
        with self.path.open("rb") as file:
            start = max(0, self.offset - _TAIL)
            file.seek(start)
            return hashlib.sha256(file.read(self.offset - start)).hexdigest()

    def resume(self, offset: int, rows: int) -> None:
        """Go on after `rows` rows, at a byte offset."""
        self._file.seek(offset)
        self.offset, self.rows, self._rest = offset, rows, b""

    def changed(self) -> str | None:
        """Why the file is no longer the one that was opened, if so."""
        if self.path is None:
            return None
        try:
            now = self.path.stat()
        except OSError:
            return f"{self.name} has gone"
        opened = os.fstat(self._file.fileno())
        if (now.st_dev, now.st_ino) != (opened.st_dev, opened.st_ino):
            return f"{self.name} was replaced by another file"
        if now.st_size < self.offset + len(self._rest):
            return f"{self.name} was truncated"
        return None

    def read(self, *, last: bool) -> list[_Record] | None:
        """
        Sensitive attributes, label and prediction of the next complete records; None at the end of what is there.

        Parameters
        ----------
        last : bool
            Whether the end of input also ends the last line.
        """
        more = self._read()
        content = self._rest + more
        end = _complete(content)
        if not more and last:
            end = len(content)
        if not more and not end:
            self._rest = content
            return None
        if len(content) - end > _LONGEST_RECORD:
            raise FileFormatError(f"{self.name}: the record after row {self.rows} does not end; is a quote missing?")
        self._rest = content[end:]
        self.offset += end
        return self._records(self._decode(content[:end]))

    def _records(self, text: str) -> list[_Record]:
        *parts, y, z = self.positions
        a = parts[0] if len(parts) == 1 else None
        records = []
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True):
                # An empty line is no row, as in a whole file.
                if not row:
                    continue
                self.rows += 1
                if len(row) != self.width:
                    raise FileFormatError(
                        f"{self.name}: row {self.rows} has {len(row)} fields, its header {self.width}; repair it."
                    )
                group = tuple(row[part] for part in parts) if a is None else row[a]
                records.append((group, row[y], row[z]))
        except csv.Error as error:
            raise FileFormatError(f"{self.name} cannot be read as CSV after row {self.rows}: {error}.") from None
        return records


def _complete(content: bytes) -> int:
    """Length of the part that ends with a newline outside quotes."""
    if b'"' not in content:
        return content.rfind(b"\n") + 1
    symbols = np.frombuffer(content, dtype=np.uint8)
    outside = np.cumsum(symbols == ord('"')) % 2 == 0
    ends = np.flatnonzero(outside & (symbols == ord("\n")))
    return int(ends[-1]) + 1 if len(ends) else 0


class _Coder:
    """From a row's texts to the code of its cell."""

    def __init__(self, alphabets: Alphabets, columns: Columns) -> None:
        self.alphabets = (alphabets.groups, alphabets.labels, alphabets.outputs)
        *parts, label, prediction = columns.roles()
        self.roles = (" and ".join(parts), label, prediction)
        self.weights = (len(alphabets.labels) * len(alphabets.outputs), len(alphabets.outputs), 1)
        self.known: tuple[dict[Any, int], ...] = ({}, {}, {})

    def codes(self, records: Sequence[_Record], first_row: int) -> np.ndarray:
        """Codes of records, the first of which is row `first_row` of the log."""
        groups, labels, outputs = self.known
        codes = []
        for i, (a, y, z) in enumerate(records):
            try:
                codes.append(groups[a] + labels[y] + outputs[z])
            except KeyError:
                codes.append(sum(self._learn(axis, text, first_row + i) for axis, text in enumerate((a, y, z))))
        return np.array(codes, dtype=np.int64)

    def _learn(self, axis: int, raw: str | tuple[str, ...], row: int) -> int:
        alphabet = self.alphabets[axis]
        role = f"{self.roles[axis]} (row {row})"
        texts = [part.strip() for part in (raw if isinstance(raw, tuple) else (raw,))]
        symbol: Symbol = " & ".join(texts)
        if any(map(reads_as_missing, texts)) and symbol not in alphabet:
            raise missing_value(role, repr(symbol))
        if symbol not in alphabet:
            # As a number: 1.0 and true are 1.
            values = [from_text([text], role, truth_values=axis > 0)[text] for text in texts]
            symbol = values[0] if isinstance(raw, str) else " & ".join(map(str, values))
        if symbol not in alphabet:
            raise AlphabetError(
                f"{role} holds {symbol!r}, which is not among {_few(alphabet)}; the error was split among "
                f"these before the first row, so start again with all of them declared ({_OPTIONS[axis]})."
            )
        code = alphabet.index(symbol) * self.weights[axis]
        self.known[axis][raw] = code
        return code


def _few(symbols: Sequence[Symbol]) -> str:
    shown = ", ".join(map(repr, symbols[:6]))
    return shown + (f", ... ({len(symbols)} in all)" if len(symbols) > 6 else "")


def _declared_alphabets(settings: WatchSettings) -> Alphabets | None:
    """The alphabets, where groups and labels are declared."""
    if settings.groups is None or settings.labels is None:
        return None
    labels = settings.labels
    outputs = labels if settings.outputs is None else settings.outputs
    if {type(symbol) for symbol in (*labels, *outputs)} == {int, str}:
        labels, outputs = tuple(map(str, labels)), tuple(map(str, outputs))
    for alphabet, option in zip((settings.groups, labels, outputs), _OPTIONS, strict=True):
        one_kind(alphabet, option)
        if len(set(alphabet)) < len(alphabet):
            raise AlphabetError(f"{option} {_few(alphabet)} repeats a symbol; name each once.")
    return Alphabets(settings.groups, labels, outputs)


def _learned_alphabets(records: Sequence[_Record], settings: WatchSettings) -> Alphabets:
    """What occurs in the first rows, by the rules of a whole file."""
    tally = Tally(settings.columns)
    tally.add_text([(*((group,) if isinstance(group, str) else group), y, z, 1) for group, y, z in records])
    counts = tally.counts(groups=settings.groups, labels=settings.labels, outputs=settings.outputs)
    for alphabet, what, option in ((counts.groups, "group", "--groups"), (counts.labels, "label", "--labels")):
        if len(alphabet) < 2:
            raise AlphabetError(
                f"the first {len(records)} rows hold only one {what} ({_few(alphabet)}); declare all by {option}."
            )
    return Alphabets(counts.groups, counts.labels, counts.outputs)


@dataclass(frozen=True)
class WatchResult:
    """
    Where a watch stands.

    Attributes
    ----------
    settings : WatchSettings
    alphabets : Alphabets or None
        None if the input ended before they were known.
    learned : int
        First rows that showed the alphabets and were not counted.
    monitor : Monitor or None
    waiting : int
        Rows read while they are too few to show the alphabets.
    """

    settings: WatchSettings
    alphabets: Alphabets | None = None
    learned: int = 0
    monitor: Monitor | None = None
    waiting: int = 0

    @property
    def rows(self) -> int:
        """Rows read, those not counted included."""
        return self.learned + self.waiting + (0 if self.monitor is None else self.monitor.rows)

    @property
    def alarm(self) -> Alarm | None:
        """The alarm, if there was one."""
        return None if self.monitor is None else self.monitor.alarm

    def begin_event(self) -> dict[str, Any]:
        """Settings and alphabets as JSON-ready values."""
        assert self.alphabets is not None
        return {
            "event": "begin",
            "quantity": "T1",
            "settings": self.settings.to_dict(),
            **asdict(self.alphabets),
            "rows_not_counted": self.learned,
        }

    def alarm_event(self) -> dict[str, Any]:
        """The alarm as JSON-ready values."""
        assert self.alarm is not None
        assert self.alphabets is not None
        alarm = self.alarm
        return {
            "event": "alarm",
            "row": self.learned + alarm.row,
            "start": alarm.start,
            "since_row": self.learned + alarm.since,
            "pair": [self.alphabets.groups[i] for i in alarm.pair],
            "lower": float(decimal_below(alarm.lower)),
            "limit": float(self.settings.limit),
            "exact": {"lower": str(alarm.lower), "limit": str(self.settings.limit)},
        }

    def end_event(self) -> dict[str, Any]:
        """The limits at the end of the input as JSON-ready values."""
        event: dict[str, Any] = {"event": "end", "rows": self.rows, "lower": 0.0, "upper": 1.0}
        if self.monitor is not None:
            limits = self.monitor.limits()
            event["lower"], event["upper"] = float(decimal_below(limits.lower)), float(decimal_above(limits.upper, 10))
            event["exact"] = {"lower": str(limits.lower), "upper": str(limits.upper)}
        return event

    def sentence(self) -> str:
        """The outcome in one line."""
        balance = ", label-balanced" if self.settings.label_balanced else ""
        kind = f"worst-case advantage, {self.settings.game} game{balance}"
        level = percent(parse_confidence(self.settings.confidence))
        uncounted = ""
        if self.learned:
            uncounted = f" Not counted: the first {self.learned} rows, from which groups and labels were learned."
        if self.alarm is not None and self.alphabets is not None:
            names = " / ".join(printable(str(self.alphabets.groups[i])) for i in self.alarm.pair)
            row, since = self.learned + self.alarm.row, self.learned + self.alarm.since
            return (
                f"ALARM at row {row}: over the rows after row {since} (start {self.alarm.start}) the lower limit of "
                f"the advantage for {names} is {decimal_below(self.alarm.lower, 4)}, above "
                f"{self.settings.max_advantage} ({kind}, confidence {level}).{uncounted}"
            )
        if self.monitor is None:
            read = "1 row is" if self.rows == 1 else f"{self.rows} rows are"
            return (
                f"No alarm: {read} fewer than the {self.settings.every} (--every) from which groups and labels are "
                "read; declare them with --groups and --labels."
            )
        limits = self.monitor.limits()
        return (
            f"No alarm in {self.rows} rows; if the rates were constant, the advantage is between "
            f"{decimal_below(limits.lower, 4)} and {decimal_above(limits.upper, 4)} ({kind}, worst pair, confidence "
            f"{level}).{uncounted}"
        )


def run_watch(
    source: str,
    settings: WatchSettings,
    *,
    follow: bool = False,
    state: Path | None = None,
    on_begin: Callable[[WatchResult], None] | None = None,
    on_progress: Callable[[WatchResult], None] | None = None,
    poll: float = 0.5,
) -> WatchResult:
    """
    Read a log row by row until an alarm, or until its end.

    Parameters
    ----------
    source : str
        CSV file with a header line, or ``"-"`` for standard input.
    settings : WatchSettings
    follow : bool
        Wait for appended rows at the end of a file. An unfinished last line is left until it is complete; it also is
        where a state is kept. Elsewhere the end of input ends it.
    state : pathlib.Path, optional
        Where the watch is kept after every chunk of rows; an existing one is resumed at the row where it stopped.
    on_begin, on_progress : callable, optional
        Called once the alphabets are known, and after every chunk of rows.
    poll : float
        Seconds between looks at a file that does not grow.

    Returns
    -------
    WatchResult

    Raises
    ------
    FileFormatError
        If the log cannot be read as CSV, was truncated or replaced, or the state belongs to another watch.
    AlphabetError
        For a symbol that was not declared (or not seen in the first rows), or alphabets too small to compare.
    MissingValueError, ScoresError, UnknownColumnError, NumberError
        As for `count_file`, and for settings out of range.
    """
    if state is not None and source == STANDARD_INPUT:
        raise FairboundError("--state needs a file to go on reading; standard input cannot be read from a row on.")
    if state is not None:
        refuse_overwriting(state, [Path(source)])
    alphabets = _declared_alphabets(settings)
    # Settings out of range are refused before the first row, whatever the alphabets will be.
    settings.plan(alphabets or Alphabets((0, 1), (0, 1), (0, 1)))
    with ExitStack() as stack:
        try:
            file = sys.stdin.buffer if source == STANDARD_INPUT else stack.enter_context(Path(source).open("rb"))
        except FileNotFoundError:
            why = "patterns are not expanded, watch one file" if glob.has_magic(source) else "give a CSV file, or -"
            raise FileFormatError(f"no file {source[:200]!r}; {why}.") from None
        except OSError as error:
            raise FileFormatError(f"cannot read {source[:200]!r}: {error.strerror or error}.") from None
        stream = _CsvStream(source, file, settings)
        result = WatchResult(settings)
        if state is not None and state.exists():
            result = _resume(state, settings, stream)
        elif alphabets is not None:
            result = WatchResult(settings, alphabets, 0, Monitor(settings.plan(alphabets)))
        coder = None
        waiting: list[_Record] = []
        for records in _chunks(stream, follow=follow, last=not follow and state is None, poll=poll):
            if result.alarm is not None:
                break
            waiting += records
            if result.monitor is None and len(waiting) >= settings.every:
                result = _learn(waiting[: settings.every], settings)
                waiting = waiting[settings.every :]
            if result.monitor is not None and result.alphabets is not None:
                if coder is None:
                    coder = _Coder(result.alphabets, settings.columns)
                    if on_begin is not None:
                        on_begin(result)
                result.monitor.update(coder.codes(waiting, stream.rows - len(waiting) + 1))
                waiting = []
                if state is not None:
                    _keep(state, result, stream)
            else:
                result = replace(result, waiting=len(waiting))
            if on_progress is not None:
                on_progress(result)
        if result.monitor is not None and result.alarm is None:
            result.monitor.look()
            if state is not None:
                _keep(state, result, stream)
    return result


def _learn(records: Sequence[_Record], settings: WatchSettings) -> WatchResult:
    alphabets = _learned_alphabets(records, settings)
    return WatchResult(settings, alphabets, len(records), Monitor(settings.plan(alphabets)))


def _chunks(stream: _CsvStream, *, follow: bool, last: bool, poll: float) -> Iterator[list[_Record]]:
    """Lists of records until the end; an empty one first, so that a finished watch reads nothing."""
    yield []
    while True:
        records = stream.read(last=last)
        if records is not None:
            yield records
            continue
        reason = stream.changed()
        if reason is not None:
            raise FileFormatError(f"{reason} while it was watched; a new log needs a new watch.")
        if not follow or stream.path is None:
            return
        time.sleep(poll)


def _canonical(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _keep(path: Path, result: WatchResult, stream: _CsvStream) -> None:
    assert result.monitor is not None
    assert result.alphabets is not None
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "settings": result.settings.to_dict(),
        "alphabets": asdict(result.alphabets),
        "learned": result.learned,
        "source": {
            "offset": stream.offset,
            "rows": stream.rows,
            "header": stream.header_digest,
            "tail": stream.tail_digest(),
        },
        "monitor": result.monitor.to_dict(),
    }
    data["digest"] = hashlib.sha256(_canonical(data)).hexdigest()
    try:
        write_atomically(path, _canonical(data) + b"\n")
    except OSError as error:
        raise FairboundError(f"cannot write {path}: {error.strerror or error}.") from None


def _resume(path: Path, settings: WatchSettings, stream: _CsvStream) -> WatchResult:
    """
    Read a state, which anyone may have written.

    Raises
    ------
    FileFormatError
        If it is none, or belongs to other settings or another file.
    NumberError
        If its numbers cannot be those of a watch.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_STATE + 1)
        data = json.loads(content) if len(content) <= _MAX_STATE else None
    except OSError as error:
        raise FileFormatError(f"cannot read the state {str(path)[:200]!r}: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"the state {str(path)[:200]!r} is no JSON ({error}); delete it to start a new watch, or name another file "
            "by --state."
        ) from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise FileFormatError(f"{path} is no state of a watch; name another file by --state.")
    digest = data.pop("digest", None)
    if digest != hashlib.sha256(_canonical(data)).hexdigest():
        raise FileFormatError(f"{path} is damaged (its digest does not fit); delete it to start a new watch.")
    asked, kept = settings.to_dict(), data.get("settings")
    if not isinstance(kept, dict) or asked != kept:
        names = [name for name in asked if not isinstance(kept, dict) or kept.get(name) != asked[name]]
        raise FileFormatError(
            f"{path} belongs to a watch with another {', '.join(names)}; name another file by --state."
        )
    try:
        symbols = [tuple(data["alphabets"][name]) for name in ("groups", "labels", "outputs")]
        offset, rows, learned = data["source"]["offset"], data["source"]["rows"], data["learned"]
        header, tail, inner = data["source"]["header"], data["source"]["tail"], data["monitor"]
    except (KeyError, TypeError):
        raise FileFormatError(f"{path} is no complete state of a watch; delete it to start a new one.") from None
    declared = _declared_alphabets(settings)
    numbers_fit = all(type(n) is int and 0 <= n < 2**60 for n in (offset, rows, learned))
    symbols_fit = all(
        all(map(well_formed, alphabet)) and len(alphabet) == len(set(alphabet)) and len(set(map(type, alphabet))) == 1
        for alphabet in symbols
    )
    if not (
        numbers_fit
        and symbols_fit
        and learned == (settings.every if declared is None else 0)
        and declared in (None, Alphabets(*symbols))
    ):
        raise FileFormatError(f"{path} is no complete state of a watch; delete it to start a new one.")
    alphabets = Alphabets(*symbols)
    monitor = Monitor.from_dict(settings.plan(alphabets), inner)
    if monitor.alarm is None and rows != learned + monitor.rows:
        raise FileFormatError(f"{path} counts other rows than it read; delete it to start a new watch.")
    size = stream.path.stat().st_size if stream.path is not None else 0
    if header != stream.header_digest or size < offset:
        raise FileFormatError(
            f"{stream.name} was truncated or replaced since {path} was kept; a new log needs a new watch."
        )
    stream.resume(offset, rows)
    if stream.tail_digest() != tail:
        raise FileFormatError(f"{stream.name} was rewritten since {path} was kept; a new log needs a new watch.")
    return WatchResult(settings, alphabets, learned, monitor)
