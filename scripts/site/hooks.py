"""What the documentation is given while `make docs` builds it: the commands, the changes, formulas.

Nothing is fetched: formulas become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[2]
_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\w$\\])\$([^$\n]+?)\$(?!\w)", re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")
_OTHER_NOTEBOOK = re.compile(r"\]\((\w+)\.ipynb\)")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """The notebooks become pages, with the output that is stored in them."""
    for notebook in sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")):
        text, resources = MarkdownExporter().from_filename(str(notebook))
        for name, image in resources["outputs"].items():
            own = f"{notebook.stem}-{name}"
            text = text.replace(name, own)
            files.append(File.generated(config, f"notebooks/{own}", content=image))
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md",
                                    content=_OTHER_NOTEBOOK.sub(r"](\1.md)", text)))  # fmt: skip
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The text of a page as it is built."""
    source = page.file.src_uri
    if source == "reference/commands.md":
        markdown += _commands()
    if source == "reference/changes.md":
        markdown = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    parts = _CODE.split(markdown)  # code stands at the odd places
    parts[::2] = [_formulas(_links(part, source)) for part in parts[::2]]
    return "".join(parts)


def _links(text: str, source: str) -> str:
    """Files of the repository outside of the documentation are named; the site has no copy."""
    docs = ROOT / "docs"

    def named(found: re.Match[str]) -> str:
        target = (docs / source).parent.joinpath(found[2]).resolve()
        if target.is_relative_to(docs):
            return found[0]
        return f"{found[1]} (`{target.relative_to(ROOT)}`)"

    return _LINK.sub(named, text)


def _formulas(text: str) -> str:
    def drawn(found: re.Match[str]) -> str:
        display = "block" if found[1] else "inline"
        return str(convert(found[1] or found[2], display=display))

    return _FORMULA.sub(drawn, text)


def _commands() -> str:
    """Every command with its help and options, as typer prints them for documentation."""
    module = [sys.executable, "-m", "typer", "trace_edges.cli", "utils", "docs"]
    done = subprocess.run([*module, "--name", "trace-edges"], capture_output=True, check=True)
    text = html.unescape(done.stdout.decode())
    moved = "pretrain|composites|evaluate ablation"  # hidden commands, which say where they went
    text = re.sub(rf"^#+ `trace-edges (?:{moved})`\n.*?(?=^#|\Z)", "", text, flags=re.M | re.S)
    text = re.sub(r"^\* `(pretrain|composites|ablation)`.*\n", "", text, flags=re.MULTILINE)
    top, group, below = text.partition("\n## `trace-edges evaluate`")
    text = _whole(top, text, "") + group + _whole(below, text, "evaluate ")
    return text.partition("\n")[2]  # the page has a title of its own


def _whole(part: str, text: str, group: str) -> str:
    """Lists of commands, which typer cuts, with the whole first paragraph of each help."""

    def full(found: re.Match[str]) -> str:
        said = re.search(rf"^#+ `trace-edges {group}{found[1]}`\n\n(.+?)\n\n", text, re.M | re.S)
        return f"* `{found[1]}`: {said[1]}" if said else found[0]

    return re.sub(r"^\* `([\w-]+)`: .*\.\.\.$", full, part, flags=re.MULTILINE)
