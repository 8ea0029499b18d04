"""Worst-case exposure of an account and the margin it takes, cheap enough to be asked for at every order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from fairlead._kernel.market import Lane, Market
from fairlead._kernel.state import AccountState, State, Working
from fairlead._models.accounts import Position, PositionKey
from fairlead._models.orders import OrderIntent, Side

_BUY, _SELL = Side.BUY, Side.SELL
_NONE: tuple[int, dict[str, Row]] = (-1, {})


class Row:
    """One instrument of one account, as floats that are made anew only when their Decimals were replaced."""

    __slots__ = (
        "_buy",
        "_buys",
        "_held",
        "_position",
        "_sell",
        "_sells",
        "_signed",
        "_working",
        "lane",
    )

    def __init__(self, lane: Lane, working: Working | None, position: Position | None) -> None:
        self.lane = lane
        self._working = working
        self._position = position
        self._buy: Decimal | None = None
        self._sell: Decimal | None = None
        self._held: Decimal | None = None
        self._buys = self._sells = self._signed = 0.0

    def worst(self, extra: OrderIntent | None) -> float:
        """The most that there can be of it, long or short, `extra` included: in base units, not below zero."""
        working, position = self._working, self._position
        if position is not None and position.quantity is not self._held:
            self._held = position.quantity
            self._signed = float(position.quantity)
        if working is None:
            buys = sells = 0.0
        elif working.groups or (extra is not None and extra.group):
            buys, sells = float(working.quantity(_BUY, extra)), float(working.quantity(_SELL, extra))
            extra = None
        else:
            if working.buy is not self._buy:
                self._buy = working.buy
                self._buys = float(working.buy)
            if working.sell is not self._sell:
                self._sell = working.sell
                self._sells = float(working.sell)
            buys, sells = self._buys, self._sells
        if extra is not None:
            if extra.side is _BUY:
                buys += float(extra.quantity)
            else:
                sells += float(extra.quantity)
        long, short = self._signed + buys, sells - self._signed
        return max(short, long)


class Exposures:
    """The rows of every account. New instruments make new rows; nothing else does."""

    def __init__(self, state: State, market: Market, rate: Callable[[str, str], float | None]) -> None:
        self._state = state
        self._market = market
        self._rate = rate
        self._rows: dict[str, tuple[int, dict[str, Row]]] = {}

    def worst(self, account: AccountState, extra: OrderIntent | None) -> tuple[float, float] | None:
        """The worst case of an account in its currency, one more order included; None without a mark or a rate.

        The second figure is the initial margin for it: each instrument's own, and none for spot, which is paid for.
        """
        new = "" if extra is None else extra.instrument
        count, rows = self._rows.get(account.name, _NONE)
        if count != len(account.working) + len(self._state.positions) or (new and new not in rows):
            rows = self._make(account, new)
        home = account.currency
        total = margin = 0.0
        for name, row in rows.items():
            worst = row.worst(extra if name == new else None)
            if not worst:
                continue
            lane = row.lane
            mark = lane.mark
            if not mark:
                return None
            value = worst * lane.size / mark if lane.inverse else worst * lane.size * mark
            if lane.settle != home:
                rate = self._rate(lane.settle, home)
                if rate is None:
                    return None
                value *= rate
            total += value
            margin += value * lane.margin
        return total, margin

    def _make(self, account: AccountState, instrument: str) -> dict[str, Row]:
        """An account's rows, one for `instrument` among them where it is not empty."""
        names = dict.fromkeys(account.working)
        for key in self._state.positions:
            if key.account == account.name and not key.strategy:
                names[key.instrument] = None
        if instrument:
            names[instrument] = None
        made = {name: self._row(account, name) for name in names if name in self._market.lanes}
        self._rows[account.name] = (len(account.working) + len(self._state.positions), made)
        return made

    def _row(self, account: AccountState, name: str) -> Row:
        lane = self._market.lanes[name]
        position = self._state.positions.get(PositionKey(account.name, name, ""))
        return Row(lane, account.working.get(name), position)
