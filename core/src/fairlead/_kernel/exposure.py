"""Worst-case exposure of an account, cheap enough to be asked for at every order."""

from __future__ import annotations

from decimal import Decimal

from fairlead._kernel.market import Lane, Market
from fairlead._kernel.state import AccountState, State, Working
from fairlead._models.accounts import Position, PositionKey
from fairlead._models.orders import OrderIntent, Side

_BUY, _SELL = Side.BUY, Side.SELL


class Row:
    """One instrument of one account, as floats that are made anew only when their Decimals were replaced.

    `rate_of` names the currency to convert from, empty where the account is measured in it.
    """

    __slots__ = (
        "_buy",
        "_buys",
        "_held",
        "_position",
        "_sell",
        "_sells",
        "_signed",
        "_working",
        "inverse",
        "lane",
        "rate_of",
        "size",
    )

    def __init__(self, lane: Lane, working: Working | None, position: Position | None, rate_of: str) -> None:
        self.lane = lane
        self.rate_of = rate_of
        self.size = lane.instrument.size
        self.inverse = lane.instrument.inverse
        self._working = working
        self._position = position
        self._buy: Decimal | None = None
        self._sell: Decimal | None = None
        self._held: Decimal | None = None
        self._buys = self._sells = self._signed = 0.0

    def value(self, extra: OrderIntent | None, rate: float) -> float | None:
        """The most this instrument can come to at its mark, `extra` included; None without a mark."""
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
                self._buys = float(working.buy) if working.buy else 0.0
            if working.sell is not self._sell:
                self._sell = working.sell
                self._sells = float(working.sell) if working.sell else 0.0
            buys, sells = self._buys, self._sells
        if extra is not None:
            if extra.side is _BUY:
                buys += float(extra.quantity)
            else:
                sells += float(extra.quantity)
        # Of a position and what may fill on both sides the larger end counts; neither side is below zero.
        high, low = self._signed + buys, sells - self._signed
        worst = max(low, high)
        mark = self.lane.mark
        if not mark:
            return 0.0 if not worst else None
        return (worst * self.size / mark if self.inverse else worst * self.size * mark) * rate


class Exposures:
    """The rows of every account. New instruments make new rows; nothing else does."""

    def __init__(self, state: State, market: Market) -> None:
        self._state = state
        self._market = market
        self._rows: dict[str, tuple[int, dict[str, Row]]] = {}

    def rows(self, account: AccountState, instrument: str) -> dict[str, Row]:
        """An account's rows, one for `instrument` among them where it is not empty."""
        count = len(account.working) + len(self._state.positions)
        known = self._rows.get(account.name)
        if known is not None and known[0] == count and (not instrument or instrument in known[1]):
            return known[1]
        names = dict.fromkeys(account.working)
        for key in self._state.positions:
            if key.account == account.name and not key.strategy:
                names[key.instrument] = None
        if instrument:
            names[instrument] = None
        made = {name: self._row(account, name) for name in names if name in self._market.lanes}
        self._rows[account.name] = (count, made)
        return made

    def _row(self, account: AccountState, name: str) -> Row:
        lane = self._market.lanes[name]
        settle = lane.instrument.settle
        position = self._state.positions.get(PositionKey(account.name, name, ""))
        return Row(lane, account.working.get(name), position, "" if settle == account.currency else settle)
