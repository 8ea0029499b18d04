"""Orders and trades, as ccxt parses them with the raw frame beside, made reports; the raw words decide."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from fairlead import Liquidity, Side
from fairlead.ports import Accepted, Canceled, Expired, FillReport, OrderReport, Rejected, Report
from fairlead_ccxt.facts import Facts, Standing
from fairlead_ccxt.instruments import ZERO, Listing
from fairlead_ccxt.known import Known

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_LIQUIDITY = {"maker": Liquidity.MAKER, "taker": Liquidity.TAKER}
_WORDS = {
    "open": Standing.OPEN,
    "canceling": Standing.OPEN,
    "closed": Standing.FILLED,
    "canceled": Standing.CANCELED,
    "expired": Standing.EXPIRED,
    "rejected": Standing.REJECTED,
}
"""ccxt's unified words; what it does not know it passes on as it came."""


class NotUnderstood(Exception):
    """What the exchange said cannot be read; the text names what is missing."""


class Reader:
    """Reads what one account is told, and remembers whose orders they are."""

    def __init__(self, facts: Facts, listing: Listing, known: Known) -> None:
        self._facts = facts
        self._listing = listing
        self._known = known

    # --- orders -------------------------------------------------------------------------------------------------

    def standing(self, order: Mapping[str, Any]) -> Standing:
        """How an order stands, by the exchange's own word where we know its words. Raises NotUnderstood."""
        info = order.get("info")
        raw = (
            info.get(self._facts.status_key) if isinstance(info, Mapping) and self._facts.status_key else None
        )
        word = order.get("status") if raw is None else raw
        found = _WORDS.get(str(word)) if raw is None else self._facts.statuses.get(str(raw))
        if found is None:
            raise NotUnderstood(f"an order's status {str(word)[:40]!r} is none that is known")
        return found

    def name(self, order: Mapping[str, Any]) -> str:
        """Our id of an order, or what a stranger calls it; the exchange's own where it has no other name."""
        symbol, number = str(order["symbol"]), str(order.get("id") or "")
        ours = self._known.named(symbol, number)
        if ours is not None:
            return ours
        info = order.get("info")
        raw = self._raw_name(info)
        text = raw or order.get("clientOrderId")
        return self._facts.names.read(str(text)) if text else f"{symbol}-{number}"

    def _raw_name(self, info: Any) -> Any:
        keys = self._facts.client_id_keys if isinstance(info, Mapping) else ()
        return next((info[key] for key in keys if info.get(key)), None)

    def order(self, order: Mapping[str, Any]) -> list[Report]:
        """What a frame about an order reports, fills apart. Raises NotUnderstood."""
        try:
            symbol, number = order["symbol"], str(order.get("id") or "")
            if not symbol or not number:
                raise NotUnderstood("a frame about an order lacks its symbol or id")
            standing = self.standing(order)
            name = self.name(order)
            self._known.order(name, symbol, number)
            if standing is Standing.FILLED:
                return []  # its fills say so
            over = _ended(standing, name, number, _filled(order), time_of(order))
            if over or not self._known.accept(name):
                return over
            return [Accepted(client_order_id=name, broker_order_id=number, event_ns=time_of(order))]
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise NotUnderstood(f"a frame about an order cannot be read: {error!r}") from error

    def report(self, order: Mapping[str, Any], name: str = "") -> OrderReport:
        """An order in an answer. Raises NotUnderstood."""
        try:
            symbol, number = str(order["symbol"]), str(order["id"])
            named = name or self.name(order)
            self._known.order(named, symbol, number)
            filled = _filled(order)
            quantity = decimal_of(order.get("amount"))
            if filled is None or quantity is None:
                raise NotUnderstood("an order lacks its amount or what has filled")
            return OrderReport(
                client_order_id=named,
                broker_order_id=number,
                instrument=self._listing.id(symbol),
                open=self.standing(order) is Standing.OPEN,
                quantity=quantity,
                filled_quantity=filled,
                status=str(order.get("status") or ""),
                average_price=(decimal_of(order.get("average")) or None) if filled else None,
                side=SIDES.get(str(order.get("side"))),
                limit_price=decimal_of(order.get("price")) or None if order.get("type") != "market" else None,
                stop_price=decimal_of(order.get("triggerPrice")) or None,
            )
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise NotUnderstood(f"an order cannot be read: {error!r}") from error

    # --- trades -------------------------------------------------------------------------------------------------

    def whose(self, trade: Mapping[str, Any]) -> str | None:
        """Our id of the order that a trade is of; None where it has to be asked for."""
        symbol, number = str(trade["symbol"]), str(trade.get("order") or "")
        ours = self._known.named(symbol, number)
        info = trade.get("info")
        if ours is not None or not isinstance(info, Mapping):
            return ours
        raw = self._raw_name(info)
        return self._facts.names.read(str(raw)) if raw else None

    def fill(self, trade: Mapping[str, Any], name: str) -> FillReport:
        """An execution of ours. Raises NotUnderstood."""
        try:
            symbol = str(trade["symbol"])
            instrument = self._listing.find(symbol)
            if not trade["id"]:
                raise NotUnderstood("a trade of ours has no id")
            fee, currency = _fee(trade)
            info = trade.get("info")
            filled = (
                info.get(self._facts.filled_key)
                if isinstance(info, Mapping) and self._facts.filled_key
                else None
            )
            return FillReport(
                client_order_id=name,
                event_ns=time_of(trade),
                fill_id=f"{instrument.native if instrument is not None else symbol}:{trade['id']}",
                instrument=self._listing.id(symbol),
                side=SIDES[trade["side"]],
                quantity=_sure(trade["amount"]),
                price=_sure(trade["price"]),
                fee=fee,
                fee_currency=currency or (instrument.settle if instrument is not None else ""),
                liquidity=_LIQUIDITY.get(str(trade.get("takerOrMaker")), Liquidity.UNKNOWN),
                cumulative_quantity=decimal_of(filled),
            )
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise NotUnderstood(f"a trade of ours cannot be read: {error!r}") from error


def _ended(standing: Standing, name: str, number: str, filled: Decimal | None, at_ns: int) -> list[Report]:
    match standing:
        case Standing.CANCELED:
            return [
                Canceled(client_order_id=name, broker_order_id=number, filled_quantity=filled, event_ns=at_ns)
            ]
        case Standing.EXPIRED:
            return [
                Expired(client_order_id=name, broker_order_id=number, filled_quantity=filled, event_ns=at_ns)
            ]
        case Standing.REJECTED:
            why = "the exchange took it, and rejected it then"
            return [Rejected(client_order_id=name, code="rejected", reason=why, event_ns=at_ns)]
    return []


def decimal_of(value: Any) -> Decimal | None:
    """A number as it stands there, None where there is none. Raises InvalidOperation or ValueError."""
    if value is None or value == "":
        return None
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(f"{value!r} is no number")
    return Decimal(f"{found.normalize():f}") if found else ZERO


def _sure(value: Any) -> Decimal:
    found = decimal_of(value)
    if found is None:
        raise ValueError("a number is missing")
    return found


def _filled(order: Mapping[str, Any]) -> Decimal | None:
    return decimal_of(order.get("filled"))


def time_of(row: Mapping[str, Any]) -> int:
    """When it happened, in ns; 0 where that is not said."""
    found = row.get("lastUpdateTimestamp") or row.get("timestamp")
    return int(found) * 1_000_000 if found else 0


def _fee(trade: Mapping[str, Any]) -> tuple[Decimal, str]:
    fee = trade.get("fee") or {}
    if not fee and trade.get("fees"):
        fee = trade["fees"][0]
    return decimal_of(fee.get("cost")) or ZERO, str(fee.get("currency") or "")
