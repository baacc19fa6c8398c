"""Shadow and victim models of the distribution-inference game, hundreds at a time."""

from __future__ import annotations

from fairbound.empirical.shadows.bulk import BulkTraining, train_in_bulk
from fairbound.empirical.shadows.fair import BulkFineTuning, fine_tune_in_bulk
from fairbound.empirical.shadows.plan import DistributionInferencePlan, plan_distribution_inference
from fairbound.empirical.shadows.pools import Pools
from fairbound.empirical.shadows.recipes import Draws, EstimatorRecipe, MLPRecipe, Recipe, train_estimators
from fairbound.empirical.shadows.stacked import StackedMLPs
from fairbound.empirical.shadows.sweep import ShadowOutputs, run_shadows

__all__ = [
    "BulkFineTuning",
    "BulkTraining",
    "DistributionInferencePlan",
    "Draws",
    "EstimatorRecipe",
    "MLPRecipe",
    "Pools",
    "Recipe",
    "ShadowOutputs",
    "StackedMLPs",
    "fine_tune_in_bulk",
    "plan_distribution_inference",
    "run_shadows",
    "train_estimators",
    "train_in_bulk",
]
