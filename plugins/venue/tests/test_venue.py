"""The venue as a program: its process, its command, its market, its control line."""

import asyncio
import itertools
import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fairlead import Bar, ConfigurationError, Trade, default_instrument
from fairlead_venue import Fault, FaultPlan, Venue, VenueRefused
from fairlead_venue.clock import VenueClock
from fairlead_venue.gate import Latency
from fairlead_venue.keys import PublicKey
from fairlead_venue.tape import Tape

MINUTE = 60_000_000_000


# --- as a process -----------------------------------------------------------------------------------------------


def started(*options, **settings):
    """A venue's process, and what it printed first."""
    command = [sys.executable, "-m", "fairlead_venue", "--protocol", "binance", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **settings)
    return process, json.loads(process.stdout.readline())


@pytest.mark.full
def test_it_prints_its_addresses_and_ends_when_told(tmp_path):
    """One line of JSON; SIGTERM ends it in good order."""
    process, said = started("--pair", "SOL/USDT=0.001", "--latency", "3ms")
    assert said["venue"] == "binance"
    assert said["rest"].startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.communicate()


@pytest.mark.full
def test_it_ends_with_whoever_started_it():
    """With --until-stdin-closes the end of its input is its own."""
    process, _ = started("--until-stdin-closes")
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.full
def test_a_handle_runs_it_in_a_process(raw_of):
    """The same as in a thread: market, orders, books."""
    rules = default_instrument("SOL/USDT", "anywhere", tick="0.01", fee="0")
    plan = FaultPlan(faults=(Fault(kind="refuse", on="order", at=2, lasts="1s"),))
    with Venue("binance", cash="500 USDT", instruments=[rules], faults=plan, process=True) as venue:
        venue.quote("SOL/USDT", 99.0, 101.0)
        order = raw_of(venue).spot(symbol="SOLUSDT", type="MARKET", quantity="1")[1]
        assert order["status"] == "FILLED"
        assert venue.books()["spot"]["balances"]["USDT"] == "399.0"
        assert raw_of(venue).spot(symbol="SOLUSDT", type="MARKET", quantity="1")[0] == 503


def test_the_command_line_has_it():
    """`fairlead venue` is brought by the plugin's hook, and refuses in one sentence."""
    from fairlead._cli.app import cli

    asked = CliRunner().invoke(cli, ["venue", "--help"])
    assert asked.exit_code == 0
    assert "venue in a box" in asked.output
    refused = CliRunner().invoke(cli, ["venue", "--host", "192.0.2.1"])
    assert refused.exit_code == 2
    assert "loopback" in refused.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--variant", "foo=bar"],
            "binance has no variant 'foo': there are signing, futures_fok, futures_gtx, weight",
        ),
        (["--variant", "signing=nonsense"], "variant signing has no 'nonsense': write either"),
        (["--variant", "weight=-5"], "variant weight: '-5' is no whole number"),
        (["--variant", "signing"], "variant 'signing': write NAME=VALUE"),
        (["--pair", "BTC"], "pair 'BTC' is not a symbol: write BASE/QUOTE"),
        (["--pair", "BTC", "--synthetic"], "'BTC' is not a symbol: write BASE/QUOTE"),
        (["--pair", "BTC.X"], "pair 'BTC.X': Binance lists BASE/QUOTE, such as BTC/USDT"),
        (["--pair", "BTC/USDT=-1"], "tick of BTC/USDT: -1 is not above 0"),
        (
            ["--faults", '[[fault]]\nkind = "refuse"\non = "ordr"'],
            "'ordr' strikes nothing: did you mean 'order'?",
        ),
        (["--faults", '[[fault]]\nkind = "lose"\non = "executionReprot"'], "did you mean 'executionReport'?"),
        (
            ["--faults", '[[fault]]\nkind = "lose"\non = "bananas"'],
            "'bananas' strikes nothing: write one of account",
        ),
    ],
)
def test_what_is_no_setting_is_refused_by_name(options, said):
    """A slip of the pen would else change nothing, and nobody would know."""
    from fairlead._cli.app import cli

    refused = CliRunner().invoke(cli, ["venue", *options])
    assert refused.exit_code == 2
    assert said in refused.output


def test_a_fault_that_is_added_later_is_looked_at_as_well():
    """A wrong label is refused by name, the protocol's own words and patterns are taken."""
    with Venue("binance") as venue:
        with pytest.raises(VenueRefused, match="did you mean 'cancel'"):
            venue.fault("refuse", on="cancle")
        for label in (
            "order.place",
            "POST /api/v3/order",
            "*order*",
            "event:*",
            "btcusdt@trade",
            "spot:order",
        ):
            venue.fault("refuse", on=label)


def test_the_help_says_the_key_and_its_secret():
    """A client needs both."""
    from fairlead._cli.app import cli

    said = CliRunner().invoke(cli, ["venue", "--help"]).output
    assert "[default: venue-key]" in said
    assert "venue-secret]" in said


def test_it_listens_on_loopback_only():
    """Nobody else can reach it, by whatever name."""
    from fairlead_venue.server import loopback

    assert [loopback(host) for host in ("127.0.0.1", "::1", "localhost")]
    for host in ("0.0.0.0", "192.0.2.1", "example.org", ""):
        with pytest.raises(ConfigurationError, match="loopback"):
            loopback(host)


def test_settings_that_make_no_sense_are_refused():
    """At once, from the thread that was asked."""
    with pytest.raises(ConfigurationError, match="bananas"):
        Venue("bananas")
    with pytest.raises(ConfigurationError, match="one market"):
        Venue("binance", data="x.csv", synthetic=True)


# --- its market -------------------------------------------------------------------------------------------------


def test_a_recording_is_played_as_if_it_happened_now(tmp_path, raw_of):
    """Its pair is listed with its tick, and its last quote is where the market stands, at the venue's own time."""
    file = tmp_path / "quotes.csv"
    rows = [f"2024-01-01T00:00:0{second}Z,{100 + second}.001,{101 + second}.001,5,6" for second in range(5)]
    file.write_text("\n".join(["time,bid,ask,bid_size,ask_size", *rows]))
    with Venue("binance", data=file, symbol="SOL/USDT", speed=0) as venue:
        raw = raw_of(venue)
        while (book := raw.call("GET", "/fapi/v1/depth", sign=False, symbol="SOLUSDT")[1])["bids"] != [
            ["104.001", "5"]
        ]:
            pass
        assert book["T"] > 1_700_000_000_000
        [symbol] = raw.call("GET", "/api/v3/exchangeInfo", sign=False)[1]["symbols"]
        assert (symbol["symbol"], symbol["filters"][0]["tickSize"]) == ("SOLUSDT", "0.00100000")
    with pytest.raises(ConfigurationError, match="missing"):
        Venue("binance", data=tmp_path / "missing.csv", symbol="SOL/USDT")


def test_an_invented_market_has_history(raw_of):
    """Three hours of candles, and quotes that go on."""
    with Venue("binance", synthetic=True, seed=3) as venue:
        raw = raw_of(venue)
        candles = raw.call("GET", "/api/v3/klines", sign=False, symbol="BTCUSDT", interval="1m", limit=1000)[
            1
        ]
        assert 150 < len(candles) <= 181
        assert all(later[0] - earlier[0] == 60_000 for earlier, later in itertools.pairwise(candles))
        hours = raw.call("GET", "/fapi/v1/klines", sign=False, symbol="BTCUSDT", interval="1h")[1]
        assert 3 <= len(hours) <= 4


def test_candles_are_made_of_what_was_traded():
    """Seconds and minutes from prints, hours from minutes, and bars of a feed as they came."""
    rules = default_instrument("BTC/USDT", "v", tick="0.1")
    tape = Tape(rules)
    for second, price in ((0, 100.0), (59, 103.0), (60, 99.0), (61, 101.0)):
        at = second * 1_000_000_000
        tape.take(Trade(rules.id, price, 2.0, at, at, "buy"))
    first, second = tape.candles("1m")
    assert (first.open, first.high, first.close, first.volume, first.count) == (100.0, 103.0, 103.0, 4.0, 2)
    assert (second.open, second.low, second.first, second.last) == (99.0, 99.0, 3, 4)
    [hour] = tape.candles("1h")
    assert (hour.open, hour.high, hour.low, hour.close, hour.count) == (100.0, 103.0, 99.0, 101.0, 4)
    tape.take(Bar(rules.id, "15m", 1.0, 2.0, 0.5, 1.5, 10.0, 0, 15 * MINUTE, 15 * MINUTE))
    assert tape.candles("15m")[0].high == 2.0


# --- its control line -------------------------------------------------------------------------------------------


def test_a_person_trades_on_the_same_account(venue, raw):
    """An order by hand shows in queries like any other, with an id that no request chose."""
    venue.order("spot", "BTC/USDT@binance", "buy", "0.01", type="limit", limit_price="40000")
    [order] = raw.call("GET", "/api/v3/openOrders")[1]
    assert order["clientOrderId"].startswith("web_")
    assert venue.cancel("spot", order["orderId"]) is True
    venue.deposit("futures", "USDT", "-1000", cause="withdrawal")
    assert raw.call("GET", "/fapi/v3/balance")[1][0]["balance"] == "99000.00000000"


def test_requests_are_seen_without_their_secrets(venue, raw):
    """Labels, parameters, faults and outcome; no key and no signature."""
    venue.fault("refuse", on="order")
    raw.spot()
    [seen] = venue.requests("order")
    assert (seen["path"], seen["outcome"], seen["faults"]) == ("/api/v3/order", "503", ["refuse"])
    assert "signature" not in seen["params"]
    assert venue.secret not in json.dumps(venue.requests())


def test_waiting_ends_with_what_was_waited_for_or_says_what_came(venue, raw):
    """No sleeping: the venue answers when it happened."""
    raw.spot()
    assert len(venue.wait("order", 1)) == 1
    with pytest.raises(TimeoutError, match="1 of 2 requests"):
        venue.wait("order", 2, within="20ms")


def test_nonsense_on_the_control_line_is_refused(venue):
    """The venue goes on."""
    for words in ({"do": "explode"}, {"do": "push", "events": [1]}, {"do": "deposit", "account": "x"}):
        with pytest.raises(VenueRefused):
            venue.ask(words.pop("do"), **words)
    with pytest.raises(VenueRefused, match="not listed"):
        venue.quote("DOGE/EUR", 1, 2)
    assert venue.ask("clock") > 0


# --- its parts --------------------------------------------------------------------------------------------------


def test_time_passes_at_once():
    """What becomes due runs in its order, at its own time; a skewed clock runs nothing early."""

    async def story():
        clock = VenueClock()
        seen = []
        start = clock.now()
        for minutes in (3, 1, 2):
            clock.call_at(
                start + minutes * MINUTE, lambda minutes=minutes: seen.append((minutes, clock.now()))
            )
        clock.call_in(90_000_000_000, lambda: seen.append(("gone", 0))).cancel()
        clock.skew(10 * MINUTE)
        assert clock.now() - start >= 10 * MINUTE
        assert seen == []
        clock.skew(0)
        clock.advance(150_000_000_000)
        assert [minutes for minutes, _ in seen] == [1, 2]
        assert all(0 <= at - start - minutes * MINUTE < 1_000_000_000 for minutes, at in seen)
        clock.close()

    asyncio.run(story())


def test_latency_is_fixed_or_like_a_network():
    """Half a round trip each way; the realistic one is seeded and has a tail."""
    assert Latency("3ms").half() == 1_500_000
    ways = [Latency("realistic", seed=seed) for seed in (1, 1)]
    times = [[way.half() for _ in range(500)] for way in ways]
    assert times[0] == times[1]
    assert min(times[0]) >= 1_000_000
    assert max(times[0]) > 3 * min(times[0])


def test_ed25519_and_rsa_signatures_are_checked():
    """The first vector of RFC 8032, and a key pair's own signature; one changed byte refuses."""
    import base64

    key = PublicKey("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert key.is_ed25519
    assert key.verifies(base64.b64encode(signature).decode(), b"\x72")
    assert not key.verifies(base64.b64encode(signature).decode(), b"\x73")
    assert not key.verifies("no base64!", b"\x72")
    crypto = pytest.importorskip("Crypto.PublicKey.RSA", reason="pycryptodome comes with python-binance")
    from Crypto.Hash import SHA256
    from Crypto.Signature import pkcs1_15

    private = crypto.generate(1024)
    rsa = PublicKey(private.public_key().export_key().decode())
    signed = base64.b64encode(pkcs1_15.new(private).sign(SHA256.new(b"payload"))).decode()
    assert rsa.verifies(signed, b"payload")
    assert not rsa.verifies(signed, b"payloaf")
    for nonsense in ("", "zz", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
        with pytest.raises(ConfigurationError, match="public key"):
            PublicKey(nonsense)
