"""Orders as clients place, change and cancel them, and what they are told of them.

https://interactivebrokers.github.io/tws-api/order_submission.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from fairlead import OrderType, Side, TimeInForce, Trail
from fairlead_venue.account import Account
from fairlead_venue.orders import ZERO, VenueOrder, Wanted
from fairlead_venue.tws import rules
from fairlead_venue.tws.catalogue import Catalogue, Listed
from fairlead_venue.tws.rules import Refused
from fairlead_venue.tws.session import Session

_TYPES = {
    "MKT": OrderType.MARKET, "LMT": OrderType.LIMIT, "STP": OrderType.STOP, "STP LMT": OrderType.STOP_LIMIT,
    "TRAIL": OrderType.TRAILING_STOP,
}  # fmt: skip
_TIMES = {
    "": TimeInForce.DAY, "DAY": TimeInForce.DAY, "GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK, "GTD": TimeInForce.GTD,
}  # fmt: skip
_MARGIN = {"STK": Decimal("0.25"), "CASH": Decimal("0.03"), "FUT": Decimal("0.05")}
"""What of a position's worth it takes of the account, about as Reg T and IB's own rules have it."""

_HUNDRED = Decimal(100)
_SENT = frozenset({OrderType.MARKET, OrderType.LIMIT})
_REASONS = {
    "insufficient_funds": "The equity is not sufficient to cover the order.",
    "margin": "The equity is not sufficient to cover the order.",
    "no_market": "No market data for the contract.",
}


class Orders:
    """The orders of the account, by client and by the client's id."""

    def __init__(self, account: Account, catalogue: Catalogue, number: str) -> None:
        self._account = account
        self._catalogue = catalogue
        self._number = number
        self._by_id: dict[tuple[int, int], VenueOrder] = {}
        self._last: dict[int, int] = {}

    def next_id(self, client_id: int) -> int:
        """The lowest id that the next new order of a client may have."""
        return self._last.get(client_id, 0) + 1

    def find(self, client_id: int, order_id: int) -> VenueOrder | None:
        """The order that a client gave an id."""
        return self._by_id.get((client_id, order_id))

    # --- place and change ---------------------------------------------------------------------------------------

    def place(self, session: Session, asked: Mapping[str, Any]) -> None:
        """A new order, or new terms of one that works. Raises Refused."""
        number = whole(asked["orderId"])
        known = self.find(session.client_id, number)
        if known is not None:
            self._change(session, known, asked)
            return
        if number < self.next_id(session.client_id):
            raise Refused(rules.DUPLICATE_ID, rules.text_of(rules.DUPLICATE_ID))
        listed = one(self._catalogue.find(asked["contract"]))
        wanted = self._wanted(listed, asked)
        extra = {
            "order_id": number, "client_id": session.client_id, "listed": listed,
            "terms": terms(asked), "parent": whole(asked["parentId"] or "0"),
        }  # fmt: skip
        if asked["whatIf"] == "1":
            raise Refused(
                rules.VALIDATION, "Error validating request:-'what-if orders are not simulated here'"
            )
        self._afford(listed, wanted)
        self._last[session.client_id] = number
        order = self._account.order(wanted, extra=extra)
        self._by_id[session.client_id, number] = order
        self._account.submit(order)
        if order.status == "rejected":
            raise refusal(order.code, order.reason)

    def _afford(self, listed: Listed, wanted: Wanted) -> None:
        """Refuse what opens more than the account's margin carries. Raises Refused."""
        held = self._account.holding(listed.instrument.id).quantity
        signed = wanted.quantity if wanted.side is Side.BUY else -wanted.quantity
        if abs(held + signed) <= abs(held):
            return
        price = wanted.limit_price or wanted.stop_price or self._account.price(listed.instrument.id)
        need = _worth(listed, wanted.quantity, price) * _MARGIN[listed.about["secType"]]
        for name, holding in self._account.holdings().items():
            other = self._catalogue.contracts[name]
            need += (
                _worth(other, abs(holding.quantity), self._account.price(name))
                * _MARGIN[other.about["secType"]]
            )
        if need > self._account.equity():
            raise refusal("margin", "")

    def _change(self, session: Session, order: VenueOrder, asked: Mapping[str, Any]) -> None:
        if not order.open:
            code = rules.FILLED if order.status == "filled" else rules.DUPLICATE_ID
            raise Refused(code, rules.text_of(code))
        listed: Listed = order.extra["listed"]
        new = self._wanted(listed, asked)
        old = order.wanted
        if not listed.fits(asked["contract"]) or (new.side, new.type) != (old.side, old.type):
            raise Refused(rules.MISMATCH, rules.text_of(rules.MISMATCH))
        before = order.extra["terms"]
        order.extra["terms"] = terms(asked)
        why = self._account.amend(
            order, quantity=new.quantity, limit_price=new.limit_price, stop_price=new.stop_price, trail=new.trail,
            time_in_force=new.time_in_force, expires_ns=new.expires_ns,
        )  # fmt: skip
        if why:
            order.extra["terms"] = before
            raise refusal(why, "")

    def _wanted(self, listed: Listed, asked: Mapping[str, Any]) -> Wanted:
        if asked["account"] not in ("", self._number):
            raise Refused(rules.VALIDATION, "Error validating request:-'an invalid account was specified'")
        rule = listed.instrument
        kind = _TYPES.get(asked["orderType"])
        if kind is None or asked["action"] not in ("BUY", "SELL") or asked["tif"] not in _TIMES:
            bad = next(
                name for name, known in (("orderType", _TYPES), ("action", ("BUY", "SELL")), ("tif", _TIMES))
                if asked[name] not in known
            )  # fmt: skip
            raise Refused(
                rules.VALIDATION, f"Error validating request:-'{bad} {asked[bad]!r} is not supported'"
            )
        if asked["algoStrategy"] or asked["hedgeType"] or asked["contract"]["secType"] == "BAG":
            raise Refused(
                rules.VALIDATION, "Error validating request:-'algos, hedges and combos are not listed'"
            )
        quantity = number(asked["totalQuantity"])
        if quantity is None or quantity <= 0:
            raise Refused(rules.SIZE_ZERO, rules.text_of(rules.SIZE_ZERO))
        if quantity % rule.lot:
            raise Refused(
                rules.VALIDATION, "Error validating request:-'the size does not conform to the increment'"
            )
        limit = number(asked["lmtPrice"]) if kind in {OrderType.LIMIT, OrderType.STOP_LIMIT} else None
        stop = number(asked["auxPrice"]) if kind in {OrderType.STOP, OrderType.STOP_LIMIT} else None
        for price in (limit, stop):
            if price is not None and (price <= 0 or price % rule.tick):
                raise Refused(rules.PRICE_STEP, rules.text_of(rules.PRICE_STEP))
        time = _TIMES[asked["tif"]]
        return Wanted(
            instrument=rule, side=Side(asked["action"].lower()), type=kind, quantity=quantity, limit_price=limit,
            stop_price=stop, trail=_trail(asked) if kind is OrderType.TRAILING_STOP else None, time_in_force=time,
            expires_ns=_until(asked["goodTillDate"]) if time is TimeInForce.GTD else 0,
            client_id=asked["orderRef"],
        )  # fmt: skip

    # --- cancel -------------------------------------------------------------------------------------------------

    def cancel(self, session: Session, order_id: int) -> None:
        """Take an order back. Raises Refused."""
        order = self.find(session.client_id, order_id)
        if order is None:
            raise Refused(rules.CANCEL_UNKNOWN, rules.text_of(rules.CANCEL_UNKNOWN, id=order_id))
        if not self._account.cancel(order):
            state = status(order)
            raise Refused(rules.CANCEL_DONE, rules.text_of(rules.CANCEL_DONE, id=order_id, state=state))

    def cancel_all(self) -> None:
        """Take every order of the account back, whoever placed it."""
        for order in list(self._account.open_orders()):
            self._account.cancel(order)

    # --- tell ---------------------------------------------------------------------------------------------------

    def open_orders(self, client_id: int | None = None) -> Iterable[VenueOrder]:
        """Orders that work: of a client, or all."""
        return [
            order
            for order in self._account.open_orders()
            if client_id is None or order.extra.get("client_id", 0) == client_id
        ]

    def tell_open(self, session: Session, order: VenueOrder, said: str = "") -> None:
        """The order with its terms."""
        session.tell("openOrder", **self._shown(order, said or status(order)), **_ids(order))

    def tell_status(self, session: Session, order: VenueOrder, said: str = "") -> None:
        """Where it stands."""
        last = next((done for done in reversed(order.executions) if not done.busted), None)
        ids = _ids(order)
        session.tell(
            "orderStatus", orderId=ids["orderId"], status=said or status(order), filled=order.filled,
            remaining=order.wanted.quantity - order.filled, avgFillPrice=float(order.average_price),
            permId=ids["permId"], parentId=ids["parentId"], clientId=ids["clientId"],
            lastFillPrice=last.price if last else 0, whyHeld="", mktCapPrice=0,
        )  # fmt: skip

    def tell_completed(self, session: Session, order: VenueOrder) -> None:
        """An order that is done; its id of the client is not kept."""
        at = datetime.fromtimestamp(order.updated_ns // 10**9, UTC).strftime("%Y%m%d %H:%M:%S UTC")
        session.tell(
            "completedOrder", **self._shown(order, status(order)), permId=perm_id(order), parentPermId=0,
            filledQuantity=order.filled, completedTime=at, completedStatus=_ended(order),
        )  # fmt: skip

    def _shown(self, order: VenueOrder, said: str) -> dict[str, Any]:
        wanted = order.wanted
        said_terms = order.extra.get("terms") or _own_terms(wanted)
        listed = self._catalogue.contracts[wanted.instrument.id]
        return {
            "contract": listed.about, "action": wanted.side.upper(), "totalQuantity": wanted.quantity,
            "account": self._number, "orderRef": wanted.client_id, "outsideRth": False, "whatIf": False,
            "status": said, "commission": "", "warning": "", **said_terms,
        }  # fmt: skip


def _worth(listed: Listed, quantity: Decimal, price: Decimal) -> Decimal:
    """In dollars; of a pair whose base they are, no price is needed."""
    rule = listed.instrument
    return quantity if rule.base == "USD" else rule.notional(quantity, price)


def terms(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of an order as they were written."""
    names = "orderType lmtPrice auxPrice tif goodTillDate trailStopPrice trailingPercent"
    found = {name: asked[name] for name in names.split()}
    return found | {"tif": asked["tif"] or "DAY"}


def _own_terms(wanted: Wanted) -> dict[str, Any]:
    kind = next(word for word, known in _TYPES.items() if known is wanted.type)
    return {
        "orderType": kind, "lmtPrice": wanted.limit_price or 0, "auxPrice": wanted.stop_price or 0,
        "tif": wanted.time_in_force.value, "goodTillDate": "", "trailStopPrice": "", "trailingPercent": "",
    }  # fmt: skip


def perm_id(order: VenueOrder) -> int:
    """The id that lasts."""
    return 1_854_000_000 + order.number


def _ids(order: VenueOrder) -> dict[str, Any]:
    extra = order.extra
    return {
        "orderId": extra.get("order_id", 0), "clientId": extra.get("client_id", 0), "permId": perm_id(order),
        "parentId": extra.get("parent", 0),
    }  # fmt: skip


def status(order: VenueOrder) -> str:
    """An order's status in IB's word."""
    match order.status:
        case "filled":
            return "Filled"
        case "canceled" | "expired":
            return "Cancelled"
        case "rejected":
            return "Inactive"
    waits = order.wanted.type not in _SENT and not order.triggered
    return "PreSubmitted" if waits else "Submitted"


def _ended(order: VenueOrder) -> str:
    if order.status == "filled":
        return f"Filled Size: {order.filled:f}"
    return "Cancelled" if order.status == "canceled" else f"Cancelled: {order.reason or order.status}"


def refusal(code: str, reason: str) -> Refused:
    """How the books' refusal is said."""
    if code == "bad_tick":
        return Refused(rules.PRICE_STEP, rules.text_of(rules.PRICE_STEP))
    if code == "too_late":
        return Refused(rules.FILLED, rules.text_of(rules.FILLED))
    return Refused(rules.REJECTED, f"{rules.text_of(rules.REJECTED)}{_REASONS.get(code) or reason or code}")


def one(found: list[Listed]) -> Listed:
    """The only contract of a description. Raises Refused."""
    if len(found) == 1:
        return found[0]
    text = rules.text_of(rules.NO_CONTRACT)
    raise Refused(
        rules.NO_CONTRACT,
        text if not found else f"The contract description specified for {text} is ambiguous.",
    )


def whole(text: str) -> int:
    """An integer. Raises Refused."""
    try:
        return int(text)
    except ValueError:
        raise Refused(rules.UNREADABLE, f"Error reading request:-'{text[:40]!r} is no integer'") from None


def number(text: str) -> Decimal | None:
    """A number, None where there is none. Raises Refused."""
    if text in ("", "1.7976931348623157E308", "1.7976931348623157e+308"):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise Refused(rules.UNREADABLE, f"Error reading request:-'{text[:40]!r} is no number'")
    return value


def _trail(asked: Mapping[str, Any]) -> Trail:
    part = number(asked["trailingPercent"])
    if part is not None and part > 0:
        return Trail(part / _HUNDRED, percent=True)
    return Trail(number(asked["auxPrice"]) or ZERO)


def _until(text: str) -> int:
    """The time of a good-till date, which has its zone. Raises Refused."""
    for form in ("%Y%m%d %H:%M:%S UTC", "%Y%m%d-%H:%M:%S"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * 10**9
        except ValueError:
            continue
    raise Refused(rules.VALIDATION, f"Error validating request:-'goodTillDate {text!r}: write it with UTC'")
