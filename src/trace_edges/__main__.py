"""`python -m trace_edges` is `trace-edges`, also where the command is not on the path."""

from trace_edges.cli import main

if __name__ == "__main__":
    main()
