from importlib import import_module

import pytest

from trace_edges import formats, instances


def test_the_name_of_0_1_forwards_and_warns():
    with pytest.warns(DeprecationWarning, match="is called trace_edges.instances now") as caught:
        from trace_edges.segmentation import seeds_from_masks
    assert [warning.filename for warning in caught] == [__file__]
    assert seeds_from_masks is instances.seeds_from_masks
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from trace_edges.segmentation import nothing  # noqa: F401
    with pytest.raises(ImportError, match="is not a package"):
        import trace_edges.segmentation.seeds  # noqa: F401


@pytest.mark.parametrize(
    ("old", "name"), [("export", "export_coco"), ("datasets", "open_ground_truth")]
)
def test_packages_that_became_formats_forward_too(old, name):
    module = import_module(f"trace_edges.{old}")
    with pytest.warns(DeprecationWarning, match=rf"trace_edges\.{old} is called trace_edges\.for"):
        found = getattr(module, name)
    assert found is getattr(formats, name)
