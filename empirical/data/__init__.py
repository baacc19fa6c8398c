"""Data sets: a registry, one module per data set, and the sources that they are fetched from."""

from __future__ import annotations

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.registry import dataset_info, is_fetched, list_datasets, load_dataset

__all__ = ["Dataset", "DatasetInfo", "dataset_info", "is_fetched", "list_datasets", "load_dataset"]
