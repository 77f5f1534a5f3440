"""Sphinx configuration of the documentation site, `make docs`; the source folder is that of the project."""

import importlib.metadata
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "Loss of plasticity"
release = importlib.metadata.version("lop")
language = "en-GB"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "pages",
]
root_doc = "docs/index"
include_patterns = ["*.md", "*/README.md", "lop/*/README.md", "docs/*.md", "docs/*/*.md", "docs/api/*.rst"]
exclude_patterns = [".*", "results", "figures", "data", "build", "docs/_*", "published/runs"]
templates_path = [str(DOCS / "_templates")]  # autosummary takes relative paths as those of the source folder
default_role = "py:obj"  # names in single backticks, as in the docstrings
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!lop\.).*")]  # names of other libraries, and words in backticks

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_render_markdown_format = "myst"

autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "Loss of plasticity"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "redirect.html"}
html_copy_source = False
html_show_copyright = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = False
