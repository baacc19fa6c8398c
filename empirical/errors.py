"""Errors and warnings of the empirical room, each naming the culprit and the remedy in one line."""

from __future__ import annotations

from fairbound.bounds.errors import FairboundError


class UnknownDatasetError(FairboundError):
    """No data set of this name is registered."""


class DataUnavailableError(FairboundError):
    """A data set's files are not in the cache and could not be fetched."""


class DataIntegrityError(FairboundError):
    """A fetched file is not the pinned one, or does not hold the rows it must hold."""


class DatasetOptionError(FairboundError):
    """A data set has no such option, or an option no such value."""


class UnknownAttributeError(FairboundError):
    """A data set has no such sensitive attribute."""


class UnknownGroupError(FairboundError):
    """A sensitive attribute has no such group, or the two groups to compare are not determined."""


class TrainingInputError(FairboundError):
    """Rows, labels, groups or settings handed to an estimator do not fit together."""


class DivergedError(FairboundError):
    """Training left the finite numbers."""


class CheckpointError(FairboundError):
    """A checkpoint file is unreadable or belongs to another run."""


class ProtocolError(FairboundError):
    """The settings of the biased distribution protocol cannot be run on this data."""


class NearConstantWarning(UserWarning):
    """A fitted predictor gives nearly every row one label: its small disparity is no achievement."""


class RehearsalCappedWarning(UserWarning):
    """Fewer rehearsal rows exist than were asked for, so larger fractions would be the same run."""


class UnconstrainedCellWarning(UserWarning):
    """A (group, label) cell has no training rows, so the constraint says nothing about it."""
