"""Public topics: books, trades, tickers and candles, each with a snapshot first.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from fairlead import Bar, Trade
from fairlead_venue.bybit.listing import Symbols, plain, product_of
from fairlead_venue.bybit.market import INTERVALS, MarketData, trade_id
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Event, Exchange, MarketMoved
from fairlead_venue.tape import Tape, interval_ns, opening

_TOPIC = re.compile(r"(orderbook\.(\d+)|publicTrade|tickers|kline\.(\w+))\.([A-Z0-9-]+)")
_DEPTHS = {"spot": {"1", "50", "200", "1000"}, "linear": {"1", "50", "200", "500", "1000"}}

Level = dict[str, str]


@attrs.define
class Told:
    """What all subscribers of a book know: its levels, and the number of the last update."""

    bids: Level
    asks: Level
    update: int = 1


class PublicTopics:
    """The subscribers of one product."""

    def __init__(self, exchange: Exchange, symbols: Symbols, market: MarketData, product: str) -> None:
        self.channels: list[Channel] = []
        self._exchange = exchange
        self._symbols = symbols
        self._market = market
        self._product = product
        self._books: dict[str, Told] = {}
        self._tickers: dict[str, dict[str, Any]] = {}
        self._begun: dict[tuple[str, str], int] = {}
        exchange.listen(self._heard)

    def knows(self, topic: str) -> bool:
        """Whether there is such a topic."""
        found = _TOPIC.fullmatch(topic)
        if found is None or found[4] not in self._symbols.all(self._product):
            return False
        return (found[2] is None or found[2] in _DEPTHS[self._product]) and (
            found[3] is None or found[3] in INTERVALS
        )

    def subscribe(self, channel: Channel, topic: str) -> None:
        """Add a topic; a book and a ticker begin with a snapshot."""
        channel.topics[topic] = None
        tape, kind = self._tape(topic), topic.partition(".")[0]
        if kind == "orderbook":
            self._send(channel, topic, "snapshot", self._whole(topic, tape), tape)
        elif kind == "tickers":
            self._tickers[topic] = self._market.ticker(tape)
            self._send(channel, topic, "snapshot", self._tickers[topic], tape)

    def _tape(self, topic: str) -> Tape:
        return self._exchange.tapes[self._symbols.id(self._product, topic.rpartition(".")[2])]

    @property
    def _now(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def _send(self, channel: Channel, topic: str, kind: str, data: Any, tape: Tape) -> None:
        frame = {"topic": topic, "type": kind, "ts": self._now, "data": data}
        if topic.startswith("orderbook"):
            frame["cts"] = tape.at_ns // 1_000_000
        elif topic.startswith("tickers"):
            frame["cs"] = tape.update
        channel.event(frame, [f"event:{topic.partition('.')[0]}", topic])

    # --- books --------------------------------------------------------------------------------------------------

    def _whole(self, topic: str, tape: Tape) -> dict[str, Any]:
        told = self._books.get(topic)
        if told is None:
            told = self._books[topic] = Told(*self._top(topic, tape))
        return self._book(tape, told.update, told.bids, told.asks)

    def _top(self, topic: str, tape: Tape) -> tuple[Level, Level]:
        depth = int(topic.split(".")[1])
        return tuple(
            {plain(price): plain(size) for price, size in side[:depth]} for side in (tape.bids, tape.asks)
        )  # type: ignore[return-value]

    def _book(self, tape: Tape, update: int, bids: Level, asks: Level) -> dict[str, Any]:
        return {
            "s": tape.instrument.native, "b": [list(row) for row in bids.items()],
            "a": [list(row) for row in asks.items()], "u": update, "seq": 7_000_000 + tape.update,
        }  # fmt: skip

    def _changed(self, topic: str, tape: Tape) -> dict[str, Any] | None:
        """What is new to subscribers, with the next number; None where nothing is."""
        told = self._books.get(topic)
        if told is None:
            return None
        bids, asks = self._top(topic, tape)
        gone, came = _changes(told.bids, bids), _changes(told.asks, asks)
        if not gone and not came:
            return None
        self._books[topic] = Told(bids, asks, told.update + 1)
        return self._book(tape, told.update + 1, gone, came)

    def restart(self) -> None:
        """The service restarted: every book is sent anew, and its numbers begin at 1."""
        for told in self._books.values():
            told.update = 1
        for channel in list(self.channels):
            for topic in channel.topics:
                if topic.startswith("orderbook"):
                    tape = self._tape(topic)
                    self._send(channel, topic, "snapshot", self._whole(topic, tape), tape)

    # --- events -------------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if not isinstance(event, MarketMoved) or product_of(event.tape.instrument) != self._product:
            return
        symbol = event.tape.instrument.native
        topics = {topic for channel in self.channels for topic in channel.topics}
        for topic in sorted(topics):
            if topic.rpartition(".")[2] != symbol:
                continue
            for kind, data in self._payloads(topic, event):
                for channel in list(self.channels):
                    if topic in channel.topics:
                        self._send(channel, topic, kind, data, event.tape)

    def _payloads(self, topic: str, moved: MarketMoved) -> list[tuple[str, Any]]:
        tape, kind = moved.tape, topic.partition(".")[0]
        match kind:
            case "orderbook" if moved.change is not None:
                changed = self._changed(topic, tape)
                return [] if changed is None else [("delta", changed)]
            case "publicTrade" if isinstance(moved.event, Trade):
                return [("snapshot", [self._trade(tape)])]
            case "tickers":
                return self._ticker(topic, tape)
            case "kline" if isinstance(moved.event, Trade | Bar):
                return [("snapshot", self._candles(topic, tape, moved.event))]
            case _:
                return []

    def _trade(self, tape: Tape) -> dict[str, Any]:
        done = tape.prints[-1]
        return {
            "T": done.at_ns // 1_000_000, "s": tape.instrument.native, "S": "Sell" if done.buyer_made else "Buy",
            "v": plain(done.size), "p": plain(done.price), "L": "ZeroPlusTick", "i": trade_id(tape, done), "BT": False,
            "RPI": False, "seq": done.number,
        }  # fmt: skip

    def _ticker(self, topic: str, tape: Tape) -> list[tuple[str, Any]]:
        """Spot tells all of it each time, linear what changed."""
        row, before = self._market.ticker(tape), self._tickers.get(topic, {})
        self._tickers[topic] = row
        changed = {key: value for key, value in row.items() if before.get(key) != value}
        if not changed:
            return []
        if self._product == "spot":
            return [("snapshot", row)]
        return [("delta", {"symbol": row["symbol"], **changed})]

    def _candles(self, topic: str, tape: Tape, event: Trade | Bar) -> list[dict[str, Any]]:
        """The candle as it stands; the one before it as confirmed, when a new one began."""
        name = topic.split(".")[1]
        interval = INTERVALS[name]
        candles = tape.candles(interval)
        if not candles:
            return []
        done = isinstance(event, Bar) and event.interval == interval
        key = (tape.instrument.id, interval)
        closed = [c for c in candles[-2:-1] if self._begun.get(key) == c.open_ns]
        self._begun[key] = opening(candles[-1].open_ns, interval)
        rows = [(candle, True) for candle in closed] + [(candles[-1], done)]
        span = interval_ns(interval) // 1_000_000
        return [
            {
                "start": c.open_ns // 1_000_000, "end": c.open_ns // 1_000_000 + span - 1, "interval": name,
                "open": plain(c.open), "close": plain(c.close), "high": plain(c.high), "low": plain(c.low),
                "volume": plain(c.volume), "turnover": plain(c.value), "confirm": shut, "timestamp": self._now,
            }
            for c, shut in rows
        ]  # fmt: skip


def _changes(old: Level, new: Level) -> Level:
    gone = dict.fromkeys((price for price in old if price not in new), "0")
    return {**gone, **{price: size for price, size in new.items() if old.get(price) != size}}
