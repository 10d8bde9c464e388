"""`trace-edges explain`: the sheet, and what is refused before work begins."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app


@pytest.mark.parametrize("name", ["s.txt", "s", "s.xcf", "s.png.part"])
def test_a_sheet_that_nothing_can_write_is_refused_before_the_model_is_looked_for(name, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((64, 64, 3), dtype=np.uint8)).save(photo)
    words = ["explain", str(photo), "--out", str(tmp_path / name), "--backbone", "nowhere"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert f"{name} is not the name of an image: give one that ends in .png" in result.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["photo.png"]


def test_explain_draws_a_sheet(photos, tmp_path):
    sheet = tmp_path / "sheet.png"
    words = ["explain", str(photos / "coins.png"), "--out", str(sheet), "--resolution", "64"]
    result = CliRunner().invoke(app, [*words, "--subcell", "1"])
    assert result.exit_code == 0, result.output
    assert "t* =" in result.stdout
    with Image.open(sheet) as image:
        assert min(image.size) > 1000
