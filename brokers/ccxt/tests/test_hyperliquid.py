"""Hyperliquid by ccxt, against a server that writes down all it is asked: only what a user wanted leaves."""

import asyncio
import importlib.util
import json
from decimal import Decimal
from typing import Any

import pytest

from fairlead import OrderIntent, OrderType, Secret, Side
from fairlead.ports import Submit
from fairlead_ccxt.commands import submit
from fairlead_ccxt.credentials import Credentials
from fairlead_ccxt.facts import facts_of
from fairlead_ccxt.place import place
from fairlead_ccxt.sdk import Call, Sdk, Unsent

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ccxt") is None, reason="ccxt is not installed: see conftest.py"
    ),
    pytest.mark.filterwarnings("ignore"),
]
META = [
    {"universe": [{"name": "BTC", "szDecimals": 5, "maxLeverage": 50}], "marginTables": [], "collateralToken": 0},
    [{"funding": "0.00001", "openInterest": "1", "prevDayPx": "50000", "dayNtlVlm": "1", "premium": "0",
      "oraclePx": "50000", "markPx": "50000", "midPx": "50000", "impactPxs": ["50000", "50000"], "dayBaseVlm": "1"}],
]  # fmt: skip
USDC = {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "tokenId": "0x0", "isCanonical": True}
SPOT_META = {"tokens": [USDC], "universe": []}
ANSWERS = {
    "metaAndAssetCtxs": META,
    "spotMeta": SPOT_META,
    "spotMetaAndAssetCtxs": [SPOT_META, []],
    "perpDexs": [None],
    "userAbstraction": "default",
}
SYMBOL = "BTC/USDC:USDC"
RESTING = {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 7}}]}}}


class Recorder:
    """Answers enough for markets and an order, and keeps every request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def open(self) -> str:
        from aiohttp import web

        app = web.Application()
        app.router.add_post("/info", self._answer)
        app.router.add_post("/exchange", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        return f"http://{host}:{port}"

    async def _answer(self, request: Any) -> Any:
        from aiohttp import web

        body = json.loads(await request.text())
        self.asked.append((request.path, body))
        return web.json_response(RESTING if request.path == "/exchange" else ANSWERS.get(body["type"], []))

    async def close(self) -> None:
        await self._runner.cleanup()


def test_only_the_order_is_signed_and_sent() -> None:
    """ccxt alone would approve a fee for its builder and set a referrer, signed, while it loads markets."""

    async def story() -> None:
        there = Recorder()
        url = await there.open()
        facts = facts_of("hyperliquid")
        credentials = Credentials.of(
            wallet=Secret.of("0x" + "12" * 20, "wallet"), private_key=Secret.of("0x" + "34" * 32, "private")
        )
        loop = asyncio.get_running_loop()
        sdk = await Sdk.open(
            place("hyperliquid", ["BTC/USDC:USDC"], "testnet", url),
            facts,
            lambda: int(loop.time() * 1e9),
            credentials,
        )
        try:
            await sdk.ask("load_markets")
            assert [path for path, _ in there.asked if path == "/exchange"] == []
            with pytest.raises(Unsent, match="nobody asked"):
                await sdk.start(sdk.exchange.approve_builder_fee("0x" + "56" * 20, "0.01%"), Call())
            intent = OrderIntent(
                strategy="s", account="a", instrument="BTC/USDC:USDC@hyperliquid", side=Side.BUY,
                quantity=Decimal("0.001"), type=OrderType.LIMIT, limit_price=Decimal(49_000),
            )  # fmt: skip
            deadline = int(loop.time() * 1e9) + 5_000_000_000
            request = submit(
                facts,
                Submit("ab" * 16, intent, intent.quantity, False, deadline),
                "BTC/USDC:USDC",
                5_000_000_000,
            )
            answer = await sdk.start(sdk.exchange.create_order(*request.args), Call(deadline_ns=deadline))
            assert answer["id"] == "7"
            [(_, sent)] = [one for one in there.asked if one[0] == "/exchange"]
            assert sent["action"]["type"] == "order"
            assert "builder" not in sent["action"]
            [order] = sent["action"]["orders"]
            assert (order["c"], order["s"], order["p"]) == ("0x" + "ab" * 16, "0.001", "49000")
        finally:
            await sdk.close()
            await there.close()

    asyncio.run(story())
