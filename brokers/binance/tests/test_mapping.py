"""From commands to requests, and from Binance's frames to reports: tables, without a venue."""

from decimal import Decimal

import msgspec
import pytest

from fairlead import ConfigurationError, Instrument, Liquidity, OrderIntent, OrderType, Side, TimeInForce
from fairlead.ports import (
    Accepted,
    AccountChanged,
    Cancel,
    Canceled,
    Expired,
    FillReport,
    Rejected,
    Replace,
    Replaced,
    Submit,
    Triggered,
)
from fairlead_binance import commands
from fairlead_binance.codes import Refusal, Verdict
from fairlead_binance.commands import Unsendable
from fairlead_binance.instruments import Listing
from fairlead_binance.known import Known
from fairlead_binance.places import places
from fairlead_binance.signing import Signer
from fairlead_binance.spot_events import Ended, SpotEvents
from fairlead_binance.usdm_events import UsdmEvents

NAME = "ab" * 16
SPOT, PERP = "BTC/USDT@binance", "BTC/USDT:USDT@binance"


def listing(symbol="BTC/USDT"):
    made = Listing()
    made.learn(
        [
            Instrument(
                symbol=symbol, venue="binance", base="BTC", quote="USDT", settle="USDT", native="BTCUSDT",
                tick=Decimal("0.01"), lot=Decimal("0.001"),
            )
        ]
    )  # fmt: skip
    return made


def submit(kind=OrderType.MARKET, *, instrument=SPOT, reduce_only=False, **more):
    prices = {
        OrderType.LIMIT: {"limit_price": Decimal("49000.10")},
        OrderType.STOP: {"stop_price": Decimal("5E+4")},
        OrderType.STOP_LIMIT: {"limit_price": Decimal("49000.10"), "stop_price": Decimal("5E+4")},
    }
    intent = OrderIntent(
        strategy="s", account="a", instrument=instrument, side=Side.SELL, quantity=Decimal("0.0100"), type=kind,
        **{**prices.get(kind, {}), **more},
    )  # fmt: skip
    return Submit(NAME, intent, intent.quantity, reduce_only, 1)


COMMON = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01"}
PLAIN = {**COMMON, "newClientOrderId": NAME, "newOrderRespType": "ACK"}
ALGO = {**COMMON, "clientAlgoId": NAME, "algoType": "CONDITIONAL", "triggerPrice": "50000"}
LIMIT = {"price": "49000.1", "timeInForce": "GTC"}


@pytest.mark.parametrize(
    ("command", "params"),
    [
        (submit(), {**PLAIN, "type": "MARKET"}),
        (submit(OrderType.LIMIT), {**PLAIN, **LIMIT, "type": "LIMIT"}),
        (submit(OrderType.LIMIT, post_only=True), {**PLAIN, "type": "LIMIT_MAKER", "price": "49000.1"}),
        (
            submit(OrderType.LIMIT, time_in_force=TimeInForce.IOC),
            {**PLAIN, **LIMIT, "type": "LIMIT", "timeInForce": "IOC"},
        ),
        (submit(OrderType.STOP), {**PLAIN, "type": "STOP_LOSS", "stopPrice": "50000"}),
        (submit(OrderType.STOP_LIMIT), {**PLAIN, **LIMIT, "type": "STOP_LOSS_LIMIT", "stopPrice": "50000"}),
        (
            submit(venue_options={"selfTradePreventionMode": "NONE"}),
            {**PLAIN, "type": "MARKET", "selfTradePreventionMode": "NONE"},
        ),
    ],
)
def test_an_order_of_spot(command, params):
    """Numbers without exponents or zeros at their end, and no parameter that its type does not take."""
    request = commands.spot_submit(listing(), command)
    assert (request.method, request.verb, request.path) == ("order.place", "post", "v3/order")
    assert request.params == params


@pytest.mark.parametrize(
    ("command", "method", "params"),
    [
        (submit(), "order.place", {**PLAIN, "type": "MARKET"}),
        (submit(reduce_only=True), "order.place", {**PLAIN, "type": "MARKET", "reduceOnly": "true"}),
        (
            submit(OrderType.LIMIT, post_only=True),
            "order.place",
            {**PLAIN, **LIMIT, "type": "LIMIT", "timeInForce": "GTX"},
        ),
        (
            submit(OrderType.LIMIT, time_in_force=TimeInForce.FOK),
            "order.place",
            {**PLAIN, **LIMIT, "type": "LIMIT", "timeInForce": "FOK"},
        ),
        (submit(OrderType.STOP), "algoOrder.place", {**ALGO, "type": "STOP_MARKET"}),
        (
            submit(OrderType.STOP_LIMIT, reduce_only=True),
            "algoOrder.place",
            {**ALGO, **LIMIT, "type": "STOP", "reduceOnly": "true"},
        ),
    ],
)
def test_an_order_of_futures(command, method, params):
    """What waits for a price goes to the algo endpoint, under its own name for our id."""
    request = commands.usdm_submit(listing(), command)
    assert (request.method, request.params) == (method, params)


@pytest.mark.parametrize(
    "command",
    [
        submit(instrument="DOGE/USDT@binance"),
        submit(OrderType.TRAILING_STOP),
        submit(time_in_force=TimeInForce.GTD),
        submit(OrderType.LIMIT, limit_price=None),
    ],
)
def test_what_binance_has_no_request_for(command):
    """It is not sent, whatever the profile let through."""
    for make in (commands.spot_submit, commands.usdm_submit):
        with pytest.raises(Unsendable):
            make(listing(), command)


def test_cancels_and_changes_name_the_order_as_it_is_known():
    """By their number where there is one; conditional ones in their own space; a change needs the side."""
    ours, theirs = Cancel(NAME, "", SPOT, 1), Cancel(NAME, "77", SPOT, 1)
    algo = Cancel(NAME, "algo:5", SPOT, 1)
    assert commands.spot_cancel(listing(), ours).params == {"symbol": "BTCUSDT", "origClientOrderId": NAME}
    assert commands.spot_cancel(listing(), theirs).params == {"symbol": "BTCUSDT", "orderId": "77"}
    for command, waits in ((algo, False), (ours, True)):
        request = commands.usdm_cancel(listing(), command, waits=waits)
        assert (request.method, request.params) == ("algoOrder.cancel", {"clientAlgoId": NAME})
    assert commands.usdm_cancel(listing(), theirs, waits=True).method == "order.cancel"
    change = Replace(NAME, "77", SPOT, 1, Decimal("0.020"), Decimal("49000.0"), None, 1)
    assert commands.usdm_replace(listing(), change, Side.BUY).params == {
        "symbol": "BTCUSDT", "origClientOrderId": NAME, "side": "BUY", "quantity": "0.02", "price": "49000",
    }  # fmt: skip
    with pytest.raises(Unsendable, match="side"):
        commands.usdm_replace(listing(), change, None)


def test_a_signature_is_the_documents_own():
    """The example of Binance's page on the WebSocket API: its parameters, its secret, its signature."""
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    params = {
        "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01000000",
        "price": "52000.00", "newOrderRespType": "ACK", "recvWindow": "100",
    }  # fmt: skip
    made = Signer(key, secret, str).signed(params, 1645423376532)
    assert made["signature"] == "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"


@pytest.mark.parametrize(
    ("status", "code", "text", "verdict"),
    [
        (400, -2010, "Account has insufficient balance for requested action.", Verdict.REFUSED),
        (400, -2010, "Duplicate order sent.", Verdict.DUPLICATE),
        (400, -4116, "ClientOrderId is duplicated.", Verdict.DUPLICATE),
        (503, -1008, "Server is currently overloaded with other requests.", Verdict.REFUSED),
        (408, -1007, "Timeout waiting for response from backend server.", Verdict.UNKNOWN),
        (400, -1006, "An unexpected response was received from the message bus.", Verdict.UNKNOWN),
        (503, -1001, "Internal error; unable to process your request.", Verdict.UNKNOWN),
        (502, 0, "", Verdict.UNKNOWN),
        (429, -1003, "Too many requests.", Verdict.REFUSED),
    ],
)
def test_what_a_code_means(status, code, text, verdict):
    """Refused for certain, there already, or unknown."""
    assert Refusal(status, code, text).verdict is verdict


def spot_frame(**changes):
    row = {
        "e": "executionReport", "E": 5, "s": "BTCUSDT", "c": NAME, "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "0.02000000", "p": "49000.00000000", "C": "", "x": "NEW", "X": "NEW", "r": "NONE", "i": 7,
        "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "T": 5, "t": -1, "w": True,
        "m": False,
    }  # fmt: skip
    return msgspec.json.encode(row | changes)


TRADE = {
    "x": "TRADE",
    "X": "FILLED",
    "l": "0.01",
    "z": "0.02",
    "L": "48999.5",
    "n": "0.00001",
    "N": "BNB",
    "t": 9,
    "m": True,
}


@pytest.mark.parametrize(
    ("changes", "kind", "fields"),
    [
        ({}, Accepted, {"client_order_id": NAME, "broker_order_id": "7", "event_ns": 5_000_000}),
        ({"o": "STOP_LOSS_LIMIT"}, Triggered, {"client_order_id": NAME}),
        (
            TRADE,
            FillReport,
            {
                "fill_id": "BTCUSDT:9", "quantity": Decimal("0.01"), "cumulative_quantity": Decimal("0.02"),
                "fee_currency": "BNB", "liquidity": Liquidity.MAKER, "instrument": SPOT,
            },
        ),
        ({"x": "CANCELED", "c": "other", "C": NAME, "z": "0.01"}, Canceled, {"filled_quantity": Decimal("0.01")}),
        ({"x": "CANCELED", "C": ""}, Canceled, {"client_order_id": NAME}),
        ({"x": "EXPIRED", "X": "EXPIRED"}, Expired, {"client_order_id": NAME, "reason": ""}),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, Expired, {"reason": "EXPIRED_IN_MATCH"}),
        ({"x": "REJECTED", "r": "WOULD_MATCH_IMMEDIATELY"}, Rejected, {"code": "WOULD_MATCH_IMMEDIATELY"}),
        ({"x": "REPLACED", "c": "new", "C": NAME, "q": "0.01"}, Replaced, {"client_order_id": NAME}),
    ],
)  # fmt: skip
def test_an_event_of_spot(changes, kind, fields):
    """Each kind of execution, under the name that we gave the order."""
    told = []
    SpotEvents(listing(), Known(), told.append).take(msgspec.Raw(spot_frame(**changes)))
    assert type(told[-1]) is kind
    assert {name: getattr(told[-1], name) for name in fields} == fields
    assert {report.client_order_id for report in told} == {NAME}


def test_an_order_that_somebody_renamed_is_still_ours():
    """An amendment gives it a new name at the venue; what follows is told under ours."""
    told = []
    events = SpotEvents(listing(), Known(), told.append)
    for changes in ({}, {"x": "REPLACED", "c": "new", "C": NAME}, {**TRADE, "c": "new"}):
        events.take(msgspec.Raw(spot_frame(**changes)))
    assert [report.client_order_id for report in told] == [NAME] * 3


def usdm_frame(**changes):
    row = {
        "s": "BTCUSDT", "c": NAME, "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "0.02", "p": "49000", "x": "NEW",
        "X": "NEW", "i": 7, "l": "0", "z": "0", "L": "0", "T": 5, "t": 0, "m": False, "ot": "LIMIT",
    }  # fmt: skip
    return msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": 6, "T": 5, "o": row | changes})


def algo_frame(status, **changes):
    row = {"caid": NAME, "aid": 3, "s": "BTCUSDT", "S": "SELL", "X": status, "ai": ""}
    return msgspec.json.encode({"e": "ALGO_UPDATE", "E": 6, "T": 5, "o": row | changes})


def account_frame(reason, **changes):
    account = {"m": reason, "B": [{"a": "USDT", "wb": "9", "cw": "9", "bc": "-2.5"}], "P": []}
    return msgspec.json.encode({"e": "ACCOUNT_UPDATE", "E": 6, "T": 5, "a": account | changes})


@pytest.mark.parametrize(
    ("frame", "kind", "fields"),
    [
        (usdm_frame(), Accepted, {"client_order_id": NAME, "broker_order_id": "7"}),
        (
            usdm_frame(**TRADE),
            FillReport,
            {"fill_id": "BTCUSDT:9", "side": Side.SELL, "cumulative_quantity": Decimal("0.02"), "cause": ""},
        ),
        (usdm_frame(**TRADE, c="autoclose-1"), FillReport, {"client_order_id": "", "cause": "liquidation"}),
        (usdm_frame(**TRADE, c="adl_autoclose"), FillReport, {"cause": "auto-deleveraging"}),
        (
            usdm_frame(**TRADE | {"x": "CALCULATED"}, c="settlement_autoclose-1"),
            FillReport,
            {"cause": "settlement"},
        ),
        (usdm_frame(x="CANCELED", z="0.01"), Canceled, {"filled_quantity": Decimal("0.01")}),
        (usdm_frame(x="EXPIRED", X="EXPIRED_IN_MATCH"), Expired, {"reason": "EXPIRED_IN_MATCH"}),
        (usdm_frame(x="AMENDMENT"), Replaced, {"quantity": Decimal("0.02"), "limit_price": 49000}),
        (algo_frame("NEW"), Accepted, {"broker_order_id": "algo:3"}),
        (algo_frame("TRIGGERED", ai="8"), Triggered, {"client_order_id": NAME}),
        (algo_frame("CANCELED"), Canceled, {"filled_quantity": 0}),
        (algo_frame("EXPIRED"), Expired, {"filled_quantity": 0}),
        (
            algo_frame("REJECTED", rm="no margin"),
            Canceled,
            {"reason": "refused when it was triggered: no margin"},
        ),
        (account_frame("WITHDRAW"), AccountChanged, {"cause": "withdrawal", "amount": Decimal("-2.5")}),
        (account_frame("ASSET_TRANSFER"), AccountChanged, {"cause": "transfer", "currency": "USDT"}),
    ],
)
def test_an_event_of_futures(frame, kind, fields):
    """Orders, conditional ones, what Binance itself closes, and money."""
    told = []
    UsdmEvents(listing("BTC/USDT:USDT"), Known(), told.append, lambda _: None).take(frame)
    assert type(told[-1]) is kind
    assert {name: getattr(told[-1], name) for name in fields} == fields


def test_a_triggered_order_of_another_name_is_ours():
    """Where Binance gives what a conditional order becomes a name of its own, its number tells whose it is."""
    told = []
    events = UsdmEvents(listing("BTC/USDT:USDT"), Known(), told.append, lambda _: None)
    for frame in (algo_frame("TRIGGERED", ai="7"), usdm_frame(**TRADE, c="web_x")):
        events.take(frame)
    assert told[-1].client_order_id == NAME


@pytest.mark.parametrize(
    "frame",
    [
        spot_frame(x="SOMETHING_NEW"),
        b'{"e":"eventStreamTerminated","E":1}',
        b'{"e":"serverShutdown","E":1}',
        spot_frame(S="HOLD"),
        spot_frame(l="many"),
        b'{"e":"executionReport"}',
        b"[]",
        b"\xff",
    ],
)
def test_a_frame_that_ends_the_stream(frame):
    """What says so, and what cannot be understood: nothing of it is guessed, and no report is made."""
    told = []
    with pytest.raises((Ended, msgspec.DecodeError)):
        SpotEvents(listing(), Known(), told.append).take(msgspec.Raw(frame))
    assert told == []


@pytest.mark.parametrize("kind", ["outboundAccountPosition", "listStatus", "somethingNew"])
def test_a_frame_that_says_nothing_new(kind):
    """What others tell too, and kinds of events that nobody here knows, of which a log tells."""
    told = []
    SpotEvents(listing(), Known(), told.append).take(msgspec.Raw(msgspec.json.encode({"e": kind})))
    assert told == []


@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_no_environment_shares_an_address_with_real_money(product):
    """A testnet's order can reach nothing that is live."""
    live = set(places(product, "live").all())
    for environment in ("testnet", "demo"):
        assert not live & set(places(product, environment).all())
    with pytest.raises(ConfigurationError):
        places(product, "live", "ftp://x")
