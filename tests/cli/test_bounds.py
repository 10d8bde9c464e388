"""Every number of every command has bounds, and what leaves them is said in one line."""

import inspect
import typing

import pytest
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.cli.bounds import BOUNDS

VALUES = ("-1", "0", "nan", "inf", "-inf", "1000000000", "1e308")


def commands(group, path=()):
    for command in group.registered_commands:
        if not command.hidden:
            name = command.name or command.callback.__name__.replace("_", "-")
            yield (*path, name), inspect.signature(command.callback, eval_str=True).parameters
    for below in group.registered_groups:
        yield from commands(below.typer_instance, (*path, below.typer_instance.info.name))


def plain(parameter):
    """The types that an option takes, without None."""
    hint = typing.get_args(parameter.annotation)[0]
    return [one for one in (typing.get_args(hint) or (hint,)) if one is not type(None)]


def flag(parameter):
    declared = typing.get_args(parameter.annotation)[1].param_decls or ()
    return next((one for one in declared if one.startswith("--")),
                f"--{parameter.name.replace('_', '-')}")  # fmt: skip


def required(parameters):
    """Words for what a command cannot do without."""
    words = []
    for one in parameters.values():
        if one.default is inspect.Parameter.empty:
            first = plain(one)[0]
            value = first if isinstance(first, str) else "x"
            is_option = type(typing.get_args(one.annotation)[1]).__name__ == "OptionInfo"
            words += [flag(one), value] if is_option else [value]
    return words


COMMANDS = dict(commands(app))


def test_all_commands_are_seen():
    assert {("detect",), ("annotate",), ("evaluate", "edges"), ("distill",)} <= COMMANDS.keys()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_what_leaves_the_bounds_is_one_line(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for option in COMMANDS[path].values():
        if not {int, float} & set(plain(option)):
            continue
        low, high = BOUNDS[option.name]
        assert low >= 0, option.name
        assert high < float("inf"), option.name
        for value in VALUES:
            if float not in plain(option) and not value.lstrip("-").isdigit():
                continue  # which typer refuses in its own words
            if low <= float(value) <= high:
                continue
            words = [*path, *required(COMMANDS[path]), flag(option), value]
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 1, (words, result.output)
            (line,) = result.stderr.splitlines()
            name = option.name.replace("_", "-")
            assert line.startswith(f"trace-edges: --{name} must lie in [{low}, {high}], not ")
    assert not list(tmp_path.iterdir())
