"use strict";
// The page's behaviour: the viewer of two files of a photograph, the list of photographs, the
// filter of the audit's verdicts, the charts. All data are in the page.
(() => {
  const at = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(at(id).textContent);
  const photographs = data("photographs");
  const measures = data("measures");
  const opening = data("opening");
  const ORIGINAL = "original";
  const MARKS = ["best", "median", "worst"];
  const LARGEST = 16; // screen pixels a pixel of the photograph
  const FIT = 0;

  const signed = (value, digits) => {
    if (value === null) return "–";
    return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
  };
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const option = (value, text = value) => element("option", { value, textContent: text });
  const cell = (textContent, className = "number") => element("td", { textContent, className });
  const heading = (textContent, className = "number") => element("th", { scope: "col", textContent, className });
  const tone = (gain) => (gain === null || gain === 0 ? "" : gain < 0 ? "down" : "up");
  const within = (value, low, high) => Math.min(high, Math.max(low, value));

  // ---------------------------------------------------------------- what is shown
  const view = at("view");
  const sides = { left: at("side-left"), right: at("side-right") };
  // photo: its place in `photographs`; x, y: the pixel of it in the middle of the view;
  // wipe: where the border is, from 0 to 1
  const state = {
    photo: 0, quality: String(opening.quality), left: opening.left, right: opening.right,
    zoom: FIT, x: 0, y: 0, wipe: 0.5, what: "picture", heat: 0,
  };
  const photo = () => photographs[state.photo];
  const nameOf = (one) => (one.dataset ? `${one.dataset}/${one.image}` : one.image);
  const methods = () => [ORIGINAL, ...Object.keys(photo().qualities[state.quality].files)];
  const rowOf = (one, method) => one.qualities[state.quality].rows.find((row) => row.method === method);

  function show(index) {
    state.photo = index;
    [state.x, state.y] = photo().focus;
    refresh();
    changed();
  }

  // bring all of the page in line with `state`
  function refresh() {
    const { width, height, qualities } = photo();
    if (!qualities[state.quality]) state.quality = Object.keys(qualities)[0];
    const names = methods();
    if (!names.includes(state.left)) state.left = names[1];
    if (!names.includes(state.right)) state.right = names[names.length - 1];
    at("shown-name").textContent = `${nameOf(photo())} (${width}×${height})`;
    at("left").replaceChildren(...names.map((name) => option(name)));
    at("right").replaceChildren(...names.map((name) => option(name)));
    at("quality").replaceChildren(...Object.keys(qualities).map((name) => option(name)));
    at("photo").value = state.photo;
    for (const id of ["left", "right", "quality", "what", "heat"]) at(id).value = state[id];
    view.style.aspectRatio = `${width} / ${height}`;
    view.style.maxWidth = at("wipe").style.maxWidth = `min(${(66 * width) / height}vh, ${2 * width}px)`;
    for (const pan of view.querySelectorAll(".pan"))
      Object.assign(pan.style, { width: `${width}px`, height: `${height}px` });
    for (const button of document.querySelectorAll(".thumbnails button"))
      button.setAttribute("aria-current", String(Number(button.dataset.index) === state.photo));
    draw();
    setWipe(state.wipe);
    place();
    writeScores();
    writeNumbers();
  }

  function draw() {
    const errors = state.what === "error";
    view.classList.toggle("errors", errors);
    for (const side of ["left", "right"]) {
      const name = state[side];
      const picture = sides[side].querySelector(".picture");
      const row = rowOf(photo(), name);
      const file = name === ORIGINAL ? null : photo().qualities[state.quality].files[name];
      const told = row ? `${name}: ${row.bytes} bytes` : ORIGINAL;
      // the original has no errors
      picture.hidden = errors && !file;
      const src = errors ? file?.error : file ? file.src : photo().original;
      if (src && picture.getAttribute("src") !== src) picture.src = src;
      picture.alt = `${photo().image}, ${errors ? "errors of " : ""}${told}`;
      const heat = sides[side].querySelector(".heat");
      heat.src = photo().heat;
      heat.alt = state.heat > 0 ? "heatmap" : "";
      sides[side].querySelector(".tag").textContent = told;
    }
    view.style.setProperty("--heat", state.heat / 100);
  }

  // ---------------------------------------------------------------- its numbers
  const scored = (one) => Object.values(one.qualities).some(({ rows }) =>
    rows.some((row) => Object.keys(measures).every((name) => row[name] !== null)));
  const anyScored = photographs.some(scored);

  function writeScores() {
    const [left, right] = [state.left, state.right].map((name) => rowOf(photo(), name) ?? null);
    const shown = (row, name, digits) => (row === null || row[name] === null ? "–" : row[name].toFixed(digits));
    const line = (title, name, digits, higher) => {
      const [one, other] = [left, right].map((row) => (row === null ? null : row[name]));
      const better = one === null || other === null || one === other || higher === null ? 0 : (one > other) === higher ? 1 : -1;
      return element("tr", {},
        element("th", { scope: "row", textContent: title }),
        cell(shown(left, name, digits), `number${better > 0 ? " better" : ""}`),
        cell(shown(right, name, digits), `number${better < 0 ? " better" : ""}`));
    };
    const seen = Object.entries(measures).filter(([name]) => photo().qualities[state.quality].rows.some((row) => row[name] !== null));
    at("scores").replaceChildren(
      element("thead", {}, element("tr", {}, heading("this photograph", ""), heading(state.left), heading(state.right))),
      element("tbody", {}, line("bytes", "bytes", 0, null),
        ...seen.map(([name, one]) => line(one.higher ? one.title : `${one.title}, less is better`, name, one.digits, one.higher))));
    at("scores-note").textContent = "Bold and ▸: the better of the two."
      + (anyScored && !scored(photo()) ? " Stage judges did not score this photograph." : "");
  }

  function writeNumbers() {
    const { rows } = photo().qualities[state.quality];
    const names = Object.entries(measures).filter(([name]) => rows.some((row) => row[name] !== null));
    const head = element("tr", {}, heading("method", ""), heading("bytes"));
    for (const [name, one] of names)
      head.append(heading(one.title), ...(name in rows[0].gain ? [heading("minus jpeg")] : []));
    const lines = rows.map((row) => {
      const line = element("tr", {}, cell(row.method, ""), cell(row.bytes + (row.matched ? "" : " (size missed)")));
      for (const [name, { digits }] of names) {
        line.append(cell(row[name] === null ? "–" : row[name].toFixed(digits)));
        const gain = row.gain[name];
        if (gain !== undefined) line.append(cell(row.method === "jpeg" ? "" : signed(gain, digits), `number ${tone(gain)}`));
      }
      return line;
    });
    at("numbers").replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
  }

  // ---------------------------------------------------------------- border, zoom and place
  function setWipe(part) {
    state.wipe = within(part, 0, 1);
    at("wipe").value = Math.round(1000 * state.wipe);
    view.style.setProperty("--wipe", `${100 * state.wipe}%`);
  }

  const fits = () => Math.min(view.clientWidth / photo().width, view.clientHeight / photo().height);
  const scale = () => (state.zoom === FIT ? fits() : state.zoom);

  function place() {
    const { width, height } = photo();
    const zoom = scale();
    // no black border while there is picture left to show
    const middle = (value, frame, size) => {
      const half = frame / zoom / 2;
      return 2 * half >= size ? size / 2 : within(value, half, size - half);
    };
    const [x, y] = [middle(state.x, view.clientWidth, width), middle(state.y, view.clientHeight, height)];
    if (state.zoom !== FIT) [state.x, state.y] = [x, y];
    view.style.setProperty("--zoom", zoom);
    view.style.setProperty("--x", `${view.clientWidth / 2 - x * zoom}px`);
    view.style.setProperty("--y", `${view.clientHeight / 2 - y * zoom}px`);
    view.classList.toggle("zoomed", zoom > fits());
    view.classList.toggle("close", Number.isInteger(zoom) || zoom > 4);
    at("zoom-is").textContent = `${Math.round(100 * zoom)} %`;
    for (const button of document.querySelectorAll("[data-zoom]"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.zoom) === state.zoom));
  }

  function zoomTo(zoom, px = view.clientWidth / 2, py = view.clientHeight / 2) {
    // what is under the point (px, py) stays there
    const before = scale();
    const [right, down] = [px - view.clientWidth / 2, py - view.clientHeight / 2];
    state.zoom = zoom === FIT ? FIT : within(zoom, Math.min(1, fits()), LARGEST);
    state.x += right / before - right / scale();
    state.y += down / before - down / scale();
    place();
    changed();
  }

  function panBy(dx, dy) {
    state.x -= dx / scale();
    state.y -= dy / scale();
    place();
    changed();
  }

  function drag(event) {
    if (event.button !== 0) return;
    const wipes = event.target === at("handle") || !view.classList.contains("zoomed");
    let [x, y] = [event.clientX, event.clientY];
    const move = (moved) => {
      if (wipes) {
        setWipe((moved.clientX - view.getBoundingClientRect().left) / view.clientWidth);
        changed();
      } else panBy(moved.clientX - x, moved.clientY - y);
      [x, y] = [moved.clientX, moved.clientY];
    };
    if (wipes) move(event);
    view.setPointerCapture(event.pointerId);
    const stop = () => {
      view.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) view.removeEventListener(name, stop);
    };
    view.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, stop);
  }
  view.addEventListener("pointerdown", drag);
  view.addEventListener("dragstart", (event) => event.preventDefault());
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoomTo(scale() * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  view.addEventListener("keydown", (event) => {
    const step = 40;
    const keys = {
      "+": () => zoomTo(scale() * 1.5), "=": () => zoomTo(scale() * 1.5),
      "-": () => zoomTo(scale() / 1.5), 0: () => zoomTo(FIT),
      1: () => zoomTo(1), 2: () => zoomTo(2), 4: () => zoomTo(4),
      ArrowLeft: () => panBy(step, 0), ArrowRight: () => panBy(-step, 0),
      ArrowUp: () => panBy(0, step), ArrowDown: () => panBy(0, -step),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow") && !view.classList.contains("zoomed")) return;
    event.preventDefault();
    act();
  });
  for (const button of document.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => zoomTo(Number(button.dataset.zoom)));
  for (const id of ["left", "right", "quality", "what", "heat"])
    at(id).addEventListener("input", () => {
      state[id] = id === "heat" ? Number(at(id).value) : at(id).value;
      if (id === "heat") draw();
      else refresh();
      changed();
    });
  at("photo").addEventListener("input", () => show(Number(at("photo").value)));
  at("wipe").addEventListener("input", () => { setWipe(at("wipe").value / 1000); changed(); });
  addEventListener("resize", () => { if (photographs.length) place(); });

  // ---------------------------------------------------------------- blinking
  // while it is held, the two files change places: what is looked at blinks wherever the border is
  function blink(on) {
    view.classList.toggle("exchanged", on);
    at("blink").setAttribute("aria-pressed", String(on));
  }
  const typed = (event) => event.target.matches("select, textarea, [type=search], [type=number]");
  const plain = (event) => !(event.ctrlKey || event.metaKey || event.altKey);
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "b" && plain(event) && !typed(event)) blink(true);
  });
  addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") blink(false); });
  addEventListener("blur", () => blink(false));
  at("blink").addEventListener("pointerdown", (event) => {
    at("blink").setPointerCapture(event.pointerId);
    blink(true);
  });
  for (const name of ["lostpointercapture", "blur"]) at("blink").addEventListener(name, () => blink(false));
  at("blink").addEventListener("contextmenu", (event) => event.preventDefault());
  at("blink").addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    blink(true);
  });
  at("blink").addEventListener("keyup", () => blink(false));

  // ---------------------------------------------------------------- the address
  // it names what is shown, and is replaced, not added to: Back leaves the page
  let waiting = null;
  const rounded = (value) => String(Math.round(10 * value) / 10);
  function address() {
    const parts = {
      photo: nameOf(photo()), quality: state.quality, left: state.left, right: state.right,
      wipe: rounded(100 * state.wipe), zoom: state.zoom === FIT ? "fit" : rounded(state.zoom),
    };
    if (state.zoom !== FIT) parts.at = `${rounded(state.x)},${rounded(state.y)}`;
    if (state.what !== "picture") parts.show = state.what;
    if (state.heat > 0) parts.heat = String(state.heat);
    return `#${new URLSearchParams(parts)}`;
  }
  function changed() {
    at("link").href = address();
    clearTimeout(waiting);
    // browsers refuse more than some hundred changes in half a minute
    waiting = setTimeout(() => history.replaceState(null, "", address()), 300);
  }
  // take from the address what it names and the page has; say whether it names a photograph
  function follow() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const index = photographs.findIndex((one) => nameOf(one) === parts.get("photo"));
    if (index < 0) return false;
    const number = (name, otherwise) => (parts.has(name) && Number.isFinite(Number(parts.get(name))) ? Number(parts.get(name)) : otherwise);
    state.photo = index;
    [state.x, state.y] = photo().focus;
    const [x, y] = (parts.get("at") ?? "").split(",").map(Number);
    if (Number.isFinite(x) && Number.isFinite(y)) [state.x, state.y] = [x, y];
    for (const name of ["quality", "left", "right"]) state[name] = parts.get(name) ?? state[name];
    state.wipe = number("wipe", 50) / 100;
    state.zoom = number("zoom", 0) > 0 ? within(number("zoom", 1), 0.1, LARGEST) : FIT;
    state.what = parts.get("show") === "error" ? "error" : "picture";
    state.heat = within(number("heat", 0), 0, 100);
    refresh();
    at("link").href = address();
    at("viewer").scrollIntoView({ block: "start" });
    return true;
  }
  addEventListener("hashchange", follow);

  // ---------------------------------------------------------------- the list
  let listed = photographs.map((_, index) => index);
  const step = (by) => {
    const place = listed.indexOf(state.photo);
    if (listed.length) show(listed[(place + by + listed.length) % listed.length]);
  };
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));

  function thumbnail(index, gain, digits) {
    const one = photographs[index];
    const button = element("button", { type: "button" },
      element("img", { src: one.thumbnail, alt: "" }),
      element("span", { className: "name", textContent: one.image }),
      element("span", {}, ...(one.mark ? [element("b", { className: "mark", textContent: `${one.mark} ` })] : []),
        element("span", { className: `gain ${tone(gain)}`, textContent: signed(gain, digits) })));
    button.dataset.index = index;
    button.setAttribute("aria-current", String(index === state.photo));
    button.addEventListener("click", () => {
      show(index);
      at("shown-name").focus({ preventScroll: true });
      at("viewer").scrollIntoView({ block: "start" });
    });
    return element("li", {}, button);
  }

  function list() {
    const method = at("of-method").value;
    const measure = at("of-measure").value;
    const gainOf = (one) => rowOf(one, method)?.gain[measure] ?? null;
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
      const one = photographs[index];
      const gain = gainOf(one);
      return (!at("of-set").value || one.dataset === at("of-set").value)
        && (least === "" || (gain !== null && gain >= Number(least)))
        && (most === "" || (gain !== null && gain <= Number(most)))
        && one.image.toLowerCase().includes(at("named").value.toLowerCase());
    });
    listed.sort(orders[at("sort").value]);
    at("count").textContent = `${listed.length} of ${photographs.length} photographs, at the size of JPEG quality ${state.quality}`;
    at("thumbnails").replaceChildren(...listed.map((index) => thumbnail(index, gainOf(photographs[index]), measures[measure].digits)));
  }

  const marked = (mark) => photographs.findIndex((one) => one.mark === mark);
  if (at("order")) {
    const names = photographs[0].qualities[state.quality].rows.map((row) => row.method).filter((name) => name !== "jpeg");
    at("of-method").append(...names.map((name) => option(name)));
    at("of-method").value = opening.right;
    const sets = [...new Set(photographs.map((one) => one.dataset))];
    at("of-set").append(...sets.map((name) => option(name)));
    at("order").addEventListener("input", list);
    at("order").addEventListener("submit", (event) => event.preventDefault());
    at("quality").addEventListener("input", list);
    list();
    const { title, digits } = measures.wpsnr_rgb_db;
    at("marked-by").textContent = `${opening.right} minus plain JPEG, ${title}, at the size of JPEG quality ${opening.quality}`;
    at("marked").append(...MARKS.map(marked).filter((index) => index >= 0)
      .map((index) => thumbnail(index, rowOf(photographs[index], opening.right).gain.wpsnr_rgb_db, digits)));
  } else {
    for (const id of ["previous", "next"]) at(id).hidden = true;
    at("photo").parentElement.hidden = true;
  }
  if (photographs.length) {
    at("viewer").hidden = false;
    at("photo").append(...photographs.map((one, index) => option(index, nameOf(one) + (one.mark ? ` (${one.mark})` : ""))));
    at("quality").parentElement.hidden = Object.keys(photographs[0].qualities).length < 2;
    state.zoom = opening.zoom;
    state.photo = Math.max(0, marked("median"));
    [state.x, state.y] = photo().focus;
    refresh();
    // the border goes through what is looked at, with a good part of either file beside it
    if (state.zoom !== FIT) {
      const right = photo().focus[0] - state.x;
      setWipe(within(0.5 + (right * scale()) / view.clientWidth, 0.15, 0.85));
    }
    at("link").href = address();
    follow();
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
