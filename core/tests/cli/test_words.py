"""Figures, prices and durations as people read them."""

import pytest

from fairlead._cli.words import age, figure, limit, price, share
from fairlead.errors import ConfigurationError
from fairlead.units import duration, exact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("44919.9", "44,919.9"),
        ("2494.207765806210250654695099", "2,494.2078"),
        ("0.000012345678912", "0.000012345679"),
        ("1.23456", "1.23456"),
        ("123456789.12", "123,456,789.12"),
        ("-38.97", "-38.97"),
        ("0", "0"),
        (None, "-"),
    ],
)
def test_a_price_has_eight_digits(text, shown):
    """Enough to tell ticks apart, whatever an average has behind its point."""
    assert price(text) == shown


def test_a_figure_ends_at_the_eighth_place():
    """What is exact in JSON is short enough for a table."""
    assert figure("99781.19104702949999999999999") == "99,781.19104703"
    assert figure("0.55647") == "0.55647"
    assert figure(None) == "-"
    assert [limit(text) for text in ("6000 USDT", "0.5 BTC", "25%", "10/1s", "mon-fri UTC")] == [
        "6,000 USDT", "0.5 BTC", "25%", "10/1s", "mon-fri UTC",
    ]  # fmt: skip
    assert share("0.1234") == "12.3 %"
    assert share(None) == "-"


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0ms"),
        (18_000_000, "18ms"),
        (3_100_000_000, "3.1s"),
        (184_000_000_000, "3m 4s"),
        (8_040_000_000_000, "2h 14m"),
        (100_800_000_000_000, "1d 4h"),
    ],
)
def test_an_age_has_two_units(ns, shown):
    """The two largest."""
    assert age(ns) == shown


def test_exact_keeps_what_is_exact():
    """Of a float eight places; what is unknown stays so."""
    assert [exact(value) for value in (None, 1.5, -0.0, 1e-9)] == [None, "1.5", "0", "0"]


def test_a_duration_has_an_end():
    """What no clock of ours could reach is refused, however many digits it has."""
    assert duration("36525d") == 36_525 * 86_400 * 10**9
    for text in ("36526d", "9" * 400 + "d"):
        with pytest.raises(ConfigurationError, match="at most 100 years"):
            duration(text)
