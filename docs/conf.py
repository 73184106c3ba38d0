"""The site: `make docs` builds it from the pages of this folder and those that `pages.py` writes out of the project itself."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import pages  # noqa: E402

project = "Arrears"
author = "The Arrears authors"
html_title = "Arrears"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "sources.md"]  # whose sections are pages of their own
html_theme = "furo"
html_show_sphinx = False
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
suppress_warnings = ["myst.xref_missing", "toc.empty_glob"]  # links of README and CONTRIBUTING lead into the repository

pages.write(HERE / "generated")
