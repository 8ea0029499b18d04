"""The sections of a configuration, and what stands behind each: the one place to add another."""

from __future__ import annotations

import attrs


@attrs.frozen
class Section:
    """A kind of table. `port` is what the plugins in it serve, empty for the engine and for strategies."""

    name: str
    purpose: str
    port: str = ""

    @property
    def heading(self) -> str:
        """How its tables are headed."""
        return "[engine]" if self.name == "engine" else f"[{self.name}.NAME]"


SECTIONS = {
    section.name: section
    for section in (
        Section(
            "engine",
            "The engine itself. `run` is the folder of the run, by default `runs/` and the first strategy's name below "
            'the current folder. `durability = "full"` survives a power cut, and not only the death of the process. '
            '`breakers = "none"` says that none are wanted. `busy_poll` spends a core on latency. `stop_within` is how '
            "long what is on its way may take to settle at the end. `waive` names what real money is to do without: "
            "`daily_loss`, `stale_data`, `reconciler`, `stop_policy`. `dead_man` is the time of dead-man switches, "
            'for all accounts or by broker, or "off". `profile` is the one in use where nothing else says so.',
        ),
        Section(
            "strategy",
            "What decides. `on_exit` is what becomes of what it leaves at the end: `leave`, `cancel` or `flatten`. The "
            "other keys are the arguments of the class.",
        ),
        Section("broker", "Where orders go: the accounts.", "broker"),
        Section("stream", "Where market data come from.", "stream"),
        Section("breaker", "What limits and stops.", "breaker"),
        Section(
            "reconcile",
            "What is done where an account's books and its venue differ: the first that answers decides.",
            "reconciler",
        ),
    )
}
"""By name, in the order in which they are documented."""

PROFILE = "profile"
"""`[profile.NAME]` holds the same sections once more, for one profile."""

STRATEGY_KEYS = ("use", "allocation", "on_exit")
"""The keys of a strategy's table that are not arguments of its class."""

PROFILE_KEY = "profile"
"""The key of `[engine]` that chooses the profile where nothing else does."""
