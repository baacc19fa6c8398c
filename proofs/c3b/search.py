"""C3b: z3 finds such models of three groups by itself, and none of two groups."""

from __future__ import annotations

from itertools import combinations

from fairbound.proofs.c3a.search import labelled
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, binary_channel, make_pair, stored
from fairbound.proofs.t1.smt import GameSearch

TRUSTED_BASE = "exact replay of what z3 finds; z3's real arithmetic for two groups"
NAME = "necessary for three groups"
THEORY = "the numbers of the statement"


def run() -> str:
    """Search with z3, and replay."""
    check(find())
    instances = stored(__file__)
    require({i.name for i in instances} == {NAME, THEORY}, "the stored instances are others")
    for instance in instances:
        check(instance)
    kept = next(i for i in instances if i.name == THEORY)
    require(kept == statement(), "the stored numbers are not those of the statement")
    advantages = [str(kept.advantage(c)) for c in (0, 1)]
    require(advantages == ["1/2", "0"], f"the advantages are {advantages}")
    labelled()
    return (
        "z3 finds two models of three groups without label shift, no pairwise disparity of the second smaller and its "
        f"labelled advantage smaller; {len(instances)} stored instances, among them the statement's (1/2 to 0), are "
        "replayed exactly; for two groups z3 finds none inside a label"
    )


def statement() -> Instance:
    """The statement's instance."""
    pair = make_pair([["1/2", "1/2"], ["0", "0"], ["0", "0"]], [["0", "0"], ["1/4", "1/4"], ["1/4", "1/4"]])
    models = (["1", "1/2", "1/2"], ["1/2", "0", "1"])
    return Instance(THEORY, "labelled", pair, tuple(binary_channel([[r, r] for r in rates]) for rates in models))


def find() -> Instance:
    """Ask z3 for two models, with one label (which any number of labels contains)."""
    search = GameSearch(3, 1, channels=2)
    pairs = list(combinations(search.groups, 2))
    old, new = search.pairwise(0)[0], search.pairwise(1)[0]
    no_fall = [new[a][b] >= old[a][b] for a, b in pairs]
    falls = search.advantage("labelled", 1) < search.advantage("labelled", 0)
    return search.instance(search.find(*no_fall, falls, claim=NAME), NAME, "labelled")


def check(instance: Instance) -> None:
    """
    Replay an instance exactly.

    Raises
    ------
    ProofFailure
        If it is no counterexample.
    """
    old, new = instance.quantities(0).pairwise, instance.quantities(1).pairwise
    require(instance.pair.label_shift == 0, f"{instance.name}: label shift")
    for before, after in zip(old, new, strict=True):
        for row, later in zip(before, after, strict=True):
            require(all(x <= y for x, y in zip(row, later, strict=True)), f"{instance.name}: a disparity falls")
    require(instance.advantage(1) < instance.advantage(0), f"{instance.name}: the advantage does not fall")
