// The look of the report: light and dark scheme, wide tables that scroll, black figure grounds as on a viewing station.
#pragma once

namespace perfpipe {

inline constexpr char html_style[] = R"css(
:root{color-scheme:light dark;--ground:#fbfbf9;--panel:#ffffff;--ink:#1d2329;--soft:#5d6873;--line:#dfe3e6;--accent:#8a2a52;
--warn:#8a5a00;--warn-ground:#fff6e0;--info-ground:#f1f4f7;
--s1:#b3285a;--s2:#1f6fb2;--s3:#c77700;--s4:#3b8f5a;--s5:#7a4fb3;--s6:#6b7580;--s7:#14857f;--s8:#8a6a3a}
@media (prefers-color-scheme:dark){:root{--ground:#14171a;--panel:#1b1f23;--ink:#e4e7ea;--soft:#9aa5b0;--line:#31373d;
--accent:#f08bb0;--warn:#f2c25c;--warn-ground:#2d2614;--info-ground:#1f252b;
--s1:#f0709c;--s2:#6fb4ee;--s3:#f0b04a;--s4:#74cf95;--s5:#b898ee;--s6:#a4afb9;--s7:#5cc9c2;--s8:#cfae7c}}
*{box-sizing:border-box}
html{scroll-behavior:smooth}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.page{max-width:1320px;margin:0 auto;padding:2rem 1.5rem 5rem}
header.top{border-bottom:1px solid var(--line);padding-bottom:1rem;margin-bottom:1.5rem}
.body{display:flex;gap:3rem;align-items:flex-start}
main{flex:1 1 auto;min-width:0}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}
h2{font-size:1.35rem;margin:0 0 .8rem;padding-top:1.2rem;letter-spacing:-.005em}
h3{font-size:1.05rem;margin:1.6rem 0 .5rem}
p{max-width:46rem;margin:.5rem 0}
.subtitle{color:var(--soft);margin:0}
nav{position:sticky;top:1.5rem;flex:0 0 11rem;font-size:.92rem}
nav ol{list-style:none;margin:0;padding:0;border-left:2px solid var(--line)}
nav a{display:block;padding:.22rem 0 .22rem .9rem;color:var(--soft);text-decoration:none}
nav a:hover{color:var(--accent)}
section{border-bottom:1px solid var(--line);padding-bottom:1.6rem}
section:last-child{border-bottom:0}
.scroll{overflow-x:auto;margin:1rem 0 1.4rem}
table{border-collapse:collapse;font-size:.93rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:.9rem;padding-bottom:.4rem}
th,td{padding:.32rem .9rem .32rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;white-space:nowrap}
th{font-weight:600;color:var(--soft);white-space:normal;vertical-align:bottom}
.n{text-align:right;padding-left:.9rem;padding-right:.5rem}
tr.strong td{font-weight:650;border-top:2px solid var(--line)}
tbody tr:hover{background:var(--info-ground)}
.tiles{display:flex;flex-wrap:wrap;gap:.9rem;margin:1rem 0}
.tile{flex:1 1 9rem;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}
.tile b{display:block;font-size:1.55rem;font-weight:650;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.tile span{display:block;color:var(--soft);font-size:.87rem}
.note{border-left:4px solid var(--soft);background:var(--info-ground);padding:.6rem 1rem;margin:.8rem 0;border-radius:0 6px 6px 0;max-width:60rem;overflow-wrap:anywhere}
.note.warning{border-color:var(--warn);background:var(--warn-ground)}
.note.warning b{color:var(--warn)}
figure{margin:1.1rem 0 1.8rem;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.9rem;max-width:64rem}
figcaption{color:var(--soft);font-size:.9rem;margin-top:.6rem}
.panels{display:grid;gap:.6rem}
.panels div{min-width:0}
.panels h4{font-size:.9rem;font-weight:600;margin:0 0 .3rem}
.panels img{display:block;width:100%;height:auto;background:#000;image-rendering:pixelated;border-radius:4px}
.legend{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin-top:.7rem;font-size:.87rem;color:var(--soft);font-variant-numeric:tabular-nums}
.legend span{white-space:nowrap}
.legend div{display:flex;align-items:center;gap:.5rem}
.legend img{width:10rem;height:.8rem;border-radius:3px}
svg.plot{display:block;width:100%;max-width:52rem;height:auto;font-size:12px;fill:currentColor}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:.6rem 1rem}
.plots h4{font-size:.9rem;font-weight:600;margin:0 0 .3rem}
svg.plot path{fill:none;stroke-linejoin:round}
svg .axis{stroke:var(--soft)}
svg .grid{stroke:var(--line);stroke-opacity:1}
svg .line{stroke-width:2}
svg .faint{stroke:var(--soft);stroke-width:.8;opacity:.35}
.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}.s4{stroke:var(--s4)}.s5{stroke:var(--s5)}.s6{stroke:var(--s6)}.s7{stroke:var(--s7)}.s8{stroke:var(--s8)}
details{border:1px solid var(--line);border-radius:8px;margin:.8rem 0;background:var(--panel)}
summary{cursor:pointer;padding:.6rem 1rem;font-weight:600}
details>.inside{padding:0 1rem 1rem}
details figure{border:0;padding:0}
pre{overflow-x:auto;font:.85rem/1.45 ui-monospace,"SF Mono",Menlo,Consolas,monospace;margin:0}
@media (max-width:900px){.body{display:block}nav{position:static;margin-bottom:1.5rem}.panels{grid-template-columns:repeat(auto-fit,minmax(9rem,1fr))!important}}
@media print{nav{display:none}.body{display:block}.page{max-width:none}figure,table{break-inside:avoid}body{background:#fff;color:#000}}
)css";

}  // namespace perfpipe
