import { deleteSchedule, putSchedule } from "./api.js";
import { announce, byId, el, setBusy, setText, showProblem } from "./dom.js";
import { explain } from "./explain.js";
import { readAll, readControl } from "./fields.js";

const SAFE = "Saving the same again does no harm.";
const FIELDS = [
  { name: "name", required: true, kind: "text", rules: { maxLength: 200 } },
  { name: "every", required: true, kind: "number", rules: { type: "number", minimum: 1 } },
  { name: "crontab", required: true, kind: "text", rules: {} },
  { name: "args", required: false, kind: "json", rules: { type: "array" } },
  { name: "kwargs", required: false, kind: "json", rules: { type: "object" } },
];

let edited = null; // the schedule that is changed; null: a new one
let opener = null;
let busy = false;
let changed = () => {};

// `onChange` is called when the server has taken a change.
export function startScheduleForm(tasks, onChange) {
  changed = onChange;
  byId("schedule-task").replaceChildren(...tasks.map(({ name }) => el("option", { value: name }, name)));
  byId("schedule-new").addEventListener("click", (event) => openForm(null, event.target));
  byId("schedule-new").hidden = false;
  byId("schedule-rule").addEventListener("change", showRule);
  byId("schedule-form").addEventListener("submit", onSave);
  byId("schedule-delete").addEventListener("click", onDelete);
  byId("schedule-cancel").addEventListener("click", close);
  byId("schedule-form").addEventListener("keydown", (event) => event.key === "Escape" && close());
}

// `from` is what was pressed; the focus goes back there.
export function openForm(schedule, from) {
  edited = schedule;
  opener = from;
  const { name = "", task, every = 60, crontab = null, args = [], kwargs = {} } = schedule ?? {};
  // A class of one's own has neither; its rule stays as it is.
  const rule = crontab ? "crontab" : every === null ? "same" : "every";
  setText(byId("schedule-form-title"), schedule ? `Change ${name}` : "New schedule");
  byId("schedule-name").value = name;
  byId("schedule-name").readOnly = Boolean(schedule);
  chooseTask(task);
  byId("schedule-same").hidden = rule !== "same";
  byId("schedule-rule").value = rule;
  byId("schedule-every").value = every ?? "";
  byId("schedule-crontab").value = crontab ?? "";
  byId("schedule-args").value = args.length ? JSON.stringify(args) : "";
  byId("schedule-kwargs").value = Object.keys(kwargs).length ? JSON.stringify(kwargs) : "";
  byId("schedule-delete").hidden = !schedule;
  armDelete(false);
  showRule();
  for (const { name: field } of FIELDS) setText(byId(`schedule-${field}-error`), "");
  showProblem(byId("schedule-form-error"), "");
  byId("schedule-form").hidden = false;
  byId(schedule ? "schedule-rule" : "schedule-name").focus();
}

// One that the API may not run, of the settings, is shown and stays.
function chooseTask(task) {
  const select = byId("schedule-task");
  select.querySelector("[data-other]")?.remove();
  if (task && ![...select.options].some(({ value }) => value === task)) {
    select.append(el("option", { value: task, "data-other": true }, task));
  }
  if (task) select.value = task;
}

function showRule() {
  const rule = byId("schedule-rule").value;
  byId("schedule-every-field").hidden = rule !== "every";
  byId("schedule-crontab-field").hidden = rule !== "crontab";
}

function close() {
  byId("schedule-form").hidden = true;
  (opener?.isConnected ? opener : byId("schedules-title")).focus();
}

async function onSave(event) {
  event.preventDefault();
  const rule = byId("schedule-rule").value;
  const asked = FIELDS.filter(({ name }) => !["every", "crontab"].includes(name) || name === rule);
  const values = readAll(
    asked.map((field) => {
      const [control, error] = [byId(`schedule-${field.name}`), byId(`schedule-${field.name}-error`)];
      return { name: field.name, read: () => readControl(control, error, field) };
    }),
  );
  if (!values) return;
  const { name, args = [], kwargs = {}, ...rest } = values;
  const body = { task: byId("schedule-task").value, args, kwargs, ...rest };
  // The server checks a call that is sent; one that is as before need not pass.
  const parts = ["task", "args", "kwargs"];
  if (edited && parts.every((part) => JSON.stringify(edited[part]) === JSON.stringify(body[part]))) {
    for (const part of parts) delete body[part];
  }
  await run(byId("schedule-save"), "save", () => putSchedule(name, body), `${name} is saved.`);
}

async function onDelete() {
  const button = byId("schedule-delete");
  if (!button.dataset.armed) {
    armDelete(true);
    return;
  }
  await run(button, "delete", () => deleteSchedule(edited.name), `${edited.name} is deleted.`);
}

// Pressed twice, in place of a question in a window of its own.
function armDelete(armed) {
  const button = byId("schedule-delete");
  if (armed) button.dataset.armed = "yes";
  else delete button.dataset.armed;
  setText(button, armed ? "Press again to delete" : "Delete");
}

async function run(button, verb, call, done) {
  if (busy) return;
  const problem = byId("schedule-form-error");
  showProblem(problem, "");
  busy = true;
  setBusy(button, true);
  try {
    await call();
    announce(done);
    changed();
    close();
  } catch (error) {
    explain(problem, error, verb, SAFE);
  } finally {
    busy = false;
    setBusy(button, false);
  }
}
