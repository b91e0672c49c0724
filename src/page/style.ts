/** How the status page looks; light and dark by what the browser asks for. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #fff; --fg: #1b1f24; --soft: #59636e; --line: #d1d9e0;
  --box: #f6f8fa; --accent: #0b57d0; --fault: #b3261e; --faultbox: #fdecea; --warn: #7a5200;
  --warnbox: #fff4d6; --link: #7b9ccf; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #11151a; --fg: #e6edf3; --soft: #9aa7b4; --line: #303943; --box: #1a2129;
    --accent: #8ab4f8; --fault: #ff9d94; --faultbox: #3a1715; --warn: #f0c35a; --warnbox: #332a10;
    --link: #4d74ad; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 0 16px 32px; max-width: 1140px; background: var(--bg);
  color: var(--fg); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 16px 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 24px 0 8px; }
h2 small { color: var(--soft); font-weight: normal; }
p { margin: 8px 0; }
dl { display: flex; flex-wrap: wrap; gap: 4px 24px; margin: 0; }
dl div { min-width: 9em; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
ul { margin: 0; padding: 0; list-style: none; }
li { margin: 4px 0; padding: 6px 10px; border-left: 4px solid var(--line); background: var(--box);
  overflow-wrap: anywhere; }
li.fault { border-color: var(--fault); background: var(--faultbox); }
li.warning { border-color: var(--warn); background: var(--warnbox); }
.fault b { color: var(--fault); }
.warning b { color: var(--warn); }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
#connection { position: sticky; top: 0; margin: 0 -16px; padding: 4px 16px; background: var(--bg);
  border-bottom: 1px solid var(--line); color: var(--soft); font-size: .85rem; z-index: 1; }
#connection.lost { background: var(--faultbox); color: var(--fault); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
td.text { white-space: normal; max-width: 24em; overflow-wrap: break-word; }
thead th { color: var(--soft); font-size: .85rem; font-weight: 600; }
tbody th { font-weight: 600; }
.number { text-align: right; }
tr { scroll-margin-top: 40px; }
tr.fault { background: var(--faultbox); }
tr.warning { background: var(--warnbox); }
tr:target { outline: 2px solid var(--accent); outline-offset: -2px; }
svg { width: 100%; height: auto; display: block; margin: 16px 0 0; }
svg.narrow { display: none; max-width: 480px; margin: 0 auto; }
svg text { fill: var(--fg); font: 12px ui-monospace, monospace; }
svg text.rate { fill: var(--soft); }
svg text.heading { fill: var(--soft); font: 12px system-ui, sans-serif; text-anchor: middle; }
svg.narrow .box text { font-size: 11px; }
.box rect { fill: var(--box); stroke: var(--line); }
.box.fault rect { fill: var(--faultbox); stroke: var(--fault); stroke-width: 2; }
.box.warning rect { fill: var(--warnbox); stroke: var(--warn); stroke-dasharray: 5 3; }
.box.fault text { fill: var(--fault); }
a.box:hover rect, a.box:focus-visible rect { stroke: var(--accent); stroke-width: 2; }
.link { fill: none; stroke: var(--link); }
.link.idle { stroke: var(--line); }
@media (max-width: 700px) {
  svg.wide { display: none; }
  svg.narrow { display: block; }
  .more { display: none; }
  tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 7em; }
  th, td { padding-right: 8px; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
`;
