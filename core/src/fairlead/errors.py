"""Everything fairlead raises, as one tree.

FairleadError
├── ConfigurationError      what the user composed or wrote cannot run: fix it and start again
├── PluginError             a plugin failed; carries the plugin's name and its distribution
├── ConnectivityError       a venue, feed or busy engine could not be reached: the outcome may be unknown
├── VenueError              a venue answered "no"; carries the venue's own code
├── JournalError            the journal cannot be written or read
│   └── JournalDamaged      what was read is not what was written
├── LeaseLost               another engine owns the account now
└── InvariantViolation      the engine's own books contradict each other: trading halts

Exceptions are for configuration, plugins, connecting and invariants. A refused order, a rejected
order or a tripped breaker is never an exception: those are values, reports and facts.
"""

from __future__ import annotations


class FairleadError(Exception):
    """Base of every error that fairlead raises on purpose."""


class ConfigurationError(FairleadError):
    """The composition, a setting or an input file is wrong; the message names culprit, rule and remedy."""


class PluginError(FairleadError):
    """A plugin failed to load, to register or to do its work.

    `plugin` is its name, `distribution` the installed package it came from ("" for a user's own object).
    """

    def __init__(self, message: str, *, plugin: str = "", distribution: str = "") -> None:
        super().__init__(message)
        self.plugin = plugin
        self.distribution = distribution


class ConnectivityError(FairleadError):
    """A venue or a feed could not be reached, or went away; nothing is known of what was in flight.

    Also a running engine that does not answer another thread in time; its message says what became of the request.
    """


class VenueError(FairleadError):
    """A venue refused a request outside the order path; `code` is the venue's own."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class JournalError(FairleadError):
    """The journal cannot be opened, written or read."""


class JournalDamaged(JournalError):
    """A record fails its checksum, the chain of checksums or its sequence before the end of the journal."""


class LeaseLost(FairleadError):
    """The account's lease is held by another engine."""


class InvariantViolation(FairleadError):
    """The engine's books contradict themselves; trading halts rather than guess."""
