"""The exact linear programming solver against itself, theory and infeasibility."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds import exact_lp
from fairbound.bounds.exact_lp import LinearProgramError, Row, Solution, maximise, rational_simplex, verify

F = Fraction
SMALL = st.fractions(-3, 3, max_denominator=7)


@st.composite
def bounded_programmes(draw):
    n, m = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    objective = draw(st.lists(SMALL, min_size=n, max_size=n))
    rows = [Row(dict(enumerate([F(1)] * n)), "<=", draw(st.fractions(0, 5, max_denominator=7)))]
    for _ in range(m):
        coefficients = dict(enumerate(draw(st.lists(SMALL, min_size=n, max_size=n))))
        rows.append(Row(coefficients, draw(st.sampled_from(["<=", "="])), draw(SMALL)))
    return objective, rows


@settings(max_examples=200)
@given(bounded_programmes())
def test_both_roads_agree_on_value_or_infeasibility(programme):
    objective, rows = programme
    try:
        expected = rational_simplex(objective, rows)
    except LinearProgramError:
        with pytest.raises(LinearProgramError):
            maximise(objective, rows)
        return
    found = maximise(objective, rows)
    assert found.value == expected.value
    assert verify(objective, rows, found)
    assert verify(objective, rows, expected)


def test_known_optimum():
    # max 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18 (Hillier and Lieberman's Wyndor Glass): 36 at (2, 6).
    rows = [Row({0: F(1)}, "<=", F(4)), Row({1: F(2)}, "<=", F(12)), Row({0: F(3), 1: F(2)}, "<=", F(18))]
    assert maximise([F(3), F(5)], rows) == Solution(F(36), (F(2), F(6)), (F(0), F(3, 2), F(1)))


def test_a_basis_that_floating_point_cannot_order_is_settled_exactly():
    tiny = F(1, 10**30)
    rows = [Row({0: F(1)}, "<=", F(1)), Row({1: F(1)}, "<=", F(1)), Row({0: F(1), 1: F(1)}, "<=", F(1))]
    assert maximise([F(1), F(1) + tiny], rows).value == 1 + tiny


@pytest.mark.parametrize("solver", [maximise, rational_simplex])
def test_infeasible_and_unbounded_are_errors(solver):
    with pytest.raises(LinearProgramError, match="infeasible"):
        solver([F(1)], [Row({0: F(1)}, "<=", F(-1))])
    with pytest.raises(LinearProgramError, match="unbounded"):
        solver([F(1)], [Row({0: F(-1)}, "<=", F(1))])


def test_a_wrong_basis_from_the_float_solver_does_no_harm(monkeypatch):
    rows = [Row({0: F(1), 1: F(1)}, "<=", F(1)), Row({0: F(1)}, "<=", F(1, 2))]
    for basis in ([0, 2], [2, 3], [0, 1], None):
        monkeypatch.setattr(exact_lp, "_float_basis", lambda *_, basis=basis: basis)
        assert maximise([F(2), F(1)], rows).value == F(3, 2)


def test_verification_catches_each_kind_of_wrong_solution():
    rows = [Row({0: F(1)}, "<=", F(1))]
    right = Solution(F(2), (F(1),), (F(2),))
    assert verify([F(2)], rows, right)
    for wrong in (
        Solution(F(4), (F(2),), (F(2),)),
        Solution(F(2), (F(1),), (F(1),)),
        Solution(F(3), (F(1),), (F(3),)),
        Solution(F(-2), (F(-1),), (F(2),)),
    ):
        assert not verify([F(2)], rows, wrong)
