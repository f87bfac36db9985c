"use strict";
/* Values of figures where the pointer is, and lines left out by the entries of legends. The pictures are whole without. */
(() => {
  const NEAR = 60, POINT = 110 / 72; // pixels of a picture: how far a line is looked for, and a point of matplotlib
  const hidden = new Set(); // entries that are left out, in all figures: title of the legend and name
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
    const key = (line) => `${plot.title}\n${plot.entries[line.entry].name}`;
    const shown = (line) => line.entry < 0 || !hidden.has(key(line));
    const lines = [];
    for (const panel of plot.panels) {
      const [left, top, w, h] = panel.box;
      panel.left = left * width, panel.top = top * height, panel.width = w * width, panel.height = h * height;
      for (const line of panel.lines) {
        line.panel = panel, line.x = plot.xs[line.x];
        line.px = line.x.map((x) => (x === null ? NaN : panel.left + panel.width * scaled(panel.x, x)));
        line.up = (y) => (y === null ? NaN : panel.top + panel.height * (1 - scaled(panel.y, y)));
        line.py = line.y.map(line.up);
        line.at = line.px.map((x, i) => i).filter((i) => inside(panel, line.px[i], line.py[i], 3));
        if (line.name && line.at.length) lines.push(line);
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

    function show(line, i) {
      here = { line, i };
      const [x, y] = [line.px[i], line.py[i]], series = line.entry < 0 ? line.series : plot.entries[line.entry].name;
      const title = line.entry < 0 || plot.title === "lines" || series.includes("=") ? "" : `${plot.title} `;
      const [low, high] = [number(line.low?.[i]), number(line.high?.[i])], range = low === high ? "" : ` [${low}, ${high}]`;
      const rows = [series && `${title}${series}`, `${line.panel.x.label || "x"}: ${place(line.panel.x, line.x[i])}`,
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
      for (const line of lines) {
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
      const can = lines.filter(shown);
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

    if (!plot.entries.length) return;
    const group = make("div", { class: "entries", role: "group", "aria-label": plot.title });
    make("span", {}, group).textContent = plot.title;
    const buttons = plot.entries.map((entry) => {
      const button = make("button", { type: "button" }, group);
      make("i", {}, button).style.background = entry.colour;
      button.append(entry.name);
      const own = `${plot.title}\n${entry.name}`;
      button.addEventListener("click", () => change(() => hidden.has(own) ? hidden.delete(own) : hidden.add(own)));
      return [button, own];
    });
    const all = make("button", { type: "button", class: "all" }, group);
    all.textContent = "all";
    all.addEventListener("click", () => change(() => buttons.forEach(([, own]) => hidden.delete(own))));
    frame.parentElement.before(group);
    redraws.push(() => {
      for (const [button, own] of buttons) button.setAttribute("aria-pressed", String(!hidden.has(own)));
      const some = buttons.some(([, own]) => hidden.has(own));
      all.hidden = !some;
      frame.classList.toggle("changed", some);
      drawing.replaceChildren();
      if (here && !shown(here.line)) leave();
      if (some) for (const panel of plot.panels) paint(drawing, panel, panel.lines.filter((l) => l.entry >= 0 && shown(l)));
    });
  }

  /* The lines of a panel as they are in the picture. */
  function paint(parent, panel, lines) {
    const id = `clip${++clips}`;
    make("rect", { x: panel.left, y: panel.top, width: panel.width, height: panel.height }, make("clipPath", { id }, parent));
    const group = make("g", { "clip-path": `url(#${id})` }, parent);
    for (const line of lines) {
      const known = line.px.map((x, i) => Number.isFinite(x) && Number.isFinite(line.py[i]));
      const joined = (py) => line.px.map((x, i) => (known[i] ? `${i && known[i - 1] ? "L" : "M"}${x.toFixed(1)} ${py[i].toFixed(1)}` : "")).join("");
      const g = make("g", { "data-name": line.name, "data-entry": line.entry }, group);
      if (line.area) make("path", { d: `${joined(line.py)}Z`, fill: line.colour, "fill-opacity": line.area }, g);
      if (line.band) {
        const corners = [...line.px.map((x, i) => [x, line.up(line.low[i])]), ...line.px.map((x, i) => [x, line.up(line.high[i])]).reverse()];
        const d = corners.filter((c) => c.every(Number.isFinite)).map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
        make("path", { d: `M${d}Z`, fill: line.colour, "fill-opacity": line.band }, g);
      }
      const ink = { stroke: line.colour, "stroke-opacity": line.alpha ?? 1, fill: "none" };
      if (line.width) {
        const dashes = line.dashed ? { "stroke-dasharray": `${4 * line.width * POINT} ${2 * line.width * POINT}` } : {};
        make("path", { ...ink, ...dashes, d: joined(line.py), "stroke-width": line.width * POINT, "stroke-linejoin": "round" }, g);
      }
      const r = ((line.size ?? 0) * POINT) / 2;
      for (const i of r ? line.every ?? line.px.keys() : []) {
        if (!known[i]) continue;
        const [x, y] = [line.px[i], line.py[i]];
        const shapes = { x: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`, "|": `M${x} ${y - r}L${x} ${y + r}`,
          "_": `M${x - r} ${y}L${x + r} ${y}` };
        if (line.marker in shapes) make("path", { ...ink, d: shapes[line.marker], "stroke-width": POINT }, g);
        else make("circle", { ...ink, cx: x, cy: y, r, ...(line.hollow ? {} : { fill: line.colour, "fill-opacity": line.alpha ?? 1 }) }, g);
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
