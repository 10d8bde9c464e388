"""`python -m trace_edges.cli`: the command, where the script is not on the path."""

from trace_edges.cli import main

main()
