import pickle

from trace_edges.formats.findings import Finding, GroundTruthError, refusal


def test_an_error_is_the_line_of_its_finding():
    error = refusal("a.png", "is of two\nlines", "write one")
    assert isinstance(error, ValueError)
    assert str(error) == "a.png: is of two lines; write one"
    assert error.finding == Finding("a.png", "is of two\nlines", "write one", "error")


def test_an_error_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(refusal("a.png", "is bad", "mend it")))
    assert isinstance(error, GroundTruthError)
    assert error.finding.mend == "mend it"
