"""Market streams: names, subscriptions and payloads of spot and futures.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams. Depth streams tell
each change when it happens instead of gathering 100 ms of them; their numbers join without a gap all the same.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
import msgspec

from fairlead import Bar, Book, Funding, Mark, Quote, Trade
from fairlead_venue.binance.listing import Symbols
from fairlead_venue.binance.market import INTERVALS, MarketData
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Event, Exchange, MarketMoved
from fairlead_venue.tape import Tape, interval_ns, opening
from fairlead_venue.triggers import price_of

_MOST = 1024
_NAME = re.compile(
    r"^(?P<symbol>[a-z0-9_]+)@(?P<kind>[A-Za-z]+)(?P<levels>5|10|20)?(?:_(?P<interval>\w+))?(?:@(?P<speed>\w+))?$"
)
_ALL = re.compile(r"^!(?P<kind>\w+?)(?:@arr)?(?:@(?P<speed>\w+))?$")
_KINDS = frozenset(
    {"trade", "aggTrade", "bookTicker", "depth", "kline", "ticker", "miniTicker", "avgPrice", "markPrice"}
)
_OF_ALL = frozenset({"bookTicker", "ticker", "miniTicker", "markPrice"})


@attrs.frozen
class Stream:
    """A stream by its parts; `symbol` is empty for one of all symbols."""

    name: str
    symbol: str
    kind: str
    levels: int = 0
    interval: str = ""


class Streams:
    """Serves the market streams of one product to its channels."""

    def __init__(self, exchange: Exchange, symbols: Symbols, market: MarketData, *, futures: bool) -> None:
        self.channels: list[Channel] = []
        self._exchange = exchange
        self._symbols = symbols
        self._market = market
        self._futures = futures
        self._candles: dict[tuple[str, str], int] = {}
        exchange.listen(self._heard)

    def parse(self, name: str) -> Stream | None:
        """A stream by its name; None for one that there is not."""
        if found := _ALL.match(name):
            kind = found["kind"]
            return Stream(name, "", kind) if kind in _OF_ALL else None
        found = _NAME.match(name)
        if found is None or found["kind"] not in _KINDS:
            return None
        symbol, interval = found["symbol"].upper(), found["interval"] or ""
        if symbol not in self._symbols.all():
            return None
        if (found["kind"] == "kline") is not bool(interval) or (interval and interval not in INTERVALS):
            return None
        return Stream(name, symbol, found["kind"], int(found["levels"] or 0), interval)

    def subscribe(self, channel: Channel, names: list[str]) -> None:
        """Begin to send streams; unknown names are taken and never send, as Binance does it."""
        for name in names:
            channel.topics[name] = self.parse(name)
        if channel not in self.channels:
            self.channels.append(channel)

    def control(self, channel: Channel, text: str) -> Any:
        """Answer SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY and GET_PROPERTY."""
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            return _refused(None, 3, "Invalid JSON: expected value at line 1 column 1")
        number, params = request.get("id"), request.get("params", [])
        if not isinstance(params, list) or (number is not None and not isinstance(number, int | str)):
            return _refused(number, 2, "Invalid request: params must be an array")
        match request.get("method"):
            case "SUBSCRIBE":
                if len(channel.topics) + len(params) > _MOST:
                    return _refused(number, 2, f"Invalid request: at most {_MOST} streams")
                self.subscribe(channel, [str(name) for name in params])
                return {"result": None, "id": number}
            case "UNSUBSCRIBE":
                for name in params:
                    channel.topics.pop(str(name), None)
                return {"result": None, "id": number}
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(channel.topics), "id": number}
            case "SET_PROPERTY":
                channel.state["combined"] = bool(params[1:] and params[1])
                return {"result": None, "id": number}
            case "GET_PROPERTY":
                return {"result": channel.state.get("combined", False), "id": number}
            case _:
                return _refused(number, 2, "Invalid request: unknown variant")

    # --- events -------------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if not isinstance(event, MarketMoved) or event.tape.instrument.native not in self._symbols.all():
            return
        if self._symbols.id(event.tape.instrument.native) != event.tape.instrument.id:
            return
        made: dict[str, list[Any]] = {}
        for channel in list(self.channels):
            for name, stream in list(channel.topics.items()):
                if stream is None or stream.symbol not in {"", event.tape.instrument.native}:
                    continue
                if name not in made:
                    made[name] = self._payloads(stream, event)
                for payload in made[name]:
                    self.send(channel, name, stream.kind, payload)
        self._seen(event)

    def send(self, channel: Channel, name: str, kind: str, payload: Any) -> None:
        """Send one payload, wrapped where the connection wants it so."""
        wrapped = {"stream": name, "data": payload} if channel.state.get("combined") else payload
        channel.event(wrapped, [f"event:{kind}", name])

    def _payloads(self, stream: Stream, moved: MarketMoved) -> list[Any]:
        tape, event = moved.tape, moved.event
        match stream.kind:
            case "trade" | "aggTrade" if isinstance(event, Trade):
                return [self._trade(tape, stream.kind)]
            case "bookTicker" if isinstance(event, Quote | Book) and moved.change:
                return [self._book_ticker(tape)]
            case "depth" if moved.change is not None:
                return [self._partial(moved, stream.levels) if stream.levels else self._depth(moved)]
            case "kline" if isinstance(event, Trade | Bar):
                return self._klines(tape, stream.interval, event)
            case "ticker" | "miniTicker" if isinstance(event, Trade | Bar):
                row = self._ticker(tape, short=stream.kind == "miniTicker")
                return [row] if stream.symbol else [[row]]
            case "avgPrice" if isinstance(event, Trade | Bar):
                return [{"e": "avgPrice", "E": self._now, "s": tape.instrument.native, "i": "5m",
                         "w": self._market.text(tape.price or 0.0), "T": self._now}]  # fmt: skip
            case "markPrice" if self._futures and isinstance(event, Mark | Funding | Quote | Trade):
                row = self._mark(tape)
                return [row] if stream.symbol else [[row]]
            case _:
                return []

    @property
    def _now(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def _trade(self, tape: Tape, kind: str) -> dict[str, Any]:
        done, write = tape.prints[-1], self._market.text
        at = done.at_ns // 1_000_000
        row = {"e": kind, "E": self._now, "s": tape.instrument.native, "p": write(done.price), "q": write(done.size),
               "T": at, "m": done.buyer_made}  # fmt: skip
        row |= (
            {"a": done.number, "f": done.number, "l": done.number}
            if kind == "aggTrade"
            else {"t": done.number}
        )
        return (
            {**row, **({"X": "MARKET"} if kind == "trade" else {})} if self._futures else {**row, "M": True}
        )

    def _book_ticker(self, tape: Tape) -> dict[str, Any]:
        write = self._market.text
        bid, ask = tape.bids[0] if tape.bids else (0.0, 0.0), tape.asks[0] if tape.asks else (0.0, 0.0)
        row = {"u": tape.update, "s": tape.instrument.native, "b": write(bid[0]), "B": write(bid[1]),
               "a": write(ask[0]), "A": write(ask[1])}  # fmt: skip
        return (
            {"e": "bookTicker", **row, "T": tape.at_ns // 1_000_000, "E": self._now} if self._futures else row
        )

    def _depth(self, moved: MarketMoved) -> dict[str, Any]:
        change = moved.change
        assert change is not None
        row = {"e": "depthUpdate", "E": self._now, "s": moved.tape.instrument.native, "U": change.first,
               "u": change.last, "b": self._market.levels(change.bids, 5000),
               "a": self._market.levels(change.asks, 5000)}  # fmt: skip
        return {**row, "T": change.at_ns // 1_000_000, "pu": change.before} if self._futures else row

    def _partial(self, moved: MarketMoved, levels: int) -> dict[str, Any]:
        tape, change = moved.tape, moved.change
        assert change is not None
        bids, asks = self._market.levels(tape.bids, levels), self._market.levels(tape.asks, levels)
        if not self._futures:
            return {"lastUpdateId": tape.update, "bids": bids, "asks": asks}
        return {"e": "depthUpdate", "E": self._now, "T": tape.at_ns // 1_000_000, "s": tape.instrument.native,
                "U": change.first, "u": change.last, "pu": change.before, "b": bids, "a": asks}  # fmt: skip

    def _klines(self, tape: Tape, interval: str, event: Trade | Bar) -> list[dict[str, Any]]:
        """The candle as it stands; the one before it as closed, when a new one began."""
        candles = tape.candles(interval)
        if not candles:
            return []
        if isinstance(event, Bar) and event.interval == interval:
            return [self._kline(tape, interval, candles[-1], shut=True)]
        last = self._candles.get((tape.instrument.id, interval))
        closed = [candle for candle in candles[-2:-1] if last == candle.open_ns]
        return [self._kline(tape, interval, candle, shut=True) for candle in closed] + [
            self._kline(tape, interval, candles[-1], shut=False)
        ]

    def _kline(self, tape: Tape, interval: str, candle: Any, *, shut: bool) -> dict[str, Any]:
        write, symbol = self._market.text, tape.instrument.native
        begin = candle.open_ns // 1_000_000
        row = {
            "t": begin, "T": begin + interval_ns(interval) // 1_000_000 - 1, "s": symbol, "i": interval,
            "f": candle.first, "L": candle.last, "o": write(candle.open), "c": write(candle.close),
            "h": write(candle.high), "l": write(candle.low), "v": write(candle.volume), "n": candle.count,
            "x": shut, "q": write(candle.value), "V": write(candle.taker_volume), "Q": write(candle.taker_value),
            "B": "0",
        }  # fmt: skip
        return {"e": "kline", "E": self._now, "s": symbol, "k": row}

    def _seen(self, moved: MarketMoved) -> None:
        """Remember which candle was told of last."""
        if isinstance(moved.event, Trade | Bar):
            wanted = {
                stream.interval
                for channel in self.channels
                for stream in channel.topics.values()
                if stream is not None and stream.interval
            }
            for interval in wanted:
                candles = moved.tape.candles(interval)
                if candles:
                    self._candles[moved.tape.instrument.id, interval] = opening(candles[-1].open_ns, interval)

    def _ticker(self, tape: Tape, *, short: bool) -> dict[str, Any]:
        day = self._market.day(tape)
        row = {"E": self._now, "s": day["symbol"], "c": day["lastPrice"], "o": day["openPrice"], "h": day["highPrice"],
               "l": day["lowPrice"], "v": day["volume"], "q": day["quoteVolume"]}  # fmt: skip
        if short:
            return {"e": "24hrMiniTicker", **row}
        return {
            "e": "24hrTicker", **row, "p": day["priceChange"], "P": day["priceChangePercent"],
            "w": day["weightedAvgPrice"], "x": day["prevClosePrice"], "Q": day["lastQty"], "b": day["bidPrice"],
            "B": day["bidQty"], "a": day["askPrice"], "A": day["askQty"], "O": day["openTime"],
            "C": day["closeTime"], "F": day["firstId"], "L": day["lastId"], "n": day["count"],
        }  # fmt: skip

    def _mark(self, tape: Tape) -> dict[str, Any]:
        mark = price_of(tape, "mark") or 0.0
        return {"e": "markPriceUpdate", "E": self._now, "s": tape.instrument.native, "p": f"{mark:.8f}",
                "ap": f"{mark:.8f}", "i": f"{tape.price or 0.0:.8f}", "P": f"{mark:.8f}",
                "r": f"{tape.funding_rate:.8f}",
                "T": tape.next_funding(self._exchange.clock.now()) // 1_000_000}  # fmt: skip


def _refused(number: object, code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "msg": message}, "id": number}
