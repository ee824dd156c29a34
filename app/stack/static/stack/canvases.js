import { submitCanvas } from "./api.js";
import { announce, byId, el, setBusy, setText, showProblem } from "./dom.js";
import { explain } from "./explain.js";
import { addCanvas } from "./jobs.js";

const call = (name, ...args) => ({ name, args });
const times = (count, make) => Array.from({ length: count }, (_, number) => make(number));

// One of each kind. The tasks that each needs are named, since a project of
// its own has others; the API takes any.
const EXAMPLES = [
  {
    kind: "group",
    label: "add(i, i) for i = 0 to 9",
    doc: "Ten tasks at once; the result is the list of theirs.",
    needs: ["add"],
    body: { tasks: times(10, (number) => call("add", number, number)) },
  },
  {
    kind: "chain",
    label: "add(2, 2) | add(5) | mul(8)",
    doc: "Each takes the result before it: ((2 + 2) + 5) × 8 = 72.",
    needs: ["add", "mul"],
    body: { tasks: [call("add", 2, 2), call("add", 5), call("mul", 8)] },
  },
  {
    kind: "chord",
    label: "xsum of add(1, 2) and mul(3, 4)",
    doc: "xsum takes the results of the two others, once both are there: 3 + 12 = 15.",
    needs: ["add", "mul", "xsum"],
    body: { header: [call("add", 1, 2), call("mul", 3, 4)], body: call("xsum") },
  },
  {
    kind: "map",
    label: "xsum of [1, 2] and of [3, 4]",
    doc: "One task that takes the items one after the other: [3, 7].",
    needs: ["xsum"],
    body: { name: "xsum", items: [[1, 2], [3, 4]] },
  },
  {
    kind: "starmap",
    label: "add of (1, 2) and of (3, 4)",
    doc: "As map, with each item's numbers as arguments: [3, 7].",
    needs: ["add"],
    body: { name: "add", items: [[1, 2], [3, 4]] },
  },
  {
    kind: "chunks",
    label: "add(i, i) for i = 0 to 999, by 100",
    doc: "A thousand calls as ten tasks of a hundred each.",
    needs: ["add"],
    body: { name: "add", range: [0, 1000], size: 100 },
  },
  {
    kind: "group",
    label: "sleep(1), ten times",
    doc: "Slow enough to watch; cancelled, it ends after what has started.",
    needs: ["sleep"],
    body: { tasks: times(10, () => call("sleep", 1)) },
  },
];
const SAFE = "If the first try did arrive, it runs as well.";

let offered = [];
let busy = false;

export function startCanvases(tasks) {
  const known = new Set(tasks.map(({ name }) => name));
  offered = EXAMPLES.filter(({ needs }) => needs.every((name) => known.has(name)));
  if (!offered.length) return;
  const select = byId("canvas-select");
  select.replaceChildren(...offered.map(({ kind, label }, at) => el("option", { value: at }, `${kind}: ${label}`)));
  const show = () => setText(byId("canvas-doc"), offered[select.value].doc);
  select.addEventListener("change", show);
  show();
  byId("canvas-form").addEventListener("submit", onSubmit);
  byId("canvas-section").hidden = false;
}

async function onSubmit(event) {
  event.preventDefault();
  if (busy) return;
  const { kind, label, body } = offered[byId("canvas-select").value];
  const problem = byId("canvas-error");
  const button = byId("canvas-submit");
  showProblem(problem, "");
  busy = true;
  setBusy(button, true);
  try {
    addCanvas(await submitCanvas(kind, body), label);
    announce(`The ${kind} is queued.`);
  } catch (error) {
    explain(problem, error, "submit", SAFE);
  } finally {
    busy = false;
    setBusy(button, false);
  }
}
