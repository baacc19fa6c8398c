"""Errors that users meet, each naming the culprit and the remedy in one line."""

from __future__ import annotations


class FairboundError(ValueError):
    """Base of every error that fairbound raises on purpose."""


class AlphabetError(FairboundError):
    """A value lies outside the declared groups, labels or outputs, or the alphabets do not fit together."""


class CertificateError(FairboundError):
    """A certificate is malformed, too large, or does not prove what it claims."""


class CompositionError(FairboundError):
    """A composition or a composition pair is not a probability mass function of the needed form."""


class CountOverflowError(FairboundError):
    """More rows than a 64-bit float counts exactly (2**53)."""


class EmptyInputError(FairboundError):
    """The input has no rows."""


class FileFormatError(FairboundError):
    """A file cannot be read as what it should be."""


class LabelShiftError(FairboundError):
    """The two worlds' label marginals differ, so `Delta_EO * W` is no bound on the advantage (C1)."""


class LengthMismatchError(FairboundError):
    """Arrays that should describe the same rows have different lengths."""


class MissingCellError(FairboundError):
    """A (group, label) cell has no rows, so its rate, and equalized odds, are undefined."""


class MissingValueError(FairboundError):
    """A used column holds NULL, None or NaN."""


class MixedTypesError(FairboundError):
    """One column, or labels and predictions together, mix text and numbers."""


class NumberError(FairboundError):
    """A number is not finite, not rational, or outside its range."""


class ScoresError(FairboundError):
    """Predictions look like scores or probabilities where hard labels are needed."""


class SingleGroupError(FairboundError):
    """Fewer than two groups: there is no pair of populations to tell apart."""


class UnknownColumnError(FairboundError):
    """A named column does not exist in the table."""
