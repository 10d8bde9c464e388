"""What all commands share: those that have moved say where to."""

import pytest
from typer.testing import CliRunner

from trace_edges.cli import app


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
