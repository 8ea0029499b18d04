"""The exchange: its clock, markets and wallets, and the bus on which everybody hears what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import attrs
import msgspec

from fairlead import ConfigurationError, Instrument
from fairlead.ports import MarketEvent
from fairlead_venue.account import Account, BalanceEvent, Numbers, OrderEvent
from fairlead_venue.clock import VenueClock
from fairlead_venue.tape import BookChange, Tape


@attrs.frozen
class MarketMoved:
    """A market event, as listed here, and what it changed in the book."""

    event: MarketEvent
    tape: Tape
    change: BookChange | None


Event = OrderEvent | BalanceEvent | MarketMoved


class Exchange:
    """What all fronts have in common. It reads no clock but its own and opens nothing.

    Resting orders meet a market event before it is published.
    """

    def __init__(self, clock: VenueClock) -> None:
        self.clock = clock
        self.tapes: dict[str, Tape] = {}
        self.accounts: dict[str, Account] = {}
        self._homes: dict[str, list[str]] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self._numbers = Numbers()

    def open_account(
        self, name: str, cash: Mapping[str, Decimal], *, margined: bool = False, fees_in_base: bool = False
    ) -> Account:
        """A new wallet."""
        account = Account(
            name, cash, clock=self.clock, numbers=self._numbers, publish=self._publish, margined=margined,
            fees_in_base=fees_in_base,
        )  # fmt: skip
        self.accounts[name] = account
        return account

    def learn(self, instrument: Instrument, accounts: Iterable[str]) -> None:
        """List an instrument, or change its rules, in the wallets that trade it."""
        tape = self.tapes.get(instrument.id)
        if tape is None:
            self.tapes[instrument.id] = Tape(instrument)
        else:
            tape.instrument = instrument
        self._homes[instrument.id] = list(accounts)
        for name in self._homes[instrument.id]:
            self.accounts[name].learn(instrument)

    def change(self, name: str, rules: Mapping[str, Decimal]) -> None:
        """Change rules of a listed instrument. Raises TypeError for one that it has not."""
        self.learn(attrs.evolve(self.tapes[name].instrument, **rules), self._homes[name])  # type: ignore[arg-type]

    def listen(self, callback: Callable[[Event], None]) -> None:
        """Hear everything from now on, in the order in which it happens."""
        self._listeners.append(callback)

    def named(self, name: str) -> list[Instrument]:
        """What a feed means by a name: a listed long form, else a symbol, of which a plain pair is every product's.

        Raises ConfigurationError for a pair that is not listed.
        """
        if name in self.tapes:
            return [self.tapes[name].instrument]
        symbol = name.partition("@")[0]
        listed = [tape.instrument for tape in self.tapes.values()]
        pair = symbol.partition(":")[0]
        found = [
            instrument
            for instrument in listed
            if instrument.symbol == symbol or (":" not in symbol and _pair(instrument) == pair)
        ]
        if not found:
            known = ", ".join(self.tapes) or "nothing"
            raise ConfigurationError(f"{name!r} is not listed: there is {known}")
        return found

    def market(self, event: MarketEvent) -> None:
        """Match an event wherever its instrument is traded, then tell of it. Raises ConfigurationError."""
        for instrument in self.named(event.instrument):
            mine = msgspec.structs.replace(event, instrument=instrument.id)
            tape = self.tapes[instrument.id]
            change = tape.take(mine)
            for name in self._homes[instrument.id]:
                self.accounts[name].market(mine)
            self._publish(MarketMoved(mine, tape, change))

    def _publish(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def _pair(instrument: Instrument) -> str:
    return f"{instrument.base}/{instrument.quote}"
