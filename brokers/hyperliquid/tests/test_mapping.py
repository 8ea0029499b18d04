"""Words of Hyperliquid and ours: ids, numbers, prices, refusals, orders and executions."""

from decimal import Decimal

import msgspec
import pytest

from fairlead import ConfigurationError, OrderIntent, OrderType, Secret, Side, TimeInForce, VenueError
from fairlead.ports import Cancel, Submit
from fairlead_hyperliquid import HyperliquidBroker, HyperliquidStream, codes, commands
from fairlead_hyperliquid.commands import Unsendable, cloid_of, id_of, text
from fairlead_hyperliquid.credentials import Credentials
from fairlead_hyperliquid.frames import Basic, Fill
from fairlead_hyperliquid.instruments import Listing, fits, listed, tick_of, within
from fairlead_hyperliquid.known import Known
from fairlead_hyperliquid.reports import fill_report, filled_of, order_report
from fairlead_hyperliquid.signing import Signer

ACCOUNT = "0x" + "ab" * 20
META = [
    {"universe": [{"name": "BTC", "szDecimals": 5, "maxLeverage": 40}, {"name": "DOGE", "szDecimals": 0},
                  {"name": "OLD", "szDecimals": 1, "isDelisted": True}]},
    [{"markPx": "50000.5"}, {"markPx": "0.12345", "someNewField": {}}, {"markPx": "1"}],
]  # fmt: skip
SPOT = [
    {"tokens": [{"name": "USDC", "index": 0, "szDecimals": 8}, {"name": "HYPE", "index": 150, "szDecimals": 2}],
     "universe": [{"name": "@107", "tokens": [150, 0], "index": 107}]},
    [{"coin": "@107", "markPx": "40.123"}],
]  # fmt: skip
BTC = "BTC/USDC:USDC@hyperliquid"
NAME = "ab" * 16


@pytest.fixture
def listing():
    found = Listing()
    found.learn(listed("perps", META))
    return found


def submit(**words):
    usual = {"strategy": "s", "account": "h", "instrument": BTC, "side": Side.BUY, "quantity": Decimal("0.010"),
             "type": OrderType.LIMIT, "limit_price": Decimal(49000)}  # fmt: skip
    intent = OrderIntent(**(usual | words))
    return Submit(NAME, intent, intent.quantity, intent.reduce_only, 0)


def test_our_ids_are_their_ids():
    """A cloid is our id with 0x before it, there and back, so that no table is needed after a crash."""
    assert cloid_of(NAME) == f"0x{NAME}"
    assert id_of(f"0x{NAME.upper()}", 1) == NAME
    assert [id_of(None, 7), id_of("free text", 7)] == ["hl-7", "hl-7"]
    with pytest.raises(Unsendable, match="32 hexadecimal digits"):
        cloid_of("order-1")


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0.0001", "0.0001"),
        ("1E+3", "1000"),
        ("0.30000000", "0.3"),
        ("50000", "50000"),
        ("0", "0"),
        ("1e-7", "0.0000001"),
    ],
)
def test_numbers_are_written_exactly(number, written):
    """No exponent, no zeros at the end, no float in between."""
    assert text(Decimal(number)) == written


@pytest.mark.parametrize(
    ("price", "decimals", "tick"),
    [
        ("50000", 5, "1"),
        ("123456", 5, "1"),
        ("9999.5", 4, "0.1"),
        ("0.12345", 0, "0.00001"),
        ("3", 5, "0.1"),
        ("0", 4, "0.01"),
    ],
)
def test_the_grid_of_prices_goes_with_the_price(price, decimals, tick):
    """Five figures, 6 less szDecimals decimals, and never coarser than one."""
    assert tick_of(Decimal(price), decimals, perps=True) == Decimal(tick)


def test_instruments_are_exact(listing):
    """Symbols, numbers, lots, ticks and margins; what is delisted is left out; spot has its own numbers."""
    btc, doge = listing
    assert (btc.id, btc.lot, btc.tick, btc.min_notional) == (BTC, Decimal("0.00001"), 1, 10)
    assert (btc.initial_margin, btc.maintenance_margin) == (Decimal("0.025"), Decimal("0.0125"))
    assert (doge.lot, doge.tick, listing.number(doge.id)) == (1, Decimal("0.00001"), 1)
    [(hype, number)] = listed("spot", SPOT)
    assert (hype.id, hype.native, number, hype.tick) == (
        "HYPE/USDC@hyperliquid",
        "@107",
        10_107,
        Decimal("0.001"),
    )
    with pytest.raises(ConfigurationError, match="does not list SOL/USDC:USDC"):
        listing.chosen(["SOL/USDC:USDC"], "testnet")


@pytest.mark.parametrize("answer", [{}, [], [{"universe": [{}]}, [{}]], "no", [META[0], META[1][:1]]])
def test_a_list_that_cannot_be_read_says_so(answer):
    """A named error, and never half a list."""
    with pytest.raises(VenueError, match="cannot be read"):
        listed("perps", answer)


def test_prices_are_judged_and_rounded_for_their_owner(listing):
    """A buy is rounded down, a sell up; six figures do not fit."""
    btc, doge = listing
    assert within(Decimal("50501.01"), btc, Side.BUY) == 50501
    assert within(Decimal("49499.01"), btc, Side.SELL) == 49500
    assert [fits(Decimal(price), doge) for price in ("0.12345", "0.123456", "1.2345", "12.3456")] == [
        True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "tif"),
    [({}, "Gtc"), ({"time_in_force": TimeInForce.IOC}, "Ioc"), ({"post_only": True}, "Alo")],
)
def test_a_limit_order_on_the_wire(listing, words, tif):
    """Numbers as texts, the asset's number, our id."""
    action = commands.submit(listing, submit(**words), None)
    assert action == {
        "type": "order", "grouping": "na",
        "orders": [{"a": 0, "b": True, "p": "49000", "s": "0.01", "r": False, "t": {"limit": {"tif": tif}},
                    "c": f"0x{NAME}"}],
    }  # fmt: skip


def test_a_market_order_is_an_ioc_limit_with_our_bound(listing):
    """It is never worse than the bound, and cannot be sent without one."""
    market = submit(type=OrderType.MARKET, limit_price=None)
    [order] = commands.submit(listing, market, Decimal("50501.01"))["orders"]
    assert (order["p"], order["t"]) == ("50501", {"limit": {"tif": "Ioc"}})
    with pytest.raises(Unsendable, match="no price"):
        commands.submit(listing, market, None)


def test_too_many_figures_are_not_sent(listing):
    """The grid became coarser since the start: nothing is sent, and the remedy is said."""
    doge = submit(
        instrument="DOGE/USDC:USDC@hyperliquid", quantity=Decimal(100), limit_price=Decimal("1.23456")
    )
    with pytest.raises(Unsendable, match="too many figures"):
        commands.submit(listing, doge, None)


def test_cancels_go_by_our_id_or_theirs(listing):
    """Orders of somebody else have no id of ours."""
    ours = commands.cancel(listing, Cancel(NAME, "", BTC, 0))
    assert ours == {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": f"0x{NAME}"}]}
    theirs = commands.cancel(listing, Cancel("hl-77", "77", BTC, 0))
    assert theirs == {"type": "cancel", "cancels": [{"a": 0, "o": 77}]}
    assert commands.arm(0) == {"type": "scheduleCancel"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Price must be divisible by tick size. asset=0", "tick"),
        ("Order must have minimum value of $10. asset=0", "min_notional"),
        ("Insufficient margin to place order. asset=0", "insufficient_margin"),
        ("Reduce only order would increase position. asset=0", "reduce_only"),
        ("Post only order would have immediately matched, bbo was 1@2. asset=0", "post_only"),
        ("Order could not immediately match against any resting orders. asset=0", "ioc"),
        ("Invalid TP/SL price. asset=0", "trigger_price"),
        ("No liquidity available for market order. asset=0", "ioc"),
        ("Order was never placed, already canceled, or filled. asset=0", "never_placed"),
        ("User or API Wallet 0x1 does not exist.", "wallet"),
        ("Invalid nonce: duplicate nonce 1", "nonce"),
        ("Too many cumulative requests sent (2 > 1) for cumulative volume traded $0.00.", "address_budget"),
        ("A sentence of next year", codes.UNCLASSIFIED),
    ],
)
def test_refusals_are_known_by_a_part_of_their_text(said, code):
    """In whatever case; a new sentence proves nothing, and has the order looked up."""
    assert codes.code_of(said) == codes.code_of(said.upper()) == code
    assert (code in codes.DEFINITIVE) is (code != codes.UNCLASSIFIED)


@pytest.mark.parametrize(
    ("status", "ends"),
    [("open", False), ("triggered", False), ("filled", True), ("canceled", True), ("marginCanceled", True),
     ("scheduledCancel", True), ("someNewRejected", True), ("BRAND_NEW", None)],
)  # fmt: skip
def test_a_new_status_never_ends_an_order(status, ends):
    """What is not known here is neither open nor ended."""
    assert codes.ended(status) is ends


def basic(**words):
    row = {"coin": "BTC", "side": "B", "limitPx": "49000", "sz": "0.004", "oid": 5, "timestamp": 1, "origSz": "0.01",
           "cloid": f"0x{NAME}", "aNewField": [1]}  # fmt: skip
    return msgspec.convert(row | words, Basic, strict=False)


@pytest.mark.parametrize(
    ("status", "sz", "filled"),
    [("open", "0.004", "0.006"), ("filled", "0", "0.01"), ("canceled", "0.004", "0.006"), ("canceled", "0", None),
     ("tickRejected", "0.01", "0"), ("filled", "0.004", "0.006")],
)  # fmt: skip
def test_how_much_has_filled(status, sz, filled):
    """Canceled with nothing left is a contradiction, and tells nothing."""
    assert filled_of(basic(sz=sz), status) == (None if filled is None else Decimal(filled))


def test_an_order_in_a_report(listing):
    """What filled under older numbers counts; what was told of executions where the figures tell nothing."""
    report = order_report(listing, basic(), "open", Decimal(1), Decimal(0))
    assert (report.client_order_id, report.broker_order_id, report.open) == (NAME, "5", True)
    assert (report.quantity, report.filled_quantity, report.side) == (
        Decimal("1.01"),
        Decimal("1.006"),
        Side.BUY,
    )
    torn = order_report(listing, basic(sz="0"), "canceled", Decimal(0), Decimal("0.003"))
    assert (torn.open, torn.filled_quantity) == (False, Decimal("0.003"))
    assert order_report(listing, basic(coin="@9"), "open", Decimal(0), Decimal(0)) is None


def test_an_execution_in_a_report(listing):
    """Both sides of a trade may be ours, so that its number alone is no id; a liquidation has no order of ours."""
    row = {
        "coin": "BTC",
        "px": "50000",
        "sz": "0.01",
        "side": "A",
        "time": 7,
        "oid": 5,
        "tid": 9,
        "fee": "-0.1",
    }
    one = fill_report(listing, msgspec.convert(row, Fill, strict=False), NAME, ACCOUNT)
    assert (one.fill_id, one.event_ns, one.side, one.fee) == ("9-5", 7_000_000, Side.SELL, Decimal("-0.1"))
    forced = {**row, "liquidation": {"liquidatedUser": ACCOUNT.upper().replace("X", "x")}}
    report = fill_report(listing, msgspec.convert(forced, Fill, strict=False), NAME, ACCOUNT)
    assert (report.client_order_id, report.cause) == ("", "liquidation")


def test_executions_count_once_and_by_number():
    """Told by the stream and by the list, under two numbers of one order."""
    known = Known()
    known.number(5, NAME)
    known.number(3, NAME)
    for _ in range(2):
        known.fill("1-3", 3, Decimal("0.004"))
    assert known.before(NAME, 5) == known.filled(3) == Decimal("0.004")
    assert known.line(NAME).numbers == [3, 5]


def test_nonces_only_rise():
    """Two actions in one millisecond, and a clock that is put back."""
    from eth_account import Account

    times = iter([1_000_000_000_000, 1_000_000_000_000, 999_000_000_000, 2_000_000_000_000])
    signer = Signer(Account.from_key("0x" + "5" * 64), lambda: next(times), mainnet=False)
    nonces = [signer.signed({"type": "noop"}, None)["nonce"] for _ in range(4)]
    assert nonces == [1_000_000, 1_000_001, 1_000_002, 2_000_000]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"account": ""}, "no account"),
        ({"account": "0x12"}, "42-character address"),
        ({"key": None}, "no key"),
        ({"key": "0x" + "5" * 64}, "written out"),
        ({"product": "options"}, "no product 'options'"),
        ({"environment": "demo"}, "write 'testnet' or 'live'"),
        ({"slippage": "50%"}, "bounds nothing"),
        ({"valid": "5m"}, "100ms to 60s"),
        ({"margin_mode": "some"}, "write 'cross' or 'isolated'"),
        ({"url": "127.0.0.1"}, "no address"),
        ({"product": "spot"}, "spot is written"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(words, said):
    """One sentence with what is wrong and what to write; nothing is connected."""
    with pytest.raises(ConfigurationError, match=said):
        HyperliquidBroker("BTC/USDC:USDC", **({"account": ACCOUNT, "key": "secret:HL_KEY"} | words))


def test_it_names_what_it_trades_and_where():
    """No symbol, too deep a book; addresses for the doctor; one account has one fingerprint whatever its case."""
    with pytest.raises(ConfigurationError, match="trades nothing"):
        HyperliquidBroker(account=ACCOUNT, key="secret:HL_KEY")
    with pytest.raises(ConfigurationError, match="1 to 20"):
        HyperliquidStream(levels=21)
    broker = HyperliquidBroker(
        "BTC/USDC:USDC", account=ACCOUNT.upper().replace("X", "x"), key="secret:HL_KEY"
    )
    assert broker.fingerprint == f"perps.{ACCOUNT}"
    assert broker.endpoints() == (
        "https://api.hyperliquid-testnet.xyz", "wss://api.hyperliquid-testnet.xyz/ws",
    )  # fmt: skip
    assert broker.profile.environment == "testnet"


def test_a_key_is_never_shown():
    """Neither where it is good nor where it is none."""
    good = Credentials.of(ACCOUNT, Secret.of("5" * 64))
    assert "5" * 64 not in repr(good)
    bad = Credentials.of(ACCOUNT, Secret.of("not a key but long enough"))
    with pytest.raises(ConfigurationError, match="no private key") as refused:
        bad.wallet()
    assert "long enough" not in str(refused.value)
