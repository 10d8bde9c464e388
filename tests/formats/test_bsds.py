import numpy as np
import pytest
from scipy.io import savemat

from trace_edges.formats.bsds import read_bsds
from trace_edges.metrics.counts import edge_counts


def write(path, *annotators):
    cells = np.empty((1, len(annotators)), dtype=object)
    for n, annotator in enumerate(annotators):
        cells[0, n] = annotator
    savemat(path, {"groundTruth": cells})
    return path


def annotator(segmentation, boundaries):
    return {
        "Segmentation": np.array(segmentation, dtype=np.uint16),
        "Boundaries": np.array(boundaries, dtype=np.uint8),
    }


def test_every_annotator_is_read(tmp_path):
    first = annotator([[1, 1, 2], [1, 1, 2]], [[0, 1, 0], [0, 1, 0]])
    second = annotator([[1, 300, 300], [1, 1, 1]], [[1, 0, 0], [0, 1, 1]])
    read = read_bsds(write(tmp_path / "a.mat", first, second))
    assert [segments.labels.tolist() for segments in read] == [
        [[1, 1, 2], [1, 1, 2]],
        [[1, 300, 300], [1, 1, 1]],
    ]
    assert read[1].boundaries.tolist() == [[True, False, False], [False, True, True]]
    assert not any(segments.void.any() for segments in read)


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"other": 1})
    with pytest.raises(ValueError, match=r"a\.mat: holds no annotation in `groundTruth`"):
        read_bsds(path)
    write(path, {"Boundaries": np.zeros((2, 3))})
    with pytest.raises(ValueError, match=r"a\.mat: .*\(.*Segmentation.*\); every cell needs"):
        read_bsds(path)
    write(path, annotator(np.zeros((2, 3)), np.zeros((3, 2))))
    with pytest.raises(ValueError, match=r"a\.mat: .*one size"):
        read_bsds(path)
    path.write_bytes(b"no matrix")
    with pytest.raises(ValueError, match=r"a\.mat: cannot be read"):
        read_bsds(path)
    with pytest.raises(ValueError, match=r"lost\.mat: there is no such file"):
        read_bsds(tmp_path / "lost.mat")


def test_what_was_drawn_is_found_by_itself(tmp_path):
    """MATLAB's matrices lie in memory by columns, and the matching must not mind."""
    drawn = np.zeros((20, 30), dtype=np.uint8)
    drawn[5:15, 12] = 1
    [read] = read_bsds(write(tmp_path / "a.mat", annotator(1 + drawn, drawn)))
    counts = edge_counts(drawn.astype(np.float32), [read.boundaries])
    assert counts.recall.tolist() == counts.precision.tolist() == [1] * 99
