"""Certificates with one number changed: what the checker must refuse."""

from __future__ import annotations

import copy
from fractions import Fraction

import pytest

from fairbound.bounds import check


@pytest.fixture(scope="session")
def numbers():
    """Paths of all numbers in a certificate, integers and exact texts alike."""

    def paths(node, path=()):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            yield from paths(value, (*path, key))
        if type(node) is int or (type(node) is str and check._FRACTION.fullmatch(node)):
            yield path

    return paths


@pytest.fixture(scope="session")
def changed():
    """A copy of a certificate with one number changed, integers by `step` and exact texts by a thousandth of it."""

    def change(data, path, step):
        data = copy.deepcopy(data)
        node = data
        for key in path[:-1]:
            node = node[key]
        old = node[path[-1]]
        node[path[-1]] = old + step if type(old) is int else str(Fraction(old) + Fraction(step, 1000))
        return data

    return change
