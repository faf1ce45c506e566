"""The site: `make docs`. Markdown by MyST, docstrings by autodoc; nothing is fetched."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import liveedit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from leaderboard import PLACE, PLACE_OF_QUOTED, leaderboard, quoted

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "liveedit"
author = copyright = "The liveedit authors"
version = release = liveedit.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
language = "en-GB"

html_theme = "furo"
html_title = "liveedit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["leaderboard.js"]
html_copy_source = html_show_sourcelink = False

myst_heading_anchors = 4  # the anchors that GitHub gives
myst_links_external_new_tab = False

# Single backticks in docstrings are code, as in Markdown.
default_role = "code"
highlight_language = "none"  # of blocks that name no language
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
add_module_names = False

# Every reference must lead somewhere. What has no page here:
nitpicky = True
nitpick_ignore_regex = [
    # names of other libraries: their indexes would have to be fetched
    (r"py:.*", r"(?!liveedit\b).*"),
]
nitpick_ignore = {
    # of ours, but not part of the public API: docstrings name them for those who read the source
    ("py:class", "liveedit.backbones.vision.ImageEncoder"),
    ("py:class", "liveedit.correction.images.SupportsArray"),
    ("py:class", "liveedit.store.index.Index"),
    ("py:class", "liveedit.store.log.EditLog"),
    ("py:class", "liveedit.store.log_reader.LogReader"),
    ("py:class", "liveedit.store.segmented_tensor.SegmentedTensor"),
    ("py:func", "liveedit.backbones.precision.fast_dtype"),
    ("py:func", "liveedit.correction.image_identity"),
    ("py:func", "liveedit.saving.fingerprint.weights_revision"),
    ("py:mod", "liveedit.backbones.sources"),
    ("py:mod", "liveedit.saving.fingerprint"),
    # documented under the name that is imported from liveedit
    ("py:func", "liveedit.backbones.registry.load_backbone"),
    # type variables
    *(
        (role, f"liveedit.methods.states.{name}")
        for role in ("py:class", "py:obj")
        for name in ("Change", "Features")
    ),
}

_ROOT = Path(__file__).resolve().parents[1]
# Files of the repository that are pages, too.
_PAGES = {
    "README.md": "/index.md",
    "CONTRIBUTING.md": "/contributing.md",
    "CHANGELOG.md": "/changelog.md",
    "results/emoji-edit/README.md": "/results.md",
    "results/photo-edit/README.md": "/results-photographs.md",
    "results/e-vqa/README.md": "/results-e-vqa.md",
    "results/e-ic/README.md": "/results-e-ic.md",
    "results/vlkeb/README.md": "/results-vlkeb.md",
}
_LINK = re.compile(r"(?P<text>\[[^][]*])\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def _on_the_site(text: str, folder: Path) -> str:
    """Links that hold in the repository, as links between pages.

    Args:
        text: Markdown.
        folder: Of the file it is in.
    """

    def moved(link: re.Match[str]) -> str:
        target = (folder / link["path"]).resolve()
        if not target.exists() or not target.is_relative_to(_ROOT):
            return link[0]  # MyST says that it leads nowhere
        path = PurePosixPath(target.relative_to(_ROOT))
        anchor = link["anchor"] or ""
        if str(path) in _PAGES:
            return f"{link['text']}({_PAGES[str(path)]}{anchor})"
        if path.is_relative_to("docs"):
            return f"{link['text']}(/{path.relative_to('docs')}{anchor})"
        return f"{link['text'][1:-1]} (`{path}`)"

    return _LINK.sub(moved, text)


def _page(app: Sphinx, name: str, source: list[str]) -> None:
    if name == "leaderboard":
        for path in (_ROOT / "results").glob("*/*/*.json"):
            app.env.note_dependency(str(path))
        source[0] = source[0].replace(PLACE, leaderboard(_ROOT / "results"))
        source[0] = source[0].replace(PLACE_OF_QUOTED, quoted())
    source[0] = _on_the_site(source[0], Path(app.env.doc2path(name)).parent)


def _included(app: Sphinx, path: Path, parent: str, source: list[str]) -> None:
    source[0] = _on_the_site(source[0], (Path(app.srcdir) / path).resolve().parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Have links rewritten as pages are read."""
    app.connect("source-read", _page)
    app.connect("include-read", _included)
    # results/ may have changed, of which Sphinx knows nothing
    app.connect("env-get-outdated", lambda *_: ["leaderboard"])
    return {"parallel_read_safe": True}
