"""T6: search for processing that helps (there is none), and for what looks like processing and does help."""

from __future__ import annotations

from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, stored
from fairbound.proofs.t1.smt import GameSearch, Solver
from fairbound.proofs.t6.symbolic import processed

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; what it finds is replayed exactly"
CORRECTNESS = "processing the prediction in the correctness game"
GROUPWISE = "processing that knows the group"


def run() -> str:
    """Search with z3."""
    for before, after in ((2, 2), (3, 2), (2, 3)):
        kernels(before, after)
    check(find_correctness())
    check(find_groupwise())
    instances = stored(__file__)
    require({i.name for i in instances} == {CORRECTNESS, GROUPWISE}, "the stored instances are others")
    for instance in instances:
        check(instance)
    return (
        "z3 finds no kernel on 2 or 3 views that raises the advantage; it finds what is no processing of the view and "
        "does raise it: replacing predictions by a constant in the correctness game, and processing that knows the "
        f"group ({len(instances)} stored, replayed exactly)"
    )


def kernels(before: int, after: int) -> None:
    """No kernel raises half the L1 norm of a difference."""
    solver = Solver()
    x = [solver.real(f"x{v}", -1) for v in range(before)]
    kernel = [[solver.real(f"k{v}{w}") for w in range(after - 1)] for v in range(before)]
    for row in kernel:
        row.append(1 - solver.z3.Sum(list(row)))
        solver.require(row[-1] >= 0)
    raised = solver.half_l1(processed(x, kernel)) > solver.half_l1(x)
    solver.refute(raised, claim=f"kernels from {before} to {after} views")


def find_correctness() -> Instance:
    """A model whose predictions, replaced by a constant, give a larger accuracy gap."""
    search = GameSearch(2, 2, channels=2)
    for row in search.rates[1]:
        search.require(*(rate == 1 for rate in row))
    larger = search.advantage("correctness", 1) > search.advantage("correctness", 0)
    return search.instance(search.find(larger, claim=CORRECTNESS), CORRECTNESS, "correctness")


def find_groupwise() -> Instance:
    """A constant model, and what a map that knows the group makes of it."""
    search = GameSearch(2, 2, channels=2)
    for row in search.rates[0]:
        search.require(*(rate == 1 for rate in row))
    larger = search.advantage("unlabelled", 1) > search.advantage("unlabelled", 0)
    search.require(search.rates[1][0][0] == search.rates[1][0][1], search.rates[1][1][0] == search.rates[1][1][1])
    return search.instance(search.find(larger, claim=GROUPWISE), GROUPWISE, "unlabelled")


def check(instance: Instance) -> None:
    """
    Replay an instance exactly.

    Raises
    ------
    ProofFailure
        If the advantage is not raised, or the channels are not related as the name says.
    """
    before, after = (channel.rates for channel in instance.channels)
    rows = {
        CORRECTNESS: {row for plane in after for row in plane},
        GROUPWISE: {row for plane in before for row in plane},
    }[instance.name]
    require(len(rows) == 1, f"{instance.name}: not a constant")
    if instance.name == GROUPWISE:
        require(all(len(set(plane)) == 1 for plane in after), f"{instance.name}: depends on the label")
    require(instance.advantage(1) > instance.advantage(0), f"{instance.name}: the advantage does not rise")
