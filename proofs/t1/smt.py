"""Games as formulas of real arithmetic, for z3 to look for violations in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from fractions import Fraction
from importlib import import_module
from itertools import product
from typing import Any

from fairbound.bounds.games import GAMES
from fairbound.proofs.failure import ProofFailure, require
from fairbound.proofs.t1.found import Formula, Instance, Quantities, binary_channel, make_pair

TIME_LIMIT = 5
"""Seconds for one question."""

Term = Any
Signs = tuple[list[tuple[int, ...]], tuple[int, ...]]
"""Signs of d, shape (G, K), and of s, shape (K,)."""


class Solver:
    """
    A z3 solver with the few functions that definitions need.

    Raises
    ------
    ModuleNotFoundError
        If z3 is not installed.
    """

    def __init__(self) -> None:
        self.z3: Any = import_module("z3")
        self._solver: Any = self.z3.Solver()
        self._solver.set("timeout", 1000 * TIME_LIMIT)
        self._solver.set("random_seed", 0)

    def real(self, name: str, low: int | None = 0, high: int | None = 1) -> Term:
        """Return a real unknown within limits."""
        unknown = self.z3.Real(name)
        if low is not None:
            self.require(unknown >= low)
        if high is not None:
            self.require(unknown <= high)
        return unknown

    def require(self, *constraints: Term) -> None:
        """Add constraints."""
        self._solver.add(*constraints)

    def larger(self, x: Term, y: Term) -> Term:
        """Maximum of two."""
        return self.z3.If(x >= y, x, y)

    def absolute(self, x: Term) -> Term:
        """Absolute value."""
        return self.z3.If(x >= 0, x, -x)

    def largest(self, terms: Iterable[Term]) -> Term:
        """Maximum."""
        first, *rest = terms
        for term in rest:
            first = self.larger(first, term)
        return first

    def smallest(self, terms: Iterable[Term]) -> Term:
        """Minimum."""
        return -self.largest([-term for term in terms])

    def half_l1(self, terms: Iterable[Term]) -> Term:
        """Half the sum of absolute values."""
        return self.z3.Sum([self.absolute(term) for term in terms]) / 2

    def refute(self, *violation: Term, claim: str) -> None:
        """
        Establish that a violation is impossible.

        Raises
        ------
        ProofFailure
            If z3 finds one, or gives up.
        """
        answer = str(self._solver.check(*violation))
        if answer != "unsat":
            found = f": {self._solver.model()}" if answer == "sat" else f" ({self._solver.reason_unknown()})"
            raise ProofFailure(f"{claim}: z3 answers {answer}{found}")

    def find(self, *violation: Term, claim: str) -> Any:
        """
        Find a violation.

        Raises
        ------
        ProofFailure
            If there is none, or z3 gives up.
        """
        answer = str(self._solver.check(*violation))
        require(answer == "sat", f"{claim}: z3 answers {answer}, where an instance exists")
        return self._solver.model()

    def value(self, model: Any, term: Term) -> Fraction:
        """Rational value of a term in a model; an algebraic number to 20 digits, which the replay has to bear out."""
        value = model.eval(term if self.z3.is_expr(term) else self.z3.RealVal(term), model_completion=True)
        if not self.z3.is_rational_value(value):
            value = value.approx(20)
        return Fraction(value.numerator_as_long(), value.denominator_as_long())


def _signs_of_shifts(labels: int, equal_marginals: bool) -> list[tuple[int, ...]]:
    """Signs that the shifts can have; they add up to 0, so all of one sign are all 0, a point of other closed cells."""
    if equal_marginals:
        return [(1,) * labels]
    return [signs for signs in product((1, -1), repeat=labels) if len(set(signs)) > 1]


class GameSearch(Solver):
    """
    Two compositions and binary channels, all free.

    Parameters
    ----------
    groups, labels : int
    channels : int
        How many channels there are.
    equal_marginals : bool
        Whether both worlds have the same label marginals.
    """

    def __init__(self, groups: int, labels: int, *, channels: int = 1, equal_marginals: bool = False) -> None:
        super().__init__()
        self.groups, self.labels = range(groups), range(labels)
        self.worlds = [self._world(w) for w in (0, 1)]
        self.difference = [[self.worlds[0][a][y] - self.worlds[1][a][y] for y in self.labels] for a in self.groups]
        self.shift = [self.z3.Sum([self.difference[a][y] for a in self.groups]) for y in self.labels]
        if equal_marginals:
            self.require(*(s == 0 for s in self.shift))
        self.signs: Signs | None = None
        self.rates = [[[self.real(f"r{c}_{a}_{y}") for y in self.labels] for a in self.groups] for c in range(channels)]

    def _world(self, world: int) -> list[list[Term]]:
        cells = [(a, y) for a in self.groups for y in self.labels]
        mass = {cell: self.real(f"p{world}_{cell[0]}_{cell[1]}") for cell in cells[:-1]}
        mass[cells[-1]] = 1 - self.z3.Sum(list(mass.values()))
        self.require(mass[cells[-1]] >= 0)
        return [[mass[a, y] for y in self.labels] for a in self.groups]

    @classmethod
    def by_signs(cls, groups: int, labels: int, *, equal_marginals: bool = False) -> Iterator[GameSearch]:
        """
        One search for each way in which the signs of d and s can fall, which together cover everything.

        Where they are fixed, `m_y` and `TV_Y` are polynomials, which z3 decides much faster than minima.
        """
        for of_d in product((1, -1), repeat=groups * labels):
            for of_s in _signs_of_shifts(labels, equal_marginals):
                search = cls(groups, labels, equal_marginals=equal_marginals)
                search.signs = ([of_d[a * labels : (a + 1) * labels] for a in search.groups], of_s)
                for a, y in product(search.groups, search.labels):
                    search.require(search.signs[0][a][y] * search.difference[a][y] >= 0)
                search.require(*(sign * s >= 0 for sign, s in zip(of_s, search.shift, strict=True)))
                yield search

    @property
    def moved(self) -> tuple[Term, ...]:
        """`m_y`."""
        sides = tuple(tuple(self._part(y, sign) for sign in (1, -1)) for y in self.labels)
        if self.signs is not None:
            return tuple(side[sign > 0] for side, sign in zip(sides, self.signs[1], strict=True))
        return tuple(self.smallest(side) for side in sides)

    def _part(self, y: int, sign: int) -> Term:
        """`Dp_y` or `Dm_y`."""
        if self.signs is not None:
            return self.z3.Sum([sign * self.difference[a][y] for a in self.groups if self.signs[0][a][y] == sign])
        return self.z3.Sum([self.larger(sign * self.difference[a][y], 0) for a in self.groups])

    @property
    def label_shift(self) -> Term:
        """`TV_Y`."""
        if self.signs is not None:
            return self.z3.Sum([sign * s for sign, s in zip(self.signs[1], self.shift, strict=True)]) / 2
        return self.half_l1(self.shift)

    def pairwise(self, channel: int = 0) -> tuple[tuple[tuple[Term, ...], ...], ...]:
        """Distances between the groups, label by label."""
        rates = self.rates[channel]
        return tuple(
            tuple(tuple(self.absolute(rates[a][y] - rates[b][y]) for b in self.groups) for a in self.groups)
            for y in self.labels
        )

    def delta(self, channel: int = 0) -> tuple[Term, ...]:
        """Disparities of a channel."""
        tables = self.pairwise(channel)
        return tuple(self.largest(table[a][b] for a in self.groups for b in self.groups if a < b) for table in tables)

    def advantage(self, game: str, channel: int = 0) -> Term:
        """Advantage in a game, from its definition."""
        views: defaultdict[Hashable, list[Term]] = defaultdict(list)
        for a in self.groups:
            for y in self.labels:
                d, rate = self.difference[a][y], self.rates[channel][a][y]
                views[GAMES[game].view(y, 1)].append(d * rate)
                views[GAMES[game].view(y, 0)].append(d * (1 - rate))
        return self.half_l1(self.z3.Sum(terms) for terms in views.values())

    def quantities(self, channel: int = 0) -> Quantities:
        """What bounds are made of, as terms."""
        distance = self.half_l1(d for row in self.difference for d in row)
        return Quantities(
            self.label_shift,
            self.moved,
            distance,
            self.delta(channel),
            self.pairwise(channel),
            self.largest,
            self.smallest,
        )

    def instance(self, model: Any, name: str, game: str) -> Instance:
        """Exact objects of a model."""
        worlds = [[[self.value(model, m) for m in row] for row in world] for world in self.worlds]
        channels = tuple(binary_channel([[self.value(model, r) for r in row] for row in rates]) for rates in self.rates)
        return Instance(name, game, make_pair(*worlds), channels)

    def find_broken(self, name: str, game: str, wrong: Formula) -> Instance:
        """
        Find an instance that breaks a wrong bound, and replay it exactly.

        Raises
        ------
        ProofFailure
            If there is none, or the replay does not bear it out.
        """
        model = self.find(self.advantage(game) > wrong(self.quantities()), claim=name)
        instance = self.instance(model, name, game)
        require(instance.breaks(wrong), f"{name}: what z3 found does not break it when replayed exactly")
        return instance


def label_terms(solver: Solver, groups: int) -> tuple[Sequence[Term], Sequence[Term], Term, Term]:
    """
    One label by itself: `d(a, y)`, rates, `s_y` and `m_y`.

    The label's masses in each world are free with sum at most 1, so that the label may shift.
    """
    members = range(groups)
    masses = [[solver.real(f"p{w}_{a}") for a in members] for w in (0, 1)]
    for world in masses:
        solver.require(solver.z3.Sum(world) <= 1)
    d = [p - q for p, q in zip(*masses, strict=True)]
    plus = solver.z3.Sum([solver.larger(x, 0) for x in d])
    minus = solver.z3.Sum([solver.larger(-x, 0) for x in d])
    rates = [solver.real(f"r{a}") for a in members]
    return d, rates, solver.z3.Sum(d), solver.smallest([plus, minus])
