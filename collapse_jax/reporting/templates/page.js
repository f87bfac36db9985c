"use strict";
/* Values of figures where the pointer is, lines left out by the entries of legends, and runs left out of their means. The
   pictures are whole without. */
(() => {
  const NEAR = 60, POINT = 110 / 72; // pixels of a picture: how far a line is looked for, and a point of matplotlib
  const hidden = new Set(); // what is left out, in all figures: title of the legend and name of an entry, and of a run
  let apart = false; // whether each run has a line of its own
  const redraws = [];
  let clips = 0;

  const make = (tag, attributes, parent) => {
    const svg = ["svg", "g", "path", "circle", "clipPath", "rect"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    parent?.append(made);
    return made;
  };
  const scaled = (axis, value) => {
    const at = axis.log ? Math.log : (v) => v;
    return (at(value) - at(axis.from)) / (at(axis.to) - at(axis.from));
  };
  const number = (value) => {
    if (value === null || value === undefined) return "";
    if (Number.isInteger(value)) return value.toLocaleString("en-US");
    return String(Number(value.toPrecision(4)));
  };
  const place = (axis, value) => axis.places?.find(([at]) => at === value)?.[1] ?? number(value);

  function start(figure, plot) {
    const frame = figure.querySelector(".frame"), image = frame.querySelector("img");
    const width = Number(image.getAttribute("width")), height = Number(image.getAttribute("height"));
    const key = (entry, ...run) => [plot.title, plot.entries[entry]?.name ?? "", ...run].join("\n");
    const kept = (line) => Object.keys(line.runs ?? {}).filter((run) => !hidden.has(key(line.entry, run)));
    const shown = (line) => !hidden.has(key(line.entry)) && (!line.runs || kept(line).length > 0);
    const lines = [], runs = new Map(); // entry -> its runs
    let targets = lines; // what has values under the pointer
    for (const panel of plot.panels) {
      const [left, top, w, h] = panel.box;
      panel.left = left * width, panel.top = top * height, panel.width = w * width, panel.height = h * height;
      for (const line of panel.lines) {
        line.panel = panel, line.x = plot.xs[line.x];
        line.px = line.x.map((x) => (x === null ? NaN : panel.left + panel.width * scaled(panel.x, x)));
        line.up = (y) => (y === null ? NaN : panel.top + panel.height * (1 - scaled(panel.y, y)));
        line.whole = { y: line.y, low: line.low, high: line.high };
        lay(line, line.whole);
        if (line.name && line.at.length) lines.push(line);
        const names = Object.keys(line.runs ?? {});
        if (names.length > 1) runs.set(line.entry, new Set([...(runs.get(line.entry) ?? []), ...names]));
      }
    }
    const behind = plot.behind ? make("img", { class: "behind", alt: "", src: `data:image/webp;base64,${plot.behind}` }) : null;
    if (behind) image.after(behind);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, frame);
    const drawing = make("g", {}, svg);
    const dot = make("circle", { class: "here", r: 5, visibility: "hidden" }, svg);
    const value = make("div", { class: "value", role: "status" }, frame);
    let here = null;

    function inside(panel, x, y, margin) {
      return x >= panel.left - margin && x <= panel.left + panel.width + margin &&
        y >= panel.top - margin && y <= panel.top + panel.height + margin;
    }

    /* Where the points of a line lie. */
    function lay(line, values) {
      Object.assign(line, values);
      line.py = line.y.map(line.up);
      line.at = line.px.map((x, i) => i).filter((i) => inside(line.panel, line.px[i], line.py[i], 3));
    }

    /* Mean, lowest and highest of the runs that are left, and the lines of each of them. */
    function without(line) {
      const names = kept(line), few = names.length < Object.keys(line.runs).length;
      const at = (i) => names.map((run) => line.runs[run][i]).filter((v) => v !== null && (!line.log || v > 0));
      const over = (how) => line.x.map((x, i) => (at(i).length ? how(at(i)) : null));
      const mean = (v) => v.reduce((sum, one) => sum + (line.log ? Math.log(one) : one), 0) / v.length;
      lay(line, few && names.length ? { y: over((v) => (line.log ? Math.exp(mean(v)) : mean(v))), low: over((v) => Math.min(...v)),
        high: over((v) => Math.max(...v)) } : line.whole);
      line.parts = names.length > 1 && apart ? names.map((run) => {
        const part = { ...line, run, runs: null, parts: null, band: 0, width: 0.8, alpha: 0.6, size: 0 };
        lay(part, { y: line.runs[run], low: undefined, high: undefined });
        return part;
      }) : [];
    }

    function show(line, i) {
      here = { line, i };
      const [x, y] = [line.px[i], line.py[i]], series = line.entry < 0 ? line.series : plot.entries[line.entry].name;
      const title = line.entry < 0 || plot.title === "lines" || series.includes("=") ? "" : `${plot.title} `;
      const own = [series && `${title}${series}`, line.run].filter(Boolean).join(", ");
      const [low, high] = [number(line.low?.[i]), number(line.high?.[i])], range = low === high ? "" : ` [${low}, ${high}]`;
      const rows = [own, `${line.panel.x.label || "x"}: ${place(line.panel.x, line.place ?? line.x[i])}`,
        `${line.name}: ${place(line.panel.y, line.y[i])}${range}`, line.z && `${line.what}: ${number(line.z[i])}`];
      value.replaceChildren(...rows.filter(Boolean).map((row) => {
        const shownRow = document.createElement("span");
        shownRow.textContent = row;
        return shownRow;
      }));
      dot.setAttribute("cx", x), dot.setAttribute("cy", y), dot.setAttribute("fill", line.colour);
      dot.setAttribute("visibility", "visible");
      // An enlarged picture is seen in part: the box goes to where there is more room, and the point comes into sight.
      const seen = frame.parentElement, across = (x * frame.clientWidth) / width;
      if (across < seen.scrollLeft || across > seen.scrollLeft + seen.clientWidth) seen.scrollLeft = across - seen.clientWidth / 2;
      const right = across - seen.scrollLeft < seen.clientWidth / 2, below = y < height / 2;
      value.style.left = right ? `${(100 * (x + 10)) / width}%` : "auto";
      value.style.right = right ? "auto" : `${100 - (100 * (x - 10)) / width}%`;
      value.style.top = below ? `${(100 * (y + 10)) / height}%` : "auto";
      value.style.bottom = below ? "auto" : `${100 - (100 * (y - 10)) / height}%`;
      value.classList.add("on");
    }
    function leave() {
      here = null;
      value.classList.remove("on");
      dot.setAttribute("visibility", "hidden");
    }
    function point(event) {
      const box = image.getBoundingClientRect();
      const x = ((event.clientX - box.left) * width) / box.width, y = ((event.clientY - box.top) * height) / box.height;
      let best = null, least = NEAR;
      for (const line of targets) {
        if (!shown(line) || !inside(line.panel, x, y, 8)) continue;
        for (const i of line.at) {
          const distance = Math.hypot(line.px[i] - x, line.py[i] - y);
          if (distance < least) (least = distance), (best = [line, i]);
        }
      }
      best ? show(...best) : leave();
    }
    frame.addEventListener("pointermove", point);
    frame.addEventListener("pointerdown", point);
    frame.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave());
    frame.parentElement.addEventListener("keydown", (event) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
      if (event.key === "Escape") leave();
      const can = targets.filter(shown);
      if (!(dx || dy) || !can.length) return;
      event.preventDefault();
      if (!here) return show(can[0], can[0].at[0]);
      if (dx) {
        const at = here.line.at.indexOf(here.i) + dx;
        return show(here.line, here.line.at[Math.min(Math.max(at, 0), here.line.at.length - 1)]);
      }
      const next = can[(can.indexOf(here.line) + dy + can.length) % can.length];
      show(next, next.at.reduce((a, b) => (Math.abs(next.px[b] - here.line.px[here.i]) < Math.abs(next.px[a] - here.line.px[here.i]) ? b : a)));
    });

    if (!plot.entries.length && !runs.size) return;
    const controls = make("div", { class: "controls" });
    const buttons = [];
    const row = (parent, title) => {
      const made = make("div", { class: "entries", role: "group", "aria-label": title }, parent);
      make("span", {}, made).textContent = title;
      return made;
    };
    const add = (parent, text, own, colour) => {
      const button = make("button", { type: "button" }, parent);
      if (colour) make("i", {}, button).style.background = colour;
      button.append(text);
      button.addEventListener("click", () => change(() => hidden.has(own) ? hidden.delete(own) : hidden.add(own)));
      buttons.push([button, own]);
    };
    const entries = row(controls, plot.title);
    plot.entries.forEach((entry, i) => add(entries, entry.name, key(i), entry.colour));
    const all = make("button", { type: "button", class: "all" }, entries);
    all.textContent = "all";
    all.addEventListener("click", () => change(() => buttons.forEach(([, own]) => hidden.delete(own))));
    let single = null;
    if (runs.size) {
      const folded = make("details", { class: "runs" }, controls);
      make("summary", {}, folded).textContent = "runs";
      single = make("button", { type: "button", class: "single" }, row(folded, "each run"));
      single.textContent = "a line of its own";
      single.addEventListener("click", () => change(() => (apart = !apart)));
      for (const [entry, names] of runs) {
        const its = row(folded, plot.entries[entry]?.name ?? "");
        names.forEach((run) => add(its, run, key(entry, run), plot.entries[entry]?.colour));
      }
    }
    frame.parentElement.before(controls);
    redraws.push(() => {
      for (const [button, own] of buttons) button.setAttribute("aria-pressed", String(!hidden.has(own)));
      single?.setAttribute("aria-pressed", String(apart));
      all.hidden = !buttons.some(([, own]) => hidden.has(own));
      const some = !all.hidden || (apart && runs.size > 0);
      frame.classList.toggle("changed", some);
      drawing.replaceChildren();
      for (const panel of plot.panels) panel.lines.forEach((line) => line.runs && without(line));
      targets = lines.flatMap((line) => (shown(line) ? [line, ...(line.parts ?? [])] : []));
      if (here && !targets.includes(here.line)) leave();
      if (some) for (const panel of plot.panels) paint(drawing, panel, panel.lines.filter((l) => (l.entry >= 0 || l.runs) && shown(l)));
    });
  }

  /* The lines of a panel as they are in the picture. */
  function paint(parent, panel, lines) {
    const id = `clip${++clips}`;
    make("rect", { x: panel.left, y: panel.top, width: panel.width, height: panel.height }, make("clipPath", { id }, parent));
    const group = make("g", { "clip-path": `url(#${id})` }, parent);
    for (const line of lines.flatMap((l) => [...(l.parts ?? []), l])) {
      const known = line.px.map((x, i) => Number.isFinite(x) && Number.isFinite(line.py[i]));
      const joined = (py) => line.px.map((x, i) => (known[i] ? `${i && known[i - 1] ? "L" : "M"}${x.toFixed(1)} ${py[i].toFixed(1)}` : "")).join("");
      const g = make("g", { "data-name": line.name, "data-entry": line.entry, "data-run": line.run ?? "" }, group);
      if (line.area) make("path", { d: `${joined(line.py)}Z`, fill: line.colour, "fill-opacity": line.area }, g);
      if (line.band && !line.parts?.length) {
        const corners = [...line.px.map((x, i) => [x, line.up(line.low[i])]), ...line.px.map((x, i) => [x, line.up(line.high[i])]).reverse()];
        const d = corners.filter((c) => c.every(Number.isFinite)).map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
        make("path", { d: `M${d}Z`, fill: line.colour, "fill-opacity": line.band }, g);
      }
      const ink = { stroke: line.colour, "stroke-opacity": line.alpha ?? 1, fill: "none" };
      if (line.width) {
        const dashes = line.dashed ? { "stroke-dasharray": line.dashed.map((part) => part * line.width * POINT).join(" ") } : {};
        make("path", { ...ink, ...dashes, d: joined(line.py), "stroke-width": line.width * POINT, "stroke-linejoin": "round" }, g);
      }
      const r = ((line.size ?? 0) * POINT) / 2;
      for (const i of r ? line.every ?? line.px.keys() : []) {
        if (!known[i]) continue;
        const [x, y] = [line.px[i], line.py[i]];
        const strokes = { x: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`, "|": `M${x} ${y - r}L${x} ${y + r}`,
          "_": `M${x - r} ${y}L${x + r} ${y}` };
        const areas = { s: `M${x - r} ${y - r}H${x + r}V${y + r}H${x - r}Z`, D: `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`,
          "^": `M${x} ${y - r}L${x + r} ${y + r}H${x - r}Z`, v: `M${x} ${y + r}L${x + r} ${y - r}H${x - r}Z` };
        const filled = line.hollow ? ink : { ...ink, fill: line.colour, "fill-opacity": line.alpha ?? 1 };
        if (line.marker in strokes) make("path", { ...ink, d: strokes[line.marker], "stroke-width": POINT }, g);
        else if (line.marker in areas) make("path", { ...filled, d: areas[line.marker] }, g);
        else make("circle", { ...filled, cx: x, cy: y, r }, g);
      }
    }
  }

  function change(how) {
    how();
    redraws.forEach((redraw) => redraw());
  }

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  }
  (async () => {
    for (const data of document.querySelectorAll("figure script")) start(data.closest("figure"), await unpacked(data.textContent));
    change(() => {});
    document.querySelectorAll(".scripted").forEach((note) => (note.hidden = false));
  })();
})();
