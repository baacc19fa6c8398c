"""
Pages that are completed while Sphinx reads them: claims, the table of claims, and the reference of public names.

A comment ``<!-- generated: KIND ARGUMENT -->`` in a page marks where; the statement of a claim needs no mark.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from sphinx.util import logging

import fairbound.bounds
import fairbound.empirical
from fairbound.bounds.proved_by import REGISTRY
from fairbound.proofs import ledger
from fairbound.proofs.kernel import coq

_LOGGER = logging.getLogger(__name__)
_MARK = re.compile(r"^<!-- generated: (\w+) ?([\w.]*) -->$", re.MULTILINE)
_STATEMENT = re.compile(r"proofs/(\w+)/statement")
_CODE = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_])")
_FULL_NAME = re.compile(r"fairbound(\.\w+)+")
_FIELD = re.compile(r"^:(ivar|vartype|type) ([^:]+): ?(.*)$", re.DOTALL)
_PUBLIC = {
    name: f"{room.__name__}.{name}"
    for room in (fairbound.bounds, fairbound.empirical)
    for name in room.__all__
    if name[0].isupper() and name != "FairboundError"
}
_NO_AXIOMS = "Closed under the global context"


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx, which loads this as an extension."""
    for module in iter_modules(fairbound.bounds.__path__):
        import_module(f"fairbound.bounds.{module.name}")
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", finish_docstring)
    app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True}


def complete(app: Any, docname: str, source: list[str]) -> None:
    """Complete the text of a page, before it is parsed."""
    statement = _STATEMENT.fullmatch(docname)
    if statement:
        source[0] = claim_page(ledger.get_claim(statement.group(1)))
    kinds = {"ledger": lambda _: ledger_table(), "api": api_reference, "errors": error_reference}
    source[0] = _MARK.sub(lambda mark: kinds[mark.group(1)](mark.group(2)), source[0])


def finish_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn what napoleon leaves of a docstring into reStructuredText; code between single backticks becomes code."""
    if what == "property" and any(line.startswith(":type:") for line in lines):
        # Napoleon takes what stands before a colon for a type.
        lines[:] = (inspect.getdoc(obj) or "").splitlines()
    fields = "\n".join(_FIELD.sub(one_field_a_name, line) for line in re.split(r"\n(?! )", "\n".join(lines)))
    lines[:] = _CODE.sub(code_in_docstring, fields).split("\n")


def one_field_a_name(field: re.Match[str]) -> str:
    """Attributes that are described together, and types, of which Sphinx would look up every word."""
    kind, names, text = field.groups()
    shown = type_in_docstring(text) if kind.endswith("type") else text
    return "\n".join(f":{kind} {name}: {shown}" for name in re.split(", ?", names))


def code_in_docstring(code: re.Match[str]) -> str:
    """A link where it is a full name."""
    return f":py:obj:`{code[1]}`" if _FULL_NAME.fullmatch(code[1]) else f"``{code[1]}``"


def type_in_docstring(text: str) -> str:
    """Types are prose, in which public names become links."""
    if "`" in text or "*" in text:
        return text
    parts = re.split(r"(\w+)", text)
    if not set(parts) & set(_PUBLIC):
        return f"*{text}*"
    return "".join(f":py:obj:`~{_PUBLIC[part]}`" if part in _PUBLIC else part for part in parts)


def skip_member(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn adds to every estimator for the routing of metadata."""
    return True if re.fullmatch(r"[sg]et_\w+_request|get_metadata_routing", name) else None


def level(claim: ledger.Claim) -> str:
    """How far the ledger takes a claim to be established where each of its legs passes."""
    passed = tuple(ledger.LegResult(leg, "passed", "", "", 0.0) for leg in claim.legs)
    return ledger.ClaimResult(claim, passed).status


def functions_of(claim: ledger.Claim) -> list[str]:
    """Functions whose result rests on a claim; those with a public name as links."""
    names = sorted(name for name, claims in REGISTRY.items() if claim.id in claims)
    shown = []
    for name in names:
        home, _, rest = name.removeprefix("fairbound.bounds.").partition(".")
        if rest.split(".")[0] in fairbound.bounds.__all__:
            shown.append(f"{{py:obj}}`fairbound.bounds.{rest}`")
        else:
            shown.append(f"`bounds.{home}.{rest}`")
    return shown


def ledger_table() -> str:
    """All claims with level, legs and functions, and the list of their pages."""
    rows = ["| claim | level | legs |", "|---|---|---|"]
    for claim in ledger.claims().values():
        page = f"/proofs/{claim.folder.name}/statement.md"
        rows.append(f"| [{claim.title}]({page}) | {level(claim)} | {', '.join(claim.legs)} |")
    pages = [f"{claim.id} </proofs/{claim.folder.name}/statement>" for claim in ledger.claims().values()]
    return "\n".join([*rows, "", "```{toctree}", ":hidden:", "", *pages, "```"])


def claim_page(claim: ledger.Claim) -> str:
    """A claim's statement, with what the ledger says about it before, and its sources after."""
    if ledger.changed_statements([claim]):
        _LOGGER.warning("%s: the statement is not the one whose proof was accepted", claim.id)
    title, rest = claim.statement.split("\n", 1)
    functions = ", ".join(functions_of(claim)) or "none returns it; it limits or completes other claims"
    head = [
        title,
        "",
        "| | |",
        "|---|---|",
        f"| level of proof | **{level(claim)}**, where every leg passes: `fairbound prove {claim.id}` runs them |",
        f"| legs | {', '.join(claim.legs)} |",
        f"| functions that rest on it | {functions} |",
        "",
    ]
    return "\n".join([*head, rest, "", "## What the legs rest on", "", *legs(claim), "", *coq_files(claim)])


def legs(claim: ledger.Claim) -> list[str]:
    """One line for each leg: where it is and its trusted base."""
    lines = []
    for leg in claim.legs:
        if leg == "kernel":
            lines.append("- kernel: Coq's kernel, with the axioms listed below.")
            continue
        base = import_module(f"fairbound.proofs.{claim.folder.name}.{leg}").TRUSTED_BASE
        lines.append(f"- {leg} ([{leg}.py](path:{leg}.py)): {base}.")
    return lines


def coq_files(claim: ledger.Claim) -> list[str]:
    """The theorems of a claim's Coq files with their accepted axioms, and the files."""
    accepted = coq.golden_assumptions()
    lines = []
    for path in sorted(claim.folder.glob("*.v")):
        lines += [f"## {path.name}", ""]
        by_axioms: dict[str, list[str]] = {}
        for name in sorted(coq.theorems(path)):
            by_axioms.setdefault(accepted[name], []).append(f"`{name.split('.', 1)[1]}`")
        for axioms, names in by_axioms.items():
            rest = "no axiom" if axioms == _NO_AXIOMS else f"`{axioms.replace(', ', '`, `')}`"
            lines.append(f"- {', '.join(names)}: proved from {rest}.")
        lines += ["", f"```{{literalinclude}} {path.name}", ":language: coq", "```", ""]
    return lines


def api_reference(module_name: str) -> str:
    """Every name of a module's `__all__`: a table, then each in full; what another page describes as links."""
    module = import_module(module_name)
    own, elsewhere, values = [], [], []
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if name == "FairboundError":
            elsewhere.append(f"fairbound.bounds.errors.{name}")
        elif module_name == "fairbound" and name in fairbound.bounds.__all__:
            elsewhere.append(f"fairbound.bounds.{name}")
        elif inspect.isclass(value) or callable(value):
            own.append(name)
        else:
            values.append(f"- `{name}`: `{value!r}`")
    kinds = {"Classes": [n for n in own if inspect.isclass(getattr(module, n))]}
    kinds["Functions"] = [n for n in own if n not in kinds["Classes"]]
    lines = [summary([f"{module_name}.{name}" for name in own]), ""]
    if elsewhere:
        lines += [f"Described elsewhere, and importable from `{module_name}`:", "", summary(elsewhere), ""]
    lines += [*values, ""]
    for kind, names in kinds.items():
        if names:
            lines += [f"## {kind}", "", *(in_full(f"{module_name}.{name}", kind) for name in names)]
    return "\n".join(lines)


def error_reference(module_name: str) -> str:
    """Every error and warning that a module defines."""
    module = import_module(module_name)
    errors = [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == module_name
    ]
    return "\n".join(in_full(f"{module_name}.{name}", "Errors") for name in errors)


def summary(names: list[str]) -> str:
    """A table of names with their first lines."""
    return "\n".join(["```{eval-rst}", ".. autosummary::", "", *(f"   ~{name}" for name in names), "```"])


def in_full(name: str, kind: str) -> str:
    """A name with its whole docstring and its members."""
    directive = {"Classes": "autoclass", "Functions": "autofunction", "Errors": "autoexception"}[kind]
    options = ["   :members:"] if kind == "Classes" else ["   :show-inheritance:"] if kind == "Errors" else []
    return "\n".join(["```{eval-rst}", f".. {directive}:: {name}", *options, "```", ""])
