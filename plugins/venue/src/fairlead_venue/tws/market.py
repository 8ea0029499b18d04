"""Market data: ticks, tick by tick, depth, bars that are and bars that were.

https://interactivebrokers.github.io/tws-api/market_data.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from fairlead_venue.clock import VenueClock
from fairlead_venue.exchange import Exchange, MarketMoved
from fairlead_venue.tape import Candle, Print, Tape, opening
from fairlead_venue.tws import rules
from fairlead_venue.tws.catalogue import Catalogue, Listed
from fairlead_venue.tws.orders import one, whole
from fairlead_venue.tws.rules import Refused
from fairlead_venue.tws.session import Session

_SECOND = 10**9
_TICK_BY_TICK = 5
_DEPTHS = 3
_LINES = 100
_SIZES = {
    "sec": "s",
    "secs": "s",
    "min": "m",
    "mins": "m",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "week": "w",
}
_SPANS = {"S": 1, "D": 86_400, "W": 7 * 86_400, "M": 30 * 86_400, "Y": 365 * 86_400}
_SHOWN = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
_TICKS = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
_BID_SIZE, _BID, _ASK, _ASK_SIZE, _LAST, _LAST_SIZE, _VOLUME = 0, 1, 2, 3, 4, 5, 8


@attrs.define(eq=False)
class Feed:
    """What a client has subscribed to under a request's id; `rows` is the depth that it was told, `told` a bar."""

    kind: str
    request: int
    listed: Listed
    about: Mapping[str, Any] = attrs.Factory(dict)
    bids: Sequence[tuple[float, float]] = ()
    asks: Sequence[tuple[float, float]] = ()
    told: int = 0


class Market:
    """The market data that clients ask for."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue) -> None:
        self._exchange = exchange
        self._clock: VenueClock = exchange.clock
        self._catalogue = catalogue
        self.begin: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
            "reqMktData": self._ticks, "reqTickByTickData": self._tick_by_tick, "reqMktDepth": self._depth,
            "reqRealTimeBars": self._live_bars, "reqHistoricalData": self._history,
            "reqHeadTimeStamp": self._head,
        }  # fmt: skip

    # --- requests -----------------------------------------------------------------------------------------------

    def _subscribe(self, session: Session, kind: str, asked: Mapping[str, Any]) -> Feed:
        request = whole(asked["reqId"])
        feed = Feed(kind, request, one(self._catalogue.find(asked["contract"])), asked)
        if f"{kind} {request}" in session.topics:
            raise Refused(102, "Duplicate ticker ID for API request.")
        session.topics[f"{kind} {request}"] = feed
        return feed

    def cancel(self, session: Session, kind: str, request: int) -> None:
        """End a subscription. Raises Refused."""
        if session.topics.pop(f"{kind} {request}", None) is None:
            raise Refused(300, f"Can't find EId with tickerId:{request}")

    def _count(self, session: Session, kind: str) -> int:
        return sum(1 for feed in session.topics.values() if feed.kind == kind)

    def _ticks(self, session: Session, asked: Mapping[str, Any]) -> None:
        if self._count(session, "ticks") >= _LINES:
            raise Refused(101, "Max number of tickers has been reached.")
        feed = self._subscribe(session, "ticks", asked)
        rule = feed.listed.instrument
        session.tell("marketDataType", reqId=feed.request, type=1)
        session.tell(
            "tickReqParams",
            reqId=feed.request,
            minTick=rule.tick,
            bboExchange="9c0001",
            snapshotPermissions=3,
        )
        tape = self._exchange.tapes[rule.id]
        self._quote(session, feed, tape)
        if tape.prints:
            self._last(session, feed, tape.prints[-1], tape)
        if asked["snapshot"] == "1":
            del session.topics[f"ticks {feed.request}"]
            session.tell("tickSnapshotEnd", reqId=feed.request)

    def _tick_by_tick(self, session: Session, asked: Mapping[str, Any]) -> None:
        if asked["tickType"] not in _TICKS:
            raise Refused(rules.VALIDATION, "Error validating request:-'the tick type is none'")
        if self._count(session, "tick") >= _TICK_BY_TICK:
            raise Refused(rules.TICK_LIMIT, rules.text_of(rules.TICK_LIMIT))
        feed = self._subscribe(session, "tick", asked)
        if asked["tickType"] in ("Last", "AllLast") and feed.listed.about["secType"] == "CASH":
            del session.topics[f"tick {feed.request}"]
            raise Refused(rules.NO_TICKS, "Tick-by-tick data of this type is not there for the contract.")
        if asked["tickType"] in ("BidAsk", "MidPoint"):
            self._tick(session, feed, self._exchange.tapes[feed.listed.instrument.id])

    def _depth(self, session: Session, asked: Mapping[str, Any]) -> None:
        if self._count(session, "depth") >= _DEPTHS:
            raise Refused(rules.DEPTH_LIMIT, rules.text_of(rules.DEPTH_LIMIT))
        feed = self._subscribe(session, "depth", asked)
        self._rows(session, feed, self._exchange.tapes[feed.listed.instrument.id])

    def _live_bars(self, session: Session, asked: Mapping[str, Any]) -> None:
        if asked["barSize"] != "5":
            raise Refused(rules.VALIDATION, "Error validating request:-'real-time bars have five seconds'")
        feed = self._subscribe(session, "live", asked)
        self._arm(session, feed)

    def _arm(self, session: Session, feed: Feed) -> None:
        due = (self._clock.now() // (5 * _SECOND) + 1) * 5 * _SECOND

        def send() -> None:
            if session.open and session.topics.get(f"live {feed.request}") is feed:
                self._live(session, feed, due - 5 * _SECOND)
                self._arm(session, feed)

        self._clock.call_at(due, send)

    def _live(self, session: Session, feed: Feed, begin: int) -> None:
        tape = self._exchange.tapes[feed.listed.instrument.id]
        found = [candle for candle in tape.candles("5s") if candle.open_ns == begin]
        if tape.price is None:
            return
        bar = found[0] if found else Candle(begin, tape.price, tape.price, tape.price, tape.price)
        session.tell(
            "realtimeBar", reqId=feed.request, time=begin // _SECOND, open=bar.open, high=bar.high, low=bar.low,
            close=bar.close, volume=bar.volume, average=bar.close, count=bar.count,
        )  # fmt: skip

    # --- bars that were -----------------------------------------------------------------------------------------

    def _history(self, session: Session, asked: Mapping[str, Any]) -> None:
        listed, request = one(self._catalogue.find(asked["contract"])), whole(asked["reqId"])
        interval = _interval(asked["barSize"])
        if asked["whatToShow"] not in _SHOWN or (
            asked["whatToShow"] == "TRADES" and listed.about["secType"] == "CASH"
        ):
            raise Refused(
                rules.NO_BARS, "Historical Market Data Service error message:No historical data query found"
            )
        keep = asked["keepUpToDate"] == "1"
        if keep and asked["endDateTime"]:
            raise Refused(
                rules.VALIDATION, "Error validating request:-'an end date goes not with keep up to date'"
            )
        end = _end(asked["endDateTime"]) or self._clock.now() + 1
        start = end - _span(asked["duration"]) * _SECOND
        bars = [
            candle for candle in self._exchange.tapes[listed.instrument.id].candles(interval)
            if start <= candle.open_ns < end
        ]  # fmt: skip
        if not bars and not keep:
            raise Refused(
                rules.NO_BARS, "Historical Market Data Service error message:HMDS query returned no data"
            )
        session.tell(
            "historicalData", reqId=request, start=_stamp(start), end=_stamp(end),
            bars=[_bar(candle, interval, asked["formatDate"]) for candle in bars],
        )  # fmt: skip
        if keep:
            self._subscribe(session, "history", {**asked, "interval": interval})

    def _head(self, session: Session, asked: Mapping[str, Any]) -> None:
        listed, request = one(self._catalogue.find(asked["contract"])), whole(asked["reqId"])
        found = self._exchange.tapes[listed.instrument.id].candles("1m")
        if not found:
            raise Refused(rules.NO_BARS, "Historical Market Data Service error message:No head time stamp")
        session.tell("headTimestamp", reqId=request, time=_stamp(found[0].open_ns))

    # --- events -------------------------------------------------------------------------------------------------

    def heard(self, session: Session, moved: MarketMoved) -> None:
        """Tell a client of an event, as far as it asked for it."""
        tape = moved.tape
        for feed in list(session.topics.values()):
            if feed.listed.instrument.id != tape.instrument.id:
                continue
            printed = tape.prints and tape.prints[-1].number > feed.told
            match feed.kind:
                case "ticks":
                    if moved.change is not None:
                        self._quote(session, feed, tape)
                    if printed:
                        self._last(session, feed, tape.prints[-1], tape)
                case "tick":
                    self._tick(session, feed, tape)
                case "depth" if moved.change is not None:
                    self._rows(session, feed, tape)
                case "history":
                    self._update(session, feed, tape)

    def _quote(self, session: Session, feed: Feed, tape: Tape) -> None:
        for side, price, size in ((tape.bids, _BID, _BID_SIZE), (tape.asks, _ASK, _ASK_SIZE)):
            if side:
                session.tell(
                    "tickPrice",
                    reqId=feed.request,
                    tickType=price,
                    price=side[0][0],
                    size=side[0][1],
                    attributes=0,
                )
                session.tell("tickSize", reqId=feed.request, tickType=size, size=side[0][1])

    def _last(self, session: Session, feed: Feed, last: Print, tape: Tape) -> None:
        feed.told = last.number
        session.tell(
            "tickPrice", reqId=feed.request, tickType=_LAST, price=last.price, size=last.size, attributes=0
        )
        session.tell("tickSize", reqId=feed.request, tickType=_LAST_SIZE, size=last.size)
        session.tell(
            "tickSize", reqId=feed.request, tickType=_VOLUME, size=sum(done.size for done in tape.prints)
        )

    def _tick(self, session: Session, feed: Feed, tape: Tape) -> None:
        kind = feed.about["tickType"]
        at = (tape.at_ns or self._clock.now()) // _SECOND
        words: dict[str, Any] = {"reqId": feed.request, "tickType": _TICKS[kind], "time": at}
        if kind in ("Last", "AllLast"):
            for done in tape.prints:
                if done.number > feed.told:
                    feed.told = done.number
                    words |= {"price": done.price, "size": done.size, "mask": 0}
                    session.tell("tickByTickLast", **words, exchange="NASDAQ", conditions="")
            return
        if not tape.bids or not tape.asks or (tape.bids, tape.asks) == (feed.bids, feed.asks):
            return
        feed.bids, feed.asks = tape.bids, tape.asks
        (bid, bid_size), (ask, ask_size) = tape.bids[0], tape.asks[0]
        if kind == "BidAsk":
            words |= {"bid": bid, "ask": ask, "bidSize": bid_size, "askSize": ask_size, "mask": 0}
            session.tell("tickByTickBidAsk", **words)
        else:
            session.tell("tickByTickMidPoint", **words, price=(bid + ask) / 2)

    def _rows(self, session: Session, feed: Feed, tape: Tape) -> None:
        most = whole(feed.about["numRows"])
        for side, old, new in ((1, feed.bids, tape.bids[:most]), (0, feed.asks, tape.asks[:most])):
            for row in reversed(range(len(new), len(old))):
                self._row(session, feed, row, 2, side, (0.0, 0.0))
            for row, level in enumerate(new):
                if row >= len(old) or old[row] != level:
                    self._row(session, feed, row, 1 if row < len(old) else 0, side, level)
        feed.bids, feed.asks = tape.bids[:most], tape.asks[:most]

    def _row(
        self, session: Session, feed: Feed, row: int, operation: int, side: int, level: tuple[float, float]
    ) -> None:
        session.tell(
            "updateMktDepth", reqId=feed.request, position=row, operation=operation, side=side, price=level[0],
            size=level[1],
        )  # fmt: skip

    def _update(self, session: Session, feed: Feed, tape: Tape) -> None:
        interval = feed.about["interval"]
        for candle in tape.candles(interval)[-2:]:
            mark = hash((candle.open_ns, candle.close, candle.high, candle.low, candle.volume))
            now = opening(self._clock.now(), interval)
            if candle.open_ns < now - 1 and feed.told and candle.open_ns != feed.about.get("last"):
                continue
            if mark != feed.told:
                feed.told = mark
                bar = _bar(candle, interval, feed.about["formatDate"])
                session.tell("historicalDataUpdate", reqId=feed.request, **bar)


def _bar(candle: Candle, interval: str, form: str) -> dict[str, Any]:
    date = candle.open_ns // _SECOND if form == "2" else _stamp(candle.open_ns)
    if interval[-1] in "dw":
        date = _stamp(candle.open_ns)[:8]
    return {
        "date": date, "open": candle.open, "high": candle.high, "low": candle.low, "close": candle.close,
        "volume": candle.volume, "average": candle.value / candle.volume if candle.volume else candle.close,
        "barCount": candle.count,
    }  # fmt: skip


def _stamp(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // _SECOND, UTC).strftime("%Y%m%d %H:%M:%S UTC")


def _interval(text: str) -> str:
    """`5 mins` as an interval. Raises Refused."""
    number, _, unit = text.partition(" ")
    if not number.isdigit() or unit not in _SIZES:
        raise Refused(rules.VALIDATION, f"Error validating request:-'bar size {text!r} is not supported'")
    return number + _SIZES[unit]


def _span(text: str) -> int:
    found = re.fullmatch(r"(\d+) ([SDWMY])", text)
    if found is None:
        raise Refused(rules.VALIDATION, f"Error validating request:-'duration {text!r} is not supported'")
    return int(found[1]) * _SPANS[found[2]]


def _end(text: str) -> int:
    """The end of a period in ns, 0 for none. Raises Refused."""
    if not text:
        return 0
    for form in ("%Y%m%d %H:%M:%S UTC", "%Y%m%d-%H:%M:%S"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * _SECOND
        except ValueError:
            continue
    raise Refused(rules.VALIDATION, f"Error validating request:-'end date {text!r}: write it with UTC'")
