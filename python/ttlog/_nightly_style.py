# SPDX-License-Identifier: GPL-2.0-or-later
"""Style and script of the page about a nightly corpus. The page's policy names their hashes."""

STYLE = """
:root {
    color-scheme: light dark;
    --ground: #f6f7f9; --panel: #ffffff; --line: #d5dae1; --text: #1b2129; --dim: #5a6472; --link: #0a58c2;
    --identical: #1b7a3d; --parted: #c3272b; --trouble: #9c4303;
}
@media (prefers-color-scheme: dark) {
    :root {
        --ground: #101318; --panel: #181c23; --line: #323a46; --text: #e4e8ee; --dim: #a3aebb; --link: #82b7ff;
        --identical: #6fd08c; --parted: #ff8a84; --trouble: #ffb077;
    }
}
* { box-sizing: border-box; }
body {
    margin: 0 auto; padding: 0 1rem 3rem; max-width: 90rem; background: var(--ground); color: var(--text);
    font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
header { padding: 1.2rem 0; border-bottom: 1px solid var(--line); }
.tool { margin: 0; color: var(--dim); font-size: 0.85rem; }
h1 { margin: 0.1rem 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 1.6rem 0 0.6rem; }
span.identical { color: var(--identical); } span.parted { color: var(--parted); } span.trouble { color: var(--trouble); }
rect.identical { fill: var(--identical); } rect.parted { fill: var(--parted); } rect.trouble { fill: var(--trouble); }
.legend { display: flex; flex-wrap: wrap; gap: 0 1.2rem; list-style: none; margin: 0 0 0.4rem; padding: 0; }
.key { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em; border-radius: 2px; }
.key.identical { background: var(--identical); } .key.parted { background: var(--parted); }
.key.trouble { background: var(--trouble); }
.chart { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 0.6rem; }
.chart svg { display: block; width: 100%; height: 7rem; }
.chart p { display: flex; justify-content: space-between; gap: 1rem; margin: 0.4rem 0 0; color: var(--dim); font-size: 0.85rem; }
details { margin-top: 0.5rem; }
.wide { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.6rem; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--dim); font-weight: 600; white-space: nowrap; }
td { white-space: nowrap; }
#rows td:nth-child(6), #rows td:nth-child(8), #rows td:nth-child(9), #places + .wide td:nth-child(3) { white-space: normal; overflow-wrap: anywhere; }
#rows td:nth-child(8) { min-width: 12rem; overflow-wrap: normal; }
#rows td:nth-child(6), #places + .wide td:nth-child(3) { min-width: 16rem; }
code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.86em; }
.num { font-variant-numeric: tabular-nums; }
.filters { display: flex; flex-wrap: wrap; gap: 0.6rem 1rem; align-items: end; margin-bottom: 0.7rem; }
.filters[hidden] { display: none; }
.filters label { display: grid; color: var(--dim); font-size: 0.85rem; }
select, input { font: inherit; color: var(--text); background: var(--panel); border: 1px solid var(--dim); border-radius: 4px; padding: 0.25rem 0.4rem; max-width: 100%; }
output, .note { color: var(--dim); }
"""

SCRIPT = """
'use strict';
(() => {
    const form = document.querySelector('.filters');
    const rows = [...document.querySelectorAll('#rows tbody tr')];
    const texts = rows.map(row => row.textContent.toLowerCase());
    const controls = [...form.querySelectorAll('[data-key]')];
    const apply = () => {
        let count = 0;
        rows.forEach((row, index) => {
            row.hidden = !controls.every(control => {
                const value = control.value;
                if (value === '') { return true; }
                if (control.dataset.key === 'text') { return texts[index].includes(value.toLowerCase()); }
                return row.dataset[control.dataset.key] === value;
            });
            count += row.hidden ? 0 : 1;
        });
        form.querySelector('output').textContent = count + ' of ' + rows.length;
        const chosen = controls.filter(control => control.value !== '');
        const words = chosen.map(control => control.dataset.key + '=' + encodeURIComponent(control.value));
        history.replaceState(null, '', words.length ? '#' + words.join('&') : location.pathname + location.search);
    };
    for (const word of location.hash.slice(1).split('&')) {
        const [key, value] = word.split('=');
        const control = controls.find(control => control.dataset.key === key);
        if (control && value) { try { control.value = decodeURIComponent(value); } catch { } }
    }
    form.addEventListener('input', apply);
    form.addEventListener('submit', event => event.preventDefault());
    form.hidden = false;
    apply();
})();
"""
