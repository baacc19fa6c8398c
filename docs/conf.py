"""
Sphinx configuration.

The source folder is the repository, so that statements, results and notebooks are pages where they are, and links
between them are those that work in the repository too. Nothing generated is written beside the sources: `_generate.py`
completes pages while they are read.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "fairbound"
author = "The fairbound developers"
project_copyright = author
release = version = installed_version("fairbound")

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.py",
    "benchmarks/results/*.md",
    "proofs/*/statement.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [
    ".venv",
    ".git",
    "build",
    "results",
    "fairbound-demo",
    "docs/conf.py",
    "docs/_generate.py",
    "docs/_static",
    "docs/_templates",
    "**/__pycache__",
]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_nb", "_generate"]
source_suffix = {".md": "myst-nb", ".py": "myst-nb"}
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
# The tests run the notebooks; a build of the documentation needs no data, no kernel and no network.
nb_execution_mode = "off"
myst_heading_anchors = 3

python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"fairbound {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["fairbound.css"]
html_additional_pages = {"index": "to_first_page.html"}
templates_path = ["_templates"]
