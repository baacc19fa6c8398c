"""C3a: z3 finds such models by itself in the correctness game, and none in the labelled game."""

from __future__ import annotations

from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, binary_channel, make_pair, stored
from fairbound.proofs.t1.smt import GameSearch, Solver

TRUSTED_BASE = "exact replay of what z3 finds; z3's real arithmetic for the labelled game"
NAME = "necessary in the correctness game"
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
    require(advantages == ["1/4", "0"], f"the advantages are {advantages}")
    labelled()
    return (
        "z3 finds two models of two groups without label shift, no disparity of the second smaller and its accuracy "
        f"gap smaller; {len(instances)} stored instances, among them the statement's (1/4 to 0), are replayed exactly; "
        "in the labelled game z3 finds none inside a label"
    )


def statement() -> Instance:
    """The statement's instance: rates of being correct (1, 1/2; 1/2, 1/2) before, (1, 1/2; 1/2, 1) after."""
    pair = make_pair([["1/2", "1/2"], ["0", "0"]], [["0", "0"], ["1/2", "1/2"]])
    # Output 1 is correct for label 1 and wrong for label 0.
    models = ([["0", "1/2"], ["1/2", "1/2"]], [["0", "1/2"], ["1/2", "1"]])
    return Instance(THEORY, "correctness", pair, tuple(binary_channel(rates) for rates in models))


def find() -> Instance:
    """Ask z3 for two models."""
    search = GameSearch(2, 2, channels=2, equal_marginals=True)
    no_fall = [new >= old for old, new in zip(search.delta(0), search.delta(1), strict=True)]
    falls = search.advantage("correctness", 1) < search.advantage("correctness", 0)
    return search.instance(search.find(*no_fall, falls, claim=NAME), NAME, "correctness")


def check(instance: Instance) -> None:
    """
    Replay an instance exactly.

    Raises
    ------
    ProofFailure
        If it is no counterexample.
    """
    old, new = instance.quantities(0).delta, instance.quantities(1).delta
    require(len(instance.pair.groups) == 2 and instance.pair.label_shift == 0, f"{instance.name}: T3's hypotheses fail")
    require(all(x <= y for x, y in zip(old, new, strict=True)), f"{instance.name}: a disparity falls")
    require(instance.advantage(1) < instance.advantage(0), f"{instance.name}: the advantage does not fall")


def labelled() -> None:
    """Inside a label of two groups without shift, the labelled advantage cannot fall where the disparity does not."""
    solver = Solver()
    d = solver.real("d", -1)
    old, new = ([solver.real(f"{name}{a}") for a in (0, 1)] for name in ("old", "new"))
    gains = [solver.absolute(d * r[0] - d * r[1]) for r in (old, new)]
    disparities = [solver.absolute(r[0] - r[1]) for r in (old, new)]
    solver.refute(gains[1] < gains[0], disparities[1] >= disparities[0], claim="labelled game")
