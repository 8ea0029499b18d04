"""The style sheet of the report: one for light and dark, for a phone and a wide screen."""

CSS = """
:root{--paper:#fcfcfa;--ink:#1c2430;--quiet:#5b6675;--rule:#dfe3e8;--card:#fff;--line:#1f4e8c;--price:#6b7684;
--buy:#0b5fc0;--sell:#b4500a;--fall:#8a4a5c;--badge:#1c2430;--notice:#fff4e0}
@media (prefers-color-scheme:dark){:root{--paper:#11151b;--ink:#e5e8ec;--quiet:#9aa5b3;--rule:#2b333e;--card:#181e26;
--line:#8ab8f5;--price:#7f8b99;--buy:#6db1ff;--sell:#ffab5e;--fall:#d592a5;--badge:#e5e8ec;--notice:#33270f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:1104px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 8px;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:40px 0 12px;padding-bottom:6px;border-bottom:1px solid var(--rule)}
p{margin:6px 0}
.quiet{color:var(--quiet);font-size:.875rem}
.badge{display:inline-block;margin:0 8px 4px 0;padding:2px 10px;border-radius:4px;background:var(--badge);
color:var(--paper);font-weight:600;font-size:.875rem;letter-spacing:.04em;overflow-wrap:anywhere}
.badge.plain{background:none;color:var(--ink);border:1px solid var(--quiet);font-weight:500;letter-spacing:0}
.notice{background:var(--notice);border-left:4px solid var(--sell);padding:8px 12px;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(156px,1fr));gap:10px;margin:0 0 16px}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:10px 12px;min-width:0}
.tile dt{color:var(--quiet);font-size:.8125rem}
.tile dd{margin:0;font-size:1.0625rem;font-weight:600;overflow-wrap:anywhere}
.tile dd.quiet{font-size:.8125rem;font-weight:400;min-height:1.2em}
figure{margin:20px 0 0}
figcaption{font-weight:600;font-size:.9375rem;margin-bottom:4px}
.chart{display:block;width:100%;height:auto}
.chart.narrow{display:none}
@media (max-width:640px){.tile dd{font-size:.9375rem}.chart.wide{display:none}.chart.narrow{display:block}}
svg text{fill:var(--quiet);font:12px system-ui,-apple-system,"Segoe UI",sans-serif}
svg path{fill:none;stroke-linejoin:round}
svg .grid{stroke:var(--rule)}
svg .line{stroke:var(--line);stroke-width:1.6}
svg .price{stroke:var(--price);stroke-width:1.2}
svg .fall{stroke:var(--fall);stroke-width:1.2}
svg .area{fill:var(--fall);fill-opacity:.22;stroke:none}
svg .buy{fill:var(--buy);stroke:var(--paper);stroke-width:.6}
svg .sell{fill:var(--sell);stroke:var(--paper);stroke-width:.6}
.key{font-size:1.05em}.key.buy{color:var(--buy)}.key.sell{color:var(--sell);margin-left:12px}
.spark{vertical-align:middle}
.scroll{overflow:auto hidden;margin:0 0 16px}
.scroll:focus-visible{outline:2px solid var(--line);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.875rem}
caption{text-align:left;color:var(--quiet);padding-bottom:4px}
th,td{padding:5px 10px 5px 0;text-align:left;white-space:nowrap;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600}
.n{text-align:right}
caption.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.wrap{white-space:normal;display:inline-block;min-width:220px;overflow-wrap:anywhere}
.up{color:var(--buy)}.down{color:var(--sell)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:24px}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;font-size:.875rem;margin:8px 0}
.facts dt{color:var(--quiet)}.facts dd{margin:0;overflow-wrap:anywhere}
footer{margin-top:40px;color:var(--quiet);font-size:.8125rem}
@media print{.scroll{overflow:visible}}
""".strip()
