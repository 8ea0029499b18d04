"""An account at Binance: every type of order, questions about it, its money and its settings."""

import logging
from decimal import Decimal

import attrs
import pytest
from Crypto.PublicKey import ECC, RSA

from fairlead import ConfigurationError, ConnectivityError, OrderType, Secret, TimeInForce
from fairlead.ports import (
    Accepted,
    AccountChanged,
    ArmDeadMan,
    CancelAll,
    Canceled,
    CancelRejected,
    DeadManSet,
    Expired,
    FillReport,
    NotSent,
    Rejected,
    StreamDown,
    Triggered,
)
from fairlead_binance import BinanceBroker, asking
from fairlead_binance.link import KEEP_NS
from fairlead_venue import Venue

SECOND = 1_000_000_000


def test_instruments_are_exact(accounts):
    """Grid, minimums, fees and margin are Binance's, and of the account where they depend on it."""

    async def story(trading):
        [found] = await trading.broker.instruments()
        assert found.id == trading.instrument
        assert (found.native, found.settle, str(found.tick)) == ("BTCUSDT", "USDT", "0.01")
        if trading.product == "spot":
            assert (str(found.lot), str(found.min_notional), found.taker_fee) == (
                "0.00001",
                "5",
                Decimal("0.001"),
            )
        else:
            assert (str(found.lot), str(found.min_notional)) == ("0.001", "100")
            assert (found.initial_margin, found.maintenance_margin) == (Decimal("0.05"), Decimal("0.004"))

    accounts.play(story)
    accounts.play(story, connect=False)  # the engine asks before it connects


@pytest.mark.parametrize("orders", ["websocket", "rest"])
def test_every_type_of_order(accounts, orders):
    """Market, limit, stop, stop-limit, post-only, IOC and FOK do at the venue what they are called."""

    async def story(trading):
        market = trading.submit()
        assert (await trading.until(FillReport, market)).price == Decimal(50_001)
        limit = trading.submit(limit="49000")
        post = trading.submit(limit="49500", post_only=True)
        taken = trading.submit(limit="50010", post_only=True)
        ioc = trading.submit(limit="49000", time_in_force=TimeInForce.IOC)
        fok = trading.submit(limit="50100", time_in_force=TimeInForce.FOK)
        stop = trading.submit("sell", stop="48000")
        stop_limit = trading.submit("sell", stop="48000", limit="47990")
        for name in (limit, post, stop, stop_limit):
            await trading.until(Accepted, name)
        assert (await trading.until(Rejected, taken)).code in ("-2010", "-5022")
        assert (await trading.until(Expired, ioc)).filled_quantity == 0
        assert (await trading.until(FillReport, fok)).quantity == Decimal("0.01")
        open_ones = {order.client_order_id for order in (await trading.broker.snapshot()).orders}
        assert open_ones == {limit, post, stop, stop_limit}
        await trading.there("quote", "BTC/USDT", 47_990.0, 47_991.0)
        await trading.there("trade", "BTC/USDT", 47_990.0)
        for name in (limit, post, stop):
            await trading.until(FillReport, name)
        await trading.until(Triggered, stop_limit)
        found = await trading.broker.lookup([limit, post, taken, ioc, fok, stop, stop_limit])
        filled = {name: report.filled_quantity if report else None for name, report in found.items()}
        some = Decimal("0.01")
        assert [filled[name] for name in (limit, post, taken, ioc, fok, stop)] == [
            some,
            some,
            None,
            0,
            some,
            some,
        ]

    accounts.play(story, orders=orders)


@pytest.mark.parametrize("orders", ["websocket", "rest"])
def test_a_cancel_and_what_it_says(accounts, orders):
    """By their number or ours; of an order that there is not, it is refused as that."""

    async def story(trading):
        for number in (True, False):
            name = trading.submit(limit="49000")
            told = await trading.until(Accepted, name)
            trading.cancel(name, told.broker_order_id if number else "")
            assert (await trading.until(Canceled, name)).filled_quantity == 0
            trading.cancel(name)
            assert (await trading.until(CancelRejected, name)).code == "unknown_order"
        late = trading.submit(deadline_ns=trading.clock.now() - 1)
        await trading.until(NotSent, late)

    accounts.play(story, orders=orders)


def test_all_orders_are_canceled(accounts):
    """Of one instrument or of all, conditional ones too; strangers' as well."""

    async def story(trading):
        for instrument in ("", trading.instrument):
            names = [trading.submit(limit="49000"), trading.submit("sell", stop="45000")]
            for name in names:
                await trading.until(Accepted, name)
            await trading.there(
                "order", trading.wallet, trading.instrument, "buy", "0.01", type="limit", limit_price="48000"
            )
            trading.broker.send(CancelAll(instrument, trading.clock.now() + SECOND))
            for name in names:
                await trading.until(Canceled, name)
            await trading.until(Canceled, names[1], count=1)
            left = [
                order for order in await trading.there("orders", trading.wallet) if order["status"] == "new"
            ]
            assert left == []

    accounts.play(story)


def test_the_account_as_a_whole(accounts):
    """Balances with what is locked, positions, settings; every open order, of strangers too."""

    async def story(trading):
        name = trading.submit(limit="49000")
        await trading.until(Accepted, name)
        await trading.there(
            "order", trading.wallet, trading.instrument, "buy", "0.02", type="limit", limit_price="48000"
        )
        trading.submit("sell", quantity="0.01")
        await trading.until(FillReport)
        found = await trading.broker.snapshot()
        assert {order.client_order_id for order in found.orders} >= {name}
        assert len(found.orders) == 2
        if trading.product == "spot":
            assert found.balances["BTC"] == Decimal("0.99")
            assert found.positions == {}
        else:
            assert found.positions == {trading.instrument: Decimal("-0.01")}
            assert found.entry_prices[trading.instrument] == Decimal(49_999)
            assert found.modes == {
                "position_mode": "net",
                f"leverage {trading.instrument}": "20",
                f"margin_mode {trading.instrument}": "cross",
            }
        assert found.balances["USDT"] > 99_000

    accounts.play(story)


def test_fills_are_listed_by_pages(accounts, monkeypatch):
    """Any number of them, each once, under our ids; also after a restart, when nothing is remembered."""
    monkeypatch.setattr(asking, "PAGE", 2)

    async def story(trading):
        names = [trading.submit() for _ in range(5)]
        await trading.until(FillReport, count=5)
        await trading.there("order", trading.wallet, trading.instrument, "buy", "0.02")
        await trading.until(FillReport, count=6)
        listed = await trading.broker.fills(trading.clock.now() - 10**10)
        assert [fill.client_order_id for fill in listed[:5]] == names
        told = {(fill.fill_id, fill.client_order_id) for fill in trading.fills()}
        assert {(fill.fill_id, fill.client_order_id) for fill in listed} == told
        assert len(listed) == len(told) == 6
        assert await trading.broker.fills(trading.clock.now() + 10**9) == []

    accounts.play(story)

    async def later(trading):
        listed = await trading.broker.fills(trading.clock.now() - 10**10)
        assert [fill.client_order_id for fill in listed][:5] == [f"{number:032x}" for number in range(1, 6)]

    accounts.play(later)


def test_months_without_a_trade_are_asked_week_by_week(usdm):
    """Futures list a week at most in one question."""

    async def story(trading):
        trading.submit()
        await trading.until(FillReport)
        await trading.there("advance", f"{24 * 20}h")
        await trading.down()
        await trading.connect()
        trading.submit()
        await trading.until(FillReport, count=2)
        now = trading.broker._rest.clock.now()
        assert len(await trading.broker.fills(now - 30 * 24 * 3600 * SECOND)) == 2

    usdm.play(story)


def test_funding_is_told_of_its_instrument(usdm):
    """Cross margin's event says no instrument: it is asked for. What was paid while nobody listened comes at once."""

    async def story(trading):
        trading.submit()
        await trading.until(FillReport)
        await trading.there("funding", "BTC/USDT:USDT@binance", 0.001)
        paid = await trading.until(AccountChanged)
        assert (paid.cause, paid.currency, paid.instrument) == ("funding", "USDT", trading.instrument)
        assert paid.amount == Decimal("-0.5")
        await trading.there("strike", "drop")
        await trading.down()
        await trading.there("funding", "BTC/USDT:USDT@binance", 0.002)
        await trading.connect()
        assert [report.amount for report in trading.told(AccountChanged)] == [Decimal("-0.5"), -1]

    usdm.play(story)


def test_deposits_are_told(accounts):
    """Money that no trade moved, in its own currency."""

    async def story(trading):
        await trading.there("deposit", trading.wallet, "USDT", "250")
        told = await trading.until(AccountChanged)
        assert (told.currency, told.amount) == ("USDT", 250)
        assert told.cause == ("transfer" if trading.product == "spot" else "deposit")

    accounts.play(story)


def test_the_dead_man_switch_fires(usdm):
    """Armed, told again, called off, and left alone: then all orders end but those that wait for a price."""

    async def story(trading):
        name, stop = trading.submit(limit="49000"), trading.submit("sell", stop="45000")
        await trading.until(Accepted, stop)
        for timeout in (60, 0, 60):
            deadline = trading.clock.now() + SECOND
            trading.broker.send(ArmDeadMan(timeout * SECOND, (trading.instrument,), deadline))
        told = await trading.until(DeadManSet, count=3)
        assert [bool(report.until_ns) for report in told] == [True, False, True]
        await trading.there("advance", "61s")
        assert (await trading.until(Canceled, name)).client_order_id == name
        assert not trading.told(Canceled, stop)
        assert trading.broker.profile.dead_man_spares_stops

    usdm.play(story)


def test_spot_says_that_it_has_no_switch(spot):
    """Neither in its profile nor when it is asked to all the same."""

    async def story(trading):
        assert trading.broker.profile.dead_man is None
        trading.broker.send(ArmDeadMan(5 * SECOND, (trading.instrument,), trading.clock.now() + SECOND))
        assert "spot" in (await trading.until(DeadManSet)).reason

    spot.play(story)


def test_a_listen_key_is_kept_alive(usdm):
    """Every half hour; one that cannot be any more is a broken stream."""

    async def story(trading):
        assert KEEP_NS - SECOND * 5 < trading.clock.run_next() <= KEEP_NS
        await trading.there("wait", "userDataStream.ping", 1, what="answers")
        await trading.broker._link._keeping
        await trading.there("fault", "refuse", on="userDataStream.ping", code=-1125)
        trading.clock.run_next()
        assert "-1125" in (await trading.down()).reason

    usdm.play(story)


# --- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["spot", "usdm"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_other_kinds_of_keys(accounts_of, product, kind):
    """An Ed25519 key logs the session on, whose orders then need no signature; an RSA key signs each."""
    key = ECC.generate(curve="Ed25519") if kind == "ed25519" else RSA.generate(2048)
    public = key.public_key().export_key(format="PEM")
    private = Secret.of(_text(key.export_key(format="PEM", **({"pkcs": 8} if kind == "rsa" else {}))))
    with Venue("binance", public_key=_text(public)) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)

        async def story(trading):
            name = trading.submit()
            await trading.until(FillReport, name)
            assert trading.broker._link.api._signer.logged_on is (kind == "ed25519")
            assert (await trading.broker.lookup([name]))[name].filled_quantity == Decimal("0.01")

        accounts_of(venue, product).play(story, secret=None, private_key=private)


def _text(pem):
    return pem if isinstance(pem, str) else pem.decode()


def test_a_key_of_elsewhere_is_refused(accounts):
    """A testnet key on live or the reverse: what differs, and what to check."""

    async def story(trading):
        with pytest.raises(ConfigurationError, match="keys of testnet, demo and live differ"):
            await trading.connect()
        with pytest.raises(ConfigurationError, match=r"-2015"):
            await trading.broker.instruments()

    accounts.play(story, connect=False, key=Secret.of("another-key"))


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({"enableWithdrawals": True}, "may withdraw"),
        ({"enableSpotAndMarginTrading": False}, "may not trade spot: give it the permission"),
    ],
)
def test_a_keys_permissions(spot, allowed, said):
    """One that may withdraw is refused, and one that may only read."""
    good = {"enableWithdrawals": False, "enableSpotAndMarginTrading": True, "ipRestrict": True}

    async def story(trading):
        trading.broker._check_key(good, "enableSpotAndMarginTrading")
        with pytest.raises(ConfigurationError, match=said):
            trading.broker._check_key(good | allowed, "enableSpotAndMarginTrading")

    spot.play(story, connect=False)


def test_a_key_without_a_list_of_addresses_is_warned_of(spot, caplog):
    """It works from everywhere, also for who stole it."""
    caplog.set_level(logging.WARNING, "fairlead.binance")

    async def story(trading):
        pass

    spot.play(story)
    assert "works from every address" in caplog.text


def test_hedge_mode_is_refused(usdm, venue):
    """With what to do about it."""

    async def story(trading):
        rest, _ = await trading.broker._open_rest(trading.clock.now)
        await rest.ask("post", "v1/positionSide/dual", {"dualSidePosition": "true"})
        await rest.close()
        with pytest.raises(ConfigurationError, match="choose one-way mode"):
            await trading.connect()

    usdm.play(story, connect=False)


def test_an_account_is_one_by_its_id(spot):
    """With `account_id` two keys of it are one account; a key of another is refused."""

    async def story(trading):
        assert trading.broker.fingerprint.startswith("spot.")
        assert "venue-key" not in trading.broker.fingerprint

    one = spot.play(story, account_id="354937868").broker.fingerprint
    other = spot.play(story, connect=False, account_id="354937868", key=Secret.of("another-key"))
    assert other.broker.fingerprint == one

    async def refused(trading):
        with pytest.raises(ConfigurationError, match="not of account_id="):
            await trading.connect()

    spot.play(refused, connect=False, account_id="1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"key": None}, "has no key"),
        ({"secret": None}, "needs what signs"),
        ({"private_key": "secret:B"}, "only one of it"),
        ({"secret": "in the clear"}, "written out"),
        ({"product": "margin"}, "write 'spot' or 'usdm'"),
        ({"environment": "prod"}, "write one of testnet"),
        ({"url": "127.0.0.1:80"}, "no base address"),
        ({"orders": "fix"}, "write 'websocket' or 'rest'"),
        ({"valid": "2m"}, "write 100ms to 60s"),
        ({"leverage": 5}, "are of futures"),
        ({"product": "usdm"}, "futures are written"),
        ({"product": "usdm", "symbols": ["BTC/USDT:USDT"], "margin_mode": "x"}, "'cross' or 'isolated'"),
        ({"symbols": []}, "trades nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(words, said):
    """By name, rule and remedy, and without what is secret."""
    words = {"key": "secret:A", "secret": "secret:B", "symbols": ["BTC/USDT"], **words}
    with pytest.raises(ConfigurationError, match=said) as caught:
        BinanceBroker(*words.pop("symbols"), **words)
    assert "in the clear" not in str(caught.value)


def test_a_symbol_that_is_not_listed(accounts):
    """What there is besides is said."""

    async def story(trading):
        trading.broker._symbols = ("DOGE/USDT" if trading.product == "spot" else "DOGE/USDT:USDT",)
        with pytest.raises(ConfigurationError, match=r"does not trade 'DOGE/USDT.*it has BTC/USDT"):
            await trading.broker.instruments()

    accounts.play(story)


def test_before_and_after_a_connection(accounts):
    """Nothing is asked or sent without one, and that is said."""

    async def story(trading):
        for ask in (trading.broker.snapshot(), trading.broker.lookup(["x"]), trading.broker.fills(0)):
            with pytest.raises(ConnectivityError, match="no connection"):
                await ask
        with pytest.raises(ConfigurationError, match="not connected"):
            trading.submit()
        await trading.connect()
        await trading.broker.close()
        await trading.broker.close()
        name = trading.submit()
        trading.cancel(name)
        assert trading.told(NotSent, name)
        assert trading.told(CancelRejected, name)
        assert not trading.told(StreamDown)

    accounts.play(story, connect=False)


def test_the_profile_says_what_is_so():
    """Environment, modes, and what one product has and the other has not."""
    words = {"key": "secret:A", "secret": "secret:B"}
    spot = BinanceBroker("BTC/USDT", **words).profile
    usdm = BinanceBroker(
        "BTC/USDT:USDT", product="usdm", environment="live", leverage=3, valid="2s", **words
    ).profile
    assert (spot.environment, usdm.environment) == ("testnet", "live")
    assert (spot.reduce_only, usdm.reduce_only) == (False, True)
    assert (spot.replaces, usdm.replaces) == (frozenset(), frozenset({OrderType.LIMIT}))
    assert usdm.modes == {"position_mode": "net", "leverage": "3"}
    assert (usdm.validity_ns, spot.validity_ns) == (2 * SECOND, 5 * SECOND)
    assert attrs.asdict(spot, recurse=False)["oco"] is False
