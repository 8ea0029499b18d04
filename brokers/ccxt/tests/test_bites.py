"""What bites users of ccxt, under what springs it: this adapter is not bitten."""

import asyncio
import decimal
import importlib.util
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest
from box import KEY, SECRET, Box

from fairlead import ConfigurationError, OrderIntent, OrderType, Side
from fairlead.ports import (
    Accepted,
    AccountChanged,
    Cancel,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Replace,
    ReplaceRejected,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_ccxt import CcxtBroker
from fairlead_ccxt.facts import facts_of

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ccxt") is None, reason="ccxt is not installed: see conftest.py"
    ),
    pytest.mark.filterwarnings("ignore"),
]
SECOND = 1_000_000_000
SPOT, FUTURES = ("binance", "BTC/USDT"), ("binanceusdm", "BTC/USDT:USDT")


class Desk:
    """A connected broker, and all that it said."""

    def __init__(self, box: Box, name: str, symbol: str, **words: Any) -> None:
        self.box, self.symbol, self.said = box, symbol, list[Any]()
        self.broker = CcxtBroker(
            name, symbol, key="secret:BOX_KEY", secret="secret:BOX_SECRET", url=box.url, **words
        )
        self._count = 0

    async def connect(self) -> None:
        await self.broker.connect(self.said.append, self.box.clock)

    def send(self, quantity: str = "0.01", price: str = "", *, left: int = 5 * SECOND) -> str:
        self._count += 1
        name = f"{self._count:032x}"
        intent = OrderIntent(
            strategy="s", account=self.broker.name, instrument=f"{self.symbol}@binance", side=Side.BUY,
            quantity=Decimal(quantity), type=OrderType.LIMIT if price else OrderType.MARKET,
            limit_price=Decimal(price) if price else None,
        )  # fmt: skip
        self.broker.send(Submit(name, intent, intent.quantity, False, self.box.clock.now() + left))
        return name

    def of(self, kind: type, name: str = "") -> list[Any]:
        return [
            one
            for one in self.said
            if isinstance(one, kind) and name in ("", getattr(one, "client_order_id", ""))
        ]

    async def until(self, kind: type, name: str = "", count: int = 1) -> Any:
        end = asyncio.get_running_loop().time() + 8
        while len(self.of(kind, name)) < count:
            assert asyncio.get_running_loop().time() < end, f"no {kind.__name__}; it said {self.said}"
            await asyncio.sleep(0.002)
        return self.of(kind, name)[-1]


def played(story: Callable[[Box, Desk], Any], product: tuple[str, str] = SPOT, **words: Any) -> None:
    """Run a story with a connected desk, and a market at 50,000."""

    async def whole() -> None:
        box = Box()
        await box.open()
        try:
            await box.quote("BTC/USDT", 49_999.0, 50_001.0, 100.0)
            desk = Desk(box, *product, **words)
            try:
                await desk.connect()
                await story(box, desk)
            finally:
                await desk.broker.close()
        finally:
            await box.close()

    asyncio.run(whole())


@pytest.mark.parametrize("product", [SPOT, FUTURES])
def test_each_fill_of_a_burst_is_told(product: tuple[str, str]) -> None:
    """`watch_orders` wakes once for many frames; here each partial fill comes, with what had filled by then."""

    async def story(box: Box, desk: Desk) -> None:
        name = desk.send("0.05", "49000")
        await desk.until(Accepted, name)
        box.box.fault("coalesce", on="event:order", times=0)
        for _ in range(5):  # nothing here lets the loop run meanwhile: whoever waits is slow
            box.box.quote("BTC/USDT", 48_000.0, 48_999.0, ask_size=0.01)
            box.box.quote("BTC/USDT", 49_999.0, 50_001.0)
        await desk.until(FillReport, name, 5)
        told = [fill.cumulative_quantity for fill in desk.of(FillReport, name)]
        assert told == [Decimal(f"0.0{n}") for n in range(1, 6)]

    played(story, product)


def test_a_drop_while_nobody_waits_is_told_and_backfilled() -> None:
    """ccxt connects again without a word, and fills in between never come."""

    async def story(box: Box, desk: Desk) -> None:
        name = desk.send("0.01", "49000")
        await desk.until(Accepted, name)
        box.box.disconnect()
        box.box.quote("BTC/USDT", 48_000.0, 48_999.0)
        await desk.until(StreamDown)
        await desk.connect()
        await desk.until(StreamUp)
        [fill] = await desk.broker.fills(0)
        assert (fill.client_order_id, fill.quantity) == (name, Decimal("0.01"))
        assert not desk.of(FillReport)

    played(story)


@pytest.mark.parametrize("how", ["expire", "shutdown", "close"])
def test_a_stream_that_ends_in_whatever_way_is_told(how: str) -> None:
    """ccxt keeps waiting at a stream whose right has ended."""

    async def story(box: Box, desk: Desk) -> None:
        box.box.strike(how)
        await desk.until(StreamDown)
        assert len(desk.of(StreamDown)) == 1

    played(story)


def test_a_link_that_is_half_open_is_found_out() -> None:
    """Nothing is said and nothing breaks: pings without an answer end it."""

    async def story(box: Box, desk: Desk) -> None:
        box.box.strike("half_open", lasts="60s")
        await desk.until(StreamDown)

    played(story, keep_alive="100ms")


@pytest.mark.parametrize(("quantity", "price"), [("0.0123456789", "49000"), ("0.01", "49000.016")])
def test_a_number_that_ccxt_would_round_is_not_sent(quantity: str, price: str) -> None:
    """Amounts are cut off and prices rounded in silence: such an order is refused here, and nothing leaves."""

    async def story(box: Box, desk: Desk) -> None:
        name = desk.send(quantity, price)
        refused = await desk.until(Rejected, name)
        assert (refused.code, "would send another" in refused.reason) == ("not_taken_by_ccxt", True)
        assert box.box.requests("order") == []

    played(story)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "refuse", "code": -1021}, Rejected),  # InvalidNonce, a NetworkError
        ({"kind": "refuse", "code": -1003}, Rejected),  # RateLimitExceeded, a NetworkError
        ({"kind": "refuse", "code": -2015}, Rejected),  # DDoSProtection, once a request has succeeded
        ({"kind": "refuse", "code": -9999}, OutcomeUnknown),  # ExchangeError
        ({"kind": "unknown"}, OutcomeUnknown),  # -1007: RequestTimeout
        ({"kind": "error", "status": 502}, OutcomeUnknown),  # ExchangeNotAvailable
        ({"kind": "lose_answer", "lasts": "50ms"}, OutcomeUnknown),
    ],
)
def test_the_raw_code_decides_and_nothing_is_sent_again(fault: dict[str, Any], kind: type) -> None:
    """ccxt's classes mix refusals with lost answers; one request leaves, whatever comes of it."""

    async def story(box: Box, desk: Desk) -> None:
        box.box.fault(on="order", **fault)
        name = desk.send("0.01", "49000")
        await desk.until(kind, name)
        assert len(box.box.requests("order")) == 1
        assert not desk.of(Rejected if kind is OutcomeUnknown else OutcomeUnknown)

    played(story)


def test_a_request_carries_the_deadline_and_none_leaves_after_it() -> None:
    """The exchange takes it no later than the command may be written."""

    async def story(box: Box, desk: Desk) -> None:
        await desk.until(Accepted, desk.send("0.01", "49000", left=3 * SECOND))
        [request] = box.box.requests("order")
        assert 2_000 < int(request["params"]["recvWindow"]) <= 3_000
        late = desk.send("0.01", "49000", left=-1)
        assert desk.of(NotSent, late)
        waiting = desk.send(
            "0.01", "49000", left=2_000
        )  # two microseconds: it passes on the way through ccxt
        await desk.until(NotSent, waiting)
        assert len(box.box.requests("order")) == 1

    played(story)


def test_nothing_is_asked_that_nobody_wants_to_know() -> None:
    """With a key ccxt asks for margin pairs and currencies when it loads markets."""

    async def story(box: Box, desk: Desk) -> None:
        await desk.broker.instruments()
        asked = {request["path"] for request in box.box.requests()}
        assert asked == {
            "/api/v3/exchangeInfo",
            "/api/v3/time",
            "/sapi/v1/account/apiRestrictions",
            "/ws-api/v3",
        }
        signed = {request["path"] for request in box.box.requests() if "timestamp" in request["params"]}
        assert signed <= {"/sapi/v1/account/apiRestrictions", "/ws-api/v3"}

    played(story)


def test_orders_do_not_wait_behind_questions() -> None:
    """ccxt's one queue makes an order wait for market data: commands pass it."""

    async def story(box: Box, desk: Desk) -> None:
        weights = desk.broker._sdk.weights
        weights.used(10**9)  # a question would wait ten seconds
        await asyncio.wait_for(desk.until(Accepted, desk.send("0.01", "49000")), 3)

    played(story)


def test_the_engines_arithmetic_stays_its_own() -> None:
    """ccxt sets the rounding of the decimal context that it runs in, for everybody: here it has one for itself."""

    async def story(box: Box, desk: Desk) -> None:
        found: list[str] = []
        await desk.broker.connect(lambda report: found.append(decimal.getcontext().rounding), box.clock)
        desk.send()
        desk.send("0.0123456789", "49000")
        while len(found) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await desk.broker.snapshot()
        assert {*found, decimal.getcontext().rounding} == {decimal.ROUND_HALF_EVEN}

    played(story)


def test_orders_that_usual_lists_leave_out_are_seen() -> None:
    """Conditional futures orders have an id space of their own, and `fetch_open_orders` does not show them."""

    async def story(box: Box, desk: Desk) -> None:
        sdk = desk.broker._sdk
        other = sdk.start(
            sdk.exchange.create_order(desk.symbol, "market", "sell", "0.01", None, {"triggerPrice": "40000"})
        )
        await other
        snapshot = await desk.broker.snapshot()
        assert snapshot.orders is not None
        assert [(order.open, order.quantity) for order in snapshot.orders] == [(True, Decimal("0.01"))]

    played(story, FUTURES)


def test_a_futures_balance_has_no_open_profit_in_it() -> None:
    """What ccxt calls the total is the margin balance, which moves with the market."""

    async def story(box: Box, desk: Desk) -> None:
        fill = await desk.until(FillReport, desk.send())
        await box.quote("BTC/USDT", 51_999.0, 52_001.0, 100.0)
        snapshot = await desk.broker.snapshot()
        assert snapshot.balances is not None
        assert snapshot.balances["USDT"] == 10_000_000 - fill.fee

    played(story, FUTURES)


def test_money_that_no_order_moved_is_told() -> None:
    """ccxt puts it into a cache of balances and says no more."""

    async def story(box: Box, desk: Desk) -> None:
        box.box.deposit("spot", "USDT", "500")
        moved = await desk.until(AccountChanged)
        assert (moved.currency, moved.amount) == ("USDT", Decimal(500))

    played(story)


def test_no_order_is_edited() -> None:
    """An edit of a spot order is a new one, under an id of ccxt's own making: the engine cancels and places anew."""

    async def story(box: Box, desk: Desk) -> None:
        name = desk.send("0.01", "49000")
        await desk.until(Accepted, name)
        now = box.clock.now()
        desk.broker.send(
            Replace(name, "", "BTC/USDT@binance", 1, Decimal("0.02"), Decimal(48_000), None, now + SECOND)
        )
        assert (await desk.until(ReplaceRejected, name)).code == "not_sent"
        assert desk.broker.profile.replaces == frozenset()

    played(story)


def test_an_order_is_found_and_canceled_by_our_own_id() -> None:
    """After a crash nothing else is known of it."""

    async def story(box: Box, desk: Desk) -> None:
        name = desk.send("0.01", "49000")
        await desk.until(Accepted, name)
        await desk.broker.close()
        again = Desk(box, *SPOT)
        await again.connect()
        try:
            found = await again.broker.lookup([name, "f" * 32])
            assert (found[name].open, found["f" * 32]) == (True, None)
            again.broker.send(Cancel(name, "", "BTC/USDT@binance", box.clock.now() + SECOND))
            await asyncio.to_thread(box.box.wait, "cancel", what="answers")
            assert box.box.orders("spot")[0]["status"] == "canceled"
        finally:
            await again.broker.close()

    played(story)


def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """ccxt logs requests with their keys: nobody gets to read that."""
    caplog.set_level(logging.DEBUG)

    async def story(box: Box, desk: Desk) -> None:
        box.box.fault("refuse", on="order", code=-2014)
        await desk.until(Rejected, desk.send("0.01", "49000"))
        texts = [repr(desk.broker), repr(desk.said), *(record.getMessage() for record in caplog.records)]
        assert not any(secret in text for secret in (KEY, SECRET) for text in texts)

    played(story)


def test_a_key_that_may_withdraw_is_refused() -> None:
    """The remedy is to take that right from it, or to say that it is meant."""

    async def may_withdraw(_: Any) -> tuple[bool, bool, bool]:
        return True, True, True

    async def ask() -> None:
        box = Box()
        await box.open()
        desk = Desk(box, *SPOT, facts=attrs.evolve(facts_of("binance"), permissions=may_withdraw))
        try:
            await desk.connect()
        finally:
            await desk.broker.close()
            await box.close()

    with pytest.raises(ConfigurationError, match="allow_withdrawal=True"):
        asyncio.run(ask())
