"""What real money needs besides a broker, a stream and a breaker, and what of that was waived by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError

if TYPE_CHECKING:
    from fairlead._engine.engine import LiveTradingEngine

NEEDS = {
    "daily_loss": ("a daily-loss breaker", "DailyLoss('2%') in plugins"),
    "stale_data": ("a stale-data breaker", "StaleData(after='5s') in plugins"),
    "reconciler": ("a reconciler", "HaltOnMismatch() in plugins"),
    "stop_policy": ("a stop policy", "on_exit='leave', 'cancel' or 'flatten' of each strategy"),
}
"""What an engine needs to trade real money, by the word that waives it; in words; and what to give instead."""


class RefusesToStart(ConfigurationError):
    """It is composed well enough for a backtest and for paper, and not for real money."""

    refused = True


def waivers(given: str | Iterable[str]) -> tuple[str, ...]:
    """The waivers that were given. Raises ConfigurationError for what is no need."""
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if name not in NEEDS:
            raise ConfigurationError(
                f"waive={name!r}: nothing of this name can be waived: write of {', '.join(NEEDS)}"
            )
    return tuple(dict.fromkeys(names))


def at_risk(engine: LiveTradingEngine) -> list[str]:
    """The accounts that trade real money, or a testnet that is to be treated as if it were: with `live=True`."""
    kinds = ("live", "testnet") if engine.live else ("live",)
    return [name for name, broker in engine.wiring.brokers.items() if broker.profile.environment in kinds]


def wanting(engine: LiveTradingEngine) -> list[str]:
    """What real money needs and the engine has not, by its word, waived or not; nothing where no money is at risk."""
    return [need for need in NEEDS if at_risk(engine) and not _has(engine, need)]


def waived(engine: LiveTradingEngine) -> tuple[str, ...]:
    """The waivers that have an effect."""
    return tuple(need for need in wanting(engine) if need in engine.waive)


def missing(engine: LiveTradingEngine) -> list[str]:
    """What keeps it from a start, in words, each with its remedy."""
    return [
        f"{NEEDS[need][0]} is missing: give {NEEDS[need][1]}, or say waive={need!r}"
        for need in wanting(engine)
        if need not in engine.waive
    ]


def require(engine: LiveTradingEngine) -> None:
    """Raise RefusesToStart where something is missing that was not waived."""
    lacking = [need for need in wanting(engine) if need not in engine.waive]
    if lacking:
        what, remedy = (_listed([NEEDS[need][part] for need in lacking]) for part in (0, 1))
        names = ", ".join(repr(need) for need in lacking)
        raise RefusesToStart(
            f"{_listed(at_risk(engine))} trades real money without {what}: give {remedy}, or waive by name what you "
            f"do without, waive=({names}{',' * (len(lacking) == 1)})"
        )


def _has(engine: LiveTradingEngine, need: str) -> bool:
    if need == "reconciler":
        return bool(engine.wiring.reconcilers)
    if need == "stop_policy":
        return all(map(_says_on_exit, engine.strategies))
    return any(need in getattr(breaker, "guards", ()) for breaker in engine.wiring.breakers.values())


def _says_on_exit(strategy: Strategy) -> bool:
    """Whether it was decided what becomes of what a strategy leaves, and not only left at the default."""
    owners = type(strategy).__mro__
    return "on_exit" in vars(strategy) or any(
        "on_exit" in vars(owner) for owner in owners[: owners.index(Strategy)]
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
