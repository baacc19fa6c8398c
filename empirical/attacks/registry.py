"""Attacks on predictions, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fairbound.empirical.attacks.accuracy_tests import LossTest, ThresholdTest
from fairbound.empirical.attacks.base import Attack, LabelOnly
from fairbound.empirical.attacks.errors import AttackInputError
from fairbound.empirical.attacks.kl_voting import KLVoting
from fairbound.empirical.attacks.meta_classifier import MetaClassifier
from fairbound.empirical.attacks.per_point import PerPointThreshold

_ALL: tuple[Attack, ...] = (
    LossTest(),
    ThresholdTest(),
    PerPointThreshold(),
    KLVoting(),
    MetaClassifier(),
    LabelOnly(PerPointThreshold()),
    LabelOnly(KLVoting()),
    LabelOnly(MetaClassifier()),
)
ATTACKS: Mapping[str, Attack] = MappingProxyType({attack.name: attack for attack in _ALL})
"""Attacks by name. `loss_test` and `threshold_test` need hard labels alone as they are."""


def get_attack(name: str) -> Attack:
    """
    An attack by its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Attack

    Raises
    ------
    AttackInputError
        If there is none of this name.
    """
    if name not in ATTACKS:
        raise AttackInputError(f"there is no attack {name!r}; choose from {', '.join(ATTACKS)}.")
    return ATTACKS[name]
