"""Data sets: a registry, one module per data set, and the sources that they are read from."""

from __future__ import annotations

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.registry import dataset_info, dataset_source, list_datasets, load_dataset
from fairbound.empirical.data.summary import summarise

__all__ = [
    "Dataset",
    "DatasetInfo",
    "dataset_info",
    "dataset_source",
    "list_datasets",
    "load_dataset",
    "summarise",
]
