"use strict";

// Okabe and Ito's colours; on a dark page the light ones come first.
const dark = matchMedia("screen and (prefers-color-scheme: dark)");
const colours = () =>
  dark.matches
    ? ["#56B4E9", "#E69F00", "#FFFFFF", "#CC79A7", "#009E73", "#0072B2", "#D55E00"]
    : ["#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00"];

function theme() {
  const style = getComputedStyle(document.documentElement);
  const [text, line] = ["--text", "--line"].map((name) => style.getPropertyValue(name).trim());
  return {
    background: "transparent",
    view: { stroke: null },
    axis: { labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal", labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line },
    range: { category: colours() },
  };
}

async function drawFigure(figure) {
  const boxes = [...figure.querySelectorAll("fieldset input")];
  const views = [];
  for (const chart of figure.querySelectorAll(".chart")) {
    const spec = JSON.parse(chart.nextElementSibling.textContent);
    // Errors only: Vega warns of axes without values, as when a reader hides every series.
    const options = { actions: false, renderer: "svg", config: theme(), logLevel: 1 };
    views.push((await vegaEmbed(chart, spec, options)).view);
  }
  const toggle = () => {
    const shown = boxes.filter((box) => box.checked).map((box) => box.value);
    return Promise.all(views.map((view) => view.signal("shown", shown).runAsync()));
  };
  for (const box of boxes) box.onchange = toggle;
  for (const swatch of figure.querySelectorAll(".swatch")) {
    swatch.style.color = colours()[swatch.dataset.index % colours().length];
  }
  if (boxes.some((box) => !box.checked)) await toggle();
}

function drawFigures(part) {
  return Promise.all([...part.querySelectorAll(".figure")].map(drawFigure));
}

// The sort key of a cell: its stored mean, or else the number that its text begins with or is, or
// else the text; NaN, for no value, sorts last.
function key(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (["", "nan", "—"].includes(text)) return NaN;
  const number = text.match(/^[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?(?=$| (points|of|to|\()|[†‡§¶])/);
  return number ? Number(number[0].replaceAll(",", "")) : text;
}

function compare(a, b) {
  const missing = (value) => Number.isNaN(value);
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function makeSortable(table) {
  const first = [...table.tHead.rows[0].cells];
  const last = table.tHead.rows.length > 1 ? [...table.tHead.rows[table.tHead.rows.length - 1].cells] : [];
  const corner = last.length ? first.filter((head) => head.rowSpan > 1) : first;
  const heads = [...corner, ...last];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const [left, right] = [key(a, column), key(b, column)];
        const order = compare(left, right);
        return up || Number.isNaN(left) || Number.isNaN(right) ? order : -order;
      });
      table.tBodies[0].append(...rows);
    };
  });
}

function showSeeds(part, all) {
  for (const span of part.querySelectorAll("td .mean")) span.hidden = all;
  for (const span of part.querySelectorAll("td .seeds")) span.hidden = !all;
}

// Have the tables and figures of the page, or of a part of it, do what a reader asks.
function enliven(part) {
  part.querySelectorAll("table").forEach(makeSortable);
  const allSeeds = part.querySelector("#all-seeds");
  if (allSeeds) allSeeds.onchange = () => showSeeds(document, allSeeds.checked);
  return drawFigures(part);
}

dark.onchange = () => drawFigures(document);
enliven(document).then(() => document.documentElement.setAttribute("data-drawn", ""));
