"""Which rows each side of the game has, and the draws that its models are trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbound.empirical.attacks.predictions import require_disjoint
from fairbound.empirical.encoding import TabularEncoder
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.run_rows import Index, take_rows
from fairbound.empirical.shadows.plan import DistributionInferencePlan, largest_feasible
from fairbound.empirical.splits import stratified_split
from fairbound.empirical.torch_tools import derived_seed

#: Whose models are trained, in the order of the numbers that enter their seeds.
SIDES = ("victim", "shadow")


class Pools:
    """The rows of a game: disjoint parts, stratified by group and label, and draws from them.

    Parameters
    ----------
    plan : DistributionInferencePlan
    seed : int
        Parts, draws and queries are a function of it and of the plan.

    Attributes
    ----------
    plan : DistributionInferencePlan
    seed : int
    label, group : ndarray of int64, shape (n_rows,)
        Class and group code of each row of the data set; see `DistributionInferencePlan.codes`.
    parts : dict from str to ndarray of int64
        Rows of "victim" (victims' models are drawn from), "shadow" (the adversary's are), "query" (the adversary asks
        about) and "evaluation" (nobody uses but to measure fairness). "victim" has as many rows as "shadow" and "query"
        together.
    queries : tuple of ndarray of int64
        Rows of the queries for each world, drawn from "query" at its ratio; those of two worlds may share rows.

    Raises
    ------
    ProtocolError
        If a part is too small for a draw; says how large the largest possible one is.
    """

    def __init__(self, plan: DistributionInferencePlan, seed: int) -> None:
        self.plan, self.seed = plan, seed
        self.label, self.group = plan.dataset.label, plan.codes()
        self._classes = len(plan.dataset.classes)
        kept = np.flatnonzero(self.group >= 0)
        strata = 2 * self.label[kept] + self.group[kept]
        half = (1 - plan.evaluation) / 2
        shares = {
            "victim": half,
            "shadow": half * (1 - plan.query_pool),
            "query": half * plan.query_pool,
            "evaluation": plan.evaluation,
        }
        rng = np.random.default_rng(derived_seed(seed, 0))
        self.parts = {name: kept[index] for name, index in stratified_split(strata, shares, rng).items()}
        require_disjoint(*self.parts.values())
        self._encoders: dict[str, Any] = {}
        self._require(("victim", "shadow"), plan.rows, "rows")
        self._require(("query",), plan.queries, "queries")
        worlds = range(len(plan.ratios))
        self.queries = tuple(
            self._take("query", plan.cells(world, plan.queries), derived_seed(seed, 1, world)) for world in worlds
        )

    def draw(self, side: str, world: int, model: int) -> Index:
        """Rows of one model, drawn afresh without replacement.

        Parameters
        ----------
        side : {"victim", "shadow"}
        world : int
            Position in the plan's `ratios`.
        model : int
            Number of the model in its world.

        Returns
        -------
        ndarray of int64, shape (rows,)
        """
        return self._take(side, self.plan.cells(world, self.plan.rows), self.model_seed(side, world, model))

    def draw_complement(self, side: str, world: int, model: int) -> Index:
        """As many further rows for a model, at the complementary ratio: the group's share is 1 - that of the world.

        Parameters
        ----------
        side, world, model
            As in `draw`.

        Returns
        -------
        ndarray of int64, shape (rows,)
            None of them is in the model's own draw.

        Raises
        ------
        ProtocolError
            If the pool has too few rows for both draws.
        """
        own = self.draw(side, world, model)
        cells = self.plan.cells(world, self.plan.rows, complement=True)
        both = cells + self.plan.cells(world, self.plan.rows)
        short = np.argwhere(both > self.cell_counts(side))
        if len(short):
            label, group = short[0]
            raise ProtocolError(
                f"rows={self.plan.rows} and as many at the complementary ratio need {both[label, group]} rows of "
                f"{self.plan.groups[group]!r} with label {self.plan.dataset.classes[label]!r}, and the {side} pool "
                f"has {self.cell_counts(side)[label, group]}; lower rows."
            )
        return self._take(side, cells, derived_seed(self.model_seed(side, world, model), 1), own)

    def model_seed(self, side: str, world: int, model: int) -> int:
        """What the rows, initial weights and batches of a model are a function of.

        Parameters
        ----------
        side, world, model
            As in `draw`.

        Returns
        -------
        int
        """
        return derived_seed(self.seed, 2, SIDES.index(side), world, model)

    def encode(self, side: str, rows: Index) -> NDArray[np.float32]:
        """Rows as the models of a side see them.

        Numbers are standardised, and frozen features of images and texts too, by the side's own part as a whole, so
        that the encoder says nothing about the ratio of a draw.

        Parameters
        ----------
        side : {"victim", "shadow"}
        rows : ndarray of int64, shape (n,)

        Returns
        -------
        ndarray of float32, shape (n, d)

        Raises
        ------
        DataUnavailableError, DataIntegrityError
            If pre-trained weights are needed and cannot be had.
        """
        if side not in self._encoders:
            self._encoders[side] = _encoder(self.plan.dataset.modality).fit(self._seen(self.parts[side]))
        encoded: NDArray[np.float32] = self._encoders[side].transform(self._seen(rows))
        return encoded.astype(np.float32, copy=False)

    def cell_counts(self, part: str) -> NDArray[np.int64]:
        """Rows of a part by label and group code.

        Parameters
        ----------
        part : str

        Returns
        -------
        ndarray of int64, shape (K, 2)
        """
        cells = 2 * self.label[self.parts[part]] + self.group[self.parts[part]]
        return np.bincount(cells, minlength=2 * self._classes).reshape(-1, 2).astype(np.int64)

    def overlap(self, *, complement: bool = False) -> float:
        """Largest share of a pool's cell of group and label that one draw takes.

        Two draws of one world share about this part of their rows of the cell. Where it is large, shadow models are
        told apart in part by rows that are peculiar to their pool, which victims do not share, and attacks look weaker
        than they are.

        Parameters
        ----------
        complement : bool, default False
            Of a draw and its complement together.

        Returns
        -------
        float
            Over both sides and all worlds.
        """
        taken = []
        for world in range(len(self.plan.ratios)):
            cells = self.plan.cells(world, self.plan.rows)
            if complement:
                cells = cells + self.plan.cells(world, self.plan.rows, complement=True)
            taken += [cells[cells > 0] / self.cell_counts(side)[cells > 0] for side in SIDES]
        return float(np.concatenate(taken).max())

    def _seen(self, rows: Index) -> Any:
        """Features of some rows, without the columns that state the attribute where models may not see it."""
        data = self.plan.dataset
        features = take_rows(data.features, rows)
        if data.modality != "tabular" or self.plan.include_attribute:
            return features
        return features.drop(columns=list(data.attribute_columns[self.plan.attribute]))

    def _require(self, parts: tuple[str, ...], rows: int, what: str) -> None:
        available = np.min([self.cell_counts(part) for part in parts], axis=0)
        for world, ratio in enumerate(self.plan.ratios):
            needed = self.plan.cells(world, rows)
            short = np.argwhere(needed > available)
            if len(short):
                label, group = short[0]
                most = largest_feasible(self.plan, available, rows)
                raise ProtocolError(
                    f"{what}={rows} at ratio {float(ratio):g} needs {needed[label, group]} rows of "
                    f"{self.plan.groups[group]!r} with label {self.plan.dataset.classes[label]!r}, and the {parts[-1]} "
                    f"pool has {available[label, group]}; with these ratios and label shares at most {most} are "
                    "feasible."
                )

    def _take(self, part: str, cells: Index, seed: int, without: Index | None = None) -> Index:
        """Rows of a part, as many of each cell as asked for, in random order."""
        rng = np.random.default_rng(seed)
        pool = self.parts[part]
        if without is not None:
            pool = pool[~np.isin(pool, without)]
        label, group = self.label[pool], self.group[pool]
        chosen = []
        for (y, a), wanted in np.ndenumerate(cells):
            cell = pool[(label == y) & (group == a)]
            chosen.append(rng.choice(cell, size=wanted, replace=False))
        return rng.permutation(np.concatenate(chosen))


def _encoder(modality: str) -> Any:
    if modality == "tabular":
        return TabularEncoder()
    if modality == "image":
        from fairbound.empirical.vision import MobileNetFeatures

        return make_pipeline(MobileNetFeatures(), StandardScaler())
    from fairbound.empirical.text import SentenceFeatures

    return make_pipeline(SentenceFeatures(), StandardScaler())
