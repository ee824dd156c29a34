import { newKey, submit } from "./api.js";
import { announce, byId, el, setBusy, setText, showProblem } from "./dom.js";
import { buildFields, readAll, readControl } from "./fields.js";
import { addJob } from "./jobs.js";
import { explain } from "./explain.js";
import { load, save } from "./store.js";

const OPTIONS = [
  { name: "countdown", required: false, kind: "number", rules: { type: "number", minimum: 0 } },
  { name: "priority", required: false, kind: "integer", rules: { type: "integer", minimum: 0, maximum: 9 } },
];

// Built once for each task, so that going back finds what was typed.
const built = new Map();
let pending = null;
let busy = false;

export function startForm(tasks) {
  const select = byId("task-select");
  select.replaceChildren(...tasks.map(({ name }) => el("option", { value: name }, name)));
  const last = load("task");
  if (tasks.some(({ name }) => name === last)) select.value = last;
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const show = () => showTask(byName.get(select.value));
  select.addEventListener("change", show);
  show();
  byId("task-form").addEventListener("submit", onSubmit);
  byId("task-section").hidden = false;
}

function showTask(task) {
  if (!task) {
    byId("task-doc").textContent = "The server offers no task.";
    return;
  }
  save("task", task.name);
  setText(byId("task-doc"), task.doc ?? "");
  if (!built.has(task.name)) built.set(task.name, buildFields(task.schema));
  byId("task-fields").replaceChildren(...built.get(task.name).nodes);
  showProblem(byId("form-error"), "");
}

async function onSubmit(event) {
  event.preventDefault();
  const name = byId("task-select").value;
  if (busy || !name) return;
  const problem = byId("form-error");
  showProblem(problem, "");
  const kwargs = built.get(name).read();
  const options = kwargs && readOptions();
  if (!options) return;

  const body = { args: [], kwargs, ...options };
  const text = JSON.stringify([name, body]);
  // The same content after a lost answer is the same wish and keeps its key.
  if (pending?.text !== text) pending = { text, key: newKey() };
  const button = byId("submit");
  busy = true;
  setBusy(button, true);
  try {
    const job = await submit(name, body, pending.key);
    pending = null;
    addJob(job, kwargs);
    announce(`${name} is queued.`);
  } catch (error) {
    // 409: the first try is still under way, and the next one must name it too.
    if (!error.temporary && error.status !== 409) pending = null;
    explain(problem, error, "submit");
  } finally {
    busy = false;
    setBusy(button, false);
  }
}

function readOptions() {
  return readAll(
    OPTIONS.map((field) => ({
      name: field.name,
      read: () => readControl(byId(field.name), byId(`${field.name}-error`), field),
    })),
  );
}
