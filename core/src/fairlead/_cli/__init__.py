"""The command line: `fairlead VERB …`. What a verb needs is imported when it is called."""

from __future__ import annotations


def main() -> None:
    """The entry point of the script `fairlead`; ends the process with one of the exit codes of `faults`."""
    from fairlead._cli.app import cli

    cli(prog_name="fairlead")
