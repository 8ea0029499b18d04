"""How a command ends when it cannot do its work: one sentence on stderr, and an exit code that says which kind."""

from __future__ import annotations

from fairlead.errors import ConfigurationError, FairleadError, JournalDamaged, LeaseLost, PluginError

OK, FAULT, USAGE, DEGRADED, HALTED, REFUSED = 0, 1, 2, 3, 4, 5


class CommandFailed(Exception):
    """Ends a command with a sentence and a code."""

    def __init__(self, message: str, code: int = FAULT) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: FairleadError) -> int:
    """The exit code of an error that nothing more is known about."""
    if getattr(error, "refused", False) or isinstance(error, PluginError | LeaseLost | JournalDamaged):
        return REFUSED
    return USAGE if isinstance(error, ConfigurationError) else FAULT
