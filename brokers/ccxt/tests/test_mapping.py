"""Intents to requests, frames to reports, errors to verdicts: without ccxt, by tables."""

from decimal import Decimal
from typing import Any

import pytest

from fairlead import ConfigurationError, OrderIntent, OrderType, Secret, Side, TimeInForce
from fairlead.ports import Accepted, AccountChanged, Cancel, Canceled, Expired, Rejected, Submit
from fairlead_ccxt import CcxtBroker, CcxtStream, Facts
from fairlead_ccxt.binance import news
from fairlead_ccxt.codes import Verdict, judge
from fairlead_ccxt.commands import Unsendable, cancel, submit
from fairlead_ccxt.facts import facts_of
from fairlead_ccxt.feeds import Bars, Trades
from fairlead_ccxt.instruments import Listing
from fairlead_ccxt.known import Known
from fairlead_ccxt.names import HEX, PLAIN, SHORT
from fairlead_ccxt.reports import NotUnderstood, Reader
from fairlead_ccxt.sdk import Call

OURS = "0123456789abcdef" * 2
SECOND = 1_000_000_000


def command(**words: Any) -> Submit:
    usual: dict[str, Any] = {
        "strategy": "s", "account": "a", "instrument": "BTC/USDT@x", "side": Side.BUY, "quantity": Decimal("0.00001"),
        "type": OrderType.LIMIT, "limit_price": Decimal("0.00000012"),
    }  # fmt: skip
    intent = OrderIntent(**usual | words)
    return Submit(OURS, intent, intent.quantity, intent.reduce_only, 0)


@pytest.mark.parametrize("names", [PLAIN, HEX, SHORT])
@pytest.mark.parametrize("ours", [OURS, "f" * 32, "0" * 32])
def test_our_ids_come_back(names: Any, ours: str) -> None:
    """Each shape is read back to just what was written, and fits."""
    written = names.write(ours)
    assert names.read(written) == ours
    assert len(written) <= 34
    assert names is not SHORT or len(written) <= 28


@pytest.mark.parametrize("text", ["", "t-", "t-zzzz", "t-" + "z" * 22, "0x12", "web_1234", "t-" + "é" * 22])
def test_the_names_of_strangers_stay_as_they_are(text: str) -> None:
    """What is none of ours is not made into one."""
    assert HEX.read(text) == SHORT.read(text) == text


def test_numbers_leave_as_plain_texts() -> None:
    """Neither floats nor exponents."""
    request = submit(facts_of("binance"), command(), "BTC/USDT", 3 * SECOND)
    assert request.args == (
        "BTC/USDT", "limit", "buy", "0.00001", "0.00000012", {"newClientOrderId": OURS, "recvWindow": 3000},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ({"time_in_force": TimeInForce.IOC}, {"timeInForce": "IOC"}),
        ({"post_only": True}, {"postOnly": True}),
        ({"reduce_only": True}, {"reduceOnly": True}),
        ({"venue_options": {"selfTradePreventionMode": "NONE"}}, {"selfTradePreventionMode": "NONE"}),
    ],
)
def test_flags_go_out_in_ccxts_words(words: dict[str, Any], params: dict[str, Any]) -> None:
    """Each under its unified name, beside the exchange's own name for our id."""
    request = submit(facts_of("okx"), command(**words), "BTC/USDT", SECOND)
    assert request.args[5] == {"clOrdId": OURS, **params}


def test_a_stop_is_never_sent() -> None:
    """The engine holds stops, whatever the exchange has."""
    with pytest.raises(Unsendable, match="held by the engine"):
        submit(facts_of("binance"), command(type=OrderType.STOP), "BTC/USDT", SECOND)


@pytest.mark.parametrize(
    ("exchange", "number", "args"),
    [
        ("binance", "7", ("7", "S", {"recvWindow": 1000})),
        ("binance", "", (None, "S", {"origClientOrderId": OURS, "recvWindow": 1000})),
        ("hyperliquid", "", (None, "S", {"clientOrderId": "0x" + OURS})),
        ("gate", "", (SHORT.write(OURS), "S", {})),
    ],
)
def test_a_cancel_names_the_order_as_the_exchange_does(
    exchange: str, number: str, args: tuple[Any, ...]
) -> None:
    """By their id, else by ours under its own name there."""
    assert cancel(facts_of(exchange), Cancel(OURS, number, "S@x", 0), "S", number, SECOND).args == args


def test_a_cancel_that_names_nothing_is_not_sent() -> None:
    """An exchange that we know nothing of may find no order by our id."""
    with pytest.raises(Unsendable, match="finds no order by ours"):
        cancel(facts_of("kraken"), Cancel(OURS, "", "S@x", 0), "S", "", SECOND)


def refused(code: int, text: str = "why") -> Call:
    return Call(writes=1, status=400, body={"code": code, "msg": text})


class InvalidOrder(Exception):
    """As ccxt names it."""


class NetworkError(Exception):
    """As ccxt names it."""


@pytest.mark.parametrize(
    ("exchange", "call", "error", "verdict"),
    [
        ("binance", Call(), InvalidOrder(), Verdict.UNSENT),
        ("binance", Call(writes=1), NetworkError(), Verdict.UNKNOWN),
        ("binance", refused(-1021), NetworkError(), Verdict.REFUSED),
        ("binance", refused(-1007), InvalidOrder(), Verdict.UNKNOWN),
        ("binance", refused(-2010, "Duplicate order sent."), InvalidOrder(), Verdict.DUPLICATE),
        ("binance", refused(-2011, "Unknown order sent."), InvalidOrder(), Verdict.ABSENT),
        ("binance", Call(writes=1, status=429, body=None), NetworkError(), Verdict.REFUSED),
        ("binance", Call(writes=1, status=503, body=None), InvalidOrder(), Verdict.UNKNOWN),
        ("bybit", Call(writes=1, status=200, body={"retCode": 10016, "retMsg": "?"}), InvalidOrder(), Verdict.UNKNOWN),
        ("bybit", Call(writes=1, status=200, body={"retCode": 110072}), InvalidOrder(), Verdict.DUPLICATE),
        ("kraken", Call(writes=1, status=200, body={"error": ["EOrder"]}), InvalidOrder(), Verdict.REFUSED),
        ("kraken", Call(writes=1, status=200, body={"error": ["EService"]}), NetworkError(), Verdict.UNKNOWN),
        ("kraken", Call(writes=1, status=502, body=None), InvalidOrder(), Verdict.UNKNOWN),
    ],
)  # fmt: skip
def test_an_error_proves_so_much_and_no_more(
    exchange: str, call: Call, error: Exception, verdict: Verdict
) -> None:
    """Raw codes before classes, and only clear classes where no codes are known."""
    assert judge(facts_of(exchange), call, error) is verdict


def reader(exchange: str = "binance") -> Reader:
    facts = facts_of(exchange)
    return Reader(facts, Listing(facts.venue), Known())


def order(status: str, **info: Any) -> dict[str, Any]:
    return {
        "id": "7", "symbol": "BTC/USDT", "status": status, "filled": "0.01000", "amount": "0.02", "timestamp": 5,
        "clientOrderId": "wrong", "info": info,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "info", "kinds"),
    [
        ("closed", {"X": "NEW", "c": OURS}, [Accepted]),
        ("open", {"X": "CANCELED", "c": "random", "C": OURS}, [Canceled]),
        ("open", {"X": "EXPIRED_IN_MATCH", "c": OURS}, [Expired]),
        ("open", {"X": "REJECTED", "c": OURS}, [Rejected]),
        ("open", {"X": "FILLED", "c": OURS}, []),
    ],
)
def test_the_raw_word_of_a_frame_decides(status: str, info: dict[str, Any], kinds: list[type]) -> None:
    """Whatever ccxt makes of it, and under our id, whatever a cancel was called."""
    told = reader().order(order(status, **info))
    assert [type(one) for one in told] == kinds
    assert all(one.client_order_id == OURS for one in told)


STRANGE = [order("open", X="HALF_DONE"), {"id": "7"}, {**order("open", X="CANCELED"), "filled": "NaN"}]


@pytest.mark.parametrize("row", STRANGE)
def test_a_frame_that_cannot_be_understood_is_named(row: dict[str, Any]) -> None:
    """An unknown word, a missing field and what is no number are errors, and none is guessed."""
    with pytest.raises(NotUnderstood):
        reader().order(row)


def test_money_that_moved_by_itself_is_read_from_raw_frames() -> None:
    """Deposits of spot, funding of futures; what orders moved is in their fills."""
    event = {"e": "balanceUpdate", "a": "BTC", "d": "-0.5", "T": 3}
    ends, [moved] = news({"subscriptionId": 0, "event": event})
    wanted = AccountChanged(cause="transfer", currency="BTC", amount=Decimal("-0.5"), event_ns=3_000_000)
    assert (ends, moved) == ("", wanted)
    rows = [{"a": "USDT", "bc": "1"}, {"a": "BTC", "bc": "0"}]
    frame = {"e": "ACCOUNT_UPDATE", "T": 3, "a": {"m": "FUNDING_FEE", "B": rows}}
    assert [one.cause for one in news(frame)[1]] == ["funding"]
    assert news({"e": "ACCOUNT_UPDATE", "T": 3, "a": {"m": "ORDER", "B": [{"a": "USDT", "bc": "1"}]}}) == (
        "",
        (),
    )
    assert news({"e": "listenKeyExpired"})[0]
    assert news([1]) == ("", ())


class Still:
    """A clock that stands."""

    def __init__(self) -> None:
        self.due: list[tuple[int, Any]] = []

    def now(self) -> int:
        return 10 * SECOND

    def call_at(self, when_ns: int, callback: Any) -> None:
        self.due.append((when_ns, callback))


def test_a_bar_is_told_once_and_when_it_is_over() -> None:
    """By the next one, or by the clock; what is older than what was told is dropped."""
    told: list[Any] = []
    clock = Still()
    bars = Bars("i", told.append, clock, "1m", 60_000, 0)
    bars.told_ms = 60_000
    for row in (
        [0, 1, 1, 1, 1, 1],
        [60_000, 1, 2, 1, 1, 5],
        [60_000, 1, 3, 1, 2, 6],
        [120_000, 2, 2, 2, 2, 1],
    ):
        bars.seen(row)
    assert [(bar.high, bar.volume) for bar in told] == [(3.0, 6.0)]
    clock.due[-1][1]()
    bars.seen([120_000, 2, 9, 2, 2, 1])
    assert [bar.open_ns // 1_000_000 for bar in told] == [60_000, 120_000]


def test_a_trade_that_is_listed_twice_is_told_once() -> None:
    """As it is where trades are asked for again and again."""
    told: list[Any] = []
    trades = Trades("i", told.append, Still())
    for _ in range(2):
        trades.seen({"id": "1", "price": "2.5", "amount": "1", "timestamp": 7, "side": "sell"})
    assert [(one.price, one.aggressor, one.event_ns) for one in told] == [(2.5, "sell", 7_000_000)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"key": "plain text"}, "written out"),
        ({}, "has no key"),
        ({"key": Secret.of("some-key"), "environment": "real"}, "is none: write one of"),
        ({"key": Secret.of("some-key"), "url": "ftp://x"}, "no base address"),
        ({"key": Secret.of("some-key"), "valid": "5s", "facts": Facts()}, "nothing is known that bounds"),
    ],
)
def test_a_wrong_setting_is_named(words: dict[str, Any], said: str) -> None:
    """The culprit, the rule and the remedy, before anything is opened."""
    with pytest.raises(ConfigurationError, match=said):
        CcxtBroker("binance", "BTC/USDT", **words)


def test_spot_and_derivatives_do_not_mix() -> None:
    """They are accounts of their own."""
    with pytest.raises(ConfigurationError, match="all of them spot"):
        CcxtStream("binance", "BTC/USDT", "BTC/USDT:USDT")


def test_an_exchange_that_nothing_is_known_of_promises_little() -> None:
    """No bound on lateness, no flags, no stops; and one account is one, whatever it is called here."""
    key = Secret.of("some-key")
    brokers = [CcxtBroker("kraken", "BTC/USD", key=key, name=name) for name in ("one", "two")]
    profile = brokers[0].profile
    assert (profile.validity_ns, profile.base_currency, profile.post_only) == (None, "USD", False)
    assert profile.order_types == {OrderType.MARKET, OrderType.LIMIT}
    assert profile.time_in_force == {TimeInForce.GTC}
    assert brokers[0].fingerprint == brokers[1].fingerprint
