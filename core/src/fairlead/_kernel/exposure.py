"""Worst-case exposure of an account and the margin it takes, cheap enough to be asked for at every order."""

from __future__ import annotations

from collections.abc import Callable

from fairlead._kernel.market import Lane, Market
from fairlead._kernel.state import AccountState, State, Working
from fairlead._models.accounts import Position, PositionKey
from fairlead._models.orders import OrderIntent, Side

_BUY, _SELL = Side.BUY, Side.SELL


class Row:
    """One instrument of one account: how long and how short it can get, in base units, as floats."""

    __slots__ = ("_position", "_working", "lane", "long", "most", "short")

    def __init__(self, lane: Lane, working: Working | None, position: Position | None) -> None:
        self.lane = lane
        self._working = working
        self._position = position
        self.refresh()

    def refresh(self) -> None:
        """Take over what is held and what may still fill."""
        working, position = self._working, self._position
        held = 0.0 if position is None else float(position.quantity)
        self.long, self.short = held, -held
        if working is not None:
            self.long += float(working.quantity(_BUY))
            self.short += float(working.quantity(_SELL))
        self.most = max(self.short, self.long)

    def most_with(self, extra: OrderIntent) -> float:
        """The most that there can be of it, long or short, one more order included."""
        working = self._working
        if extra.group and working is not None:  # of linked orders only the largest counts
            held = 0.0 if self._position is None else float(self._position.quantity)
            long = held + float(working.quantity(_BUY, extra))
            return max(float(working.quantity(_SELL, extra)) - held, long)
        if extra.side is _BUY:
            return max(self.short, self.long + float(extra.quantity))
        return max(self.short + float(extra.quantity), self.long)


class _Rows:
    """The rows of one account, as of the fact with number `seq`."""

    __slots__ = ("by_instrument", "count", "seq")

    def __init__(self, by_instrument: dict[str, Row], count: int, seq: int) -> None:
        self.by_instrument = by_instrument
        self.count = count
        self.seq = seq


class Exposures:
    """The rows of every account. Only facts change them, and only new instruments make new ones."""

    def __init__(self, state: State, market: Market, rate: Callable[[str, str], float | None]) -> None:
        self._state = state
        self._market = market
        self._rate = rate
        self._rows: dict[str, _Rows] = {}

    def worst(self, account: AccountState, extra: OrderIntent | None) -> tuple[float, float] | None:
        """The worst case of an account in its currency, one more order included; None without a mark or a rate.

        The second figure is the initial margin for it: each instrument's own, and none for spot, which is paid for.
        """
        if extra is not None and extra.replaces:
            extra = self._state.beyond(extra)
        new = "" if extra is None else extra.instrument
        rows = self._rows.get(account.name)
        if rows is None or rows.seq != self._state.seq or (new and new not in rows.by_instrument):
            rows = self._renew(account, rows, new)
        home = account.currency
        total = margin = 0.0
        for name, row in rows.by_instrument.items():
            worst = row.most if extra is None or name != new else row.most_with(extra)
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

    def prepare(self, account: AccountState) -> None:
        """Bring an account's rows up to date ahead of its next order."""
        rows = self._rows.get(account.name)
        if rows is not None and rows.seq != self._state.seq:
            self._renew(account, rows, "")

    def _renew(self, account: AccountState, rows: _Rows | None, instrument: str) -> _Rows:
        """An account's rows of this moment, one for `instrument` among them where it is not empty."""
        state = self._state
        count = len(account.working) + len(state.positions)
        if rows is None or rows.count != count or (instrument and instrument not in rows.by_instrument):
            rows = self._rows[account.name] = _Rows(self._make(account, instrument), count, state.seq)
            return rows
        for row in rows.by_instrument.values():
            row.refresh()
        rows.seq = state.seq
        return rows

    def _make(self, account: AccountState, instrument: str) -> dict[str, Row]:
        names = dict.fromkeys(account.working)
        for key in self._state.positions:
            if key.account == account.name and not key.strategy:
                names[key.instrument] = None
        if instrument:
            names[instrument] = None
        return {name: self._row(account, name) for name in names if name in self._market.lanes}

    def _row(self, account: AccountState, name: str) -> Row:
        lane = self._market.lanes[name]
        position = self._state.positions.get(PositionKey(account.name, name, ""))
        return Row(lane, account.working.get(name), position)
