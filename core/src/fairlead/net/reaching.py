"""Whether somebody listens at an address."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from fairlead.errors import ConfigurationError, ConnectivityError

REACH_SECONDS = 3.0
_PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}


async def reach(address: str) -> float:
    """Open a TCP connection to a URL or `host:port`, close it, and return the seconds it took; nothing is written.

    Raises ConnectivityError where there is none after 3 seconds, ConfigurationError for what is no address.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        host = port = None
    if not host or not port:
        raise ConfigurationError(
            f"{address!r} is no address: write a URL such as wss://host/path, or host:port"
        )
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise ConnectivityError(f"{host}:{port}: no connection after {REACH_SECONDS:g} s") from None
    except OSError as error:
        raise ConnectivityError(f"{host}:{port}: {error.strerror or error}") from error
    took = loop.time() - began
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return took
