"""`fairlead venue`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from fairlead import ConfigurationError, FairleadError
from fairlead_venue.fronts import FRONTS


def _table(texts: tuple[str, ...], what: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise ConfigurationError(f"{what} {text!r}: write NAME=VALUE")
        found[name] = value
    return found


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    return {pair: tick or "0.01" for pair, _, tick in (text.partition("=") for text in texts)}


@click.command()
@click.option("--protocol", type=click.Choice(list(FRONTS)), default="binance", show_default=True)
@click.option("--data", default="", metavar="FILE", help="A recording to play as if it happened now.")
@click.option("--symbol", default="", help="What the recording is of, where it does not say.")
@click.option(
    "--speed", default=1.0, metavar="TIMES", help="How fast it is played; 0 is as fast as possible."
)
@click.option("--synthetic", is_flag=True, help="An invented market.")
@click.option("--seed", default=42, show_default=True, help="Of the invented market.")
@click.option("--pair", multiple=True, metavar="BASE/QUOTE[=TICK]", help="A pair to list; may be repeated.")
@click.option("--cash", multiple=True, metavar='"AMOUNT CURRENCY"', help="What each wallet begins with.")
@click.option("--faults", default="", metavar="FILE", help="A fault plan in TOML.")
@click.option("--latency", default="0ms", metavar="0ms|3ms|realistic", help="Of a round trip.")
@click.option("--key", default="venue-key", show_default=True, help="The one API key.")
@click.option(
    "--secret",
    default="venue-secret",
    show_default=True,
    help="Its secret; this venue is no place for a real one.",
)
@click.option(
    "--public-key", default="", metavar="PEM|HEX", help="The key's public half where it signs with Ed25519."
)
@click.option("--variant", multiple=True, metavar="NAME=VALUE", help="Choose between documents that differ.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback only.")
@click.option("--port", default=0, help="0 is any that is free.")
@click.option("--until-stdin-closes", is_flag=True, help="End with whoever started it.")
@click.option("--settings-from-stdin", is_flag=True, hidden=True)
def venue(
    pair: tuple[str, ...],
    cash: tuple[str, ...],
    variant: tuple[str, ...],
    until_stdin_closes: bool,
    settings_from_stdin: bool,
    **words: Any,
) -> None:
    """Run a venue in a box: the simulated venue behind a real one's wire protocol, on loopback.

    It prints its addresses on one line, as JSON, and runs until SIGTERM or SIGINT.
    """
    from fairlead_venue.serving import serve

    if settings_from_stdin:
        words, until_stdin_closes = json.loads(sys.stdin.buffer.readline()), True
    else:
        words |= {"pairs": _pairs(pair), "cash": list(cash), "variants": _table(variant, "variant")}
    serve(words, until_stdin_closes=until_stdin_closes)


def main() -> int:
    """`python -m fairlead_venue`: the same as `fairlead venue`; returns the exit code."""
    try:
        venue(prog_name="fairlead_venue", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except FairleadError as error:
        print(f"fairlead_venue: {error}", file=sys.stderr)
        return 2
    return 0
