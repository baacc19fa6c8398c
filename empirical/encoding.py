"""From a data frame to a matrix of numbers."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fairbound.empirical.errors import TrainingInputError


class TabularEncoder(TransformerMixin, BaseEstimator):
    """Standardise numeric columns and one-hot encode categorical ones.

    Means and standard deviations come from the rows that `fit` sees, so fit on training rows only. The values of
    a categorical column are those that its dtype declares, so a value that the training rows lack has a column
    all the same. Columns whose dtype is not categorical must be numeric.

    Attributes
    ----------
    columns_ : list of str
        Input columns, in order.
    categories_ : dict from str to list of str
        Declared values of each categorical column.
    mean_, scale_ : ndarray of float64, shape (n_numeric,)
        Of the numeric columns; the scale of a constant column is 1.
    feature_names_out_ : list of str
        Names of the matrix' columns, e.g. ``age`` and ``race=Asian``.
    n_features_in_ : int
        Number of input columns.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn means, scales and categories.

        Parameters
        ----------
        X : pandas.DataFrame, shape (n_rows, n_columns)
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TrainingInputError
            If `X` is no data frame, has no rows, misses values, or has a column that is neither numeric nor
            categorical.
        """
        if not isinstance(X, pd.DataFrame) or len(X) == 0:
            raise TrainingInputError("TabularEncoder takes a pandas data frame with at least one row.")
        self.columns_ = list(X.columns)
        self.n_features_in_ = len(self.columns_)
        self.categories_ = {c: list(X[c].cat.categories) for c in self.columns_ if X[c].dtype == "category"}
        numbers = self._numbers(X)
        self.mean_ = numbers.mean(axis=0)
        deviation = numbers.std(axis=0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        self.feature_names_out_ = [c for c in self.columns_ if c not in self.categories_]
        self.feature_names_out_ += [f"{c}={v}" for c, values in self.categories_.items() for v in values]
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Encode rows.

        Parameters
        ----------
        X : pandas.DataFrame, shape (n_rows, n_columns)
            With at least the columns seen by `fit`.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_features_out)
            Numeric columns first. A category that `fit` did not declare is encoded as all zeros.

        Raises
        ------
        TrainingInputError
            If a column is absent or misses values.
        """
        check_is_fitted(self)
        absent = [c for c in self.columns_ if c not in X.columns]
        if absent:
            raise TrainingInputError(f"X lacks the column {absent[0]!r} on which the encoder was fitted.")
        parts = [(self._numbers(X) - self.mean_) / self.scale_]
        for column, values in self.categories_.items():
            if X[column].isna().any():
                raise TrainingInputError(f"Column {column!r} of X misses values; impute or drop those rows.")
            codes = pd.Index(values).get_indexer(pd.Index(X[column].astype(object)))
            parts.append(codes[:, None] == np.arange(len(values)))
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the matrix' columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str, shape (n_features_out,)
        """
        check_is_fitted(self)
        return np.array(self.feature_names_out_, dtype=object)

    def _numbers(self, X: pd.DataFrame) -> NDArray[np.float64]:
        names = [c for c in self.columns_ if c not in self.categories_]
        for name in names:
            if X[name].dtype.kind not in "fiub":
                raise TrainingInputError(
                    f"Column {name!r} of X is {X[name].dtype}; make it numeric or of categorical dtype."
                )
        numbers: NDArray[np.float64] = X[names].to_numpy(dtype=np.float64)
        if not np.isfinite(numbers).all():
            culprit = names[int(np.flatnonzero(~np.isfinite(numbers).all(axis=0))[0])]
            raise TrainingInputError(f"Column {culprit!r} of X misses values; impute or drop those rows.")
        return numbers
