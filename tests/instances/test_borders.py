import numpy as np

from trace_edges.instances.bgp import borders, merge_across_weak_borders


def test_lengths_and_edges_of_borders():
    labels = np.array([[1, 1, 2], [1, 1, 2], [3, 3, 0]], dtype=np.int32)
    cut = np.zeros((3, 3), dtype=bool)
    cut[0, 1] = True
    pairs, lengths, edges = borders(labels, cut)
    assert pairs.tolist() == [[1, 2], [1, 3]]  # 2 and 3 meet only in a corner
    assert lengths.tolist() == [2, 2]
    assert edges.tolist() == [1, 0]


def stripes(*shares):
    """Stripes of 10 rows, 4 columns each, and an edge on so many rows of each border."""
    labels = np.repeat(np.arange(1, len(shares) + 2), 4)[None].repeat(10, axis=0).astype(np.int32)
    cut = np.zeros(labels.shape, dtype=bool)
    for place, rows in enumerate(shares, 1):
        cut[:rows, 4 * place] = True
    return labels, cut


def test_a_border_stays_from_its_share_on():
    for rows, regions in ((10, 2), (8, 2), (7, 1), (0, 1)):
        assert len(np.unique(merge_across_weak_borders(*stripes(rows), 0.75))) == regions


def test_weak_borders_join_a_chain_and_strong_ones_do_not():
    merged = merge_across_weak_borders(*stripes(0, 10, 2), 0.75)
    assert len(np.unique(merged)) == 2
    assert merged[0, 0] == merged[0, 7] != merged[0, 8] == merged[0, 15]


def test_the_borders_of_merged_fragments_add_up():
    # 1 above 2 without an edge between them; 3 beside both, behind 9 + 0 of 10 + 2 edge pairs.
    # Alone the border of 2 and 3 is open; with that of 1 it is an edge for 3/4 of its length.
    labels = np.full((12, 8), 3, dtype=np.int32)
    labels[:10, :4], labels[10:, :4] = 1, 2
    cut = np.zeros((12, 8), dtype=bool)
    cut[:9, 4] = True
    assert len(np.unique(merge_across_weak_borders(labels, cut, 0.75))) == 2
    assert len(np.unique(merge_across_weak_borders(labels, cut, 0.76))) == 1
