"""Disconnection protection: orders are canceled when nobody who subscribed to it is connected any more.

https://bybit-exchange.github.io/docs/v5/order/dcp and https://bybit-exchange.github.io/docs/v5/websocket/private/dcp.
Bybit turns it on for an account by hand; the variant `dcp=on` says that it did.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fairlead_venue.bybit import rules
from fairlead_venue.bybit.endpoints import Asked, Endpoint
from fairlead_venue.bybit.private import DCP_TOPICS, PrivateTopics
from fairlead_venue.bybit.rules import Refused
from fairlead_venue.bybit.trading import Trading
from fairlead_venue.clock import Timer
from fairlead_venue.exchange import Exchange

_PRODUCTS = {"DERIVATIVES": "linear", "SPOT": "spot", "OPTIONS": "option"}
_USUAL_S = 10


class Protection:
    """The switch of each product. `left` is called when a private connection ended, `joined` when one subscribed."""

    def __init__(
        self, exchange: Exchange, trading: Trading, private: PrivateTopics, *, enabled: bool
    ) -> None:
        self._exchange = exchange
        self._trading = trading
        self._private = private
        self._enabled = enabled
        self._windows = dict.fromkeys(_PRODUCTS.values(), _USUAL_S)
        self._armed: set[str] = set()
        self._timers: dict[str, Timer] = {}

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        return [
            Endpoint("POST", "/v5/order/disconnected-cancel-all", "cancel", self._set, "dcp"),
            Endpoint("GET", "/v5/account/query-dcp-info", "account", self._info, "account"),
        ]

    def _set(self, asked: Asked) -> dict[str, Any]:
        product = _PRODUCTS[asked.params.word("product", _PRODUCTS, "OPTIONS")]
        seconds = asked.params.integer("timeWindow")
        if not 3 <= seconds <= 300:
            raise Refused(rules.PARAMETER, "timeWindow must be between 3 and 300")
        if not self._enabled:
            raise Refused(rules.PERMISSION)
        self._windows[product] = seconds
        return {}

    def _info(self, asked: Asked) -> dict[str, Any]:
        rows = [
            {"product": name, "dcpStatus": "ON", "timeWindow": str(self._windows[product])}
            for name, product in _PRODUCTS.items()
        ]
        return {"dcpInfos": rows if self._enabled else []}

    def joined(self, topic: str) -> None:
        """Somebody subscribed: what was counting down stops."""
        product = DCP_TOPICS[topic]
        self._armed.add(product)
        if timer := self._timers.pop(product, None):
            timer.cancel()

    def left(self, topics: list[str]) -> None:
        """A connection ended that had these topics."""
        for topic in topics:
            product = DCP_TOPICS.get(topic, "")
            if product not in self._armed or any(
                topic in channel.topics for channel in self._private.channels
            ):
                continue
            if self._enabled and product not in self._timers:
                self._timers[product] = self._exchange.clock.call_in(
                    self._windows[product] * 1_000_000_000, partial(self._fire, product)
                )

    def _fire(self, product: str) -> None:
        self._timers.pop(product, None)
        self._trading.cancel_product(product)
