"""Compile the Coq files in a fresh folder, and compare what the theorems rest on with what was accepted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

INSTALL = "apt-get install coq (Debian, Ubuntu) or opam install coq"
GOLDEN = Path(__file__).parent / "assumptions.golden"
TIME_LIMIT_SECONDS = 600
_SHARED = ("Game", "Checker")
_FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|Admit Obligations|bypass_check|Type In Type"
    r"|Unset\s+\w+\s+Checking|Unset\s+Guard\s+Checking|(Uns|S)et\s+(Guard|Positivity|Universe)\w*)\b"
)


@dataclass(frozen=True)
class Library:
    """
    The result of compiling all Coq files.

    Attributes
    ----------
    version : str or None
        Coq's version; None if there is no Coq.
    seconds : dict
        Compilation time of each file that compiled, by path relative to the room.
    errors : dict
        First error of each file that did not.
    assumptions : dict
        What each audited theorem rests on, as Coq prints it.
    """

    version: str | None
    seconds: dict[str, float]
    errors: dict[str, str]
    assumptions: dict[str, str]

    @property
    def trusted_base(self) -> str:
        """What the kernel leg rests on."""
        return f"Coq {self.version or ''}'s kernel, at most the standard axioms of its Reals".replace("  ", " ")

    def verdict(self, folder: Path) -> tuple[Literal["passed", "failed", "unavailable"], str, float]:
        """
        Outcome, detail and seconds of a claim's kernel leg.

        Parameters
        ----------
        folder : Path
            The claim's folder.
        """
        if self.version is None:
            return "unavailable", f"needs Coq; install it with: {INSTALL}", 0.0
        paths = {f"{folder.name}/{path.name}": path for path in sorted(folder.glob("*.v"))}
        seconds = sum(self.seconds.get(name, 0.0) for name in paths)
        for path in required_files(folder.parent, folder.name):
            gap = _FORBIDDEN.search(_without_comments(path.read_text(encoding="utf-8")))
            if gap is not None:
                return "failed", f"{path.parent.name}/{path.name} contains {gap.group(0)!r}", seconds
        for name in (*paths, *(f"kernel/{module}.v" for module in _SHARED)):
            if name in self.errors:
                return "failed", f"{name} does not compile: {self.errors[name]}", seconds
        golden = golden_assumptions()
        stated = set().union(*(theorems(path) for path in paths.values()))
        listed = {name for name in golden if name.split(".")[0] in {path.stem for path in paths.values()}}
        if not stated or stated != listed:
            odd = sorted(stated ^ listed) or ["nothing"]
            return "failed", f"theorems stated and theorems in the list of assumptions differ: {odd[0]}", seconds
        shared = {name for name in golden if name.split(".")[0] in _SHARED}
        for name in (*sorted(listed), *sorted(shared)):
            if self.assumptions.get(name) != golden[name]:
                found = self.assumptions.get(name, "nothing")
                return "failed", f"{name} rests on {found}, accepted was {golden[name]}", seconds
        short = ", ".join(name.split(".", 1)[1] for name in sorted(listed))
        return "passed", short, seconds


def golden_assumptions() -> dict[str, str]:
    """Accepted assumptions by theorem (``Module.theorem``)."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    entries = (line.split(":", 1) for line in lines if line.strip())
    return {name.strip(): assumptions.strip() for name, assumptions in entries}


def build(root: Path, folders: Collection[str] | None = None) -> Library:
    """
    Compile Coq files under a folder, in a copy without any earlier output, and audit their theorems.

    Files that do not need each other compile at the same time.

    Parameters
    ----------
    root : Path
        Compiled under the logical name ``Fairbound``.
    folders : collection of str, optional
        Compile what these folders need only. Default: everything.

    Returns
    -------
    Library
    """
    compiler = shutil.which("coqc")
    if compiler is None:
        return Library(None, {}, {}, {})
    answer = subprocess.run([compiler, "--print-version"], capture_output=True, text=True, check=True)
    version = answer.stdout.split()[0]
    sources = {str(path.relative_to(root)): path for path in sorted(root.glob("*/*.v"))}
    needs = _needs(sources)
    if len({path.stem for path in sources.values()}) < len(sources):
        raise ValueError("two Coq files have the same name")
    chosen = None if folders is None else {*folders, "kernel"}
    wanted = _closure(needs, [name for name in sources if chosen is None or name.split("/")[0] in chosen])
    audits = _audits(wanted)
    seconds: dict[str, float] = {}
    errors: dict[str, str] = {}
    assumptions: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="fairbound-coq-") as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        work = Path(scratch)
        for name in wanted:
            (work / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(sources[name], work / name)
        for name, audit in audits.items():
            (work / name).write_text(audit.text, encoding="utf-8")

        def compile_one(name: str) -> tuple[str, float, str | None, str]:
            start = time.perf_counter()
            try:
                run = subprocess.run(
                    [compiler, "-q", "-Q", ".", "Fairbound", name],
                    cwd=work,
                    capture_output=True,
                    text=True,
                    timeout=TIME_LIMIT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return name, 0.0, f"took more than {TIME_LIMIT_SECONDS} seconds", ""
            return name, time.perf_counter() - start, _first_error(run.stderr) if run.returncode else None, run.stdout

        waiting = {**{name: needs[name] for name in wanted}, **{name: {audit.source} for name, audit in audits.items()}}
        running: set[Future[tuple[str, float, str | None, str]]] = set()
        while waiting or running:
            for name in [name for name, needed in waiting.items() if needed <= set(seconds)]:
                waiting.pop(name)
                running.add(pool.submit(compile_one, name))
            if not running:
                errors |= {name: "needs a file that does not compile" for name in waiting if name in sources}
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for name, took, failure, output in (future.result() for future in done):
                if failure is not None:
                    errors[name] = failure
                elif name in sources:
                    seconds[name] = took
                else:
                    groups, printed = audits[name].groups, list(_assumptions(output))
                    if len(printed) == len(groups):
                        pairs = zip(groups, printed, strict=True)
                        assumptions |= {theorem: assumed for names, assumed in pairs for theorem in names}
                    seconds[audits[name].source] += took
    return Library(version, seconds, errors, assumptions)


@dataclass(frozen=True)
class _Audit:
    """Prints what a file's theorems rest on: once for all that are accepted to rest on the same."""

    source: str
    groups: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        folder, module = Path(self.source).parent.name, Path(self.source).stem
        lines = [f"From Fairbound.{folder} Require {module}."]
        for number, names in enumerate(self.groups):
            # A tuple rests on all that its parts rest on, so none of them can rest on more than is printed.
            lines.append(f"Definition audited_{number} := ({', '.join(f'@{name}' for name in names)}).")
            lines.append(f"Print Assumptions audited_{number}.")
        return "\n".join(lines) + "\n"


def _audits(files: Collection[str]) -> dict[str, _Audit]:
    """The audit of each file that has theorems in the golden list."""
    audits = {}
    for file in files:
        module = Path(file).stem
        groups: dict[str, list[str]] = {}
        for name, assumed in golden_assumptions().items():
            if name.startswith(f"{module}."):
                groups.setdefault(assumed, []).append(name)
        if groups:
            audits[f"audit_{module}.v"] = _Audit(file, tuple(map(tuple, groups.values())))
    return audits


def _assumptions(output: str) -> Iterator[str]:
    """
    One line per printed theorem: the axioms, sorted, or that there are none.

    A line that is no plain ``name : type`` (a guarded or positive check that was switched off, say) is kept as it is,
    so that it differs from everything accepted.
    """
    for block in re.split(r"^(?=Axioms:|Closed under the global context)", output, flags=re.MULTILINE):
        if block.startswith("Closed"):
            rest = block.split("\n", 1)[1].strip()
            yield "Closed under the global context" + (f", {rest}" if rest else "")
        elif block.startswith("Axioms:"):
            entries = []
            for line in block.split("\n")[1:]:
                if line.strip() and not line[0].isspace():
                    plain = re.fullmatch(r"([^\s:]+)\s*(:.*)?", line)
                    entries.append(plain.group(1) if plain else line.strip())
            yield ", ".join(sorted(entries))


def _needs(sources: dict[str, Path]) -> dict[str, set[str]]:
    """Files that each file requires."""
    stems = {Path(name).stem: name for name in sources}
    needs = {}
    for name, path in sources.items():
        text = _without_comments(path.read_text(encoding="utf-8"))
        lines = re.findall(r"From Fairbound\S* Require(?: Import| Export)? ([\w ]+)\.", text)
        needs[name] = {stems[module] for line in lines for module in line.split() if module in stems}
    return needs


def _closure(needs: dict[str, set[str]], names: Sequence[str]) -> list[str]:
    """Files and all that they need, in a fixed order."""
    found, queue = set(), list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += needs[name]
    return sorted(found)


def _first_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    place = next((line for line in lines if line.startswith("File")), "")
    start = next((i for i, line in enumerate(lines) if line.startswith("Error")), 0)
    return " ".join([place, *lines[start : start + 3]])


def _without_comments(text: str) -> str:
    kept, depth, i = [], 0, 0
    while i < len(text):
        if text.startswith("(*", i):
            depth, i = depth + 1, i + 2
        elif text.startswith("*)", i) and depth:
            depth, i = depth - 1, i + 2
        else:
            if not depth:
                kept.append(text[i])
            i += 1
    return "".join(kept)


def formal_statements(path: Path) -> list[str]:
    """
    What a Coq file says: every sentence but comments and the proofs of propositions.

    Definitions that are made by proof are kept whole: their proof is their meaning.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str
        Sentences with white space normalised, in order; lemmas, which serve proofs only, are left out.
    """
    text = _without_comments(path.read_text(encoding="utf-8"))
    text = re.sub(r"\bProof\b(?:(?!\bDefined\.|\bProof\b).)*?\bQed\.", "", text, flags=re.DOTALL)
    sentences = (" ".join(sentence.split()) for sentence in re.split(r"\.(?=\s|\Z)", text))
    return [sentence for sentence in sentences if sentence and not sentence.startswith("Lemma ")]


def required_files(root: Path, folder: str) -> list[Path]:
    """A folder's Coq files and all that they need, whose definitions give its statements their meaning."""
    sources = {str(path.relative_to(root)): path for path in sorted(root.glob("*/*.v"))}
    own = [name for name in sources if name.split("/")[0] == folder]
    return [sources[name] for name in _closure(_needs(sources), own)]


def theorems(path: Path) -> set[str]:
    """Names (``Module.theorem``) of the theorems that a file states."""
    sentences = formal_statements(path)
    words = (sentence.split() for sentence in sentences if sentence.startswith(("Theorem ", "Corollary ")))
    return {f"{path.stem}.{word[1].rstrip(':')}" for word in words}
