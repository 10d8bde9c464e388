"""What all commands share: names in what they print, and words of those that have moved."""

import pytest
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.cli.common import error, image_cell, printable


@pytest.mark.parametrize(
    ("words", "replacement"),
    [
        (["pretrain"], "python -m recipes.trace_mini pretrain"),
        (["composites"], "python -m recipes.trace_mini composites"),
        (["evaluate", "ablation"], "python -m benchmarks.ablation"),
    ],
)
def test_a_command_that_has_moved_says_where_to_in_one_line_and_fails(words, replacement):
    command = f"trace-edges {' '.join(words)}"
    message = f"trace-edges: {command} has moved: {replacement}, from a clone\n"
    for options in ([], ["plan.yaml", "--out", "a", "--quiet"], ["--help"]):
        result = CliRunner().invoke(app, [*words, *options])
        assert result.exit_code == 1
        assert result.stderr == message
    *group, name = words
    assert name not in CliRunner().invoke(app, [*group, "--help"]).stdout


def test_a_folder_in_the_place_of_a_file_is_answered_with_what_to_give(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [], "annotations": []}', encoding="utf-8")
    words = ["evaluate", "masks", str(tmp_path / "a.json"), "--against", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.stderr == f"trace-edges: {tmp_path}: is a folder; give a file\n"


def test_a_name_cannot_tell_the_terminal_what_to_do(capsys):
    assert image_cell({"image": "a\x1b[31m\nb.png"}) == r"a\x1b[31m\nb.png"
    error("a\x1b[31m.png is odd")
    assert capsys.readouterr().err == "trace-edges: a\\x1b[31m.png is odd\n"
    assert printable("Straße 東京.jpg") == "Straße 東京.jpg"
