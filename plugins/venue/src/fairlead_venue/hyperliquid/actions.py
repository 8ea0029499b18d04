"""Actions: orders, cancels, modifications, the scheduled cancel and leverage.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from fairlead import TimeInForce
from fairlead_venue.account import Account
from fairlead_venue.clock import Timer
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.hyperliquid import rules
from fairlead_venue.hyperliquid.listing import Assets, wire
from fairlead_venue.hyperliquid.orders import Asking, Declined, Reader, declined
from fairlead_venue.hyperliquid.rules import UNREADABLE, Refused, Unreadable
from fairlead_venue.orders import VenueOrder
from fairlead_venue.triggers import Trigger, Triggers
from fairlead_venue.wire import Call

_SOON_MS = 5_000
_TRIGGERS_A_DAY = 10
_DAY_MS = 86_400_000
_VOLUME = Decimal(1_000_000)

LABELS = {
    "order": "order", "cancel": "cancel", "cancelByCloid": "cancel", "modify": "amend", "batchModify": "amend",
    "scheduleCancel": "dead_man", "updateLeverage": "session", "noop": "session",
}  # fmt: skip
"""The common word for each action."""


class Actions:
    """Carries actions out. `run` returns what stands under `response`; raises Refused or Unreadable.

    Variants: `modify=open_first` tells of the new order before the canceled one; `modify_refused=cancels` ends the old
    order although the new one is refused; `schedule_cancel=volume` wants a million USDC traded first.
    """

    def __init__(
        self, exchange: Exchange, wallets: Mapping[bool, Account], assets: Assets, variants: Mapping[str, str],
        volume: Callable[[], Decimal],
    ) -> None:  # fmt: skip
        self.opened_first: Callable[[VenueOrder], None] | None = None
        """Told of an order whose end is to be told of after the next one; set by who tells."""
        self._exchange = exchange
        self._wallets = wallets
        self._assets = assets
        self._variants = variants
        self._volume = volume
        self._read = Reader(exchange, assets)
        self._triggers = Triggers(exchange)
        self._switch: Timer | None = None
        self._fired: list[int] = []
        self._runs: dict[str, Callable[[dict[str, Any], Call], dict[str, Any]]] = {
            "order": self._order, "cancel": self._cancel, "cancelByCloid": self._cancel, "modify": self._modify,
            "batchModify": self._modify_all, "scheduleCancel": self._schedule, "updateLeverage": self._leverage,
            "noop": lambda _action, _call: {"type": "default"},
        }  # fmt: skip

    def run(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        """Carry one out."""
        kind = action.get("type")
        if kind not in self._runs:
            raise Refused(rules.NOT_HERE, kind)
        try:
            return self._runs[kind](action, call)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise Unreadable(UNREADABLE) from error

    @property
    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def _wallet(self, number: object) -> Account:
        name = self._assets.at(number)
        return self._wallets[name is not None and self._exchange.tapes[name].instrument.spot]

    # --- orders -------------------------------------------------------------------------------------------------

    def _order(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        if not action["orders"]:
            raise Unreadable(UNREADABLE)
        return {"type": "order", "data": {"statuses": [self._each(row, call) for row in action["orders"]]}}

    def _each(self, row: dict[str, Any], call: Call) -> dict[str, Any]:
        try:
            account = self._wallet(row["a"])
            asking = self._read.order(row, account)
            self._read.allow_one_more(account, row["a"])
            return self._place(asking, account, call)
        except Declined as refusal:
            return {"error": str(refusal)}

    def _place(self, asking: Asking, account: Account, call: Call) -> dict[str, Any]:
        order = account.order(asking.wanted, extra=asking.extra)
        if call.struck(FaultKind.REJECT_LATER):
            account.hold(order)
            order.extra["status"] = "perpMarginRejected"
            call.after.append(lambda: account.end(order, "rejected", "rejected by the matching engine"))
            return {"resting": _named(order)}
        if asking.trigger is not None:
            account.hold(order)
            fire = partial(account.submit, order)
            self._triggers.arm(Trigger(order, fire, asking.trigger, asking.above, "mark"))
            return {"resting": _named(order)}
        account.submit(order)
        if order.status == "rejected":
            raise declined(order, account)
        if order.status == "expired" and not order.filled:
            raise Declined(rules.IOC, asking.extra["number"])
        if order.status in {"new", "partially_filled"} and not order.filled:
            return {"resting": _named(order)}
        if order.open and asking.wanted.time_in_force is TimeInForce.GTC:
            return {"resting": _named(order)}
        average = wire(round(order.average_price, 8))
        return {"filled": {"totalSz": wire(order.filled), "avgPx": average, **_named(order)}}

    # --- cancels ------------------------------------------------------------------------------------------------

    def _cancel(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"type": "cancel", "data": {"statuses": [self._cancel_one(row) for row in action["cancels"]]}}

    def _cancel_one(self, row: dict[str, Any]) -> Any:
        number = row.get("a", row.get("asset"))
        order = self._find(number, row.get("o", row.get("cloid")))
        if order is None:
            return {"error": rules.NEVER_PLACED.format(number)}
        self._wallet(number).cancel(order)
        return "success"

    def _find(self, number: object, name: object) -> VenueOrder | None:
        """An open order by its number or the client's id; the newest where several have the same."""
        found = [
            order
            for order in self._wallet(number).open_orders()
            if name in {order.number, order.wanted.client_id}
            and order.wanted.instrument.id == self._assets.at(number)
        ]
        return found[-1] if found else None

    def cancel_all(self, status: str = "") -> None:
        """Cancel everything, for a reason of the exchange's own."""
        for account in set(self._wallets.values()):
            for order in list(account.open_orders()):
                if status:
                    order.extra["status"] = status
                account.cancel(order)

    # --- modifications ------------------------------------------------------------------------------------------

    def _modify(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        """One that is alone is answered without its status."""
        status = self._modify_one(action, call)
        if "error" in status:
            raise Refused(status["error"])
        return {"type": "default"}

    def _modify_all(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        statuses = [self._modify_one(row, call) for row in action["modifies"]]
        return {"type": "order", "data": {"statuses": statuses}}

    def _modify_one(self, row: dict[str, Any], call: Call) -> dict[str, Any]:
        """A modification is a cancel and a new order with a new number."""
        new = row["order"]
        account = self._wallet(new["a"])
        old = self._find(new["a"], row["oid"])
        if old is None:
            return {"error": rules.NOT_MODIFIABLE}
        try:
            asking = self._read.order(new, account)
        except Declined as refusal:
            if self._variants.get("modify_refused") == "cancels":
                account.cancel(old)
            return {"error": str(refusal)}
        if self._variants.get("modify") == "open_first" and self.opened_first is not None:
            self.opened_first(old)
        account.cancel(old)
        try:
            return self._place(asking, account, call)
        except Declined as refusal:
            return {"error": str(refusal)}

    # --- the rest -----------------------------------------------------------------------------------------------

    def _schedule(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        """Cancel everything at a time; without one, do not."""
        when, now = action.get("time"), self._now_ms
        if self._variants.get("schedule_cancel") == "volume" and self._volume() < _VOLUME:
            raise Refused(rules.SCHEDULE_VOLUME, f"{self._volume():.2f}")
        if when is not None and when < now + _SOON_MS:
            raise Refused(rules.SCHEDULE_SOON)
        if (
            when is not None
            and sum(1 for at in self._fired if at // _DAY_MS == now // _DAY_MS) >= _TRIGGERS_A_DAY
        ):
            raise Refused(rules.SCHEDULE_OFTEN)
        if self._switch is not None:
            self._switch.cancel()
            self._switch = None
        if when is not None:
            self._switch = self._exchange.clock.call_at(when * 1_000_000, self._fire)
        return {"type": "default"}

    def _fire(self) -> None:
        self._switch = None
        self._fired.append(self._now_ms)
        self.cancel_all("scheduledCancel")

    def _leverage(self, action: dict[str, Any], call: Call) -> dict[str, Any]:
        name, times = self._assets.at(action["asset"]), action["leverage"]
        if name is None or not isinstance(times, int) or not 1 <= times <= 40:
            raise Refused(rules.LEVERAGE)
        self._exchange.change(name, {"initial_margin": Decimal(1) / times})
        return {"type": "default"}


def _named(order: VenueOrder) -> dict[str, Any]:
    client = order.wanted.client_id
    return {"oid": order.number, **({"cloid": client} if client else {})}
