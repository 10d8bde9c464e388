"""Commands that take dataclasses: every field an option, with the help that the dataclass gives."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from trace_edges.cli.fields import Fields, attribute_help, command


@dataclass(frozen=True)
class Jam:
    """How jam is made.

    Attributes:
        fruit: what it is made of.
        sugar, pectin: grams; the first is the larger
            of the two.
        smooth: f(x) < 1. None: a colon later on.
        stirred: left out of the command.
    """

    fruit: Literal["plum", "quince"] = "plum"
    sugar: int = 500
    pectin: float | None = None
    smooth: bool = False
    stirred: bool = True

    def __post_init__(self) -> None:
        if self.sugar < 0:
            raise ValueError(f"sugar must be 0 or more, not {self.sugar}")


@pytest.fixture
def run():
    """Runs a command that prints the dataclass that it was given."""

    @command
    def cook(
        pot: Annotated[str, typer.Argument()],
        jam: Annotated[
            Jam, Fields("Jam", leave_out=("stirred",), flags={"sugar": ("--sugar", "--sweet")})
        ],
    ) -> None:
        """Cook."""
        typer.echo(f"{pot} {jam}")

    app = typer.Typer()
    app.command()(cook)
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


def test_fields_become_options_with_their_defaults(run):
    assert run("pan").stdout.strip() == f"pan {Jam()}"
    given = run("pan", "--fruit", "quince", "--sweet", 3, "--pectin", 1.5, "--smooth")
    assert given.stdout.strip() == f"pan {Jam('quince', 3, 1.5, True)}"
    assert run("pan", "--sugar", 3).stdout.strip() == f"pan {Jam(sugar=3)}"


def test_a_literal_refuses_what_it_does_not_list(run):
    refused = run("pan", "--fruit", "stone")
    assert refused.exit_code == 2
    assert "quince" in refused.stderr


def test_what_the_dataclass_refuses_is_one_line(run):
    refused = run("pan", "--sugar", -1)
    assert refused.exit_code == 1
    assert refused.stderr == "trace-edges: sugar must be 0 or more, not -1\n"


@pytest.mark.parametrize("option", ["--stirred", "--no-smooth"])
def test_what_is_left_out_is_no_option(run, option):
    assert run("pan", option).exit_code == 2


def test_help_is_what_the_dataclass_says():
    assert attribute_help(Jam) == {
        "fruit": "What it is made of.",
        "sugar": "Grams; the first is the larger of the two.",
        "pectin": "Grams; the first is the larger of the two.",
        "smooth": "f(x) < 1. None: a colon later on.",
        "stirred": "Left out of the command.",
    }


def test_the_help_of_the_command_shows_it(run):
    shown = run("--help").stdout
    assert "What it is made of." in shown
    assert "Default: a colon later on." in " ".join(shown.replace("│", " ").split())
