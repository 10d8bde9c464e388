"""The README as a package index shows it: with absolute links, since an index follows no others.

hatchling calls this when it builds the package. The address comes from `Repository` in
`[project.urls]` of pyproject.toml, and from nowhere else; without it the links stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)(\[(?:[^\[\]]|\[[^\]]*\])*\])\((?!https?:|#|mailto:)([^)\s]+)\)")


def absolute(text: str, address: str, version: str) -> str:
    """Markdown whose relative links lead to the files of this version, and pictures to their data.

    Args:
        address: of the repository, as GitHub and GitLab lay it out.
    """

    def link(found: re.Match[str]) -> str:
        picture, label, path = found.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}{label}({address.rstrip('/')}/{kind}/v{version}/{path})"

    return _LINK.sub(link, text)


class ReadmeLinks(MetadataHookInterface):
    """`[tool.hatch.metadata.hooks.custom]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Give the README to hatchling."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if address := metadata.get("urls", {}).get("Repository"):
            text = absolute(text, address, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
