"""Market data over REST: the same for spot and futures but for the way numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead_venue.binance import rules
from fairlead_venue.binance.listing import Symbols, plain, text
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused
from fairlead_venue.exchange import Exchange
from fairlead_venue.tape import Candle, Print, Tape, interval_ns, sum_of

INTERVALS = frozenset(
    {"1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"}
)
_DAY_MS = 86_400_000


class MarketData:
    """Answers market data requests of one product."""

    def __init__(self, exchange: Exchange, symbols: Symbols, *, futures: bool) -> None:
        self.exchange = exchange
        self.symbols = symbols
        self.futures = futures
        self.text: Callable[[Decimal | float], str] = plain if futures else text

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self.exchange.clock.now() // 1_000_000

    def tape(self, params: Params) -> Tape:
        """The market of a request's symbol. Raises Refused."""
        return self.exchange.tapes[self.symbols.id(params.text("symbol"))]

    def tapes(self, params: Params) -> list[Tape]:
        """The markets of a request's symbol, or all. Raises Refused."""
        if "symbol" in params:
            return [self.tape(params)]
        return [self.exchange.tapes[self.symbols.id(symbol)] for symbol in self.symbols.all()]

    def levels(self, side: tuple[tuple[float, float], ...], limit: int) -> list[list[str]]:
        """Levels of a book."""
        return [[self.text(price), self.text(size)] for price, size in side[:limit]]

    def depth(self, params: Params) -> dict[str, Any]:
        """The order book, with the number of its last update."""
        tape, limit = self.tape(params), params.limit(500 if self.futures else 100, 5000)
        book = {
            "lastUpdateId": tape.update,
            "bids": self.levels(tape.bids, limit),
            "asks": self.levels(tape.asks, limit),
        }
        return {**book, "E": self.now_ms, "T": tape.at_ns // 1_000_000} if self.futures else book

    def trades(self, params: Params) -> list[dict[str, Any]]:
        """The last prints."""
        tape, limit = self.tape(params), params.limit(500, 1000)
        return [self._trade(done) for done in list(tape.prints)[-limit:]]

    def _trade(self, done: Print) -> dict[str, Any]:
        row = {
            "id": done.number, "price": self.text(done.price), "qty": self.text(done.size),
            "quoteQty": self.text(done.price * done.size), "time": done.at_ns // 1_000_000,
            "isBuyerMaker": done.buyer_made,
        }  # fmt: skip
        return row if self.futures else {**row, "isBestMatch": True}

    def agg_trades(self, params: Params) -> list[dict[str, Any]]:
        """The last prints, as aggregates of one each."""
        tape, limit = self.tape(params), params.limit(500, 1000)
        first = params.integer("fromId", 0)
        rows = [done for done in tape.prints if done.number >= first]
        return [
            {
                "a": done.number, "p": self.text(done.price), "q": self.text(done.size), "f": done.number,
                "l": done.number, "T": done.at_ns // 1_000_000, "m": done.buyer_made,
                **({} if self.futures else {"M": True}),
            }
            for done in (rows[:limit] if "fromId" in params else rows[-limit:])
        ]  # fmt: skip

    def klines(self, params: Params) -> list[list[Any]]:
        """Candles, oldest first; the last may be unfinished."""
        interval = params.word("interval", INTERVALS, rules.INTERVAL)
        if self.futures and interval == "1s":
            raise Refused(rules.INTERVAL)
        limit = params.limit(500, 1500 if self.futures else 1000)
        start, end = params.integer("startTime", 0), params.integer("endTime", 1 << 62)
        candles = [
            candle
            for candle in self.tape(params).candles(interval)
            if start <= candle.open_ns // 1_000_000 <= end
        ]
        span = interval_ns(interval) // 1_000_000
        return [self._kline(candle, span) for candle in (candles[:limit] if start else candles[-limit:])]

    def _kline(self, candle: Candle, span_ms: int) -> list[Any]:
        begin = candle.open_ns // 1_000_000
        return [
            begin, self.text(candle.open), self.text(candle.high), self.text(candle.low), self.text(candle.close),
            self.text(candle.volume), begin + span_ms - 1, self.text(candle.value), candle.count,
            self.text(candle.taker_volume), self.text(candle.taker_value), "0",
        ]  # fmt: skip

    def book_ticker(self, params: Params) -> Any:
        """Best bid and ask, of one symbol or all."""
        rows = [self._book_ticker(tape) for tape in self.tapes(params)]
        return rows[0] if "symbol" in params else rows

    def _book_ticker(self, tape: Tape) -> dict[str, Any]:
        bid, ask = tape.bids[0] if tape.bids else (0.0, 0.0), tape.asks[0] if tape.asks else (0.0, 0.0)
        row = {
            "symbol": tape.instrument.native, "bidPrice": self.text(bid[0]), "bidQty": self.text(bid[1]),
            "askPrice": self.text(ask[0]), "askQty": self.text(ask[1]),
        }  # fmt: skip
        return {**row, "time": tape.at_ns // 1_000_000} if self.futures else row

    def price(self, params: Params) -> Any:
        """The last price, of one symbol or all."""
        rows = [
            {
                "symbol": tape.instrument.native,
                "price": self.text(tape.price or 0.0),
                **({"time": tape.at_ns // 1_000_000} if self.futures else {}),
            }
            for tape in self.tapes(params)
        ]
        return rows[0] if "symbol" in params else rows

    def ticker(self, params: Params) -> Any:
        """The last 24 hours, of one symbol or all."""
        rows = [self.day(tape) for tape in self.tapes(params)]
        return rows[0] if "symbol" in params else rows

    def day(self, tape: Tape) -> dict[str, Any]:
        """The last 24 hours of one market."""
        now, write = self.now_ms, self.text
        recent = [candle for candle in tape.candles("1m") if candle.open_ns // 1_000_000 > now - _DAY_MS]
        whole = sum_of(recent) or Candle(0, 0.0, 0.0, 0.0, 0.0)
        change = whole.close - whole.open
        ticker = self._book_ticker(tape)
        return {
            "symbol": tape.instrument.native, "priceChange": write(change),
            "priceChangePercent": f"{change / whole.open * 100 if whole.open else 0:.3f}",
            "weightedAvgPrice": write(whole.value / whole.volume if whole.volume else 0.0),
            "prevClosePrice": write(whole.open), "lastPrice": write(tape.price or 0.0),
            "lastQty": write(tape.prints[-1].size if tape.prints else 0.0), "bidPrice": ticker["bidPrice"],
            "bidQty": ticker["bidQty"], "askPrice": ticker["askPrice"], "askQty": ticker["askQty"],
            "openPrice": write(whole.open), "highPrice": write(whole.high), "lowPrice": write(whole.low),
            "volume": write(whole.volume), "quoteVolume": write(whole.value), "openTime": now - _DAY_MS,
            "closeTime": now, "firstId": whole.first, "lastId": whole.last, "count": whole.count,
        }  # fmt: skip

    def average(self, params: Params) -> dict[str, Any]:
        """The average price of five minutes."""
        tape = self.tape(params)
        return {"mins": 5, "price": self.text(average_price(tape)), "closeTime": self.now_ms}


def average_price(tape: Tape) -> float:
    """Volume-weighted over the last five minutes of candles, the last price without any."""
    whole = sum_of(tape.candles("1m")[-5:])
    return whole.value / whole.volume if whole is not None and whole.volume else tape.price or 0.0
