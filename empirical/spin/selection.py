"""Which weights to suppress: what matters to fairness and to privacy and not to general ability, and controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from fairbound.empirical.spin.errors import SelectionError
from fairbound.empirical.torch_tools import derived_seed

#: Flat indices of selected weights, ascending int64, by the name of their matrix; matrices without any are left out.
Selection = dict[str, Tensor]

#: Longest ranking that is searched for the smallest ratio that selects a weight.
_SEARCH = 256

#: A control weight is drawn among this many free ones on either side of the magnitude to be matched.
_NEIGHBOURS = 16


def _coupled(general: Tensor, fairness: Tensor, privacy: Tensor) -> Tensor:
    """(F - G) and (P - G)."""
    return _without(fairness[torch.isin(fairness, privacy)], general)


def _fairness_only(general: Tensor, fairness: Tensor, privacy: Tensor) -> Tensor:
    """(F - G) without (P - G)."""
    return _without(_without(fairness, general), privacy)


def _privacy_only(general: Tensor, fairness: Tensor, privacy: Tensor) -> Tensor:
    """(P - G) without (F - G)."""
    return _without(_without(privacy, general), fairness)


def _published_positions(general: Tensor, fairness: Tensor, privacy: Tensor) -> Tensor:
    """Members of sorted F at the positions at which neither sorted F nor sorted P has a member of G."""
    fairness, privacy = fairness.sort().values, privacy.sort().values
    return fairness[~torch.isin(fairness, general) & ~torch.isin(privacy, general)]


def _without(indices: Tensor, others: Tensor) -> Tensor:
    return indices[~torch.isin(indices, others)]


_RULES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "coupled": _coupled,
    "fairness-only": _fairness_only,
    "privacy-only": _privacy_only,
    "published-positions": _published_positions,
}

#: Choices of `select`.
RULES = tuple(_RULES)


def top_indices(scores: Tensor, count: int) -> Tensor:
    """Flat indices of the largest scores, the largest first; of equal scores the first in the matrix.

    Parameters
    ----------
    scores : Tensor
        Of any shape.
    count : int
        At most the number of scores.

    Returns
    -------
    Tensor of int64, shape (count,)
    """
    flat = scores.reshape(-1)
    if count == 0:
        return torch.empty(0, dtype=torch.int64)
    # Which of several equal scores topk takes is not defined: only its smallest value is used.
    least = torch.topk(flat, count).values[-1]
    candidates = torch.nonzero(flat >= least).reshape(-1)
    order = torch.sort(flat[candidates], descending=True, stable=True).indices
    return candidates[order[:count]]


def select(
    general: Mapping[str, Tensor],
    fairness: Mapping[str, Tensor],
    privacy: Mapping[str, Tensor],
    *,
    p: float,
    q: float,
    rule: str = "coupled",
) -> Selection:
    """Select weights in each matrix by three sets of importance scores (SPIN, arXiv:2410.16672).

    With G the ``floor(p n)`` of the n weights of a matrix that matter most to the general set, and F and P the
    ``floor(q n)`` that matter most to the fairness and the privacy set:

    - ``"coupled"``: (F - G) and (P - G), the method;
    - ``"fairness-only"``: (F - G) without (P - G);  ``"privacy-only"``: the reverse;
    - ``"published-positions"``: what the authors' code selects. It intersects positions in the sorted lists of F and
      of P in place of weights; for comparison with its results alone.

    Parameters
    ----------
    general, fairness, privacy : mapping from str to Tensor
        Scores of the same matrices, as `fairbound.empirical.spin.importance.importance` returns them.
    p, q : float
        Shares, from 0 to 1; taken as the decimal numbers that they print as.
    rule : str, default "coupled"

    Returns
    -------
    Selection
        Not empty.

    Raises
    ------
    SelectionError
        If a ratio or the rule is unknown, the scores are of different matrices, or no weight is selected.
    """
    if rule not in _RULES:
        raise SelectionError(f"rule={rule!r} is unknown; use one of {', '.join(RULES)}.")
    for name, ratio in (("p", p), ("q", q)):
        if not 0 <= ratio <= 1:
            raise SelectionError(f"{name}={ratio} is no share; use a number from 0 to 1, such as 1e-4.")
    if not general.keys() == fairness.keys() == privacy.keys() or not general:
        raise SelectionError("The three sets of scores are of different matrices; measure them on one model.")
    selection = {}
    for name in general:
        scores = (general[name], fairness[name], privacy[name])
        if len({score.shape for score in scores}) != 1:
            raise SelectionError(f"The three scores of {name} have different shapes; measure them on one model.")
        size = scores[0].numel()
        counts = (_share(p, size), _share(q, size), _share(q, size))
        chosen = _RULES[rule](*(top_indices(score, k) for score, k in zip(scores, counts, strict=True)))
        if len(chosen):
            selection[name] = chosen.sort().values
    if not selection:
        raise SelectionError(_nothing_selected(general, fairness, privacy, p, q, rule))
    return selection


def selected_count(selection: Selection) -> int:
    """Number of selected weights.

    Parameters
    ----------
    selection : Selection

    Returns
    -------
    int
    """
    return sum(len(indices) for indices in selection.values())


def matched_control(layers: Mapping[str, nn.Linear], selection: Selection, *, seed: int) -> Selection:
    """Random other weights, as many in each matrix as are selected and of like magnitudes.

    For each selected weight, one of the 32 nearest in the order of magnitude (16 on either side, fewer at the ends)
    that are neither selected nor taken.

    Parameters
    ----------
    layers : mapping from str to torch.nn.Linear
        See `fairbound.empirical.spin.layers.target_layers`; before any edit.
    selection : Selection
    seed : int

    Returns
    -------
    Selection
        Shares no weight with `selection`.

    Raises
    ------
    SelectionError
        If a matrix is not in `layers`, or more than half of it is selected.
    """
    control = {}
    for i, (name, weight, chosen) in enumerate(_matrices(layers, selection)):
        generator = np.random.default_rng(derived_seed(seed, i))
        magnitudes = weight.detach().reshape(-1).float().abs().cpu()
        others = _others(magnitudes.numel(), chosen)
        order = torch.sort(magnitudes[others], stable=True)
        sizes, free = order.values.numpy(), np.ones(len(others), dtype=bool)
        taken = []
        for place in np.searchsorted(sizes, generator.permutation(magnitudes[chosen].numpy())):
            near = _nearest_free(free, int(place))
            pick = int(generator.choice(near))
            free[pick] = False
            taken.append(pick)
        control[name] = others[order.indices[torch.tensor(taken)]].sort().values
    return control


def uniform_control(layers: Mapping[str, nn.Linear], selection: Selection, *, seed: int) -> Selection:
    """Random other weights, as many in each matrix as are selected.

    Weaker than `matched_control`: important weights are larger than most, and zeroing small ones changes little.

    Parameters
    ----------
    layers : mapping from str to torch.nn.Linear
    selection : Selection
    seed : int

    Returns
    -------
    Selection
        Shares no weight with `selection`.

    Raises
    ------
    SelectionError
        If a matrix is not in `layers`, or more than half of it is selected.
    """
    control = {}
    for i, (name, weight, chosen) in enumerate(_matrices(layers, selection)):
        others = _others(weight.numel(), chosen)
        picks = np.random.default_rng(derived_seed(seed, i)).choice(len(others), len(chosen), replace=False)
        control[name] = others[torch.from_numpy(picks)].sort().values
    return control


def _matrices(layers: Mapping[str, nn.Linear], selection: Selection) -> Iterable[tuple[str, Tensor, Tensor]]:
    for name, chosen in selection.items():
        if name not in layers:
            raise SelectionError(f"The model has no layer {name}; select by scores of this model and module.")
        weight = layers[name].weight
        if 2 * len(chosen) > weight.numel():
            raise SelectionError(f"More than half of {name} is selected, so no control is left; lower the ratios.")
        yield name, weight, chosen


def _others(size: int, chosen: Tensor) -> Tensor:
    """Ascending indices below `size` that are not chosen."""
    keep = torch.ones(size, dtype=torch.bool)
    keep[chosen] = False
    return torch.nonzero(keep).reshape(-1)


def _nearest_free(free: np.ndarray, place: int) -> np.ndarray:
    """Positions of up to `_NEIGHBOURS` free entries on either side of a place, at least one in all."""
    width = _NEIGHBOURS
    while True:
        low, high = max(0, place - width), place + width
        below = low + np.flatnonzero(free[low:place])
        above = place + np.flatnonzero(free[place:high])
        if (len(below) >= _NEIGHBOURS or low == 0) and (len(above) >= _NEIGHBOURS or high >= len(free)):
            return np.concatenate([below[-_NEIGHBOURS:], above[:_NEIGHBOURS]])
        width *= 2


def _share(ratio: float, size: int) -> int:
    """``floor(ratio * size)``, without the rounding of floating-point products."""
    return math.floor(Fraction(str(ratio)) * size)


def _nothing_selected(
    general: Mapping[str, Tensor],
    fairness: Mapping[str, Tensor],
    privacy: Mapping[str, Tensor],
    p: float,
    q: float,
    rule: str,
) -> str:
    """Say so, with the smallest ratio that selects a weight: of p and q together if they are equal, else of q."""
    best: Fraction | None = None
    searched = Fraction(1)
    for name in general:
        size = general[name].numel()
        limit = min(_SEARCH, size)
        searched = min(searched, Fraction(limit, size))
        fixed = None if p == q else top_indices(general[name], _share(p, size))
        ranked = [top_indices(scores[name], limit) for scores in (general, fairness, privacy)]
        for k in range(1, limit + 1):
            if best is not None and Fraction(k, size) >= best:
                break
            first = ranked[0][:k] if fixed is None else fixed
            if len(_RULES[rule](first, ranked[1][:k], ranked[2][:k])):
                best = Fraction(k, size)
    what = "p = q" if p == q else "q"
    said = f"p={p:g}, q={q:g} and rule={rule!r} select no weight of {len(general)} matrices"
    if best is None:
        return f"{said}, and no {what} up to {float(searched):.3g} does; use larger ratios."
    # Rounded up in the sixth digit, so that the printed ratio is enough.
    digits = 10 ** (5 - math.floor(math.log10(best)))
    return f"{said}; the smallest {what} that does is {float(Fraction(math.ceil(best * digits), digits)):g}."
