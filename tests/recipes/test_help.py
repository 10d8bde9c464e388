"""The commands of the recipe explain themselves as those of the package do."""

import re

import pytest
from typer.main import get_command

from recipes.trace_mini.__main__ import app

COMMANDS = get_command(app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained_and_there_is_an_example(name):
    for option in COMMANDS[name].params:
        if option.name != "help":
            assert re.match(r"[A-Z].*[.)]$", option.help or "", re.DOTALL), option.name
            assert not option.help.startswith(("Of ", "As ", "For ", "Not ")), option.name
    assert f"Example: python -m recipes.trace_mini {name} " in COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_out_has_a_letter(name):
    (out,) = (option for option in COMMANDS[name].params if option.name == "out")
    assert out.opts == ["--out", "-o"]
