"""The notebooks run as they stand, and were saved with their output."""

from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"
RUNNING = sorted(NOTEBOOKS.glob("[1-4]_*.ipynb"))  # the fifth needs a GPU and downloads a model


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert len(RUNNING) == 4
    assert len(list(NOTEBOOKS.iterdir())) == 5


@pytest.mark.parametrize("path", RUNNING, ids=lambda path: path.stem)
def test_a_notebook_was_saved_with_its_output_and_nothing_of_this_machine(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code(notebook)] == [*range(1, len(code(notebook)) + 1)]
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)
    text = path.read_text(encoding="utf-8")
    assert "/tmp/" not in text
    assert "/home/" not in text


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", RUNNING, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, 4)
    client = nbclient.NotebookClient(
        notebook, timeout=800, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()  # raises where a cell does
