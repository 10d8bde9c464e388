"""`python -m recipes.trace_mini`: how the embedded weights were made."""

import typer

from recipes.trace_mini.cli_composites import composites
from recipes.trace_mini.cli_pretrain import pretrain

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(composites)
app.command()(pretrain)

if __name__ == "__main__":
    app()
