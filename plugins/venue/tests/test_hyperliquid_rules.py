"""What Hyperliquid refuses, refused here: precision, minimums, signatures, nonces and budgets."""

import concurrent.futures

import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"limit_px": 49_000.5}, "divisible by tick size"),
        ({"limit_px": 49_000.0, "sz": 0.0001}, "minimum value of $10"),
        ({"sz": 0.000001}, "invalid size"),
        ({"sz": 100.0}, "insufficient margin"),
        ({"limit_px": 50_100, "tif": "Alo"}, "would have immediately matched, bbo was 49999@50001"),
        ({"tif": "Ioc"}, "could not immediately match"),
        ({"is_buy": False, "limit_px": 51_000, "reduce_only": True}, "would increase position"),
        ({"limit_px": 200_000, "tif": "Ioc"}, "80% away"),
        ({"name": "ETH", "limit_px": 3_000, "tif": "Ioc"}, "could not immediately match"),
        ({"name": "BTC/USDC", "is_buy": False, "limit_px": 51_000}, "insufficient spot balance"),
        ({"order_type": {"trigger": {"triggerPx": 60_000, "isMarket": True, "tpsl": "tp"}}}, "tp/sl price"),
    ],
)
def test_an_order_is_refused_in_its_place(hyper, words, said):
    """HTTP 200 and an error among the statuses, in Hyperliquid's words; nothing works."""
    assert said in hyper.order(**words)["error"].lower()
    assert hyper.info.open_orders(hyper.account) == []


@pytest.mark.parametrize(
    ("price", "fits"), [(123_456, True), (1234.5, True), (1234.56, False), (0.12345, False)]
)
def test_prices_have_five_figures(hyper_of, price, fits):
    """Whole numbers always pass; decimals are limited by szDecimals too."""
    hyper = hyper_of(pairs={"ETH/USDC": "0.01", "BTC/USDC": "0.1"})
    hyper.venue.quote("ETH/USDC", price * 0.99, price * 1.01)
    status = hyper.order(name="ETH", limit_px=price, sz=200 if price < 1 else 0.1, reduce_only=False)
    assert ("divisible" not in str(status)) is fits


def test_each_order_of_a_batch_has_its_own_fate(hyper):
    """One is refused, the other rests."""
    rows = [
        {"coin": "BTC", "is_buy": True, "sz": 0.01, "limit_px": price, "order_type": {"limit": {"tif": "Gtc"}},
         "reduce_only": False}
        for price in (49_000.5, 49_000)
    ]  # fmt: skip
    first, second = hyper.exchange.bulk_orders(rows)["response"]["data"]["statuses"]
    assert "error" in first
    assert "resting" in second


def test_only_the_account_and_its_agent_may_act(hyper):
    """Another wallet's action is refused with the address that was recovered."""
    from eth_account import Account

    stranger = Account.from_key("0x" + "5" * 64)
    client = hyper.sdk.Exchange(stranger, hyper.url, account_address=hyper.account, timeout=5)
    reply = client.order("BTC", True, 0.01, 49_000, {"limit": {"tif": "Gtc"}})
    client.session.close()
    client.info.session.close()
    assert reply == {
        "status": "err",
        "response": f"User or API Wallet {stranger.address.lower()} does not exist.",
    }


def test_a_signature_is_of_what_was_sent(hyper, monkeypatch):
    """Zeros at the end of a number, which the exchange does not keep, make it a signature of something else."""
    monkeypatch.setattr("hyperliquid.utils.signing.float_to_wire", lambda value: f"{value:.8f}")
    reply = hyper.exchange.order("BTC", True, 0.01, 49_000, {"limit": {"tif": "Gtc"}})
    assert "does not exist" in reply["response"]


def test_a_nonce_is_good_once_and_near_now(hyper, monkeypatch):
    """Neither twice, nor two days old, nor a day ahead; and not below the last hundred."""
    now = hyper.venue.ask("clock") // 1_000_000

    def at(nonce):
        monkeypatch.setattr("hyperliquid.exchange.get_timestamp_ms", lambda: nonce)
        return hyper.exchange.cancel("BTC", 1)["response"]

    assert "never placed" in str(at(now))
    assert at(now) == f"Invalid nonce: duplicate nonce {now}"
    assert "Invalid nonce" in at(now - 3 * 86_400_000)
    assert "Invalid nonce" in at(now + 2 * 86_400_000)
    for more in range(1, 101):
        at(now + more)
    assert "lowest of the last 100" in at(now)


def test_an_address_has_a_budget(hyper_of):
    """Beyond the buffer and what was traded one action passes in ten seconds; cancels have twice as much."""
    hyper = hyper_of(variants={"address_budget": "3"})
    for number in range(3):
        assert "resting" in hyper.order(id=number + 1)
    refused = hyper.exchange.order("BTC", True, 0.01, 49_000, {"limit": {"tif": "Gtc"}})
    assert "Too many cumulative requests sent (4 > 3)" in refused["response"]
    assert hyper.status(hyper.exchange.cancel_by_cloid("BTC", hyper.cloid(1))) == "success"
    assert hyper.info.user_rate_limit(hyper.account)["nRequestsCap"] == 3


def test_an_ip_address_has_a_weight(hyper_of):
    """1,200 a minute: beyond it HTTP 429 with the body null."""
    hyper = hyper_of(variants={"weight": "60"})
    hyper.info.open_orders(hyper.account)
    with pytest.raises(hyper.error.ClientError) as refused:
        hyper.info.open_orders(hyper.account)
    assert (refused.value.status_code, refused.value.error_code) == (429, None)


def test_a_dead_mans_switch_may_need_volume(hyper_of):
    """Where a million must have been traded first, it is refused and says so."""
    hyper = hyper_of(variants={"schedule_cancel": "volume"})
    when = hyper.venue.ask("clock") // 1_000_000 + 60_000
    assert "enough volume traded" in hyper.exchange.schedule_cancel(when)["response"]


def test_what_cannot_be_read_is_422(hyper):
    """A query that there is not, an action without its parts, and bytes that are no JSON."""
    for path, body in [
        ("/info", {"type": "nothing"}),
        ("/exchange", {"action": {"type": "order"}, "nonce": 1}),
    ]:
        with pytest.raises(hyper.error.ClientError) as refused:
            hyper.info.post(path, body)
        assert (refused.value.status_code, refused.value.error_message) == (
            422, "Failed to deserialize the JSON body into the target type",
        )  # fmt: skip


def test_threads_do_not_confuse_it(hyper):
    """Orders from several threads are all accepted or refused for their nonce, one by one."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: hyper.exchange.cancel("BTC", 1), range(40)))
    refused = [reply for reply in replies if reply["status"] == "err"]
    assert all("duplicate nonce" in reply["response"] for reply in refused)


def test_a_pair_in_other_money_is_refused_at_the_start(hyper_of):
    """Hyperliquid trades in USDC; the remedy is named."""
    with pytest.raises(Exception, match="list BTC/USDC instead"):
        hyper_of(pairs={"BTC/USDT": "0.1"})
