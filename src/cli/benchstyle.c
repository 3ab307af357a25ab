/* SPDX-License-Identifier: MIT */
#include "benchstyle.h"

#include <stddef.h>

const char *const ln_benchstyle[] = {
    ":root{color-scheme:light dark;--paper:#f6f2ec;--card:#fffdfa;--ink:#2a221e;--soft:#6a5d54;"
    "--line:#e2d9ce;--rose:#a52a44;--wash:#a52a4422;--good:#2c6a44;--good-wash:#dfeee2;"
    "--bad-wash:#f6e0e1;--blue:#33628f;"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n",
    "@media(prefers-color-scheme:dark){:root{--paper:#171312;--card:#231d1b;--ink:#efe7e0;"
    "--soft:#ab9d93;--line:#3d332f;--rose:#ee8599;--wash:#ee859926;--good:#7cc795;"
    "--good-wash:#1d3326;--bad-wash:#43232b;--blue:#86b4de}}\n",
    "*{box-sizing:border-box}\n",
    "body{margin:0;background:var(--paper);color:var(--ink);-webkit-text-size-adjust:100%;"
    "font-variant-numeric:tabular-nums}\n",
    "main{max-width:60rem;margin:0 auto;padding:clamp(1rem,4vw,3rem) clamp(.8rem,3vw,2rem)}\n",
    "h1{font-size:1.5rem;line-height:1.2;margin:0;font-weight:650;letter-spacing:-.01em}\n",
    "h1 em{font-style:normal;color:var(--rose)}\n",
    "h2{font-size:1.05rem;margin:0;font-weight:650}\n",
    "h3{font-size:.85rem;margin:1.4rem 0 0;font-weight:600;color:var(--soft)}\n",
    "h3::first-letter{text-transform:uppercase}\n",
    "section>p,.url,small,footer,li span{color:var(--soft);font-size:.85rem}\n",
    "section>p{margin:.1rem 0 0}\n",
    ".url{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;margin:.3rem 0 "
    ".9rem;"
    "overflow-wrap:anywhere}\n",
    ".verdict{display:inline-block;margin:0 .4rem 0 0;padding:.25rem .8rem;border-radius:2rem;"
    "font-size:.9rem;font-weight:600;background:var(--line)}\n",
    ".verdict.good{background:var(--good-wash);color:var(--good)}\n",
    ".verdict.good::before{content:'\\2713\\00a0 '}\n",
    ".verdict.bad{background:var(--bad-wash);color:var(--rose)}\n",
    ".verdict.bad::before{content:'\\2715\\00a0 '}\n",
    ".tiles{list-style:none;margin:1.4rem 0 0;padding:0;display:grid;gap:.7rem;"
    "grid-template-columns:repeat(auto-fit,minmax(min(12.5rem,44%),1fr))}\n",
    ".tiles li,section{background:var(--card);border:1px solid var(--line);border-radius:.8rem}\n",
    ".tiles li{padding:.7rem .9rem;display:flex;flex-direction:column}\n",
    ".tiles strong{font-size:1.45rem;line-height:1.3;font-weight:650;letter-spacing:-.02em;"
    "white-space:nowrap}\n",
    ".tiles small{font-size:.78rem;line-height:1.35}\n",
    "section{margin-top:1rem;padding:1.1rem clamp(.9rem,3vw,1.4rem) 1.3rem}\n",
    ".errors{border-color:var(--rose)}.errors ul{margin:.5rem 0 0;padding:0;list-style:none}\n",
    ".errors li{padding:.4rem 0;border-top:1px solid var(--line)}\n",
    ".errors li:first-child{border:0}.errors small{display:block;overflow-wrap:anywhere}\n",
    ".chart{position:relative;height:clamp(11rem,34vw,16rem);margin:1.5rem 0 1.7rem 3.9rem;"
    "border-bottom:1px solid var(--soft)}\n",
    ".chart svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}\n",
    ".chart i{position:absolute;font-style:normal;background:var(--line)}\n",
    ".chart b{position:absolute;font-size:.72rem;line-height:1;font-weight:400;color:var(--soft);"
    "white-space:nowrap}\n",
    ".chart i.x{top:0;bottom:0;width:1px}.chart i.y{left:0;right:0;height:1px}\n",
    ".chart .x b{top:calc(100% + .5rem);transform:translateX(-50%)}\n",
    ".chart .y b{right:calc(100% + .5rem);transform:translateY(-50%)}\n",
    ".chart "
    ".mark{top:0;bottom:0;width:1px;background:var(--ink);opacity:.75;pointer-events:none}\n",
    ".chart .mark b{top:-1rem;transform:translateX(-50%);color:var(--ink);font-weight:600}\n",
    ".bar{fill:var(--rose)}.bar:hover{fill:var(--ink)}\n",
    "polyline,polygon{vector-effect:non-scaling-stroke;stroke-linejoin:round}\n",
    ".line{fill:none;stroke:var(--rose);stroke-width:2}.line.thin{stroke:var(--blue)}\n",
    ".wash{fill:var(--wash)}\n",
    ".key{margin-left:.7rem;color:var(--rose);white-space:nowrap}.key.thin{color:var(--blue)}\n",
    ".key::before{content:'';display:inline-block;width:1.1em;height:.18em;margin-right:.4em;"
    "vertical-align:.25em;background:currentcolor;border-radius:1em}\n",
    ".wide{overflow-x:auto;margin-top:.6rem}\n",
    "table{border-collapse:collapse;width:100%;font-size:.9rem}\n",
    "th,td{padding:.4rem .6rem;text-align:right;white-space:nowrap;"
    "border-top:1px solid var(--line)}\n",
    "tr:first-child>*{border:0;color:var(--soft);font-weight:500;font-size:.8rem}\n",
    "th[scope=row]{text-align:left;padding-left:0;font-weight:500}\n",
    "dl{margin:.6rem 0 0;display:grid;gap:.1rem 2rem;"
    "grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr))}\n",
    "dl div{display:flex;justify-content:space-between;gap:1rem;padding:.35rem 0;"
    "border-top:1px solid var(--line);font-size:.9rem}\n",
    "dt{color:var(--soft);flex:none}dd{margin:0;text-align:right;overflow-wrap:anywhere}\n",
    ".chart.bare{margin-left:0;margin-top:2rem}h3{margin-top:2.2rem}\n",
    "footer{margin:1.2rem .2rem 0}\n",
    "@media(max-width:34rem){.chart{margin-left:3.3rem}.chart b{font-size:.66rem}.chart .minor b{"
    "display:none}table{font-size:.8rem}th,td{padding:.4rem .35rem}}\n",
    "@media print{:root{--paper:#fff}section{break-inside:avoid}}\n",
    NULL};
