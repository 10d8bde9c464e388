"""All commands are alike: one option has one name, default and meaning, and every help explains."""

import inspect
import re
import shlex
from collections import defaultdict

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from trace_edges.cli import app

# Options whose default differs between commands, and why.
DEFAULTS = {
    "to": "annotate stores results in containers; export must be told the format",
    "format": "edges have one; masks are written in further ones, or in none",
    "out": "what is written differs: a folder, one file, or nothing",
    "split": "a data set of annotate may have no splits; VOC always has them",
    "seed": "distill has seeds in its configs",
    "shift": "distill has shifts in its configs",
    "workers": "annotate needs one process to decode; evaluate divides its images",
}
# And those whose help differs: what they say is true of one command only.
HELPS = {"out", "json", "format", "from", "to", "categories", "images", "split", "seed", "shift",
         "workers", "device", "steps", "dtype", "offload", "vae-tiling", "backbone"}  # fmt: skip


def walk(command, *words):
    """Every command that does something, with the words that call it."""
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in command.commands.items():
        if not inner.hidden:
            yield from walk(inner, *words, name)


ALL = dict(walk(get_command(app)))


def options(command):
    return [one for one in command.params if one.param_type_name == "option" and one.name != "help"]


def by_name():
    found = defaultdict(dict)
    for words, command in ALL.items():
        for option in options(command):
            found[option.opts[0].removeprefix("--")][words] = option
    return found


each = pytest.mark.parametrize("words", ALL, ids=" ".join)


def test_there_are_commands():
    assert len(ALL) == 18


@each
def test_a_help_says_what_every_option_does(words):
    for option in (*options(ALL[words]), *ALL[words].params):
        if option.name != "help":
            assert re.match(r"[A-Z].*[.)]$", option.help or "", re.DOTALL), option.name
            assert not option.help.startswith(("Of ", "As ", "For ")), option.name


@each
def test_a_help_has_one_example_which_is_parsed(words):
    (example,) = re.findall(r"Example: (trace-edges .*)", ALL[words].help)
    given = shlex.split(example)
    assert tuple(given[1 : 1 + len(words)]) == words
    ALL[words].make_context("trace-edges", given[1 + len(words) :]).close()


@each
def test_paragraphs_of_a_help_are_wrapped_at_the_width_of_the_terminal(words):
    """And not where the lines of the docstring end."""
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "1000"}).stdout
    for paragraph in inspect.cleandoc(ALL[words].help).split("\n\n"):
        assert " ".join(paragraph.replace("`", "").split()) in shown


@each
def test_many_options_stand_in_panels(words):
    loose = [one.name for one in options(ALL[words]) if one.rich_help_panel is None]
    assert len(loose) <= 8, loose


@each
def test_a_command_prints_json(words):
    assert "json" in [option.name for option in options(ALL[words])]


@each
def test_a_command_that_writes_files_may_be_quiet(words):
    names = [option.name for option in options(ALL[words])]
    assert (
        "quiet" in names or words[0] in ("backbones", "doctor", "explore") or words[-1] == "check"
    )


@pytest.mark.parametrize("name", sorted(by_name()))
def test_an_option_is_the_same_in_every_command(name):
    found = by_name()[name]
    assert len({tuple(one.opts) for one in found.values()}) == 1, "its names differ"
    assert len({one.is_flag for one in found.values()}) == 1, "it is a switch in some only"
    if name not in DEFAULTS:
        assert len({repr(one.default) for one in found.values()}) == 1, "its default differs"
    if name not in HELPS:
        assert len({one.help for one in found.values()}) == 1, "its help differs"


def test_version_is_printed():
    assert re.fullmatch(r"trace-edges \d+\.\d+\.\d+\n", CliRunner().invoke(app, "--version").stdout)
