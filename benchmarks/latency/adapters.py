"""What connects fairlead to the venue of the measurements: a plain WebSocket stream and a thin broker adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from benchmarks import composition
from benchmarks.latency import wire
from fairlead import ConnectivityError, Instrument, OrderType, Side, Trade, net
from fairlead.ports import (
    Clock,
    Command,
    FillReport,
    MarketEvent,
    NotSent,
    OrderReport,
    Report,
    Snapshot,
    Submit,
    Subscription,
    VenueProfile,
)

VENUE = "wire"


def instrument() -> Instrument:
    return composition.instrument(VENUE)


def _nobody_asked() -> None:
    """The engine puts its own function in this place."""


class WireStream:
    """Trades from one WebSocket, which opens when somebody wants them; its end is the end of the run."""

    name = fingerprint = "wire"
    on_end: Callable[[], None]

    def __init__(self, url: str) -> None:
        self._url = url
        self.on_end = _nobody_asked
        self._socket: net.WebSocket | None = None

    async def instruments(self) -> Sequence[Instrument]:
        return [instrument()]

    def offers(self, name: str) -> tuple[str, ...]:
        return ("trade",) if name in {composition.SYMBOL, instrument().id} else ()

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        self._emit, self._now, self._id = emit, clock.now, instrument().id

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        if self._socket is None:
            self._socket = await net.connect_websocket(self._url, self._frame, lambda _: self.on_end())
        return frozenset(subscriptions)

    def _frame(self, payload: bytes) -> None:
        tick: Any = wire.decode(payload)
        aggressor = "sell" if tick.m else "buy"
        self._emit(
            Trade(
                self._id,
                float(tick.p),
                float(tick.q),
                tick.T * 1_000_000,
                self._now(),
                aggressor,
                str(tick.t),
            )
        )

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None: ...

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        return ()

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class WireBroker:
    """Market orders over one WebSocket, signed; fills come back on it."""

    name = fingerprint = "wire"
    profile = VenueProfile(
        venue=VENUE, environment="testnet", order_types=frozenset({OrderType.MARKET}), base_currency="USDT"
    )

    def __init__(self, url: str) -> None:
        self._url = url

    async def instruments(self) -> Sequence[Instrument]:
        return [instrument()]

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        self._emit, self._now, self._id = emit, clock.now, instrument().id
        self._socket = await net.connect_websocket(self._url, self._frame, print)
        self._write = self._socket.send_text

    def send(self, command: Command) -> None:
        if not isinstance(command, Submit):
            return
        name, now = command.client_order_id, self._now()
        if now > command.deadline_ns:
            self._emit(NotSent(client_order_id=name, event_ns=now, reason="its deadline had passed"))
            return
        side = "BUY" if command.intent.side is Side.BUY else "SELL"
        try:
            self._write(wire.market_order(name, "BTCUSDT", side, str(command.quantity), now // 1_000_000))
        except ConnectivityError as error:
            self._emit(NotSent(client_order_id=name, event_ns=now, reason=str(error)))

    def _frame(self, payload: bytes) -> None:
        report: Any = wire.decode(payload)
        side = Side.BUY if report.S == "BUY" else Side.SELL
        self._emit(FillReport(
            client_order_id=report.c, fill_id=report.t, instrument=self._id, side=side,
            quantity=Decimal(report.l), price=Decimal(report.L), fee=Decimal(report.n), fee_currency=report.N,
            cumulative_quantity=Decimal(report.z), event_ns=report.T * 1_000_000,
        ))  # fmt: skip

    async def snapshot(self) -> Snapshot:
        # Enough to sell before the fill of what was bought has come: a refused order would be waited for in vain, and
        # each later one be taken for the one before it.
        return Snapshot(orders=(), positions={}, balances={"USDT": Decimal(1_000_000), "BTC": Decimal(10)})

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        return {}

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        return ()

    async def close(self) -> None:
        self._socket.close()
