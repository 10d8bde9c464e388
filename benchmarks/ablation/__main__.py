"""`python -m benchmarks.ablation`: settings of the method compared on the same photographs."""

import typer

from benchmarks.ablation.cli import ablation

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(ablation)

if __name__ == "__main__":
    app()
