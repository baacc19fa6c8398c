"""
Plugin for pytest: the fixture and the marker ``fairbound`` hold a model's predictions to a certified limit.

pytest loads it wherever this package is installed, so it imports nothing but pytest until a test certifies something.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fairbound.bounds.certify import Certification

_ALPHABETS = ("groups", "labels", "outputs")
_OPTIONS = ("pure", "pair", "game", "label_balanced", "confidence", "on_missing", "theorem", "method")
_LIMIT = "max_advantage"
_CALL = "fairbound(y_true, y_pred, sensitive_features=...)"


class Gate:
    """
    What the fixture `fairbound` is: call it with predictions to certify them and to hold them to the limit.

    Parameters
    ----------
    options : mapping
        Of the marker: `max_advantage`; `groups`, `labels`, `outputs`; and the options of
        `fairbound.bounds.certify_counts`. `pair` may be given as `CompositionPair.from_dict` reads it.

    Attributes
    ----------
    results : list of Certification
        One for each call.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self.results: list[Certification] = []

    def __call__(self, y_true: Any, y_pred: Any, *, sensitive_features: Any, **options: Any) -> Certification:
        """
        Certify predictions, and fail the test if the bound is above `max_advantage`.

        Parameters
        ----------
        y_true, y_pred, sensitive_features : array-like
            As for `fairbound.certify`.
        **options
            As in the marker, which they take precedence over.

        Returns
        -------
        Certification

        Raises
        ------
        AssertionError
            If the bound is above the limit: which bound, what drives it, and what to do.
        FairboundError
            One of its subclasses, if the data or an option is not what it should be.
        """
        __tracebackhide__ = True
        from fairbound.bounds import CompositionPair, Counts, FairboundError, certify_counts
        from fairbound.gate import assert_advantage_below

        chosen = {**self.options, **options}
        _refuse(chosen, "the fixture fairbound")
        if _LIMIT not in chosen:
            pytest.fail(
                f"fairbound: no {_LIMIT}; give it to the marker, @pytest.mark.fairbound({_LIMIT}=0.2), or to the call.",
                pytrace=False,
            )
        limit = chosen.pop(_LIMIT)
        alphabets = {name: chosen.pop(name, None) for name in _ALPHABETS}
        try:
            counts = Counts.from_arrays(y_true, y_pred, sensitive_features=sensitive_features, **alphabets)
            if isinstance(chosen.get("pair"), Mapping):
                chosen["pair"] = CompositionPair.from_dict(chosen["pair"], counts.groups, counts.labels)
            result = certify_counts(counts, **chosen)
            self.results.append(result)
            assert_advantage_below(result, limit)
        except FairboundError as error:
            # Without the frames of this package, of which its message says all there is to know.
            raise error.with_traceback(None) from None
        return result


@pytest.fixture
def fairbound(request: pytest.FixtureRequest) -> Gate:
    """Certify predictions: ``fairbound(y_true, y_pred, sensitive_features=...)`` under the marker's max_advantage."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("fairbound"))):
        if marker.args:
            pytest.fail(
                f"@pytest.mark.fairbound takes named options only, as in {_LIMIT}={marker.args[0]!r}.", pytrace=False
            )
        options.update(marker.kwargs)
    _refuse(options, "@pytest.mark.fairbound")
    return Gate(options)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"fairbound({_LIMIT}, label_balanced, pure, game, confidence, ...): certify the predictions that the test "
        f"gives to the fixture fairbound, and fail if the advantage that they allow may be above {_LIMIT}.",
    )


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """After a marked test has passed: fail it if it certified nothing."""
    gate = getattr(item, "funcargs", {}).get("fairbound")
    marked = any(marker.name == "fairbound" for marker in item.own_markers)
    if (gate is None and marked) or (
        isinstance(gate, Gate) and not gate.results and item.get_closest_marker("fairbound")
    ):
        pytest.fail(
            f"{item.name} is marked fairbound, but certified nothing: take the fixture and call {_CALL}.", pytrace=False
        )


def _refuse(options: Mapping[str, Any], where: str) -> None:
    """Fail where an option is unknown."""
    __tracebackhide__ = True
    known = (_LIMIT, *_OPTIONS, *_ALPHABETS)
    for name in options:
        if name not in known:
            pytest.fail(f"{where} has no option {name!r}; there are {', '.join(known)}.", pytrace=False)
