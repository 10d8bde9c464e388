"""A path that leads nowhere is answered before anything is imported that takes seconds."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from trace_edges.cli import app

COMMANDS = [
    ("detect", "lost.jpg", "--out", "out"),
    ("segment", "lost.jpg", "--out", "out"),
    ("refine", "lost.json", "edges", "--out", "out.json"),
    ("panoptic", "lost", "edges", "--out", "out", "--categories", "voc"),
    ("explain", "lost.jpg"),
    ("annotate", "lost", "out", "--task", "edges"),
    ("distill", "lost", "--out", "out"),
]

RUN = """
import sys
from trace_edges.cli import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = sorted({"torch", "diffusers", "transformers"} & set(sys.modules))
print(code, heavy)
"""


def test_an_image_in_the_place_of_a_command_is_answered_with_what_to_type():
    done = subprocess.run([sys.executable, "-c", RUN, "photo.JPG"], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "2 []"
    assert "trace-edges detect photo.JPG" in done.stderr


def test_a_value_that_is_none_of_the_choices_is_answered_with_them():
    result = CliRunner().invoke(app, ["segment", "photos", "--find", "foo"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "Invalid value for '--find': 'foo' is not one of 'objects', 'areas'" in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_mistyped_path_costs_no_import(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "1 []"
    lost = command[1]
    message = f"trace-edges: {lost}: there is no such file or folder; check the path\n"
    assert done.stderr == message
    assert not (tmp_path / "out").exists()
