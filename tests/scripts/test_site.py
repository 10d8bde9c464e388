"""Links of the site: within the documentation they stay links, others name the file."""

import pytest

pytest.importorskip("latex2mathml", reason="pip install -e .[docs]")

from scripts.site.hooks import _links


@pytest.mark.parametrize(("page", "written", "shown"), [
    ("how-to/gpu.md", "[Memory](../backbones.md#memory)", "[Memory](../backbones.md#memory)"),
    ("reference/files.md", "[it](../annotate.md)", "[it](../annotate.md)"),
    ("index.md", "[it](tutorial.md)", "[it](tutorial.md)"),
    ("trust.md", "[faults](../SECURITY.md)", "faults (`SECURITY.md`)"),
    ("how-to/gpu.md", "[code](../../src/trace_edges/memory.py)",
     "code (`src/trace_edges/memory.py`)"),
])  # fmt: skip
def test_a_link_is_kept_where_the_site_has_the_page(page, written, shown):
    assert _links(written, page) == shown
