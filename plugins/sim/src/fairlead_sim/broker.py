"""The simulated venue behind the broker port, as backtests use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

import attrs

from fairlead import ConfigurationError, Instrument, Money, decimal, percent
from fairlead.ports import (
    Cancel,
    CancelRejected,
    Clock,
    Command,
    FillReport,
    MarketEvent,
    NotSent,
    OrderReport,
    Replace,
    ReplaceRejected,
    Report,
    Snapshot,
    Submit,
    VenueProfile,
)
from fairlead_sim.faults import FaultPlan, Wire
from fairlead_sim.models import (
    FeeModel,
    FillModel,
    FixedLatency,
    LatencyModel,
    Number,
    RatioSlippage,
    SlippageModel,
    TickSlippage,
)
from fairlead_sim.profile import full_profile
from fairlead_sim.venue import SimulatedVenue

Cash = str | Money | Sequence[str | Money] | Mapping[str, Number]
"""`"100_000 USDT"`, several of them, or amounts by currency."""

Fees = Number | tuple[Number, Number] | FeeModel
"""One rate for maker and taker, a pair of them (maker first; a rebate is negative), or a model."""

Slippage = str | SlippageModel
"""`"1 tick"`, `"0.01%"` or `"2 bp"`, or a model."""

Latency = str | int | LatencyModel
"""A duration such as `"5ms"`, or a model."""


class SimulatedBroker:
    """An account at a simulated venue, ready to be traded on.

    Everything but `cash` has a default: instruments' own fees, no slippage, no latency, fills by the size shown,
    and market orders on bars at the next bar's open. `leverage` replaces the instruments' initial margin.
    Instruments come from here or from the streams, by `learn`. `faults` go wrong on the way to the venue.

    Raises ConfigurationError.
    """

    def __init__(
        self,
        cash: Cash = "100_000 USDT",
        *,
        name: str = "sim",
        fees: Fees | None = None,
        slippage: Slippage | None = None,
        latency: Latency = 0,
        report_delay: str | int = 0,
        fills: FillModel | None = None,
        fill_at: str = "open",
        leverage: Number | None = None,
        borrow: bool = False,
        instruments: Iterable[Instrument] = (),
        profile: VenueProfile | None = None,
        keep: int = 100_000,
        faults: FaultPlan | None = None,
    ) -> None:
        self.name = name
        self.cash = parse_cash(cash)
        self.fees = fees
        self.slippage = slippage
        self.latency = latency
        self.report_delay = report_delay
        self.fills_model = fills
        self.fill_at = fill_at
        self.leverage = leverage
        self.borrow = borrow
        self.keep = keep
        currency = next(iter(self.cash), "")
        self.profile = profile or full_profile(name, currency, exact=faults is None)
        self._rates = _rates(fees)
        self._initial = _initial_margin(leverage)
        self.venue = SimulatedVenue(
            self.cash,
            fees=None if fees is None or self._rates else fees,  # type: ignore[arg-type]
            slippage=_slippage(slippage),
            latency=FixedLatency(latency) if isinstance(latency, str | int) else latency,
            fills=fills,
            fill_at=fill_at,
            report_delay=report_delay,
            borrow=borrow,
            keep=keep,
            renames=self.profile.replace_renames,
        )
        self.market: Callable[[MarketEvent], None] = self.venue.market
        """Match one market event, before strategies see it: the venue's own method, since it runs for every tick."""
        self._way = self.venue if faults is None else Wire(self.venue, faults)
        self._emit: Callable[[Report], None] | None = None
        self._clock: Clock | None = None
        for instrument in instruments:
            self.learn(instrument)

    @classmethod
    def like(cls, broker: Any) -> Self:
        """An account like another broker's, empty of orders: its name, cash, fees, profile and what else it shares.

        Raises ConfigurationError where that broker does not say what cash to begin with.
        """
        cash = getattr(broker, "cash", None)
        if not cash:
            raise ConfigurationError(
                f"broker {broker.name!r} has no cash to begin with: give it `cash`, or pass a SimulatedBroker(cash=...)"
            )
        alike = {
            key: getattr(broker, key)
            for key in ("fees", "slippage", "latency", "report_delay", "fill_at", "leverage", "borrow")
            if getattr(broker, key, None) is not None
        }
        return cls(
            cash,
            name=broker.name,
            profile=attrs.evolve(broker.profile, environment="paper", exact=True),
            fills=getattr(broker, "fills_model", None),
            **alike,
        )

    def learn(self, instrument: Instrument) -> None:
        """List an instrument that a stream serves, with this broker's fees and leverage where it has its own."""
        changes: dict[str, Any] = {}
        if self._rates is not None:
            changes["maker_fee"], changes["taker_fee"] = self._rates
        if self._initial is not None:
            changes["initial_margin"] = self._initial
            changes["maintenance_margin"] = min(instrument.maintenance_margin, self._initial)
        self.venue.learn(attrs.evolve(instrument, **changes) if changes else instrument)

    # --- the broker port ----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What is listed so far."""
        return self.venue.instruments

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Begin to report."""
        self._emit, self._clock = emit, clock
        self._way.open(emit, clock)

    def send(self, command: Command) -> None:
        """Hand a command to the venue unless its deadline has passed, or nobody listens (any more)."""
        if self._clock is None or self._emit is None:
            return
        if self._clock.now() > command.deadline_ns:
            late = "its deadline had passed"
            match command:
                case Submit(client_order_id=name):
                    self._emit(NotSent(client_order_id=name, event_ns=self._clock.now(), reason=late))
                case Cancel(client_order_id=name):
                    self._emit(
                        CancelRejected(
                            client_order_id=name, event_ns=self._clock.now(), code="not_sent", reason=late
                        )
                    )
                case Replace(client_order_id=name, attempt=attempt):
                    self._emit(
                        ReplaceRejected(client_order_id=name, attempt=attempt, code="not_sent", reason=late)
                    )
            return
        self._way.send(command)

    async def snapshot(self) -> Snapshot:
        """The venue's own books."""
        return self.venue.snapshot()

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What the venue knows of these orders."""
        return self.venue.lookup(client_order_ids)

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Executions since then, oldest first."""
        return self.venue.fills(since_ns)

    async def close(self) -> None:
        """Take no more commands; orders go on working when it connects again."""
        self._emit = self._clock = None


def parse_cash(cash: Cash) -> dict[str, Decimal]:
    """Amounts by currency of any way to write cash. Raises ConfigurationError."""
    if isinstance(cash, Mapping):
        amounts = {currency: decimal(amount, "cash") for currency, amount in cash.items()}
    else:
        parts = list(cash) if isinstance(cash, Iterable) and not isinstance(cash, str) else [cash]
        amounts = {}
        for money in map(Money.parse, parts):
            amounts[money.currency] = amounts.get(money.currency, Decimal(0)) + money.amount
    for currency, amount in amounts.items():
        if amount < 0:
            raise ConfigurationError(
                f"cash of {amount} {currency} is negative: an account starts with what it has"
            )
    return amounts


def _rates(fees: Fees | None) -> tuple[Decimal, Decimal] | None:
    if fees is None or hasattr(fees, "fee"):
        return None
    if isinstance(fees, tuple | list):
        if len(fees) != 2:
            raise ConfigurationError(f"fees {fees!r}: write one rate, or a pair of maker and taker")
        return _rate(fees[0], "fees: maker fee"), _rate(fees[1], "fees: taker fee")
    rate = _rate(fees, "fees")
    return rate, rate


_NO_FEE = Decimal("0.05")


def _rate(fee: Number, what: str) -> Decimal:
    rate = percent(fee)
    if abs(rate) >= _NO_FEE:
        raise ConfigurationError(
            f"{what} {fee!r} is {(rate * 100).normalize():f} % of what is traded, and a fee is below "
            f"5 %, a rebate above -5 %: write 0.0005 or '0.05%'"
        )
    return rate


def _initial_margin(leverage: Number | None) -> Decimal | None:
    if leverage is None:
        return None
    times = decimal(leverage, "leverage")
    if times < 1:
        raise ConfigurationError(f"leverage {leverage!r} is below 1")
    return 1 / times


def _slippage(slippage: Slippage | None) -> SlippageModel | None:
    if not isinstance(slippage, str):
        return slippage
    number, _, unit = slippage.partition(" ")
    if slippage.endswith("%") and not unit:
        return RatioSlippage(slippage)
    match unit.strip():
        case "tick" | "ticks":
            return TickSlippage(number)
        case "bp":
            return RatioSlippage(decimal(number, "slippage") / 10_000)
        case _:
            raise ConfigurationError(
                f"slippage {slippage!r}: write '1 tick', '2 bp' or '0.01%', or pass a model"
            )
