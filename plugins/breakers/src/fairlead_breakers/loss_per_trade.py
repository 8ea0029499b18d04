"""The most that one open position may lose."""

from __future__ import annotations

from math import inf
from typing import Any

from fairlead import Money, Position
from fairlead.facts import Filled, FillReversed, StrategiesStarted
from fairlead.ports import Bar, Calm, Quote, Trade, Trip, View
from fairlead_breakers._latch import Act, Latch
from fairlead_breakers._shared import loss_limit, setting

_FACTS = (Filled, FillReversed, StrategiesStarted)


class LossPerTrade(Latch):
    """Trips an instrument on which a strategy's open position has lost more than `limit` at the mark.

    `limit` is a part of the entry price (`"5%"`, the default of LEAN's MaximumDrawdownPercentPerSecurity) or money in
    the currency in which the instrument settles. Scope: instrument. Evaluation: at each quote, trade and bar of it, the
    open profit only. Action: flatten, as in LEAN, of the whole instrument. Reset: by a person, unless `reset` says
    otherwise. It needs no memory: positions are folded from facts. Without a mark, or with a limit in another currency,
    it cannot tell and trips on the instrument when the position is opened.
    """

    wants = (Quote, Trade, Bar, *_FACTS)

    def __init__(
        self,
        limit: str | Money = "5%",
        *,
        action: Act = "flatten",
        reset: str = "manual",
        name: str = "LossPerTrade",
    ) -> None:
        super().__init__(name, action, reset)
        with setting(name, "limit"):
            part, self._money = loss_limit(limit)
        self._part = float(part)
        self._limit = str(self._money or limit)
        self._bands: dict[str, tuple[float, float]] = {}

    def watch(self, item: Any, view: View) -> Trip | None:
        """A price moved, or a position changed."""
        kind = type(item)
        if kind is Quote or kind is Trade or kind is Bar:
            if not self._bands:
                return None
            band = self._bands.get(item.instrument)
            return None if band is None else self._judge(item.instrument, band, view)
        super().watch(item, view)
        return self._rebuild(view) if isinstance(item, _FACTS) else None

    def calm(self, instrument: str, view: View) -> Calm:
        """Marks at which no position of it has lost too much."""
        low, high = self._bands.get(instrument, (0.0, inf))
        return Calm(low=low, high=high)

    def _judge(self, instrument: str, band: tuple[float, float], view: View) -> Trip | None:
        mark = view.mark(instrument)
        if mark is not None and band[0] <= mark <= band[1]:
            return None
        why = f"a position in {instrument} has lost more than {self._limit}: mark {mark}"
        return self._trip(why, f"instrument:{instrument}", view)

    def _rebuild(self, view: View) -> Trip | None:
        """Between which marks no position of an instrument has lost too much."""
        self._bands, foreign = {}, ""
        for account in view.accounts():
            for position in view.positions(account):
                name = position.key.instrument
                low, high = self._bands.get(name, (0.0, inf))
                worst = self._worst(position, view)
                if worst is None:
                    foreign = name
                elif position.quantity > 0:
                    self._bands[name] = (max(low, worst), high)
                else:
                    self._bands[name] = (low, min(high, worst))
        if not foreign:
            return None
        why = f"the limit of {self._limit} cannot be measured on {foreign}: write it in percent"
        return Trip(f"{why}, or in the currency it settles in", self._state, f"instrument:{foreign}")

    def _worst(self, position: Position, view: View) -> float | None:
        """The mark at which a position has lost just as much as it may; None where that cannot be told."""
        instrument = view.instrument(position.key.instrument)
        entry, sign = float(position.average_price), 1.0 if position.quantity > 0 else -1.0
        if self._money is None:
            return entry * (1 - sign * self._part)
        if instrument.settle != self._money.currency:
            return None
        lost = float(self._money.amount) / (abs(float(position.quantity)) * instrument.size)
        if not instrument.inverse:
            return entry - sign * lost
        rate = 1 / entry + sign * lost
        return 1 / rate if rate > 0 else inf
