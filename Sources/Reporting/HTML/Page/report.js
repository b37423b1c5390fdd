// SPDX-License-Identifier: GPL-2.0-or-later
// Draws the strip and the streams of the page from its data block. The rest of the page needs no script.
"use strict";

(function () {
    const data = JSON.parse(document.getElementById("data").textContent);
    const byId = (id) => document.getElementById(id);
    // What positions count: brctr, or exits.
    const clock = document.body.dataset.clock;

    function element(name, className, text) {
        const made = document.createElement(name);
        if (className) made.className = className;
        if (text !== undefined) made.textContent = text;
        return made;
    }

    // Digits in groups of three, as the rest of the page has them.
    const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

    // The last two parts of a path.
    const shortPath = (path) => path.split("/").slice(-2).join("/");

    // MARK: Streams

    const text = (index) => (index < 0 ? "" : data.strings[index]);
    const columns = {
        branch: ["brctr", "icount", "from", "fromSymbol", "to", "toSymbol", "label", "source", "toSource"],
        event: ["brctr", "icount", "kind", "ip", "symbol", "details"],
    };

    // One value of a record, marked with its place in the JSON document.
    function figure(list, index, name, className) {
        const record = data.lists[list].records[index];
        const place = columns[data.lists[list].event ? "event" : "branch"].indexOf(name);
        const value = text(record[place]);
        if (value === "") return null;
        const isSource = name === "source" || name === "toSource";
        const made = element("span", className, name === "brctr" ? grouped(value) : isSource ? shortPath(value) : value);
        if (isSource || name === "fromSymbol" || name === "toSymbol") made.title = value;
        made.dataset.figure = data.lists[list].path + "/" + index + "/" + name;
        return made;
    }

    function append(parent, parts) {
        parts.forEach((part) => {
            if (part === null) return;
            parent.append(part, " ");
        });
    }

    function fill(cell, list, index, mark) {
        const line = element("div", "line");
        if (mark) {
            const sign = element("span", "mark " + mark, mark === "original" ? "−" : "+");
            sign.setAttribute("aria-hidden", "true");
            line.append(sign, " ", element("span", "hidden", mark + " only "));
        }
        const part = (name, className) => figure(list, index, name, className);
        if (data.lists[list].event) {
            append(line, [part("brctr", "clock"), part("kind", "kind"), part("ip", "code"), part("symbol", "symbol")]);
            append(line, [part("details", "details")]);
            cell.append(line);
            return;
        }
        append(line, [
            part("brctr", "clock"), part("from", "code"), part("fromSymbol", "symbol"), element("span", "arrow", "→"),
            part("to", "code"), part("toSymbol", "symbol"), part("label", "label"),
        ]);
        const [from, to] = [part("source"), part("toSource")];
        if (!from && !to) {
            cell.append(line);
            return;
        }
        const more = element("div", "line source");
        append(more, [from, to && (!from || from.title !== to.title) ? element("span", "", "→") : null]);
        if (to && (!from || from.title !== to.title)) more.append(to);
        cell.append(line, more);
    }

    function startStreams() {
        const view = byId("stream-view");
        if (!view || data.rows.length === 0) return;
        const body = byId("stream-rows");
        const hasSources = data.lists.some((list) => !list.event && list.records.some((record) => record[7] >= 0 || record[8] >= 0));
        const height = hasSources ? 46 : 28;
        view.classList.toggle("short", !hasSources);
        const narrow = window.matchMedia("(max-width: 760px)");
        let rows = [];
        let divergence = 0;
        let drawn = [0, 0];

        // Wide: a row for both runs. Narrow: a row for each record that differs.
        function build() {
            rows = [];
            data.rows.forEach((row, index) => {
                if (index === data.divergenceRow) divergence = rows.length;
                const [state, list, place, otherList, otherPlace] = row;
                if (!narrow.matches || state !== 1) {
                    rows.push(row);
                    return;
                }
                if (list >= 0) rows.push([1, list, place, -1, -1]);
                if (otherList >= 0) rows.push([1, -1, -1, otherList, otherPlace]);
            });
            if (data.divergenceRow >= data.rows.length) divergence = rows.length;
            view.setAttribute("aria-rowcount", rows.length + 1);
            body.style.height = rows.length * height + "px";
            drawn = [0, 0];
            body.replaceChildren();
        }

        function make(index) {
            const [state, list, place, otherList, otherPlace] = rows[index];
            const row = element("div", "row " + (state === 1 ? "differs" : "both"));
            if (index === divergence) row.classList.add("first");
            row.setAttribute("role", "row");
            row.setAttribute("aria-rowindex", index + 2);
            row.style.top = index * height + "px";
            const own = element("div", "cell" + (list >= 0 ? " original" : ""));
            const other = element("div", "cell" + (otherList >= 0 || state === 0 ? " replay" : ""));
            [own, other].forEach((cell) => cell.setAttribute("role", "cell"));
            if (list >= 0) fill(own, list, place, state === 1 ? "original" : "");
            if (otherList >= 0) fill(other, otherList, otherPlace, state === 1 ? "replay" : "");
            // A common record before the divergence is in both columns.
            if (state === 0 && otherList < 0) fill(other, list, place, "");
            if (narrow.matches) {
                row.append(list >= 0 ? own : other);
            } else {
                row.append(own, other);
            }
            return row;
        }

        function draw() {
            const first = Math.max(0, Math.floor(view.scrollTop / height) - 12);
            const last = Math.min(rows.length, Math.ceil((view.scrollTop + view.clientHeight) / height) + 12);
            if (first === drawn[0] && last === drawn[1]) return;
            drawn = [first, last];
            const made = [];
            for (let index = first; index < last; index += 1) made.push(make(index));
            body.replaceChildren(...made);
        }

        function show(index, message) {
            const place = Math.min(Math.max(index, 0), Math.max(0, rows.length - 1));
            view.scrollTop = place * height - view.clientHeight / 3;
            draw();
            byId("stream-status").textContent = message || "row " + grouped(String(place + 1)) + " of " + grouped(String(rows.length));
        }

        const current = () => Math.round((view.scrollTop + view.clientHeight / 3) / height);

        function difference(step) {
            let index = current() + step;
            // Leaves the region in which it is, then goes to the next one.
            while (rows[index] && rows[index][0] === 1 && step > 0) index += step;
            while (rows[index] && rows[index][0] !== 1) index += step;
            if (step < 0) while (rows[index - 1] && rows[index - 1][0] === 1) index -= 1;
            if (rows[index]) show(index);
            else byId("stream-status").textContent = "no other difference";
        }

        function matches(row, wanted) {
            return [[row[1], row[2]], [row[3], row[4]]].some(([list, place]) => list >= 0
                && data.lists[list].records[place].some((value) => text(value).toLowerCase().includes(wanted)));
        }

        function find(event) {
            if (event.key !== "Enter") return;
            const wanted = byId("find").value.trim().toLowerCase().replace(/,/g, "");
            if (wanted === "") return;
            const start = current();
            for (let step = 1; step <= rows.length; step += 1) {
                const index = (start + step) % rows.length;
                if (matches(rows[index], wanted)) {
                    show(index);
                    return;
                }
            }
            byId("stream-status").textContent = "not found";
        }

        byId("stream").hidden = false;
        document.documentElement.classList.add("drawn");
        build();
        show(divergence);
        view.addEventListener("scroll", draw, { passive: true });
        window.addEventListener("resize", draw);
        narrow.addEventListener("change", () => {
            build();
            show(divergence);
        });
        byId("to-first").addEventListener("click", () => show(0));
        byId("to-divergence").addEventListener("click", () => show(divergence));
        byId("to-previous").addEventListener("click", () => difference(-1));
        byId("to-next").addEventListener("click", () => difference(1));
        byId("to-last").addEventListener("click", () => show(rows.length - 1));
        byId("find").addEventListener("keydown", find);
    }

    // MARK: The strip

    function startStrip() {
        if (!data.strip || !byId("strip")) return;
        const view = byId("strip-view");
        const content = byId("strip-content");
        // Drawing rounds counters beyond 2^53; texts do not.
        const whole = [Number(data.strip.from), Number(data.strip.to)];
        const divergence = data.divergence === "" ? null : Number(data.divergence);
        let range = whole.slice();
        const lanes = { original: 22, replay: 58, events: 94 };

        function svg(name, attributes, title) {
            const made = document.createElementNS("http://www.w3.org/2000/svg", name);
            Object.keys(attributes).forEach((key) => made.setAttribute(key, attributes[key]));
            if (title) svg.child(made, title);
            return made;
        }
        svg.child = (parent, title) => {
            const made = document.createElementNS("http://www.w3.org/2000/svg", "title");
            made.textContent = title;
            parent.append(made);
        };

        const label = (x, y, words, className) => {
            const made = svg("text", { x: x, y: y, class: className || "label" });
            made.textContent = words;
            return made;
        };

        const records = [];
        data.lists.forEach((list, number) => {
            const side = [0, 3].includes(number) ? "both" : [1, 4].includes(number) ? "original" : "replay";
            list.records.forEach((record) => {
                records.push({ clock: Number(text(record[0])), side: side, isEvent: list.event === 1, record: record });
            });
        });

        function draw() {
            const width = Math.max(200, view.clientWidth);
            byId("strip-svg").setAttribute("viewBox", "0 0 " + width + " 150");
            const [low, high] = range;
            const span = Math.max(1, high - low);
            const x = (clock) => ((clock - low) / span) * width;
            const made = [];
            const box = (stretch, y, tall, state, title) => {
                const left = Math.max(0, x(Number(stretch[0])));
                const right = Math.min(width, x(Number(stretch[1])));
                if (right <= 0 || left >= width) return;
                made.push(svg("rect", { x: left, y: y, width: Math.max(1, right - left), height: tall, class: "cell " + state }, title));
            };
            data.strip.branches.forEach((stretch) => {
                const title = (count) => clock + " " + grouped(stretch[0]) + " to " + grouped(stretch[1]) + ": " + stretch[2] + ", " + grouped(count) + " branches";
                if (stretch[2] !== "replay-only") box(stretch, lanes.original, 24, stretch[2], title(stretch[3]));
                if (stretch[2] !== "original-only") box(stretch, lanes.replay, 24, stretch[2], title(stretch[4]));
            });
            data.strip.events.forEach((stretch) => {
                box(stretch, lanes.events, 16, stretch[2], "events, " + clock + " " + grouped(stretch[0]) + " to " + grouped(stretch[1]) + ": " + stretch[2] + ", " + grouped(stretch[3]) + " and " + grouped(stretch[4]));
            });
            const inView = records.filter((record) => record.clock >= low && record.clock < high);
            const isClose = (width / span) * 1 >= 2;
            inView.forEach((record) => {
                const place = x(record.clock);
                if (record.isEvent) {
                    if (width / span < 0.002) return;
                    const y = record.side === "replay" ? lanes.replay + 30 : record.side === "original" ? lanes.original - 2 : lanes.events + 22;
                    made.push(svg("path", { d: "M" + place + " " + y + "l-4 7h8z", class: "event " + record.side }, text(record.record[2]) + " at " + clock + " " + grouped(text(record.record[0]))));
                } else if (isClose) {
                    const title = grouped(text(record.record[0])) + "  " + (text(record.record[3]) || text(record.record[2])) + " → " + (text(record.record[5]) || text(record.record[4]));
                    if (record.side !== "replay") made.push(svg("rect", { x: place, y: lanes.original, width: Math.max(1, width / span - 1), height: 24, class: "branch " + record.side }, title));
                    if (record.side !== "original") made.push(svg("rect", { x: place, y: lanes.replay, width: Math.max(1, width / span - 1), height: 24, class: "branch " + record.side }, title));
                }
            });
            made.push(label(4, lanes.original - 6, "original"), label(4, lanes.replay - 3, "replay"), label(4, lanes.events - 3, "events and accesses"));
            if (divergence !== null && divergence >= low && divergence <= high) {
                const place = Math.min(width - 1, Math.max(1, x(divergence)));
                made.push(svg("line", { x1: place, x2: place, y1: 4, y2: 134, class: "divergence" }));
                const words = label(place > width - 110 ? place - 6 : place + 6, 12, "divergence", "label strong");
                if (place > width - 110) words.setAttribute("text-anchor", "end");
                made.push(words);
            }
            const last = label(width - 4, 146, grouped(String(Math.round(high))), "label");
            last.setAttribute("text-anchor", "end");
            made.push(label(4, 146, grouped(String(Math.round(low))), "label"), last);
            content.replaceChildren(...made);
            const events = inView.filter((record) => record.isEvent).length;
            byId("strip-range").textContent = clock + " " + grouped(String(Math.round(low))) + " to " + grouped(String(Math.round(high)))
                + (events > 0 ? ", " + events + (events === 1 ? " event" : " events") + " of the list below" : "");
        }

        function set(low, high) {
            const least = 16;
            const span = Math.min(Math.max(high - low, least), Math.max(least, whole[1] - whole[0]));
            const start = Math.min(Math.max(low, whole[0]), Math.max(whole[0], whole[1] - span));
            range = [start, start + span];
            draw();
        }

        const middle = () => (divergence !== null && divergence >= range[0] && divergence <= range[1] ? divergence : (range[0] + range[1]) / 2);
        function zoom(factor, around) {
            const place = around === undefined ? middle() : around;
            set(place - (place - range[0]) * factor, place + (range[1] - place) * factor);
        }
        const move = (part) => set(range[0] + (range[1] - range[0]) * part, range[1] + (range[1] - range[0]) * part);
        const actions = {
            "zoom-in": () => zoom(0.25), "zoom-out": () => zoom(4), "zoom-left": () => move(-0.5),
            "zoom-right": () => move(0.5), "zoom-all": () => set(whole[0], whole[1]),
            "zoom-divergence": () => divergence !== null && set(divergence - 32, divergence + 32),
        };
        Object.keys(actions).forEach((id) => byId(id).addEventListener("click", actions[id]));
        byId("zoom-divergence").hidden = divergence === null;
        const keys = { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", ArrowLeft: "zoom-left", ArrowRight: "zoom-right", Home: "zoom-all" };
        view.addEventListener("keydown", (event) => {
            const action = keys[event.key];
            if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
            event.preventDefault();
            actions[action]();
        });
        view.addEventListener("wheel", (event) => {
            if (!event.ctrlKey) return;
            event.preventDefault();
            const box = view.getBoundingClientRect();
            const place = range[0] + ((event.clientX - box.left) / box.width) * (range[1] - range[0]);
            zoom(event.deltaY > 0 ? 1.5 : 1 / 1.5, place);
        }, { passive: false });
        let drag = null;
        view.addEventListener("pointerdown", (event) => {
            drag = { x: event.clientX, range: range.slice() };
        });
        window.addEventListener("pointermove", (event) => {
            if (!drag || event.buttons === 0) {
                drag = null;
                return;
            }
            const by = ((drag.x - event.clientX) / view.clientWidth) * (drag.range[1] - drag.range[0]);
            set(drag.range[0] + by, drag.range[1] + by);
        });
        byId("strip").hidden = false;
        draw();
        window.addEventListener("resize", draw);
    }

    startStrip();
    startStreams();
})();
