#pragma once

namespace trunkload {

// Of all pages, in the reader's light or dark.
inline constexpr char kStyleSheet[] = R"css(
:root {
  --text: #1d2125; --faint: #626b75; --line: #dde1e5; --page: #ffffff; --box: #f5f6f8;
  --accent: #1f5fbf; --second: #b2590a; --good: #1a7f37; --bad: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e4e7ea; --faint: #98a1ab; --line: #343b43; --page: #15181c; --box: #1d2126;
    --accent: #79aef5; --second: #e5a05a; --good: #57c477; --bad: #ff8577;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
nav, .about { color: var(--faint); font-size: 0.9rem; }
.about { margin: 0 0 1.25rem; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0.4rem 0 0.3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 0.6rem; }
.verdict { border-left: 4px solid var(--line); background: var(--box); padding: 0.7rem 1rem; margin: 0 0 1rem; }
.verdict p { margin: 0; }
.verdict ul { margin: 0.4rem 0 0; padding-left: 1.2rem; }
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--bad); }
.word { font-weight: 600; font-size: 1.1rem; }
.good .word, td.good, tr.good td:first-child, span.good { color: var(--good); }
.bad .word, td.bad, tr.bad td:first-child, span.bad { color: var(--bad); }
.wide { overflow-x: auto; }
td:first-child { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; padding: 0.32rem 0.9rem 0.32rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--faint); font-weight: 500; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.reason td { white-space: normal; color: var(--faint); font-size: 0.86rem; padding-top: 0; }
tr.leads td { border-bottom: 0; }
pre {
  background: var(--box); padding: 0.9rem 1rem; overflow-x: auto; margin: 0;
  font: 12.5px/1.45 ui-monospace, "SFMono-Regular", Menlo, "DejaVu Sans Mono", monospace;
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.5rem; margin: 0; }
dt { color: var(--faint); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; min-width: 40rem; height: auto; }
svg text { fill: var(--faint); font-size: 12px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .edge { stroke: var(--faint); stroke-width: 1; stroke-dasharray: 3 4; }
svg .rate { fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-linejoin: round; }
svg .p99 { fill: none; stroke: var(--second); stroke-width: 1.6; stroke-linejoin: round; }
svg .fault { fill: var(--bad); fill-opacity: 0.12; }
svg text.rate-name { fill: var(--accent); }
svg text.p99-name { fill: var(--second); }
progress { width: 100%; height: 0.6rem; accent-color: var(--accent); }
)css";

}  // namespace trunkload
