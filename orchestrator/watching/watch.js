// A module, as Vega is here: both have names of their own.

const at = (id) => document.getElementById(id);
const versions = {};
const curves = new Map(); // the points of each running trial, by its id
let lastUpdate = null;
let vega = null; // loaded with the first chart, since it is large

function loaded(src) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src, type: "module", onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

function element(name, text = "", properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, properties);
}

function logLink(id) {
  return element("a", "log", { href: `logs/${id}`, target: "_blank", rel: "noopener" });
}

function showProblem(text) {
  const asOf = lastUpdate ? ` What stands below is as of ${lastUpdate.toLocaleTimeString()}.` : "";
  at("problem").hidden = !text;
  at("problem").textContent = text && text + asOf;
}

function showProgress({ done, trials, running, failed, interrupted, left, driver }) {
  const parts = [
    `${done.toLocaleString("en")} of ${trials.toLocaleString("en")} trials done`,
    `${running.toLocaleString("en")} running`,
    `${failed.toLocaleString("en")} failed`,
    ...(interrupted ? [`${interrupted.toLocaleString("en")} interrupted`] : []),
    ...(left ? [left] : []),
  ];
  Object.assign(at("bar"), { max: Math.max(trials, 1), value: done });
  at("counts").textContent = parts.join(", ");
  at("driver").textContent = driver;
  document.title = `${done}/${trials} ${document.querySelector("h1").textContent}`;
}

// Each piece of a curve without gaps is a line; a point alone is one of no length.
function drawCurve(svg, points) {
  svg.replaceChildren();
  if (!points.length) return "";
  const values = points.map(([, y]) => y).filter((y) => y !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const x = (epoch) => (last > first ? (100 * (epoch - first)) / (last - first) : 50);
  const y = (value) => (high > low ? (40 * (high - value)) / (high - low) : 20);
  const pieces = [[]];
  for (const [epoch, value] of points) {
    if (value === null) pieces.push([]);
    else pieces[pieces.length - 1].push(`${x(epoch)},${y(value)}`);
  }
  const lines = pieces.filter((piece) => piece.length).map((piece) => {
    const line = document.createElementNS(svg.namespaceURI, "polyline");
    line.setAttribute("points", (piece.length > 1 ? piece : [piece[0], piece[0]]).join(" "));
    return line;
  });
  svg.append(...lines);
  const text = (value) => String(Number(value.toPrecision(5)));
  return values.length ? `${text(low)} to ${text(high)}` : "";
}

function newCard(id) {
  const card = element("article", "", { className: "trial", id: `trial-${id}` });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["viewBox", "0 0 100 40"], ["preserveAspectRatio", "none"], ["role", "img"]]) {
    svg.setAttribute(name, value);
  }
  const range = element("p", "", { className: "range" });
  card.append(element("h3"), element("p"), element("p", "", { className: "quiet" }), svg, range);
  return card;
}

function fillCard(card, { id, name, epoch, value, quiet }) {
  const [heading, says, warning, svg, range] = card.children;
  heading.textContent = name;
  const shown = value === null ? "" : `, ${document.body.dataset.metric} ${value}`;
  says.replaceChildren(`epoch ${epoch.toLocaleString("en")}${shown} · `, logLink(id));
  warning.textContent = quiet ?? "";
  const points = curves.get(id) ?? [];
  const extent = drawCurve(svg, points);
  svg.setAttribute("aria-label", `curve of ${name}: ${extent || "no epoch is saved yet"}`);
  range.textContent = extent || "no epoch is saved yet";
}

function showRunning(running, added) {
  const ids = new Set(running.map((trial) => trial.id));
  for (const id of curves.keys()) if (!ids.has(id)) curves.delete(id);
  for (const [id, { from, points }] of Object.entries(added)) {
    curves.set(id, [...(curves.get(id) ?? []).slice(0, from), ...points]);
  }
  for (const card of [...at("trials").children]) {
    if (!ids.has(card.id.replace("trial-", ""))) card.remove();
  }
  for (const trial of running) {
    let card = at(`trial-${trial.id}`);
    if (!card) at("trials").append((card = newCard(trial.id)));
    fillCard(card, trial);
  }
  at("idle").hidden = running.length > 0;
}

function showFailures(failures, count) {
  const rows = failures.map(({ id, name, error }) => {
    const row = element("tr");
    const cell = element("td");
    cell.append(logLink(id));
    row.append(element("td", name), element("td", error), cell);
    return row;
  });
  at("failures").querySelector("tbody").replaceChildren(...rows);
  at("failures").hidden = !count;
  at("faultless").hidden = count > 0;
  at("more").hidden = count <= failures.length;
  at("more").textContent = `And ${(count - failures.length).toLocaleString("en")} more, which the report lists.`;
}

// What a reader has opened, checked and sorted in a part, by the order in which it stands there.
function choicesOf(part) {
  return {
    open: [...part.querySelectorAll("details")].map((each) => each.open),
    checked: [...part.querySelectorAll("input")].map((box) => box.checked),
    sorted: [...part.querySelectorAll("table")].map((table) => {
      const heads = [...table.querySelectorAll("th")];
      const column = heads.findIndex((head) => head.hasAttribute("aria-sort"));
      return [column, column >= 0 && heads[column].getAttribute("aria-sort") === "descending"];
    }),
  };
}

async function restore(part, { open, checked, sorted }) {
  const boxes = [...part.querySelectorAll("input")];
  if (boxes.length === checked.length) boxes.forEach((box, i) => (box.checked = checked[i]));
  part.querySelectorAll("details").forEach((each, i) => (each.open = open[i] ?? false));
  await enliven(part);
  part.querySelectorAll("table").forEach((table, i) => {
    const [column, descending] = sorted[i] ?? [-1];
    const button = table.querySelectorAll("th")[column]?.querySelector("button");
    button?.click();
    if (descending) button?.click();
  });
  if (part.querySelector("#all-seeds")?.checked) showSeeds(part, true);
}

async function showSection(name, version) {
  const part = at(`part-${name}`);
  if (!part || versions[name] === version) return;
  versions[name] = version;
  const answer = await fetch(`sections/${name}`);
  if (!answer.ok) return delete versions[name];
  const html = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (html.querySelector(".chart")) await (vega ??= loaded("vega.js"));
  const choices = choicesOf(part);
  part.style.minHeight = `${part.offsetHeight}px`; // so that the page does not jump meanwhile
  part.replaceChildren(...html.body.childNodes);
  await restore(part, choices);
  part.style.minHeight = "";
  part.dataset.version = version;
}

function show(update) {
  if (update.progress) {
    if (!update.problem) lastUpdate = new Date();
    document.body.dataset.metric = update.metric;
    showProgress(update.progress);
    showRunning(update.running, update.curves);
    showFailures(update.failures, update.progress.failed);
  } else if (update.problem) {
    at("counts").textContent = "Waiting for the first trial";
  }
  showProblem([update.problem, ...(update.warnings ?? [])].filter(Boolean).join(" "));
  for (const [name, version] of Object.entries(update.sections)) showSection(name, version);
}

const source = new EventSource("updates");
source.onmessage = (event) => show(JSON.parse(event.data));
source.onerror = () =>
  showProblem("The connection to `orch watch` is lost; if it has ended, start it again and open the address that it prints.");
