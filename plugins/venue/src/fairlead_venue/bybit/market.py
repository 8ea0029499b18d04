"""Market data over REST: https://bybit-exchange.github.io/docs/v5/market/time"""

from __future__ import annotations

from typing import Any

from fairlead_venue.bybit import rules
from fairlead_venue.bybit.endpoints import Asked, Endpoint
from fairlead_venue.bybit.listing import PRODUCTS, Symbols, info, plain
from fairlead_venue.bybit.params import Params
from fairlead_venue.bybit.rules import Refused
from fairlead_venue.bybit.wallet import MOST_LEVERAGE
from fairlead_venue.exchange import Exchange
from fairlead_venue.tape import Candle, Print, Tape, sum_of
from fairlead_venue.triggers import price_of

INTERVALS = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h",
    "720": "12h", "D": "1d", "W": "1w", "M": "1M",
}  # fmt: skip
_DAY_MS = 86_400_000
_DEPTH = {"spot": 200, "linear": 500}


class MarketData:
    """Answers market data requests of both products."""

    def __init__(self, exchange: Exchange, symbols: Symbols) -> None:
        self._exchange = exchange
        self._symbols = symbols

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self._exchange.clock.now() // 1_000_000

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        m = "/v5/market"
        return [
            Endpoint("GET", f"{m}/time", "market", self._time),
            Endpoint("GET", f"{m}/instruments-info", "market", self._instruments),
            Endpoint("GET", f"{m}/orderbook", "market", self._book),
            Endpoint("GET", f"{m}/tickers", "market", self._tickers),
            Endpoint("GET", f"{m}/kline", "market", self._klines),
            Endpoint("GET", f"{m}/recent-trade", "market", self._trades),
            Endpoint("GET", f"{m}/funding/history", "market", self._funding),
        ]

    def _time(self, asked: Asked) -> dict[str, Any]:
        now = self._exchange.clock.now()
        return {"timeSecond": str(now // 1_000_000_000), "timeNano": str(now)}

    def _tape(self, params: Params, product: str) -> Tape:
        return self._exchange.tapes[self._symbols.id(product, params.text("symbol"))]

    def _tapes(self, params: Params, product: str) -> list[Tape]:
        if "symbol" in params:
            return [self._tape(params, product)]
        return [self._exchange.tapes[self._symbols.id(product, name)] for name in self._symbols.all(product)]

    def _instruments(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        product = params.word("category", PRODUCTS)
        tapes, limit = self._tapes(params, product), params.limit(500, 1000)
        begin = int(params.text("cursor", "0").removeprefix("page").lstrip("%3A:") or 0)
        if product == "spot":
            limit = len(tapes)  # spot has no pages
        rows = [info(tape.instrument, MOST_LEVERAGE) for tape in tapes[begin : begin + limit]]
        more = begin + limit < len(tapes)
        return {
            "category": product,
            "list": rows,
            "nextPageCursor": f"page%3A{begin + limit}" if more else "",
        }

    def _book(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        product = params.word("category", PRODUCTS)
        tape, limit = (
            self._tape(params, product),
            params.limit(25 if product == "linear" else 1, _DEPTH[product]),
        )
        return {
            "s": tape.instrument.native, "b": levels(tape.bids, limit), "a": levels(tape.asks, limit),
            "ts": self.now_ms, "u": tape.update + 1, "seq": tape.update, "cts": tape.at_ns // 1_000_000,
        }  # fmt: skip

    def _tickers(self, asked: Asked) -> dict[str, Any]:
        product = asked.params.word("category", PRODUCTS)
        return {
            "category": product,
            "list": [self.ticker(tape) for tape in self._tapes(asked.params, product)],
        }

    def ticker(self, tape: Tape) -> dict[str, Any]:
        """The last day of one market, and its best prices."""
        recent = [c for c in tape.candles("1m") if c.open_ns // 1_000_000 > self.now_ms - _DAY_MS]
        whole = sum_of(recent) or Candle(0, 0.0, 0.0, 0.0, 0.0)
        bid, ask = tape.bids[0] if tape.bids else (0.0, 0.0), tape.asks[0] if tape.asks else (0.0, 0.0)
        change = (whole.close - whole.open) / whole.open if whole.open else 0.0
        row = {
            "symbol": tape.instrument.native, "lastPrice": plain(tape.price or 0.0), "prevPrice24h": plain(whole.open),
            "price24hPcnt": f"{change:.6f}", "highPrice24h": plain(whole.high), "lowPrice24h": plain(whole.low),
            "turnover24h": plain(whole.value), "volume24h": plain(whole.volume), "bid1Price": plain(bid[0]),
            "bid1Size": plain(bid[1]), "ask1Price": plain(ask[0]), "ask1Size": plain(ask[1]),
        }  # fmt: skip
        if tape.instrument.spot:
            return row | {"usdIndexPrice": plain(tape.price or 0.0)}
        due = tape.next_funding(self._exchange.clock.now()) // 1_000_000
        return row | {
            "markPrice": plain(price_of(tape, "mark") or 0.0), "indexPrice": plain(tape.price or 0.0),
            "prevPrice1h": plain(whole.open), "openInterest": "0", "openInterestValue": "0",
            "fundingRate": plain(tape.funding_rate), "nextFundingTime": str(due), "predictedDeliveryPrice": "",
            "basisRate": "", "deliveryFeeRate": "", "deliveryTime": "0", "basis": "",
        }  # fmt: skip

    def _klines(self, asked: Asked) -> dict[str, Any]:
        """Candles, newest first; the first may be unfinished."""
        params = asked.params
        product = params.word("category", PRODUCTS, "linear")
        interval, limit = params.word("interval", INTERVALS), params.limit(200, 1000)
        start, end = params.integer("start", 0), params.integer("end", 1 << 62)
        tape = self._tape(params, product)
        found = [c for c in tape.candles(INTERVALS[interval]) if start <= c.open_ns // 1_000_000 <= end]
        found = found[-limit:] if "end" in params or "start" not in params else found[:limit]
        rows = [
            [
                str(c.open_ns // 1_000_000), plain(c.open), plain(c.high), plain(c.low), plain(c.close),
                plain(c.volume), plain(c.value),
            ]
            for c in reversed(found)
        ]  # fmt: skip
        return {"category": product, "symbol": tape.instrument.native, "list": rows}

    def _trades(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        product = params.word("category", PRODUCTS)
        tape, limit = self._tape(params, product), params.limit(60 if product == "spot" else 500, 1000)
        rows = [
            {
                "execId": trade_id(tape, done), "symbol": tape.instrument.native, "price": plain(done.price),
                "size": plain(done.size), "side": "Sell" if done.buyer_made else "Buy",
                "time": str(done.at_ns // 1_000_000), "isBlockTrade": False, "isRPITrade": False,
                "seq": str(done.number),
            }
            for done in reversed(list(tape.prints)[-limit:])
        ]  # fmt: skip
        return {"category": product, "list": rows}

    def _funding(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        if params.word("category", PRODUCTS) == "spot":
            raise Refused(rules.PARAMETER, "category invalid")
        tape = self._tape(params, "linear")
        last = tape.next_funding(self._exchange.clock.now()) // 1_000_000 - 28_800_000
        row = {
            "symbol": tape.instrument.native, "fundingRate": plain(tape.funding_rate), "fundingRateTimestamp": str(last)
        }  # fmt: skip
        return {"category": "linear", "list": [row]}


def levels(side: tuple[tuple[float, float], ...], limit: int) -> list[list[str]]:
    """Levels of a book."""
    return [[plain(price), plain(size)] for price, size in side[:limit]]


def trade_id(tape: Tape, done: Print) -> str:
    """The id of a public trade: a long number for spot, a UUID for derivatives."""
    if tape.instrument.spot:
        return str(2_100_000_000_000_000_000 + done.number)
    return f"{done.number:08x}-9b17-5000-8000-{done.number:012x}"
