import { cancel, cancelCanvas, canvas as fetchCanvas, task as fetchTask } from "./api.js";
import { announce, byId } from "./dom.js";
import { FINAL, createJobView } from "./jobview.js";
import { backoff, down, onBack, up, waitFor } from "./link.js";
import { load, save } from "./store.js";

const MOST_JOBS = 50;

// Newest first. A job is what the server said last (`data`) and what this
// page knows besides.
let jobs = [];
let changed = () => {};

export const isFinal = (job) => job.data.ready === true || FINAL.has(job.data.state);

export function startJobs(onChange) {
  changed = onChange;
  for (const kept of (load("jobs") ?? []).reverse()) insert({ ...kept, data: { state: kept.state } });
  // Also the finished ones: only their ids are kept, the server has the results.
  for (const job of jobs) schedule(job, 0);
  onBack(() => pollNow((job) => job.failures > 0));
  window.addEventListener("online", () => pollNow(() => true));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) pollNow(() => true);
  });
  byId("clear-finished").addEventListener("click", clearFinished);
  refreshList();
}

export function addJob({ id, name, state }, kwargs, label = null) {
  add({ id, name, kwargs: label ?? shortened(kwargs), data: { state } });
}

export function addCanvas({ id, kind }, label) {
  add({ id, name: kind, kwargs: label, canvas: true, data: { state: "PENDING" } });
}

function add(fields) {
  // An idempotent repeat answers with a job that may be here already.
  if (jobs.some((job) => job.id === fields.id)) return;
  const job = insert({ ...fields, at: Date.now() });
  while (jobs.length > MOST_JOBS) remove(jobs.findLast(isFinal) ?? jobs.at(-1));
  refreshList();
  schedule(job, 250);
}

function insert(job) {
  job.failures = 0;
  job.view = createJobView(job, () => onCancel(job));
  jobs.unshift(job);
  byId("jobs").prepend(job.view.root);
  return job;
}

function remove(job) {
  clearTimeout(job.timer);
  job.removed = true;
  job.view.root.remove();
  jobs = jobs.filter((other) => other !== job);
  if (!jobs.some((other) => other.failures > 0)) up("jobs");
}

function refreshList() {
  byId("no-jobs").hidden = jobs.length > 0;
  byId("clear-finished").hidden = !jobs.some(isFinal);
  save("jobs", jobs.map(({ id, name, kwargs, canvas, at, data }) => ({ id, name, kwargs, canvas, at, state: data.state })));
}

// Twenty looks a second for one tab are enough, however many jobs it has.
function rhythm(job) {
  const active = jobs.filter((other) => !isFinal(other)).length;
  return Math.max(Date.now() - job.at > 20000 ? 2000 : 500, active * 50);
}

function schedule(job, ms) {
  clearTimeout(job.timer);
  if (!job.removed) job.timer = setTimeout(() => poll(job), ms);
}

function pollNow(which) {
  jobs.filter((job) => (job.due || !isFinal(job)) && which(job)).forEach((job, index) => schedule(job, index * 50));
}

async function poll(job) {
  // In a tab that nobody sees it waits for `visibilitychange`.
  job.due = document.hidden;
  if (job.open || job.due) return;
  job.open = true;
  let next = null;
  try {
    apply(job, await (job.canvas ? fetchCanvas : fetchTask)(job.id));
    job.failures = 0;
    up("jobs");
    if (!isFinal(job)) next = rhythm(job);
  } catch (error) {
    next = failed(job, error);
  }
  job.open = false;
  if (next !== null) schedule(job, next);
}

// Answers when to look again, or null for never.
function failed(job, error) {
  if (error.temporary) {
    job.failures += 1;
    if (error.away) down("jobs", error);
    return error.away ? waitFor(error, job.failures) : Math.max(backoff(job.failures), (error.retryAfter ?? 1) * 1000);
  }
  job.failures = 0;
  up("jobs");
  if (error.status === 404) {
    job.note = "The server does not have this job any more: results are kept for a limited time (404).";
    apply(job, { state: "EXPIRED", ready: true });
  } else {
    job.note = `The server does not tell about this job: ${error.message}`;
    job.view.update();
  }
  return null;
}

function apply(job, data) {
  const before = job.data;
  job.data = data;
  if (job.removed) return;
  if (isFinal(job) || data.state === "STARTED") job.note = job.data.state === "EXPIRED" ? job.note : "";
  job.view.update();
  if (before.state === data.state) return;
  refreshList();
  if (isFinal(job)) announce(`${job.name} ended: ${data.state}.`);
  if (isFinal(job) || data.state === "RETRY") changed();
}

async function onCancel(job) {
  try {
    await (job.canvas ? cancelCanvas : cancel)(job.id);
    job.note = job.canvas ? "Cancelled. What has started runs to its end." : "Cancelled. Waiting for the record to say so.";
    schedule(job, 0);
  } catch (error) {
    if (error.status === 409) job.note = "Not cancelled: it already runs or is done.";
    else job.note = `Not cancelled: ${error.status ? error.message : "the server did not answer"}. Try again.`;
  }
  announce(job.note);
  job.view.update();
}

function clearFinished() {
  for (const job of jobs.filter(isFinal)) remove(job);
  refreshList();
  byId("jobs-title").focus();
}

function shortened(kwargs) {
  const parts = Object.entries(kwargs).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const text = parts.join(", ");
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
