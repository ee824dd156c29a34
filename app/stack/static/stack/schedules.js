import { putSchedule, schedules as fetchSchedules } from "./api.js";
import { announce, byId, el, setText, showProblem } from "./dom.js";
import { reportFailedAction } from "./link.js";
import { follow, syncRows } from "./live.js";
import { openForm, startScheduleForm } from "./scheduleform.js";

const EVERY = 5000;
const MOST_ROWS = 50;

let all = [];
let editable = false;
let refresh = () => {};
const switching = new Set();

export function startSchedules() {
  setText(byId("time-zone"), document.body.dataset.timeZone);
  byId("schedule-filter").addEventListener("input", showRows);
  refresh = follow("schedules", {
    ask: fetchSchedules,
    show: (schedules) => {
      all = schedules;
      showRows();
    },
    every: EVERY,
    age: byId("schedules-age"),
  });
}

// The form offers the tasks, and they are known later than the schedules.
export const editSchedules = (tasks) => {
  editable = true;
  startScheduleForm(tasks, () => refresh());
  if (all.length) showRows();
};

function showRows() {
  const wanted = byId("schedule-filter").value.trim().toLowerCase();
  const found = all.filter(({ name, task }) => `${name} ${task}`.toLowerCase().includes(wanted));
  byId("schedules-section").hidden = false;
  byId("schedules-box").hidden = !found.length;
  syncRows(byId("schedules").tBodies[0], found.slice(0, MOST_ROWS), ({ name }) => name, scheduleRow);
  setText(byId("schedules-shown"), countOf(found.length, wanted));
  const note = byId("schedules-note");
  setText(note, commonReason());
  note.hidden = !commonReason();
  byId("schedule-new").hidden = !editable || !note.hidden;
}

// Why none of them can be changed here: said once, above them.
const commonReason = () => {
  const reasons = new Set(all.map(({ read_only: why }) => why));
  return reasons.size === 1 ? ([...reasons][0] ?? "") : "";
};

function countOf(found, wanted) {
  if (!all.length) return "There is none.";
  if (!found) return `None of ${all.length} has this in its name or its task.`;
  const which = found > MOST_ROWS ? `The first ${MOST_ROWS} of ${found}` : `${found}`;
  const rest = found > MOST_ROWS ? " Type a part of a name or a task to find others." : "";
  return `${which}${wanted ? ` that match, of ${all.length} in all` : found > MOST_ROWS ? "" : " in all"}.${rest}`;
}

function scheduleRow({ name }) {
  const box = el("input", {
    type: "checkbox",
    role: "switch",
    class: "switch",
    "aria-label": `${name} is on`,
    "data-testid": "schedule-switch",
  });
  const call = el("code", { class: "args" });
  const problem = el("p", { class: "error", "data-testid": "schedule-problem" });
  const fixed = el("p", { class: "hint", "data-testid": "schedule-read-only" });
  const [rule, next, last] = ["", "schedule-next", "schedule-last"].map((id) => el("td", { "data-testid": id || null }));
  const runs = el("td", { class: "num", "data-testid": "schedule-runs" });
  const title = el("th", { scope: "row" }, el("span", { class: "name" }, ...breakable(name)), call, problem, fixed);
  const edit = el("button", { type: "button", class: "plain", "data-testid": "schedule-edit" }, "Edit");
  edit.append(el("span", { class: "unseen" }, ` ${name}`));
  const row = el("tr", { "data-testid": "schedule" }, el("td", {}, box, edit), title, rule, next, last, runs);
  edit.addEventListener("click", () => openForm(all.find((entry) => entry.name === name), edit));
  box.addEventListener("change", () => onSwitch(name, box));
  row.update = (entry) => {
    // What was asked for stays shown until the server has answered it.
    if (!switching.has(name)) box.checked = entry.enabled;
    row.classList.toggle("off", !box.checked);
    setText(call, callOf(entry));
    setText(problem, entry.problem ? `Set aside: ${entry.problem}` : "");
    setText(rule, ruleOf(entry));
    setTime(next, entry.next_run_at, entry.enabled ? "none" : "off");
    setTime(last, entry.last_run_at, "not yet");
    setText(fixed, commonReason() ? "" : (entry.read_only ?? ""));
    box.disabled = Boolean(entry.read_only);
    edit.hidden = !editable || Boolean(entry.read_only);
    setText(runs, String(entry.total_run_count));
  };
  return row;
}

// A long name breaks between its words.
const breakable = (name) => name.split(/(?<=[_.-])/).flatMap((part) => [part, el("wbr")]);

async function onSwitch(name, box) {
  const wanted = box.checked;
  if (switching.has(name)) {
    box.checked = !wanted;
    return;
  }
  const problem = byId("schedules-error");
  switching.add(name);
  box.classList.add("busy");
  try {
    const entry = await putSchedule(name, { enabled: wanted });
    all = all.map((other) => (other.name === name ? entry : other));
    problem.hidden = true;
    announce(`${name} is ${entry.enabled ? "on" : "off"}.`);
  } catch (error) {
    box.checked = !wanted;
    if (error.away) reportFailedAction(error);
    const why = error.status ? error.message : "The server did not answer.";
    showProblem(problem, `${name} was not switched ${wanted ? "on" : "off"}. ${why}`);
  }
  switching.delete(name);
  box.classList.remove("busy");
  showRows();
  refresh();
}

function callOf({ task, args, kwargs }) {
  if (!task) return "";
  const named = Object.entries(kwargs).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const text = `${task}(${[...args.map((value) => JSON.stringify(value)), ...named].join(", ")})`;
  return text.length > 90 ? `${text.slice(0, 89)}…` : text;
}

function ruleOf({ every, crontab, schedule, relative }) {
  // Broken over two lines its fields would be misread.
  if (crontab) return `crontab ${crontab.replaceAll(" ", "\u00a0")}`;
  if (every === null) return schedule.replace(/^<|>$/g, "");
  return `every ${spanOf(every)}${relative ? ", at the full unit" : ""}`;
}

function spanOf(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  }
  return `${seconds} s`;
}

function timeOf(iso) {
  const [day, time] = iso.slice(0, 19).split("T");
  return el("time", { datetime: iso }, el("span", {}, day), " ", el("span", {}, time));
}

// In the server's zone, as the server wrote it: the browser's own zone would
// not be the one of the crontab beside it.
function setTime(cell, iso, otherwise) {
  if (cell.dataset.time === (iso ?? otherwise)) return;
  cell.dataset.time = iso ?? otherwise;
  cell.replaceChildren(iso ? timeOf(iso) : otherwise);
}
