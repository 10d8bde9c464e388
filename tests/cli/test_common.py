"""What all commands share: names in what they print."""

from typer.testing import CliRunner

from trace_edges.checks import printable
from trace_edges.cli import app
from trace_edges.cli.common import error, image_cell


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
