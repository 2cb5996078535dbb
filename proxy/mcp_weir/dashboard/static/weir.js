// Only enhances: every page is whole without this file. No innerHTML but for pieces rendered by our own templates.
"use strict";

const root = document.documentElement;
// A custom property as the colour it stands for now: canvas knows no light-dark().
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
const css = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};

// ---- times: the reader's own zone in the title ------------------------------------------------------------------
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = `${local.format(at)}\n${time.title.split("\n").pop()}`;
  }
}
localTimes(document);

// ---- theme ------------------------------------------------------------------------------------------------------
const charts = [];
const toggle = document.querySelector("[data-theme-toggle]");
function themeNow() {
  return root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}
function nameToggle() {
  if (toggle) toggle.textContent = themeNow() === "dark" ? "Light theme" : "Dark theme";
}
if (toggle) {
  nameToggle();
  toggle.addEventListener("click", () => {
    root.dataset.theme = themeNow() === "dark" ? "light" : "dark";
    try { localStorage.setItem("weir-theme", root.dataset.theme); } catch { /* not kept, then */ }
    nameToggle();
    drawAll();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameToggle(); drawAll(); });

// ---- on a phone the navigation is a strip: show where we are -------------------------------------------------------
const lit = document.querySelector(".nav [aria-current]");
if (lit) lit.parentElement.scrollLeft = lit.offsetLeft - (lit.parentElement.clientWidth - lit.offsetWidth) / 2;

// ---- a link that keeps the filters---------------------------------------------------------------------------------
const copy = document.querySelector("[data-copy-link]");
if (copy) {
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Copy it from the address bar";
    }
    setTimeout(() => { copy.textContent = "Copy link"; }, 1600);
  });
}

// ---- popovers close on Escape and on a click elsewhere --------------------------------------------------------------
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.pop[open]")) if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.pop[open]")) { open.open = false; open.querySelector("summary").focus(); }
});
// Filters that are chosen from a list apply at once; empty ones stay out of the URL.
for (const form of document.querySelectorAll("form.filters")) {
  for (const select of form.querySelectorAll("select")) select.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  });
}
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form.filters [disabled]")) field.disabled = false;
});

// ---- charts ---------------------------------------------------------------------------------------------------------
const three = (value) => (Math.abs(value) >= 99.95 ? value.toFixed(0) : String(+value.toFixed(1)));
const units = {
  number: (v) => (v >= 1e6 ? `${three(v / 1e6)}M` : v >= 1e4 ? `${three(v / 1e3)}k` : String(+v.toFixed(2))),
  ms: (v) => (v >= 60000 ? `${three(v / 60000)} min` : v >= 1000 ? `${three(v / 1000)} s` : `${three(v)} ms`),
  percent: (v) => `${three(v * 100)} %`,
};
const colours = { "c-accent": "--accent", "c-bad": "--bad", "c-warn": "--warn", "c-info": "--info", "c-violet": "--violet", "c-soft": "--soft" };

// The reader's own zone, one line: the day at midnight, else the time.
function clock(at, step) {
  const date = new Date(at * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  if (step >= 86400 || midnight) return date.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

// A logarithmic axis is ruled at 1, 10, 100; at 2 and 5 too where it spans a decade or two.
function decades(plot, _, min, max) {
  const found = [];
  const between = max / min <= 100 ? [1, 2, 5] : [1];
  for (let power = 10 ** Math.floor(Math.log10(min)); power <= max * 1.001; power *= 10) {
    for (const step of between) if (power * step >= min * 0.999 && power * step <= max * 1.001) found.push(power * step);
  }
  return found;
}

function stacked(series) {
  const sums = new Array(series[0].values.length).fill(0);
  return series.map((one) => one.values.map((value, i) => {
    if (value === null) return null;
    sums[i] += value;
    return sums[i];
  }));
}

function draw(entry) {
  const { box, spec } = entry;
  const keys = box.closest(".card").querySelectorAll("[data-value]");
  const unit = units[spec.unit];
  const columns = spec.kind === "stack" ? stacked(spec.series) : spec.series.map((one) => one.values);
  const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const shown = spec.series.map((one, i) => {
    const colour = css(colours[one.colour]);
    const style = { label: one.name, stroke: colour, points: { show: false }, spanGaps: false };
    if (spec.kind === "stack") return { ...style, width: 0, fill: colour, paths: uPlot.paths.bars({ size: [0.86, 40], radius: 0.08, gap: 0 }) };
    return { ...style, width: 1.75, paths: uPlot.paths.spline ? uPlot.paths.linear() : undefined, points: { show: columns[i].filter((v) => v !== null).length < 24, size: 5, fill: colour, stroke: colour } };
  });
  const order = spec.kind === "stack" ? shown.map((_, i) => shown.length - 1 - i) : shown.map((_, i) => i);  // tallest first: the rest is drawn over it
  const options = {
    width: box.clientWidth, height: box.clientHeight, legend: { show: false }, padding: [10, 20, 0, 0],
    scales: {
      x: { time: true, range: (_, min, max) => [min - spec.step / 2, max + spec.step / 2] },
      y: spec.log
        ? { distr: 3, range: (_, min, max) => [10 ** Math.floor(Math.log10(Math.max(min, 1e-3))), 10 ** Math.ceil(Math.log10(Math.max(max * 1.01, 1e-2)))] }
        : { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [{ ...axis, grid: { show: false }, space: 64, size: 26, values: (_, ticks, __, ___, step) => ticks.map((at) => clock(at, step)) }, { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : unit(tick))), space: 36, ...(spec.log ? { splits: decades } : {}), ...(spec.unit === "number" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8] } : {}) }],
    series: [{}, ...order.map((i) => shown[i])],
    cursor: { y: false, points: { show: spec.kind !== "stack", size: 7 }, drag: { x: true, y: false, setScale: false } },
    hooks: {
      setCursor: [(plot) => {
        const at = plot.cursor.idx;
        spec.series.forEach((one, i) => {
          const value = at === null || at === undefined ? null : one.values[at];
          if (keys[i]) keys[i].textContent = value === null || value === undefined ? "" : unit(value);
        });
      }],
      setSelect: [(plot) => {
        if (plot.select.width < 8) return;
        const [from, to] = [plot.select.left, plot.select.left + plot.select.width].map((x) => plot.posToVal(x, "x"));
        const query = new URLSearchParams(location.search);
        query.delete("window");
        query.delete("after");
        query.set("from", new Date(from * 1000).toISOString().slice(0, 19));
        query.set("to", new Date(Math.max(to, from + spec.step) * 1000).toISOString().slice(0, 19));
        location.search = query.toString();
      }],
    },
  };
  if (entry.plot) entry.plot.destroy();
  entry.plot = new uPlot(options, [spec.times, ...order.map((i) => columns[i])], box);
}

function drawAll() {
  if (typeof uPlot === "undefined") return;
  for (const entry of charts) draw(entry);
}

function findCharts() {
  for (const box of document.querySelectorAll("[data-chart]")) {
    const entry = { box, spec: JSON.parse(box.dataset.chart), plot: null };
    const still = box.querySelector(".still");
    if (typeof uPlot !== "undefined" && still) still.remove();
    charts.push(entry);
    new ResizeObserver(() => {
      if (entry.plot && entry.plot.width !== box.clientWidth) entry.plot.setSize({ width: box.clientWidth, height: box.clientHeight });
    }).observe(box);
  }
  drawAll();
}
findCharts();

// ---- live: pieces of the overview, while somebody looks -------------------------------------------------------------
const live = document.querySelector("[data-live]");
if (live) {
  const state = document.querySelector("[data-live-state]");
  const say = (tone, word) => {
    state.querySelector(".dot").className = `dot ${tone}`;
    state.querySelector("[data-live-word]").textContent = word;
  };
  let source = null;
  const close = () => { if (source) source.close(); source = null; };
  const open = () => {
    close();
    source = new EventSource(live.dataset.live);
    source.addEventListener("open", () => say("good", "live"));
    source.addEventListener("error", () => say("warn", "reconnecting"));
    source.addEventListener("trouble", (event) => { say("bad", "no database"); state.title = JSON.parse(event.data).says; });
    source.addEventListener("look", (event) => {
      say("good", "live");
      const look = JSON.parse(event.data);
      if (look.requests && document.querySelector("[data-until-activity]")) location.reload();
      for (const entry of charts) {
        const spec = look.charts[entry.box.dataset.chartName];
        if (spec && !entry.box.matches(":hover")) { entry.spec = spec; draw(entry); }
      }
      for (const [name, html] of Object.entries(look.pieces)) {
        const place = document.querySelector(`[data-piece="${name}"]`);
        if (!place || place.contains(document.activeElement)) continue;
        const fresh = document.createElement("template");
        fresh.innerHTML = html;  // rendered and escaped by the server's template of this very piece
        localTimes(fresh.content);
        place.replaceChildren(fresh.content);
      }
    });
  };
  const look = () => { if (document.hidden) { close(); say("", "paused"); } else open(); };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", close);
  if (new URLSearchParams(location.search).has("from")) say("", "fixed window"); else look();
}

// ---- a session's waterfall: step through it by keyboard ---------------------------------------------------------------
const rows = [...document.querySelectorAll("[data-step]")];
if (rows.length) {
  let here = -1;
  const go = (to) => {
    if (here >= 0) { rows[here].classList.remove("here"); rows[here].removeAttribute("aria-current"); }
    here = Math.min(Math.max(to, 0), rows.length - 1);
    rows[here].classList.add("here");
    rows[here].setAttribute("aria-current", "true");
    rows[here].scrollIntoView({ block: "nearest" });
    const link = rows[here].querySelector("a");
    if (link) link.focus({ preventScroll: true });
  };
  const failed = (from, by) => {
    for (let i = from + by; i >= 0 && i < rows.length; i += by) if (rows[i].dataset.step === "error") return i;
    return here;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const keys = {
      j: () => go(here + 1), k: () => go(here < 0 ? 0 : here - 1), e: () => go(failed(here, 1)), E: () => go(failed(here, -1)),
      Home: () => go(0), End: () => go(rows.length - 1),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}
