"""
The ledger: every claim, the legs of its proof, and what each leg rests on.

A claim is a folder: `statement.md` says what is claimed, and a leg exists where its file does: `symbolic.py`, `dual.py`
and `search.py` each have a function `run() -> str` that returns what it established or raises `ProofFailure`, and a
`TRUSTED_BASE`; a Coq file is the kernel leg.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from fairbound.bounds.errors import FairboundError
from fairbound.proofs.failure import ProofFailure
from fairbound.proofs.kernel import coq

ROOT = Path(__file__).parent
IDS = ("T1", "T1a", "T1b", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "C1", "C3a", "C3b", "C8")
PYTHON_LEGS = ("symbolic", "dual", "search")
ACCEPTED = ROOT / "accepted.json"
# Claims whose kernel leg rests on the theorems of another folder too: T1 is attained by T2's witness.
KERNEL_ALSO = {"T1": ("t2",)}

Outcome = Literal["passed", "failed", "unavailable"]
Status = Literal["proved", "proved in part", "certified", "tested", "open", "failed"]
_OPTIONAL = ("z3",)


@dataclass(frozen=True)
class Claim:
    """
    A theorem (T) or a counterexample (C).

    Attributes
    ----------
    id : str
    folder : Path
    title : str
        First heading of its statement.
    legs : tuple of str
        Names of the legs that it has.
    """

    id: str
    folder: Path
    title: str
    legs: tuple[str, ...]

    @property
    def statement(self) -> str:
        """Text of `statement.md`."""
        return (self.folder / "statement.md").read_text(encoding="utf-8")

    @property
    def statement_hash(self) -> str:
        """
        SHA-256 over what is claimed, and by which legs.

        It covers the statement's sections Claim and Legs, the names of the legs, and the Coq files of the claim and of
        all that they need, without proofs, lemmas and comments. White space does not count.
        """
        parts = [" ".join(self.legs)]
        for heading in ("Claim", "Legs"):
            section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", self.statement, re.DOTALL | re.MULTILINE)
            parts.append(" ".join((section.group(1) if section else "").split()))
        for path in coq.required_files(ROOT, self.folder.name):
            parts += coq.formal_statements(path)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def kernel_covers_all(self) -> bool:
        """Whether Coq proves the whole claim; where not, the statement's kernel leg says what is left."""
        return bool(re.search(r"^- kernel: the whole claim", self.statement, re.MULTILINE))


@dataclass(frozen=True)
class LegResult:
    """
    What one leg established.

    Attributes
    ----------
    leg : str
    outcome : {"passed", "failed", "unavailable"}
    detail : str
        What was shown, what failed, or how to install what is missing.
    trusted_base : str
        What has to be right for the leg to mean anything.
    seconds : float
    """

    leg: str
    outcome: Outcome
    detail: str
    trusted_base: str
    seconds: float


@dataclass(frozen=True)
class ClaimResult:
    """
    A claim with its legs' results.

    Attributes
    ----------
    claim : Claim
    legs : tuple of LegResult
    """

    claim: Claim
    legs: tuple[LegResult, ...]

    @property
    def status(self) -> Status:
        """
        How far the claim is established.

        ``proved``: a proof checker accepted the general statement. ``proved in part``: a part of it that the statement
        names. ``certified``: an exact derivation was checked, or certificates of the kind that come with every
        instance. ``tested``: a search found no violation. ``failed``: a leg failed. ``open``: no leg could run.
        """
        outcomes = {leg.leg: leg.outcome for leg in self.legs}
        if "failed" in outcomes.values():
            return "failed"
        passed = {leg for leg, outcome in outcomes.items() if outcome == "passed"}
        if "kernel" in passed:
            return "proved" if self.claim.kernel_covers_all else "proved in part"
        if passed & {"symbolic", "dual"}:
            return "certified"
        return "tested" if passed else "open"


class UnknownClaimError(FairboundError):
    """No claim of that name is in the ledger."""


def claims() -> dict[str, Claim]:
    """All claims by id, in the ledger's order."""
    found = {}
    for name in IDS:
        folder = ROOT / name.lower()
        heading = (folder / "statement.md").read_text(encoding="utf-8").splitlines()[0]
        legs = [leg for leg in PYTHON_LEGS if (folder / f"{leg}.py").exists()]
        if any(folder.glob("*.v")):
            legs.append("kernel")
        found[name] = Claim(name, folder, heading.lstrip("# ").strip(), tuple(legs))
    return found


def get_claim(name: str) -> Claim:
    """
    Look a claim up.

    Raises
    ------
    UnknownClaimError
        If there is none of that name.
    """
    by_id = {known.lower(): known for known in IDS}
    if name.lower() not in by_id:
        raise UnknownClaimError(f"no claim {name!r} in the ledger; there are {', '.join(IDS)}.")
    return claims()[by_id[name.lower()]]


def run(ids: Iterable[str] | None = None, *, progress: Callable[[str, str], None] | None = None) -> list[ClaimResult]:
    """
    Run the legs of claims.

    Parameters
    ----------
    ids : iterable of str, optional
        Default: all.
    progress : callable, optional
        Called with claim and leg before each leg runs.

    Returns
    -------
    list of ClaimResult

    Raises
    ------
    UnknownClaimError
        For an unknown id.
    """
    chosen = list(claims().values()) if ids is None else [get_claim(name) for name in ids]
    library: coq.Library | None = None
    results = []
    for claim in chosen:
        legs = []
        for leg in claim.legs:
            if progress is not None:
                progress(claim.id, leg)
            if leg == "kernel":
                if library is None:
                    library = coq.build(ROOT, {name for other in chosen for name in _kernel_folders(other)})
                legs.append(_kernel_leg(library, claim))
            else:
                legs.append(_python_leg(claim, leg))
        results.append(ClaimResult(claim, tuple(legs)))
    return results


def _python_leg(claim: Claim, leg: str) -> LegResult:
    start = time.perf_counter()
    module_name = f"fairbound.proofs.{claim.folder.name}.{leg}"
    base = ""
    try:
        module = import_module(module_name)
        base = module.TRUSTED_BASE
        detail, outcome = module.run(), "passed"
        if not isinstance(detail, str) or not detail:
            detail, outcome = "the leg says nothing about what it established", "failed"
    except ProofFailure as failure:
        detail, outcome = str(failure), "failed"
    except Exception as error:
        detail, outcome = f"{type(error).__name__}: {error}", "failed"
        if isinstance(error, ModuleNotFoundError) and error.name in _OPTIONAL:
            detail, outcome = f"needs {error.name}; install it with: pip install 'fairbound[proofs]'", "unavailable"
    return LegResult(leg, outcome, detail, base, time.perf_counter() - start)  # type: ignore[arg-type]


def _kernel_folders(claim: Claim) -> tuple[str, ...]:
    return (claim.folder.name, *KERNEL_ALSO.get(claim.id, ()))


def _kernel_leg(library: coq.Library, claim: Claim) -> LegResult:
    details, seconds = [], 0.0
    for name in _kernel_folders(claim):
        outcome, detail, took = library.verdict(ROOT / name)
        seconds += took
        if outcome != "passed":
            return LegResult("kernel", outcome, detail, library.trusted_base, seconds)
        details.append(detail)
    return LegResult("kernel", "passed", ", ".join(details), library.trusted_base, seconds)


def accepted_hashes() -> dict[str, str]:
    """Hash of each claim's statement when its proof was accepted."""
    stored: dict[str, str] = json.loads(ACCEPTED.read_text(encoding="utf-8"))
    return stored


def changed_statements(of: Sequence[Claim] | None = None) -> list[str]:
    """Claims whose statement is not the one whose proof was accepted."""
    accepted = accepted_hashes()
    return [c.id for c in (claims().values() if of is None else of) if accepted.get(c.id) != c.statement_hash]


def accept() -> None:
    """
    Record the present statements as those that the proofs prove.

    To be called after reading both: ``python -m fairbound.proofs.accept``.
    """
    hashes = {claim.id: claim.statement_hash for claim in claims().values()}
    ACCEPTED.write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
