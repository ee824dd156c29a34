import { el } from "./dom.js";

const LONGEST = 5000;
const MOST_ROWS = 100;

export function showResult(result) {
  if (!isDict(result) || !Object.keys(result).length) return asJson(result);
  if (isDict(result.columns) && Object.values(result.columns).every(isDict)) return statistics(result);
  const entries = Object.entries(result);
  return scrollable(pairs(entries), "Result", entries.length > 8);
}

const isDict = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// {"rows": n, "columns": {name: {statistic: value}}}: a line for each column.
function statistics({ columns, ...rest }) {
  const entries = Object.entries(columns);
  const named = [...new Set(entries.flatMap(([, values]) => Object.keys(values)))];
  const kinds = [...named.filter((kind) => numeric(entries, kind)), ...named.filter((kind) => !numeric(entries, kind))];
  const head = el("tr", {}, el("th", { scope: "col" }, "column"));
  head.append(...kinds.map((kind) => el("th", { scope: "col", class: numeric(entries, kind) }, kind)));
  const body = el("tbody");
  for (const [name, values] of entries.slice(0, MOST_ROWS)) {
    const line = el("tr", {}, el("th", { scope: "row" }, name));
    line.append(...kinds.map((kind) => el("td", { class: numeric(entries, kind) }, cell(values[kind]))));
    body.append(line);
  }
  const table = el("table", {}, el("thead", {}, head), body);
  const words = Object.entries(rest).map(([name, value]) => `${name}: ${cell(value)}`);
  if (entries.length > MOST_ROWS) words.push(`the first ${MOST_ROWS} of ${entries.length} columns`);
  const box = el("div");
  if (words.length) box.append(el("p", { class: "sum" }, words.join(", ")));
  box.append(scrollable(table, "Statistics of the columns", true));
  return box;
}

function numeric(entries, kind) {
  return entries.some(([, values]) => typeof values[kind] === "number") ? "num" : null;
}

function pairs(entries) {
  const body = el("tbody");
  for (const [name, value] of entries.slice(0, MOST_ROWS)) {
    body.append(el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, cell(value))));
  }
  if (entries.length > MOST_ROWS) body.append(el("tr", {}, el("td", { colspan: "2" }, `and ${entries.length - MOST_ROWS} more`)));
  return el("table", {}, body);
}

function scrollable(table, label, large) {
  return el("div", { class: "scroll", ...reachable(large, label) }, table);
}

// A box that scrolls takes the focus, or a keyboard could not scroll it. A
// small one stays out of the way of the Tab key.
const reachable = (large, label) => (large ? { tabindex: "0", role: "group", "aria-label": label } : {});

function asJson(value) {
  // A list of plain values in one line, as one reads it.
  const plain = Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");
  const text = plain ? `[${value.map((item) => JSON.stringify(item)).join(", ")}]` : JSON.stringify(value, null, 2);
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${text.length - LONGEST} characters more; the API has all.` : text;
  return el("pre", reachable(text.length > 600 || text.split("\n").length > 10, "Result"), cut);
}

// [["sun", 640], ["rain", 641]]: words and how often each was there.
const isCounted = (value) =>
  Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2 && typeof pair[1] === "number");

function cell(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  if (typeof value !== "object") return String(value);
  if (isCounted(value)) return value.map(([word, count]) => `${word} (${count})`).join(", ");
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
