"""Errors of the SPIN package, each naming the culprit and the remedy in one line."""

from __future__ import annotations

from fairbound.bounds.errors import FairboundError


class LanguageModelError(FairboundError):
    """A language model cannot be loaded, or lacks what a step needs."""


class SampleError(FairboundError):
    """A prompt and response pair cannot be used."""


class ScoreFileError(FairboundError):
    """A file of importance scores is unreadable, or does not fit another one."""


class SelectionError(FairboundError):
    """Ratios, rules or scores that select no weight, or none that can be."""


class EditFileError(FairboundError):
    """An edit file is damaged, too large, or was made for other weights."""


class JudgeError(FairboundError):
    """A judge cannot be made, or verdicts of different judges are mixed."""
