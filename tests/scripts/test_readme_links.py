"""The README of the package: every link leads somewhere, also on an index."""

import re

import pytest

pytest.importorskip("hatchling", reason="pip install -e .[dev]")

from scripts.readme_links import ReadmeLinks, absolute
from tests.scripts.pages import ROOT

HOME = "https://example.org/trace-edges"


@pytest.mark.parametrize(("written", "shown"), [
    ("[it](docs/faq.md#a)", f"[it]({HOME}/blob/v1.2/docs/faq.md#a)"),
    ("[it](docs/how-to)", f"[it]({HOME}/blob/v1.2/docs/how-to)"),
    ("![a cup](docs/cup.jpg)", f"![a cup]({HOME}/raw/v1.2/docs/cup.jpg)"),
    ("[paper](https://arxiv.org/abs/2503.07982)", "[paper](https://arxiv.org/abs/2503.07982)"),
    ("[below](#how-good)", "[below](#how-good)"),
])  # fmt: skip
def test_relative_links_become_absolute_and_others_stay(written, shown):
    assert absolute(written, HOME + "/", "1.2") == shown


def readme(**metadata):
    metadata = {"version": "0.1.0", **metadata}
    ReadmeLinks(str(ROOT), {}).update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    return metadata["readme"]["text"]


def test_the_address_stands_in_one_place():
    """Without it, what hatchling gets is the README of the repository."""
    source = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme() == source
    links = re.findall(r"\]\(([^)\s]+)\)", readme(urls={"Repository": HOME}))
    assert len(links) > 15
    assert all(link.startswith("https://") for link in links)
    files = [link.split("/v0.1.0/")[1] for link in links if link.startswith(HOME)]
    assert all((ROOT / file.partition("#")[0]).exists() for file in files)
