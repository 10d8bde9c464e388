import pytest

from trace_edges import instances


def test_the_name_of_0_1_forwards_and_warns():
    with pytest.warns(DeprecationWarning, match="is called trace_edges.instances now") as caught:
        from trace_edges.segmentation import seeds_from_masks
    assert [warning.filename for warning in caught] == [__file__]
    assert seeds_from_masks is instances.seeds_from_masks
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from trace_edges.segmentation import nothing  # noqa: F401
    with pytest.raises(ImportError, match="is not a package"):
        import trace_edges.segmentation.seeds  # noqa: F401
