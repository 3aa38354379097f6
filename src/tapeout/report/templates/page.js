"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const steps = JSON.parse(document.getElementById("compact-steps").textContent);
  const root = document.documentElement;
  const charts = new Map();
  const hidden = new Map();

  // The number rule of numbers.py.
  function rounded(magnitude, digits) {
    return magnitude === 0 ? 0 : Number(magnitude.toPrecision(digits));
  }
  function show(style, value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    let magnitude = Math.abs(value * style.scale);
    let letter = "";
    if (style.compact) {
      const step = steps.find(([size]) => rounded(magnitude, style.digits) >= size);
      if (step) [magnitude, letter] = [magnitude / step[0], step[1]];
    }
    const whole = magnitude < 10 ** style.digits ? rounded(magnitude, style.digits) : Math.round(magnitude);
    const decimals = whole === 0 ? 0 : Math.min(Math.max(style.digits - 1 - Math.floor(Math.log10(whole)), 0), 20);
    const text = whole.toLocaleString("en-US", { maximumFractionDigits: decimals });
    return (value < 0 && whole !== 0 ? "-" : "") + style.prefix + text + letter + style.suffix;
  }

  // Tokens stand only under these keys, so that a name in a scenario is never taken for one.
  const colourKeys = new Set(["color", "borderColor"]);
  function resolve(node, key, figure) {
    if (Array.isArray(node)) return node.map((item) => resolve(item, key, figure));
    if (node !== null && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([name, item]) => [name, resolve(item, name, figure)]));
    }
    if (typeof node !== "string" || !node.startsWith("@")) return node;
    if (colourKeys.has(key)) return variable(node.slice(1));
    if (key === "formatter" && node === "@axis") return (value) => show({ ...figure.style, compact: true, digits: 3 }, value);
    if (key === "formatter" && node === "@across") return (value) => show(figure.across, value);
    if (key === "formatter" && node === "@curves") return (parts) => curvesTip(figure, parts);
    if (key === "formatter" && node === "@tooltip") return (parts) => tip(figure, parts);
    if (key === "formatter" && node === "@point") return (part) => pointTip(part);
    if (key === "renderItem" && node === "@band") return band;
    if (key === "renderItem" && node === "@span") return span;
    if (key === "renderItem" && node === "@gantt") return gantt;
    if (key === "renderItem" && node === "@fan") return fan;
    if (key === "renderItem" && node === "@plan") return plan;
    return node;
  }
  function variable(name) {
    return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  }

  function element(tag, text, parent) {
    const made = document.createElement(tag);
    if (text !== null) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }
  function line(parent, name, text, colour) {
    const row = element("div", null, parent);
    if (colour) {
      const mark = element("i", null, row);
      mark.className = "mark";
      mark.style.setProperty("--colour", colour);
    }
    element("span", name, row);
    element("span", text, row);
  }
  function tip(figure, parts) {
    const box = document.createElement("div");
    box.className = "tip";
    element("b", parts[0].axisValueLabel ?? parts[0].name, box);
    let sum = 0;
    for (const part of figure.total ? [...parts].reverse() : parts) {
      const ranged = part.seriesType === "custom";
      if (ranged) {
        line(box, part.seriesName, `${show(figure.style, part.value[1])} to ${show(figure.style, part.value[2])}`, part.color);
      } else if (part.value !== null && part.value !== undefined && (part.value !== 0 || part.seriesType !== "bar")) {
        line(box, part.seriesName, show(figure.style, part.value), part.color);
        if (part.seriesType === "bar") sum += part.value;
      }
    }
    if (figure.total && parts.length > 1) line(box, "Total", show(figure.style, sum), null);
    return box;
  }
  function curvesTip(figure, parts) {
    const box = document.createElement("div");
    box.className = "tip";
    element("b", show(figure.across, parts[0].axisValue), box);
    for (const part of parts) {
      if (part.value[1] !== null) line(box, part.seriesName, show(figure.style, part.value[1]), part.color);
    }
    return box;
  }
  function pointTip(part) {
    if (!part.data?.lines?.length) return "";
    const box = document.createElement("div");
    box.className = "tip";
    element("b", part.data.name, box);
    for (const [name, text] of part.data.lines) line(box, name, text, null);
    return box;
  }
  function fan(_, api) {
    const [x, top] = api.coord([api.value(0), api.value(2)]);
    const [, bottom] = api.coord([api.value(0), api.value(1)]);
    const width = api.size([1, 0])[0];
    return { type: "rect", shape: { x: x - width / 2, y: top, width, height: bottom - top }, style: { fill: api.visual("color"), opacity: 0.28 } };
  }
  // A rectangle by corner and size in a drawing of a given size, which is fitted into the chart with one scale for both directions.
  function plan(params, api) {
    const [left, top, width, height, whole, tall] = [0, 1, 2, 3, 4, 5].map((place) => api.value(place));
    const area = params.coordSys;
    const scale = Math.min(area.width / whole, area.height / tall);
    const corner = [area.x + (area.width - scale * whole) / 2, area.y + (area.height - scale * tall) / 2];
    const shape = { x: corner[0] + scale * left, y: corner[1] + scale * top, width: scale * width, height: scale * height };
    return { type: "rect", shape, style: { fill: api.visual("color"), stroke: variable("card"), lineWidth: 0.75 } };
  }
  function band(_, api) {
    const stroke = { stroke: api.visual("color"), lineWidth: 1.75 };
    const [low, y] = api.coord([api.value(1), api.value(0)]);
    const [high] = api.coord([api.value(2), api.value(0)]);
    const bar = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: stroke });
    return { type: "group", children: [bar(low, y, high, y), bar(low, y - 4, low, y + 4), bar(high, y - 4, high, y + 4)] };
  }

  function span(params, api) {
    const [left, y] = api.coord([api.value(1), api.value(0)]);
    const [right] = api.coord([api.value(2), api.value(0)]);
    const height = Math.max(api.size([0, 1])[1] * 0.68, 2);
    const area = params.coordSys;
    const bar = { x: left, y: y - height / 2, width: Math.max(right - left, 0.75), height };
    const shape = echarts.graphic.clipRectByRect(bar, { x: area.x, y: area.y, width: area.width, height: area.height });
    return shape && { type: "rect", shape, style: { fill: api.visual("color") } };
  }

  // From the beginning of one category to the end of another; `value` is row, first, last and how full the bar is.
  function gantt(_, api) {
    const [left, y] = api.coord([api.value(1), api.value(0)]);
    const [right] = api.coord([api.value(2), api.value(0)]);
    const [width, height] = [api.size([1, 0])[0], Math.max(api.size([0, 1])[1] * 0.6, 3)];
    const shape = { x: left - width / 2, y: y - height / 2, width: right - left + width, height };
    return { type: "rect", shape, style: { fill: api.visual("color"), opacity: api.value(3), stroke: variable("card"), lineWidth: 0.75 } };
  }

  function draw() {
    for (const figure of figures) {
      const place = document.getElementById(`chart-${figure.id}`);
      charts.get(figure.id)?.dispose();
      const chart = echarts.init(place, null, { renderer: "svg" });
      const option = resolve(figure.option, "", figure);
      option.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily };
      option.legend.selected = Object.fromEntries([...(hidden.get(figure.id) ?? [])].map((name) => [name, false]));
      option.tooltip.backgroundColor = variable("card");
      option.tooltip.borderColor = variable("line");
      option.tooltip.textStyle = { color: variable("ink") };
      option.tooltip.axisPointer.shadowStyle = { color: variable("soft"), opacity: 0.12 };
      chart.setOption(option);
      charts.set(figure.id, chart);
    }
  }

  function watchKeys() {
    for (const figure of figures) {
      const off = new Set();
      hidden.set(figure.id, off);
      for (const button of document.querySelectorAll(`#figure-${CSS.escape(figure.id)} .keys button`)) {
        button.addEventListener("click", () => {
          const name = button.dataset.series;
          const shown = off.has(name);
          if (shown) off.delete(name);
          else off.add(name);
          button.setAttribute("aria-pressed", String(shown));
          charts.get(figure.id).dispatchAction({ type: shown ? "legendSelect" : "legendUnSelect", name });
        });
      }
    }
  }

  function watchTheme() {
    const button = document.getElementById("theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const label = () => {
      button.textContent = dark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Use the ${dark() ? "light" : "dark"} theme`);
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      label();
      draw();
    });
    system.addEventListener("change", () => { label(); draw(); });
    label();
  }

  watchKeys();
  watchTheme();
  draw();
  const sizes = new ResizeObserver(() => charts.forEach((chart) => chart.resize()));
  document.querySelectorAll(".chart").forEach((place) => sizes.observe(place));
  let before;
  addEventListener("beforeprint", () => { before = root.dataset.theme; root.dataset.theme = "light"; draw(); });
  addEventListener("afterprint", () => { if (before) root.dataset.theme = before; else delete root.dataset.theme; draw(); });
})();
