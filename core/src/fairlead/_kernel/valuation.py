"""What an account is worth at the marks of this moment, kept up to date mark by mark."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf

from fairlead._kernel.exposure import Exposures
from fairlead._kernel.market import Lane, Market
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import AccountState
from fairlead._models.instrument import Contract, Instrument
from fairlead._models.orders import OrderIntent, Side
from fairlead.ports import Allowance

RATE_AGE_NS = 300_000_000_000
"""A conversion rate older than this (or than two of its own bars) is no rate."""

_BUY = Side.BUY


class _Part:
    """One part of equity that depends on one mark: `factor × mark + offset` (inverse: `factor ÷ mark + offset`)."""

    __slots__ = ("_account", "factor", "inverse", "offset", "rate", "value")

    def __init__(
        self, account: AccountValue, factor: float, offset: float, rate: float, *, inverse: bool
    ) -> None:
        self._account = account
        self.factor = factor
        self.offset = offset
        self.rate = rate
        self.inverse = inverse
        self.value = 0.0

    def at(self, mark: float) -> float:
        """Its value at a mark, in the account's currency."""
        return ((self.factor / mark if self.inverse else self.factor * mark) + self.offset) * self.rate

    def revalue(self, mark: float) -> None:
        """The mark moved. While equity stays inside the quiet band, nobody needs to hear of it."""
        value = ((self.factor / mark if self.inverse else self.factor * mark) + self.offset) * self.rate
        account = self._account
        equity = account.equity = account.equity + value - self.value
        self.value = value
        if not account.quiet_low < equity < account.quiet_high:
            account.moved()


class AccountValue:
    """Equity of one account as a float in its currency.

    `missing` names the prices that are wanting: while it is not empty, equity is unknown. `peak` and
    `max_drawdown` (a ratio) are exact for as long as this engine has run. While equity stays between `quiet_low`
    and `quiet_high` nothing can happen that anybody waits for: no new peak or trough, no breaker's limit. `band` is
    the part of it that the breakers' limits leave.
    """

    def __init__(self, state: AccountState, watchers: Callable[[str], tuple[float, float]]) -> None:
        self.state = state
        self.name = state.name
        self.equity = 0.0
        self.missing: tuple[str, ...] = ()
        self.rates: tuple[Lane, ...] = ()
        self.peak = 0.0
        self.max_drawdown = 0.0
        self.quiet_low = inf
        self.quiet_high = -inf
        self._floor = 0.0
        self.band = (inf, -inf)
        self._watchers = watchers
        self.subscriptions: list[tuple[Lane, Callable[[float], None]]] = []

    def moved(self) -> None:
        """Equity changed: follow the peak and the deepest fall, then tell those who watch it."""
        if self.missing:
            return
        equity = self.equity
        if equity > self.peak:
            self.peak = equity
            self._floor = equity * (1 - self.max_drawdown)
        elif equity < self._floor and self.peak > 0:
            self.max_drawdown = 1 - equity / self.peak
            self._floor = equity
        low, high = self.band
        if not low < equity < high:
            low, high = self.band = self._watchers(self.name)
        self.quiet_low, self.quiet_high = max(self._floor, low), min(self.peak, high)

    def flowed(self, flow: float) -> None:
        """Cash came or went that is nobody's profit: what equity is measured against moves with it."""
        if self.peak:
            self.peak += flow
            self._floor = self.peak * (1 - self.max_drawdown)

    def listen(self) -> None:
        """What somebody waits for has changed: the next move is told, whatever it is."""
        self.band = (inf, -inf)
        self.quiet_low, self.quiet_high = inf, -inf


class Valuer:
    """Values every account, converting through the marks of instruments only.

    Cash that came or went while it could not be valued leaves equity unknown. `settle` is asked to value it, whenever
    an account is worked out.
    """

    def __init__(self, recorder: Recorder, market: Market, equivalents: frozenset[frozenset[str]]) -> None:
        state = recorder.state
        self._recorder = recorder
        self._state = state
        self._market = market
        self._equivalents = equivalents
        self.accounts: dict[str, AccountValue] = {}
        self.watchers: Callable[[str], tuple[float, float]] = _nobody
        self.settle: Callable[[str], None] = lambda _: None
        self._exposures = Exposures(state, market, self.rate)
        self._asked: tuple[OrderIntent | None, int, tuple[float, float] | None] = (None, -1, None)
        self._sources: dict[tuple[str, str], tuple[tuple[Lane, bool], ...]] = {}
        self._version = -1

    def rebuild(self, name: str) -> None:
        """Work an account out afresh: its cash, holdings or the instruments changed."""
        account = self._state.accounts[name]
        if account.unsettled:
            self.settle(name)
        value = self.accounts.get(name)
        if value is None or value.state is not account:
            value = self.accounts[name] = AccountValue(account, self._watch)
        for lane, sink in value.subscriptions:
            lane.detach("mark", sink)
        rates: list[Lane] = []
        missing: list[str] = []
        value.subscriptions, value.equity = [], 0.0
        for currency, amount in account.balances.items():
            self._add_cash(value, currency, float(amount), rates, missing)
        for key, position in self._state.positions.items():
            if key.account != name or key.strategy or not position.quantity:
                continue
            instrument = self._state.instruments[key.instrument]
            if not instrument.spot:
                self._add_position(
                    value, instrument, position.quantity, position.average_price, rates, missing
                )
        for currency, amount in account.unsettled.items():
            missing.append(f"no rate yet for {amount:,f} {currency} that came or went")
            self._wait_for_rate(value, currency)
        value.rates, value.missing = tuple(rates), tuple(missing)
        value.listen()
        value.moved()

    def defined(self, *, new: bool) -> None:
        """An instrument is new, so it may be the rate that some account waits for; or its rules are."""
        for name, value in self.accounts.items():
            if value.missing or not new:
                self.rebuild(name)

    def _watch(self, name: str) -> tuple[float, float]:
        return self.watchers(name)

    def _add_cash(
        self, value: AccountValue, currency: str, amount: float, rates: list[Lane], missing: list[str]
    ) -> None:
        home = value.state.currency
        if self.same(currency, home) or not amount:
            value.equity += amount
            return
        lane, inverse = self._rate_lane(currency, home)
        if lane is None:
            missing.append(f"no rate from {currency} to {home}")
            return
        if not lane.mark:
            missing.append(f"no price of {lane.id}")
            self._wait_for_rate(value, currency)
            return
        rates.append(lane)
        self._subscribe(value, lane, _Part(value, amount, 0.0, 1.0, inverse=inverse), missing)

    def _add_position(
        self,
        value: AccountValue,
        instrument: Instrument,
        quantity: Decimal,
        entry: Decimal,
        rates: list[Lane],
        missing: list[str],
    ) -> None:
        lane = self._market.lane(instrument)
        size = float(quantity * instrument.contract_size)
        if instrument.contract is Contract.INVERSE:
            part = _Part(value, -size, size / float(entry), 1.0, inverse=True)
        else:
            part = _Part(value, size, -size * float(entry), 1.0, inverse=False)
        if self._convert(value, instrument.settle, part, lane, rates, missing):
            self._subscribe(value, lane, part, missing)

    def _convert(
        self,
        value: AccountValue,
        currency: str,
        part: _Part,
        lane: Lane,
        rates: list[Lane],
        missing: list[str],
    ) -> bool:
        """Have a part follow the rate into the account's currency; False while that is unknown."""
        home = value.state.currency
        if self.same(currency, home):
            return True
        source, inverse = self._rate_lane(currency, home)
        if source is None:
            missing.append(f"no rate from {currency} to {home}")
            return False
        if not source.mark:
            missing.append(f"no price of {source.id}")
            self._wait_for_rate(value, currency)
            return False
        rates.append(source)

        def converted(mark: float) -> None:
            part.rate = 1 / mark if inverse else mark
            if lane.mark:
                part.revalue(lane.mark)

        part.rate = 1 / source.mark if inverse else source.mark
        _follow(value, source, converted)
        return True

    def _subscribe(self, value: AccountValue, lane: Lane, part: _Part, missing: list[str]) -> None:
        sink: Callable[[float], None] = part.revalue
        if lane.mark:
            part.value = part.at(lane.mark)
            value.equity += part.value
        else:
            missing.append(f"no price of {lane.id}")
            sink = self._first_mark(value.name)
        _follow(value, lane, sink)

    def _wait_for_rate(self, value: AccountValue, currency: str) -> None:
        """Work the account out again with the first price of anything that can convert a currency."""
        for lane, _ in self._rate_lanes(currency, value.state.currency):
            _follow(value, lane, self._first_mark(value.name))

    def _first_mark(self, name: str) -> Callable[[float], None]:
        return lambda _: self.rebuild(name)

    def lane(self, instrument: str) -> Lane | None:
        """The market of an instrument."""
        return self._market.lanes.get(instrument)

    def same(self, one: str, other: str) -> bool:
        """Whether two currencies count as one: the same, or said to be equivalent."""
        return one == other or frozenset((one, other)) in self._equivalents

    def _rate_lanes(self, currency: str, home: str) -> tuple[tuple[Lane, bool], ...]:
        """What can convert, the best first: spot, then perpetuals; and whether its price is the inverse.

        What has a date of its own has a price of its own: an option, a future.
        """
        if self._version != self._market.version:
            self._version = self._market.version
            self._sources.clear()
        found = self._sources.get((currency, home))
        if found is None:
            fitting = []
            for lane in self._market.lanes.values():
                instrument = lane.instrument
                if "-" in instrument.symbol.partition(":")[2]:
                    continue
                if instrument.base == currency and self.same(instrument.quote, home):
                    fitting.append((lane, False))
                elif instrument.quote == currency and self.same(instrument.base, home):
                    fitting.append((lane, True))
            fitting.sort(key=lambda pair: not pair[0].spot)
            found = self._sources[currency, home] = tuple(fitting)
        return found

    def _rate_lane(self, currency: str, home: str) -> tuple[Lane | None, bool]:
        """The best that has a fresh price, else any price, else none."""
        lanes = self._rate_lanes(currency, home)
        best: tuple[Lane | None, bool] | None = None
        for found in lanes:
            if found[0].mark:
                if self._fresh((found[0],)):
                    return found
                best = best or found
        return best or (lanes[0] if lanes else (None, False))

    def rate(self, currency: str, home: str) -> float | None:
        """What one unit of a currency is worth in another, through a mark; None when that is unknown or too old."""
        if self.same(currency, home):
            return 1.0
        lane, inverse = self._rate_lane(currency, home)
        if lane is None or not lane.mark or not self._fresh((lane,)):
            return None
        return 1 / lane.mark if inverse else lane.mark

    def equity(self, account: str) -> float | None:
        """Equity, or None while a price or a fresh enough rate is wanting."""
        value = self.accounts[account]
        if value.missing or (value.rates and not self._fresh(value.rates)):
            return None
        return value.equity

    def _fresh(self, rates: tuple[Lane, ...]) -> bool:
        now = self._recorder.now
        for lane in rates:
            age = now - lane.marked_ns
            if age > RATE_AGE_NS and age > 2 * lane.cadence:
                return False
        return True

    def quiet(self, account: str) -> bool:
        """Whether equity is known, and inside every limit that is measured on it."""
        low, high = self.accounts[account].band
        equity = self.equity(account)
        return equity is not None and low < equity < high

    def unknown(self, account: str) -> str:
        """Why equity is unknown, in words."""
        value = self.accounts[account]
        return "; ".join(value.missing) or "a conversion rate is too old"

    def price(self, intent: OrderIntent, lane: Lane, *, least: bool = False) -> float:
        """Of an order's own price and the market's, the one at which it is worth more; 0.0 when unknown.

        With `least` the one at which it is worth less.
        """
        market = lane.price(buying=intent.side is _BUY)
        own = intent.limit_price or intent.stop_price
        if own is None:
            return market
        return min(float(own), market) if lane.inverse is not least else max(float(own), market)

    def value(self, intent: OrderIntent) -> float | None:
        """What an order is worth in its account's currency."""
        lane = self._market.lanes.get(intent.instrument)
        if lane is None:
            return None
        price = self.price(intent, lane)
        settle, home = lane.settle, self._state.accounts[intent.account].currency
        rate = 1.0 if settle == home else self.rate(settle, home)
        if not price or rate is None:
            return None
        size = float(intent.quantity) * lane.size
        return (size / price if lane.inverse else size * price) * rate

    def prepare(self) -> None:
        """Do ahead of the next order what can be done before it."""
        for value in self.accounts.values():
            self._exposures.prepare(value.state)

    def within(self, intent: OrderIntent, allowance: Allowance) -> bool:
        """Whether its account is `quiet`, and an order stays within what breakers allow."""
        account = self.accounts[intent.account]
        equity, (low, high) = account.equity, account.band
        if account.missing or not low < equity < high or (account.rates and not self._fresh(account.rates)):
            return False
        since = self._market.lanes[intent.instrument].marked_ns
        if not since or self._recorder.now - since > allowance.age_ns:
            return False
        value, worst = self.value(intent), self._worst_with(intent)
        if value is None or worst is None:
            return False
        gross = worst[0]
        return (
            value <= allowance.value and gross <= equity * allowance.leverage and gross <= allowance.exposure
        )

    def exposure(self, account: str) -> float | None:
        """Worst-case gross value of positions and everything that may still fill; None while it is unknown."""
        worst = self._exposures.worst(self._state.accounts[account], None)
        return None if worst is None else worst[0]

    def margin(self, account: str) -> float | None:
        """The initial margin for it, each instrument's own; spot is paid for, and takes none."""
        worst = self._exposures.worst(self._state.accounts[account], None)
        return None if worst is None else worst[1]

    def exposure_with(self, intent: OrderIntent) -> float | None:
        """The same of its account, one more order included."""
        worst = self._worst_with(intent)
        return None if worst is None else worst[0]

    def margin_with(self, intent: OrderIntent) -> float | None:
        """`margin`, one more order included."""
        worst = self._worst_with(intent)
        return None if worst is None else worst[1]

    def _worst_with(self, intent: OrderIntent) -> tuple[float, float] | None:
        """Both figures, worked out once: gate and breakers ask in turn, before anything else can happen."""
        asked, seq, worst = self._asked
        if asked is not intent or seq != self._recorder.seq:
            worst = self._exposures.worst(self._state.accounts[intent.account], intent)
            self._asked = (intent, self._recorder.seq, worst)
        return worst


def _follow(value: AccountValue, lane: Lane, sink: Callable[[float], None]) -> None:
    lane.attach("mark", 0, sink)
    value.subscriptions.append((lane, sink))


def _nobody(_: str) -> tuple[float, float]:
    return -inf, inf
