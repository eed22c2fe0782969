"use strict";
// The page's behaviour: the viewer of two files of a photograph, the list of photographs, the
// filter of the audit's verdicts, the charts. All data are in the page.
(() => {
  const at = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(at(id).textContent);
  const photographs = data("photographs");
  const measures = data("measures");
  const ORIGINAL = "original";
  const DIGITS = DIGITS_OF_MEASURES;
  const LARGEST = 16; // times the size that fits

  // ---------------------------------------------------------------- the viewer
  const view = at("view");
  const sides = { left: at("side-left"), right: at("side-right") };
  const state = { shown: null, zoom: 1, x: 0, y: 0, wipe: 0.5 };

  const signed = (value, digits) => {
    if (value === null) return "–";
    return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
  };
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const rowOf = (photo, method) => photo.rows.find((row) => row.method === method);

  function show(index) {
    const photo = photographs[index];
    state.shown = index;
    at("viewer").hidden = false;
    const size = `${photo.width}×${photo.height}`;
    at("shown-name").textContent = `${photo.image} (${photo.dataset ? `${photo.dataset}, ` : ""}${size})`;
    const names = [ORIGINAL, ...Object.keys(photo.files)];
    const wanted = { left: at("left").value || names[1], right: at("right").value || names[names.length - 1] };
    for (const side of ["left", "right"]) {
      at(side).replaceChildren(...names.map((name) => element("option", { textContent: name, value: name })));
      at(side).value = names.includes(wanted[side]) ? wanted[side] : names[0];
    }
    view.style.aspectRatio = `${photo.width} / ${photo.height}`;
    view.style.maxWidth = at("wipe").style.maxWidth = `min(60rem, ${(75 * photo.width) / photo.height}vh)`;
    zoomTo(1);
    draw();
    writeNumbers(photo);
    for (const button of document.querySelectorAll("#thumbnails button"))
      button.setAttribute("aria-current", String(Number(button.dataset.index) === index));
  }

  function draw() {
    const photo = photographs[state.shown];
    const errors = at("what").value === "error";
    view.classList.toggle("errors", errors);
    for (const side of ["left", "right"]) {
      const name = at(side).value;
      const picture = sides[side].querySelector(".picture");
      const row = rowOf(photo, name);
      const of = name === ORIGINAL ? null : photo.files[name];
      const told = row ? `${name}: ${row.bytes} bytes` : "original";
      // the original has no errors
      picture.hidden = errors && !of;
      if (!picture.hidden) picture.src = errors ? of.error : of ? of.src : photo.original;
      picture.alt = `${photo.image}, ${errors ? "errors of " : ""}${told}`;
      sides[side].querySelector(".heat").src = photo.heat;
      sides[side].querySelector(".tag").textContent = told;
    }
    view.style.setProperty("--heat", at("heat").value / 100);
  }

  function writeNumbers(photo) {
    const names = Object.entries(measures);
    const head = element("tr", {}, element("th", { scope: "col", textContent: "method" }),
      element("th", { scope: "col", className: "number", textContent: "bytes" }));
    for (const [, title] of names)
      head.append(element("th", { scope: "col", className: "number", textContent: title }),
        element("th", { scope: "col", className: "number", textContent: "minus jpeg" }));
    const body = element("tbody");
    for (const row of photo.rows) {
      const line = element("tr", {}, element("td", { textContent: row.method }),
        element("td", { className: "number", textContent: row.bytes + (row.matched ? "" : " (size missed)") }));
      for (const [name] of names) {
        const gain = row.gain[name];
        line.append(element("td", { className: "number", textContent: row[name].toFixed(DIGITS[name]) }),
          element("td", { className: `number ${tone(gain)}`, textContent: row.method === "jpeg" ? "" : signed(gain, DIGITS[name]) }));
      }
      body.append(line);
    }
    at("numbers").replaceChildren(element("thead", {}, head), body);
  }
  const tone = (gain) => (gain === null || gain === 0 ? "" : gain < 0 ? "down" : "up");

  function setWipe(share) {
    state.wipe = Math.min(1, Math.max(0, share));
    at("wipe").value = Math.round(1000 * state.wipe);
    view.style.setProperty("--wipe", `${100 * state.wipe}%`);
  }

  function zoomTo(zoom, px = view.clientWidth / 2, py = view.clientHeight / 2) {
    // what is under the point (px, py) stays there
    const next = Math.min(LARGEST, Math.max(1, zoom));
    state.x = px - ((px - state.x) * next) / state.zoom;
    state.y = py - ((py - state.y) * next) / state.zoom;
    state.zoom = next;
    place();
  }
  function place() {
    const photo = photographs[state.shown];
    state.x = Math.min(0, Math.max(view.clientWidth * (1 - state.zoom), state.x));
    state.y = Math.min(0, Math.max(view.clientHeight * (1 - state.zoom), state.y));
    const perPixel = (state.zoom * view.clientWidth) / photo.width;
    view.style.setProperty("--zoom", state.zoom);
    view.style.setProperty("--x", `${state.x}px`);
    view.style.setProperty("--y", `${state.y}px`);
    view.classList.toggle("zoomed", state.zoom > 1);
    view.classList.toggle("close", perPixel >= 2);
    at("zoom").value = (100 * Math.log(state.zoom)) / Math.log(LARGEST);
    at("zoom-is").textContent = state.zoom === 1 ? "fit" : `${Math.round(100 * perPixel)} %`;
  }

  function drag(event) {
    const onHandle = event.target === at("handle");
    if (event.button !== 0) return;
    const move = onHandle || state.zoom === 1
      ? (moved) => setWipe((moved.clientX - view.getBoundingClientRect().left) / view.clientWidth)
      : (moved) => { state.x += moved.movementX; state.y += moved.movementY; place(); };
    if (onHandle || state.zoom === 1) move(event);
    view.setPointerCapture(event.pointerId);
    const stop = () => {
      view.removeEventListener("pointermove", move);
      view.removeEventListener("pointerup", stop);
      view.removeEventListener("pointercancel", stop);
    };
    view.addEventListener("pointermove", move);
    view.addEventListener("pointerup", stop);
    view.addEventListener("pointercancel", stop);
  }
  view.addEventListener("pointerdown", drag);
  view.addEventListener("dragstart", (event) => event.preventDefault());
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && state.zoom === 1) return; // the page scrolls
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoomTo(state.zoom * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  view.addEventListener("keydown", (event) => {
    const step = 40;
    const keys = {
      "+": () => zoomTo(state.zoom * 1.5), "=": () => zoomTo(state.zoom * 1.5),
      "-": () => zoomTo(state.zoom / 1.5), 0: () => zoomTo(1),
      ArrowLeft: () => { state.x += step; }, ArrowRight: () => { state.x -= step; },
      ArrowUp: () => { state.y += step; }, ArrowDown: () => { state.y -= step; },
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow") && state.zoom === 1) return;
    event.preventDefault();
    act();
    place();
  });
  for (const id of ["left", "right", "what"]) at(id).addEventListener("change", draw);
  at("heat").addEventListener("input", draw);
  at("wipe").addEventListener("input", () => setWipe(at("wipe").value / 1000));
  at("zoom").addEventListener("input", () => zoomTo(LARGEST ** (at("zoom").value / 100)));
  addEventListener("resize", () => { if (state.shown !== null) place(); });

  // ---------------------------------------------------------------- the list
  let listed = photographs.map((_, index) => index);
  const step = (by) => {
    const place = listed.indexOf(state.shown);
    if (listed.length) show(listed[(place + by + listed.length) % listed.length]);
  };
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));

  function list() {
    const method = at("of-method").value;
    const measure = at("of-measure").value;
    const gainOf = (photo) => rowOf(photo, method)?.gain[measure] ?? null;
    const [least, most] = [at("least").value, at("most").value];
    const last = (gain) => (gain === null ? 1 : 0);
    const byGain = (sign) => (a, b) => {
      const [one, other] = [gainOf(photographs[a]), gainOf(photographs[b])];
      return last(one) - last(other) || sign * (one - other);
    };
    const orders = {
      "gain-up": byGain(1),
      "gain-down": byGain(-1),
      bytes: (a, b) => rowOf(photographs[a], "jpeg").bytes - rowOf(photographs[b], "jpeg").bytes,
      name: (a, b) => photographs[a].image.localeCompare(photographs[b].image),
    };
    listed = photographs.map((_, index) => index).filter((index) => {
      const photo = photographs[index];
      const gain = gainOf(photo);
      return (!at("of-set").value || photo.dataset === at("of-set").value)
        && (least === "" || (gain !== null && gain >= Number(least)))
        && (most === "" || (gain !== null && gain <= Number(most)))
        && photo.image.toLowerCase().includes(at("named").value.toLowerCase());
    });
    listed.sort(orders[at("sort").value]);
    at("count").textContent = `${listed.length} of ${photographs.length} photographs`;
    at("thumbnails").replaceChildren(...listed.map((index) => {
      const photo = photographs[index];
      const gain = gainOf(photo);
      const button = element("button", { type: "button" },
        element("img", { src: photo.thumbnail, alt: "" }),
        element("span", { className: "name", textContent: photo.image }),
        element("span", { className: `gain ${tone(gain)}`, textContent: signed(gain, DIGITS[measure]) }));
      button.dataset.index = index;
      button.setAttribute("aria-current", String(index === state.shown));
      button.addEventListener("click", () => {
        show(index);
        at("shown-name").focus();
        at("viewer").scrollIntoView({ block: "start" });
      });
      return element("li", {}, button);
    }));
  }

  if (at("order")) {
    const methods = photographs[0].rows.map((row) => row.method).filter((name) => name !== "jpeg");
    at("of-method").append(...methods.map((name) => element("option", { textContent: name, value: name })));
    const inPage = Object.keys(photographs[0].files);
    at("of-method").value = inPage[inPage.length - 1];
    const sets = [...new Set(photographs.map((photo) => photo.dataset))];
    at("of-set").append(...sets.map((name) => element("option", { textContent: name, value: name })));
    at("order").addEventListener("input", list);
    at("order").addEventListener("submit", (event) => event.preventDefault());
    list();
  } else {
    at("previous").parentElement.hidden = true;
  }
  if (photographs.length) {
    setWipe(0.5);
    show(listed[0]);
  }

  // ---------------------------------------------------------------- the audit's verdicts
  if (at("verdict")) {
    const lines = [...at("findings").tBodies[0].rows];
    const filter = () => {
      const text = at("finding").value.toLowerCase();
      let count = 0;
      for (const line of lines) {
        line.hidden = !((!at("verdict").value || line.cells[3].textContent.startsWith(at("verdict").value))
          && line.textContent.toLowerCase().includes(text));
        count += !line.hidden;
      }
      at("findings-count").textContent = `${count} of ${lines.length}`;
    };
    at("verdict").addEventListener("input", filter);
    at("finding").addEventListener("input", filter);
    filter();
  }

  // ---------------------------------------------------------------- the charts
  const dark = matchMedia("(prefers-color-scheme: dark)");
  async function drawCharts() {
    const styles = getComputedStyle(document.documentElement);
    const [ink, line] = ["--ink", "--line"].map((name) => styles.getPropertyValue(name).trim());
    const text = { labelColor: ink, titleColor: ink };
    const config = {
      background: null, font: "system-ui, sans-serif",
      axis: { ...text, gridColor: line, domainColor: line, tickColor: line },
      legend: text, header: text, title: { color: ink }, view: { stroke: line },
    };
    for (const [id, spec] of Object.entries(data("charts"))) {
      // ast: expressions are interpreted, so that the page needs no eval
      const options = { renderer: "svg", ast: true, config, actions: { export: true, source: false, compiled: false, editor: false } };
      await vegaEmbed(`#chart-${id}`, spec, options);
    }
    document.body.dataset.charts = "drawn";
  }
  if (Object.keys(data("charts")).length) {
    drawCharts();
    dark.addEventListener("change", drawCharts);
  }
})();
