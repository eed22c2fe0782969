"""What MkDocs does besides Markdown: links into the repository, its README, and formulas.

The pages are written for a forge, where `../data/sources.csv` is a link to a file. The site has
pages alone. It copies the pictures that pages show; of other files it gives the path.
"""

import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
HOME = "README.md"
PICTURE = re.compile(r"(!\[[^\]]*\])\(\.\./([^)\s]+)\)")
OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./([^)\s#]+)(?:#[^)\s]*)?\)")
INTO_DOCS = re.compile(r"\]\(docs/([^)\s]*)\)")
BESIDE = re.compile(r"\]\((?!docs/|https?:|#)([^)\s]+)\)")
# code is left alone: the first alternative takes it
DISPLAYED = re.compile(r"(```.*?```|`[^`]*`)|\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(```.*?```|`[^`]*`)|\$([^$\n]+(?:\n[^$\n]+)?)\$", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures outside of docs that pages show."""
    for page in files.documentation_pages():
        for _, path in PICTURE.findall(Path(page.abs_src_path).read_text(encoding="utf-8")):
            if files.get_file_from_path(path) is None:
                files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page's Markdown as the site shows it."""
    if page.file.src_uri == HOME:
        markdown = f"{home((ROOT / HOME).read_text(encoding='utf-8'))}\n{markdown}"
    return formulas(within(markdown))


def home(readme: str) -> str:
    """Return the project's README with its links as seen from docs."""
    return INTO_DOCS.sub(r"](\1)", BESIDE.sub(r"](../\1)", readme))


def within(markdown: str) -> str:
    """Return Markdown whose pictures lie in the site, and with paths in place of other links."""
    shown = PICTURE.sub(r"\1(\2)", markdown)
    return OUTSIDE.sub(path_of, shown)


def path_of(link: re.Match[str]) -> str:
    """Return a link's text, and the path in the repository if the text does not say it."""
    text, path = link.groups()
    return text if path in text else f"{text} (`{path}`)"


def formulas(markdown: str) -> str:
    """Return Markdown with formulas as MathML, which browsers show without a script."""

    def displayed(found: re.Match[str]) -> str:
        code, formula = found.groups()
        return code or f'<div class="formula">{convert(formula.strip(), display="block")}</div>'

    def inline(found: re.Match[str]) -> str:
        code, formula = found.groups()
        # a line that begins with <math> would be a block
        return code or f"<span>{convert(' '.join(formula.split()))}</span>"

    return INLINE.sub(inline, DISPLAYED.sub(displayed, markdown))
