"""The text encoding: fields that end with NUL, their order and number fixed by message and server version.

https://interactivebrokers.github.io/tws-api/ describes the calls; what is on the wire, field by field, is what the
published clients (`EDecoder`, `EClient`) read and write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from fairlead_venue.tws.codec import Request, Unreadable
from fairlead_venue.tws.fields import ANSWERS, CONTRACT, REQUESTS, order_fields

UNSET = str(1.7976931348623157e308)
"""How a number is written that is not set, where nothing at all would be read as 0."""


def plain(value: Any) -> str:
    """A value as a field."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return "" if value is None else str(value)


class TextCodec:
    """Fields of text, for one server version."""

    def __init__(self, version: int) -> None:
        self.version = version

    # --- in -----------------------------------------------------------------------------------------------------

    def decode(self, payload: str) -> Request:
        """Read a request. Raises Unreadable."""
        fields = payload.split("\0")[:-1]
        try:
            name, form = REQUESTS[int(fields[0])]
        except (IndexError, ValueError, KeyError):
            raise Unreadable(f"no request begins with {payload[:20]!r}") from None
        if name == "placeOrder":
            return Request(name, self._order(fields))
        names = form.split()
        found: dict[str, Any] = {}
        values = iter(fields[1:])
        try:
            for key in names:
                if key == "contract":
                    found["contract"] = {part: next(values) for part in CONTRACT}
                elif key == "deltaNeutral":
                    _skip(values, 3 if next(values) == "1" else 0)
                else:
                    found[key] = next(values)
        except StopIteration:
            raise Unreadable(f"{name} has {len(fields)} fields, which are too few") from None
        return Request(name, {key: value for key, value in found.items() if key != "version"})

    def _order(self, fields: list[str]) -> dict[str, Any]:
        """An order, as far as `whatIf`."""
        values = iter(fields[1:])
        found: dict[str, Any] = {}
        try:
            found["orderId"] = next(values)
            found["contract"] = {part: next(values) for part in CONTRACT}
            for key in order_fields(self.version, found["contract"]["secType"]):
                found[key] = next(values)
                _skip(values, _more_after(key, found[key], values))
        except (StopIteration, ValueError):
            raise Unreadable(f"placeOrder cannot be read: it has {len(fields)} fields") from None
        return found

    # --- out ----------------------------------------------------------------------------------------------------

    def encode(self, name: str, values: Mapping[str, Any]) -> str:
        """Write a message."""
        if name in _WRITERS:
            fields = _WRITERS[name](values, self.version)
        else:
            begin, names = ANSWERS[name]
            fields = [*begin.split(), *(values[key] for key in names.split())]
        return "".join(f"{plain(field)}\0" for field in fields)


def _more_after(key: str, value: str, values: Iterator[str]) -> int:
    """How many fields follow a field of an order for what it says."""
    if not value:
        return 0
    if key == "algoStrategy":
        return 2 * int(next(values))
    if key == "scalePriceIncrement":
        return 7 if 0 < float(value) < 1e300 else 0
    if key == "deltaNeutralContract":
        return 3 if value == "1" else 0
    return {"deltaNeutralOrderType": 8, "hedgeType": 1}.get(key, 0)


def _skip(values: Iterator[str], count: int) -> None:
    for _ in range(count):
        next(values)


def _contract(contract: Mapping[str, Any], names: str) -> list[Any]:
    return [contract.get(name, "") for name in names.split()]


_TRADED = (
    "conId symbol secType lastTradeDate strike right multiplier exchange currency localSymbol tradingClass"
)


def _contract_details(values: Mapping[str, Any], _version: int) -> list[Any]:
    about = values["contract"]
    return [
        10, values["reqId"],
        *_contract(about, "symbol secType lastTradeDate strike right exchange currency localSymbol marketName"),
        *_contract(about, "tradingClass conId minTick multiplier orderTypes validExchanges priceMagnifier"),
        *_contract(about, "underConId longName primaryExchange contractMonth industry category subcategory"),
        *_contract(about, "timeZoneId tradingHours liquidHours evRule evMultiplier"), 0,
        *_contract(about, "aggGroup underSymbol underSecType marketRuleIds realExpirationDate stockType"),
        *_contract(about, "minSize sizeIncrement suggestedSizeIncrement"),
    ]  # fmt: skip


def _exec_details(values: Mapping[str, Any], version: int) -> list[Any]:
    names = (
        "execId time acctNumber exchange side shares price permId clientId liquidation cumQty avgPrice orderRef "
        "evRule evMultiplier modelCode lastLiquidity"
    )
    fields = [11, values["reqId"], values["orderId"], *_contract(values["contract"], _TRADED)]
    fields += [values[name] for name in names.split()]
    return [*fields, False] if version >= 178 else fields


_NOT_NEUTRAL = ("None", "", 0, "", "", "", "", 0, 0, "")
"""An order that is not delta neutral says so by a word, and what would be fields of one follow."""


def _open_order(values: Mapping[str, Any], version: int) -> list[Any]:
    profile = [""] if version < 177 else []
    later = [""] * 5
    return [
        5, values["orderId"], *_contract(values["contract"], _TRADED), values["action"],
        values["totalQuantity"], values["orderType"], values["lmtPrice"], values["auxPrice"], values["tif"], "",
        values["account"], "", 0, values["orderRef"], values["clientId"], values["permId"], values["outsideRth"],
        0, 0, "", "", "", "", "", *profile,
        "", values["goodTillDate"], "", "", "", 0, "", -1, 0, "", "", "", "", "", "", 0, 0, 0, "", 0, 0, 0, "",
        values["parentId"], 0, "", "", *_NOT_NEUTRAL, 0, "", values["trailStopPrice"], values["trailingPercent"], "",
        "", "", 0, 0, 0, "", "", "", "", 0, "", "", 0, 0, "", 0, values["whatIf"], values["status"],
        *[UNSET] * 9, values["commission"], UNSET, UNSET, "", values["warning"], 0, 0, 0, "None", UNSET,
        values["trailStopPrice"] or UNSET, UNSET, UNSET, UNSET, UNSET, 0, "", "", "", 0, 0, 0, 0, 0, "", 0, 0, *later,
    ]  # fmt: skip


def _completed_order(values: Mapping[str, Any], version: int) -> list[Any]:
    profile = [""] if version < 177 else []
    later = [""] * 5
    return [
        101, *_contract(values["contract"], _TRADED), values["action"], values["totalQuantity"],
        values["orderType"], values["lmtPrice"], values["auxPrice"], values["tif"], "", values["account"], "", 0,
        values["orderRef"], values["permId"], values["outsideRth"], 0, 0, "", "", "", "", *profile,
        "", values["goodTillDate"], "", "", "", 0, "", -1, "", "", "", "", "", "", 0, 0, "", 0, 0, "", "",
        "None", "", 0, 0, 0, "", 0, "", values["trailStopPrice"], values["trailingPercent"],
        "", 0, 0, 0, "", "", "", "", "", "", 0, 0, "",
        0, values["status"], 0, 0, 0, values["trailStopPrice"], "", 0, 0, 0, "", values["filledQuantity"], "", 0, "",
        0, 0, values["parentPermId"], values["completedTime"], values["completedStatus"], *later,
    ]  # fmt: skip


def _historical_data(values: Mapping[str, Any], _version: int) -> list[Any]:
    fields = [17, values["reqId"], values["start"], values["end"], len(values["bars"])]
    for bar in values["bars"]:
        fields += [
            bar[key] for key in ("date", "open", "high", "low", "close", "volume", "average", "barCount")
        ]
    return fields


def _market_rule(values: Mapping[str, Any], _version: int) -> list[Any]:
    steps = [part for pair in values["increments"] for part in pair]
    return [93, values["marketRuleId"], len(values["increments"]), *steps]


def _position(values: Mapping[str, Any], _version: int) -> list[Any]:
    held = [values["position"], values["avgCost"]]
    return [61, 3, values["account"], *_contract(values["contract"], _TRADED), *held]


def _portfolio(values: Mapping[str, Any], _version: int) -> list[Any]:
    names = _TRADED.replace(" exchange ", " primaryExchange ")
    money = "position marketPrice marketValue averageCost unrealizedPNL realizedPNL account"
    return [7, 8, *_contract(values["contract"], names), *(values[name] for name in money.split())]


_WRITERS: Mapping[str, Callable[[Mapping[str, Any], int], list[Any]]] = {
    "contractDetails": _contract_details,
    "execDetails": _exec_details,
    "openOrder": _open_order,
    "completedOrder": _completed_order,
    "historicalData": _historical_data,
    "marketRule": _market_rule,
    "position": _position,
    "updatePortfolio": _portfolio,
}
