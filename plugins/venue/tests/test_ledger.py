"""The venue's ledger is the sum of its own executions, whatever is sent and whatever goes wrong."""

import asyncio
from collections import defaultdict
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fairlead import Funding, Instrument, OrderType, Quote, Side, TimeInForce, Trade
from fairlead_venue.account import OrderEvent
from fairlead_venue.clock import VenueClock
from fairlead_venue.exchange import Exchange
from fairlead_venue.orders import Wanted

SPOT = Instrument(
    symbol="BTC/USDT", venue="v", base="BTC", quote="USDT", settle="USDT", tick=Decimal("0.5"), lot=Decimal("0.001"),
    maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"),
)  # fmt: skip
LINEAR = Instrument(
    symbol="BTC/USDT:USDT", venue="v", base="BTC", quote="USDT", settle="USDT", tick=Decimal("0.5"),
    lot=Decimal("0.001"), contract="linear", maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0005"),
)  # fmt: skip

moves = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.integers(80, 120), st.sampled_from([0.002, 0.05, 10.0])),
        st.tuples(st.just("trade"), st.integers(80, 120), st.sampled_from([0.002, 1.0])),
        st.tuples(
            st.just("order"), st.sampled_from([SPOT, LINEAR]), st.sampled_from(list(Side)), st.integers(1, 60),
            st.one_of(st.none(), st.integers(85, 115)),
        ),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("amend"), st.integers(0, 30), st.integers(1, 60), st.integers(85, 115)),
        st.tuples(st.just("bust"), st.sampled_from(["spot", "futures"])),
        st.tuples(st.just("correct"), st.sampled_from(["spot", "futures"]), st.integers(-3, 3)),
        st.tuples(st.just("funding"), st.sampled_from([-0.001, 0.002])),
        st.tuples(st.just("deposit"), st.integers(-50, 500)),
    ),
    max_size=40,
)  # fmt: skip


@given(moves)
def test_balances_and_positions_are_the_sum_of_what_was_told(story):
    """Cash, executions that stand, and payments give every balance and position to the last digit."""
    asyncio.run(check(story))


async def check(story):
    exchange = Exchange(VenueClock())
    cash = {"USDT": Decimal(5000), "BTC": Decimal(1)}
    spot = exchange.open_account("spot", cash, fees_in_base=True)
    futures = exchange.open_account("futures", {"USDT": Decimal(5000)}, margined=True)
    exchange.learn(SPOT, ["spot"])
    exchange.learn(LINEAR, ["futures"])
    events, paid = [], defaultdict(Decimal)
    exchange.listen(events.append)
    for move in [("quote", 100, 1.0), *story]:
        play(exchange, move)
    for event in events:
        if getattr(event, "cause", "") == "funding":
            paid[event.account, event.currency] += event.amount
    for account in (spot, futures):
        expected = defaultdict(Decimal, account.cash)
        held = defaultdict(Decimal)
        for done in account.executions:
            if done.busted:
                continue
            rules, sign = done.order.wanted.instrument, 1 if done.order.wanted.side is Side.BUY else -1
            held[rules.id] += sign * done.quantity
            expected[done.fee_currency] -= done.fee
            if rules.spot:
                expected[rules.base] += sign * done.quantity
                expected[rules.quote] -= sign * done.value
        for currency, amount in account.balances().items():
            wanted = expected[currency] + paid[account.name, currency]
            if account is futures:
                wanted += sum((holding.realised for holding in account.holdings().values()), Decimal(0))
            assert round(amount - wanted, 12) == 0
        assert {
            name: holding.quantity for name, holding in account.holdings().items() if holding.quantity
        } == {name: quantity for name, quantity in held.items() if quantity}
        told = [
            event.execution for event in events if isinstance(event, OrderEvent) and event.kind == "trade"
        ]
        assert {done.number for done in account.executions} <= {done.number for done in told}
        for order in account.orders.values():
            assert order.open or order.working not in account._working
    exchange.clock.close()


def play(exchange, move):
    now = exchange.clock.now()
    match move:
        case "quote", price, size:
            exchange.market(Quote("BTC/USDT", price - 0.5, price + 0.5, size, size, now, now))
        case "trade", price, size:
            exchange.market(Trade("BTC/USDT", float(price), size, now, now, "buy"))
        case "order", rules, side, lots, limit:
            exchange.accounts["spot" if rules.spot else "futures"].place(
                Wanted(
                    instrument=rules, side=side, type=OrderType.LIMIT if limit else OrderType.MARKET,
                    quantity=lots * Decimal("0.05"), limit_price=Decimal(limit) if limit else None,
                    time_in_force=TimeInForce.GTC if limit else TimeInForce.IOC,
                )
            )  # fmt: skip
        case "cancel", index:
            order = nth(exchange, index)
            if order is not None:
                exchange.accounts[order.account].cancel(order)
        case "amend", index, lots, limit:
            order = nth(exchange, index)
            if order is not None:
                exchange.accounts[order.account].amend(
                    order, quantity=lots * Decimal("0.05"), limit_price=Decimal(limit)
                )
        case "bust" | "correct", name, *ticks:
            account = exchange.accounts[name]
            last = next((done for done in reversed(account.executions) if not done.busted), None)
            if last is not None:
                if ticks:
                    account.correct(last, last.price + ticks[0] * Decimal("0.5"))
                else:
                    account.bust(last)
        case "funding", rate:
            exchange.market(Funding(LINEAR.id, rate, now, now))
        case "deposit", amount:
            exchange.accounts["futures"].deposit("USDT", Decimal(amount))


def nth(exchange, index):
    orders = [
        order for account in exchange.accounts.values() for order in account.orders.values() if order.open
    ]
    return orders[index % len(orders)] if orders else None
