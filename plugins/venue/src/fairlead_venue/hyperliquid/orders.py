"""Orders: what an action asks for, checked as the exchange checks it, and how an order is shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, OrderType, Side, TimeInForce
from fairlead_venue.account import Account
from fairlead_venue.exchange import Exchange
from fairlead_venue.hyperliquid import rules
from fairlead_venue.hyperliquid.listing import Assets, fits, wire
from fairlead_venue.hyperliquid.rules import UNREADABLE, Unreadable
from fairlead_venue.orders import ZERO, Execution, VenueOrder, Wanted
from fairlead_venue.triggers import price_of

_TIMES = {
    "Gtc": TimeInForce.GTC,
    "Alo": TimeInForce.GTC,
    "Ioc": TimeInForce.IOC,
    "FrontendMarket": TimeInForce.IOC,
}
_LEAST = Decimal(10)
_MOST_OPEN = 1000
_REJECTIONS = {
    "insufficient_margin": (rules.MARGIN, "perpMarginRejected"),
    "insufficient_funds": (rules.SPOT_BALANCE, "insufficientSpotBalanceRejected"),
    "would_cross": (rules.POST_ONLY, "badAloPxRejected"),
    "would_not_reduce": (rules.REDUCE_ONLY, "reduceOnlyRejected"),
    "no_market": (rules.NO_LIQUIDITY, "marketOrderNoLiquidityRejected"),
    "bad_tick": (rules.TICK, "tickRejected"),
    "min_notional": (rules.NOTIONAL, "minTradeNtlRejected"),
}
_STATUS = {
    "new": "open",
    "partially_filled": "open",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "canceled",
}


class Declined(Exception):
    """One order of an action is refused: it stands in its place among the statuses."""

    def __init__(self, text: str, *about: object) -> None:
        super().__init__(text.format(*about))


@attrs.frozen
class Asking:
    """An order that was asked for and found well-formed; `trigger` is the price that it waits for."""

    wanted: Wanted
    trigger: Decimal | None
    above: bool
    extra: dict[str, Any]


class Reader:
    """Reads orders out of actions. Raises Declined, or Unreadable."""

    def __init__(self, exchange: Exchange, assets: Assets) -> None:
        self._exchange = exchange
        self._assets = assets

    def order(self, row: dict[str, Any], account: Account) -> Asking:
        """An order by its wire form."""
        number = row["a"]
        name = self._assets.at(number)
        if name is None:
            raise Declined(rules.NEVER_PLACED, number)
        rule, buy, reduce = account.instrument(name), row["b"], row["r"]
        price, size = Decimal(row["p"]), Decimal(row["s"])
        kind, trigger = _kind(row["t"])
        if size <= 0 or size % rule.lot:
            raise Declined(rules.SIZE)
        if price <= 0:
            raise Declined(rules.PRICE)
        stop = Decimal(trigger["triggerPx"]) if trigger else None
        if not fits(price, rule) or (stop is not None and not fits(stop, rule)):
            raise Declined(rules.TICK, number)
        market = bool(trigger and trigger["isMarket"])
        if not reduce and size * price < _LEAST:
            raise Declined(rules.NOTIONAL, number, _LEAST)
        above = trigger is not None and buy is (trigger["tpsl"] == "sl")
        self._check_price(rule, number, price, stop, above=above, buy=buy)
        wanted = Wanted(
            instrument=rule, side=Side.BUY if buy else Side.SELL, type=OrderType.LIMIT, quantity=size,
            limit_price=price, time_in_force=TimeInForce.IOC if market else _TIMES[kind],
            post_only=kind == "Alo", reduce_only=reduce, client_id=row.get("c", ""),
        )  # fmt: skip
        extra = {"tif": kind, "trigger": trigger, "market": market, "number": number}
        return Asking(wanted, stop, above, extra)

    def _check_price(
        self, rule: Instrument, number: int, price: Decimal, stop: Decimal | None, *, above: bool, buy: bool
    ) -> None:
        known = price_of(self._exchange.tapes[rule.id], "mark")
        if known is None:
            return
        mark = Decimal(repr(known))
        if stop is not None and (stop <= mark if above else stop >= mark):
            raise Declined(rules.TRIGGER, number)
        if stop is None and not mark / 5 <= price <= mark * Decimal("1.8"):
            raise Declined(rules.AGGRESSIVE, number)

    def allow_one_more(self, account: Account, number: int) -> None:
        """Refuse what is beyond the most open orders."""
        if sum(1 for _ in account.open_orders()) >= _MOST_OPEN:
            raise Declined(rules.TOO_MANY_OPEN, number)


def _kind(sent: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    if "limit" in sent and sent["limit"].get("tif") in _TIMES:
        return sent["limit"]["tif"], None
    trigger = sent.get("trigger")
    if (
        isinstance(trigger, dict)
        and trigger.get("tpsl") in {"tp", "sl"}
        and isinstance(trigger.get("isMarket"), bool)
    ):
        return "Gtc", trigger
    raise Unreadable(UNREADABLE)


def declined(order: VenueOrder, account: Account) -> Declined:
    """How the books' refusal is said."""
    text, _ = _REJECTIONS.get(order.code, (rules.MARGIN, ""))
    if order.code == "no_market" and order.extra["tif"] != "FrontendMarket":
        text = rules.IOC if order.wanted.time_in_force is TimeInForce.IOC else rules.AGGRESSIVE
    bid, ask = account.touch(order.wanted.instrument.id)
    return Declined(text, order.extra["number"], wire(bid or 0.0), wire(ask or 0.0))


# --- how an order is shown --------------------------------------------------------------------------------------


def status_of(order: VenueOrder) -> str:
    """Its status in Hyperliquid's word."""
    if order.extra.get("status"):
        return str(order.extra["status"])
    if order.status == "rejected":
        return _REJECTIONS.get(order.code, ("", "rejected"))[1]
    if order.status == "expired" and not order.filled:
        return "iocCancelRejected"
    return _STATUS[order.status]


def basic(order: VenueOrder, assets: Assets) -> dict[str, Any]:
    """The fields that every view of an order has."""
    wanted = order.wanted
    left = wanted.quantity - order.filled if order.status != "rejected" else wanted.quantity
    row = {
        "coin": assets.coin(wanted.instrument.id), "side": "B" if wanted.side is Side.BUY else "A",
        "limitPx": wire(wanted.limit_price or ZERO), "sz": wire(left), "oid": order.number,
        "timestamp": order.created_ns // 1_000_000, "origSz": wire(wanted.quantity),
    }  # fmt: skip
    return {**row, "cloid": wanted.client_id} if wanted.client_id else row


def full(order: VenueOrder, assets: Assets) -> dict[str, Any]:
    """An order as the frontend's queries show it."""
    trigger = order.extra.get("trigger")
    waiting = trigger is not None and order.held
    kinds = {("tp", True): "Take Profit Market", ("sl", True): "Stop Market"}
    named = {("tp", False): "Take Profit Limit", ("sl", False): "Stop Limit"}
    kind = (kinds | named)[trigger["tpsl"], trigger["isMarket"]] if trigger else "Limit"
    above = trigger is not None and (order.wanted.side is Side.BUY) is (trigger["tpsl"] == "sl")
    return {
        **basic(order, assets), "triggerCondition": (
            f"Price {'above' if above else 'below'} {trigger['triggerPx']}" if trigger else "N/A"),
        "isTrigger": waiting, "triggerPx": trigger["triggerPx"] if trigger else "0.0", "children": [],
        "isPositionTpsl": False, "reduceOnly": order.wanted.reduce_only, "orderType": kind,
        "tif": order.extra.get("tif", "Gtc"), "cloid": order.wanted.client_id or None,
    }  # fmt: skip


def fill(done: Execution, assets: Assets, *, cloid: bool) -> dict[str, Any]:
    """An execution. The documents have no `cloid` in it, the exchange often has."""
    wanted = done.order.wanted
    buy = wanted.side is Side.BUY
    before = done.order.extra.get("before", {}).get(done.number, ZERO)
    if wanted.instrument.spot:
        way = "Buy" if buy else "Sell"
    else:
        opens = before >= 0 if buy else before <= 0
        way = f"{'Open' if opens else 'Close'} {'Long' if buy is opens else 'Short'}"
    row = {
        "coin": assets.coin(wanted.instrument.id), "px": wire(done.price), "sz": wire(done.quantity),
        "side": "B" if buy else "A", "time": done.at_ns // 1_000_000, "startPosition": wire(before), "dir": way,
        "closedPnl": wire(done.realised), "hash": f"0x{done.number:064x}", "oid": done.order.number,
        "crossed": not done.maker, "fee": wire(done.fee), "tid": done.number, "feeToken": done.fee_currency,
    }  # fmt: skip
    return {**row, "cloid": wanted.client_id} if cloid and wanted.client_id else row
