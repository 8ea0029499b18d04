"""The WebSocket API of spot, spoken without an SDK: logons, what may be asked, what the account's stream says."""

import asyncio
import base64
import json

import aiohttp
import pytest

from fairlead_venue import Venue

EdDSA = pytest.importorskip("Crypto.Signature.eddsa", reason="pycryptodome comes with python-binance")
from Crypto.PublicKey import ECC  # noqa: E402


def test_a_session_is_logged_on_once_and_signs_no_more():
    """An Ed25519 signature at the logon; then orders and the account's stream need none, until the logout."""
    private = ECC.generate(curve="Ed25519")

    def signed(venue, **params):
        params |= {"apiKey": venue.key, "timestamp": venue.ask("clock") // 1_000_000}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        signature = EdDSA.new(private, "rfc8032").sign(payload.encode())
        return {**params, "signature": base64.b64encode(signature).decode()}

    async def story(venue):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(venue.addresses["spot_ws_api"]) as socket,
        ):

            async def ask(method, params=None):
                await socket.send_json({"id": method, "method": method, "params": params or {}})
                while (frame := json.loads((await socket.receive(3)).data)).get("id") != method:
                    events.append(frame)
                return frame

            events = []
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            order["timestamp"] = venue.ask("clock") // 1_000_000
            assert (await ask("userDataStream.subscribe"))["error"]["code"] == -2015
            assert (await ask("order.place", order))["error"]["code"] == -2014
            forged = signed(venue) | {"signature": base64.b64encode(b"x" * 64).decode()}
            assert (await ask("session.logon", forged))["error"]["code"] == -1022
            logged_on = await ask("session.logon", signed(venue))
            assert logged_on["result"]["apiKey"] == venue.key
            assert logged_on["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
            assert (await ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
            assert (await ask("userDataStream.subscribe"))["error"]["code"] == -2035
            assert (await ask("order.place", order))["result"]["status"] == "FILLED"
            assert [frame["event"]["e"] for frame in events][:2] == ["executionReport"] * 2
            assert (await ask("session.status"))["result"]["userDataStream"] is True
            assert (await ask("userDataStream.unsubscribe"))["status"] == 200
            await ask("session.logout")
            assert (await ask("order.place", order))["status"] == 401
            assert (await ask("no.such"))["error"]["code"] == -1000
            await socket.send_str("{")
            assert json.loads((await socket.receive(3)).data)["status"] == 400

    with Venue("binance", public_key=private.public_key().export_key(format="PEM")) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        asyncio.run(story(venue))
