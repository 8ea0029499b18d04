"""The books of equity: high-water marks, trading days, samples for the curve, profit and loss."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import ZERO
from fairlead._kernel.valuation import AccountValue, Valuer
from fairlead._models.accounts import Position, PositionKey, Profit
from fairlead._models.market import utc
from fairlead.facts import DayStarted, EquitySampled, FlowSettled, HighWaterMark
from fairlead.units import DAY, MINUTE

MARK_STEP = 0.0001
"""A high-water mark is recorded this much above the equity that made it, so that not every tick is a fact."""

_SAMPLES_A_STEP = 500


class EquityBooks:
    """Records what equity has been, so that limits measured from it survive a restart."""

    def __init__(self, recorder: Recorder, valuer: Valuer, schedule: Schedule, zones: dict[str, str]) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._valuer = valuer
        self._schedule = schedule
        self._zones = zones
        self._overdue: set[str] = set()

    def moved(self, value: AccountValue) -> None:
        """Equity of an account changed to a known figure."""
        if self._overdue and value.name in self._overdue:
            self._start_day(value.name)
        mark = value.state.high_water
        if mark is None or value.equity > mark:
            self._recorder.record(HighWaterMark, account=value.name, equity=value.equity * (1 + MARK_STEP))

    def settle(self, account: str) -> None:
        """Value the cash that came or went while there was no rate, as far as there is one now."""
        state = self._state.accounts[account]
        for currency, amount in list(state.unsettled.items()):
            rate = self._valuer.rate(currency, state.currency)
            if rate is not None:
                flow = float(amount) * rate
                self._recorder.record(
                    FlowSettled, account=account, currency=currency, amount=amount, flow=flow
                )
                self.flowed(account, flow)

    def flowed(self, account: str, flow: float) -> None:
        """Cash came or went that is nobody's profit."""
        value = self._valuer.accounts.get(account)
        if value is not None:
            value.flowed(flow)

    def start(self, account: str) -> None:
        """From now on, keep the days and the curve of an account."""
        self._day_later(account)
        self._sample_later(account)

    def _day_later(self, account: str) -> None:
        """Begin today unless it has begun, and look again at the next midnight."""
        if self._day(account) > self._state.accounts[account].day:
            self._start_day(account)
        due = next_day(self._zone(account), self._recorder.now)
        self._schedule(due, lambda: self._day_later(account), TIMER, DAY)

    def _start_day(self, account: str) -> None:
        """Begin the day, or as soon as equity is known; until then the day before is measured on."""
        equity = self._valuer.equity(account) if account in self._valuer.accounts else None
        if equity is None:
            if account not in self._overdue:
                self._overdue.add(account)
                self._begin_later(account)
            return
        self._overdue.discard(account)
        profits = tuple(
            (key.strategy, key.instrument, self.profit_of(position))
            for key, position in self._state.positions.items()
            if key.account == account and key.strategy
        )
        day = self._day(account)
        self._recorder.record(DayStarted, account=account, day=day, equity=equity, profits=profits)

    def _begin_later(self, account: str) -> None:
        """See each minute whether a day that is overdue can begin: a rate may be fresh again and equity not move."""
        self._schedule(self._recorder.now + MINUTE, lambda: self._begin(account), TIMER, 0)

    def _begin(self, account: str) -> None:
        if account in self._overdue:
            self._start_day(account)
        if account in self._overdue:
            self._begin_later(account)

    def _zone(self, account: str) -> str:
        return self._zones.get(account, "UTC")

    def _day(self, account: str) -> str:
        return utc(self._recorder.now).astimezone(ZoneInfo(self._zone(account))).date().isoformat()

    def _sample_later(self, account: str) -> None:
        """Every minute at first; the step doubles after each five hundred, so that a long run stays small."""
        step = MINUTE << (self._state.accounts[account].samples // _SAMPLES_A_STEP)
        due = self._recorder.now - self._recorder.now % step + step
        self._schedule(due, lambda: self._sample(account), TIMER, step)

    def _sample(self, account: str) -> None:
        value = self._valuer.accounts[account]
        if value.state.unsettled:  # its rate may be fresh again without having moved
            self._valuer.rebuild(account)
        if not value.missing:
            self._recorder.record(
                EquitySampled, account=account, equity=value.equity, drawdown=value.max_drawdown
            )
        self._sample_later(account)

    # --- profit and loss ------------------------------------------------------------------------------------

    def unrealised(self, position: Position) -> float:
        """Open profit of a position at its mark, in the settlement currency; 0.0 while it has no mark."""
        lane = self._valuer.lane(position.key.instrument)
        if not position.quantity or lane is None or not lane.mark:
            return 0.0
        instrument = lane.instrument
        return float(instrument.profit(position.quantity, position.average_price, Decimal(lane.mark)))

    def profit_of(self, position: Position) -> float:
        """Everything a position has earned, fees and funding taken off, as a float."""
        return float(position.realised - position.fees - position.funding) + self.unrealised(position)

    def earned(self, strategy: str, currency: str) -> float | None:
        """Everything a strategy has earned, in one currency; None while a rate is wanting."""
        total = 0.0
        for key, position in self._state.positions.items():
            if key.strategy == strategy:
                rate = self._valuer.rate(self._state.instruments[key.instrument].settle, currency)
                if rate is None:
                    return None
                total += self.profit_of(position) * rate
        return total

    def profit(
        self, *, account: str = "", strategy: str = "", instrument: str = "", currency: str = ""
    ) -> Profit:
        """Profit and loss over all positions that match; amounts are in their settlement currency.

        Positions that settle in another currency than `currency` (the first found, if it is empty) are left out:
        ask for each currency in turn.
        """
        realised = fees = funding = ZERO
        unrealised = before = 0.0
        for key, position in self._state.positions.items():
            if not key.strategy or not _matches(key, account, strategy, instrument):
                continue
            settle = self._state.instruments[key.instrument].settle
            currency = currency or settle
            if settle != currency:
                continue
            realised += position.realised
            fees += position.fees
            funding += position.funding
            unrealised += self.unrealised(position)
            before += self._state.day_profits.get(key, 0.0)
        today = float(realised - fees - funding) + unrealised - before
        return Profit(currency, realised, unrealised, fees, funding, today)


def next_day(zone: str, now: int) -> int:
    """When the day after `now` begins in an IANA zone, in ns."""
    tomorrow = utc(now).astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZoneInfo(zone))
    return int(midnight.timestamp()) * 1_000_000_000


def _matches(key: PositionKey, account: str, strategy: str, instrument: str) -> bool:
    return (
        (not account or key.account == account)
        and (not strategy or key.strategy == strategy)
        and (not instrument or key.instrument == instrument)
    )
