import { el, setBusy, setText } from "./dom.js";
import { showResult } from "./result.js";

const WAITING = new Set(["PENDING", "RETRY"]);
const isWaiting = ({ canvas, data }) => (canvas ? !data.ready && !FINAL.has(data.state) : WAITING.has(data.state));
export const FINAL = new Set(["SUCCESS", "FAILURE", "REVOKED", "EXPIRED"]);
const WORKING = new Set(["STARTED", "PROGRESS"]);

// Nodes are made once and then changed in place: a list that is drawn anew
// twice a second would lose the focus and the scroll position.
export function createJobView(job, onCancel) {
  const badge = el("span", { class: "badge", "data-testid": "job-state" });
  const bar = el("progress", { "aria-label": `Progress of ${job.name}`, "data-testid": "job-progress" });
  const share = el("span", { class: "share" });
  const progress = el("div", { class: "progress" }, bar, share);
  const facts = el("span", { class: "facts", "data-testid": "job-facts" });
  const cancel = el("button", { type: "button", class: "plain", "data-testid": "job-cancel" }, "Cancel");
  cancel.append(el("span", { class: "unseen" }, ` ${job.name} ${job.kwargs}`));
  const note = el("p", { class: "note", "data-testid": "job-note" });
  const error = el("p", { class: "error", "data-testid": "job-error" });
  const result = el("div", { class: "result", "data-testid": "job-result" });
  const args = el("code", { class: "args" }, job.kwargs || "no arguments");
  const root = el(
    "li",
    { class: "job", tabindex: "-1", "data-job-id": job.id, "data-testid": "job" },
    el("div", { class: "job-head" }, el("h3", {}, job.name), badge),
    args,
    progress,
    error,
    note,
    result,
    el("div", { class: "job-foot" }, facts, cancel),
  );

  let cancelling = false;
  cancel.addEventListener("click", async () => {
    if (cancelling) return;
    cancelling = true;
    setBusy(cancel, true);
    await onCancel();
    cancelling = false;
    setBusy(cancel, false);
  });

  let shown;
  function update() {
    const { data } = job;
    root.dataset.state = data.state;
    setText(badge, data.state);
    const working = WORKING.has(data.state) && !data.ready;
    progress.hidden = !working;
    if (working) showProgress(bar, share, data.progress);
    setText(error, errorText(data.error));
    setText(note, job.note ?? "");
    setText(facts, factsOf(job));
    const waiting = isWaiting(job);
    if (!waiting && cancel.contains(document.activeElement)) root.focus();
    cancel.hidden = !waiting;
    const text = data.state === "SUCCESS" ? JSON.stringify(data.result ?? null) : undefined;
    if (text !== shown) result.replaceChildren(...(text === undefined ? [] : [showResult(data.result ?? null)]));
    shown = text;
  }

  update();
  return { root, update };
}

function showProgress(bar, share, progress) {
  const total = Number(progress?.total);
  if (!(total > 0)) {
    bar.removeAttribute("value");
    setText(share, "");
    return;
  }
  bar.max = total;
  bar.value = Math.min(total, Number(progress.current) || 0);
  setText(share, `${progress.current} of ${total}`);
}

// An object by contract, but a task may have stored anything.
function errorText(error) {
  if (!error) return "";
  if (typeof error !== "object") return String(error);
  const message = error.message ?? JSON.stringify(error);
  const kind = error.type ?? error.code;
  const text = kind && !String(message).startsWith(kind) ? `${kind}: ${message}` : String(message);
  return error.id ? `${text} (task ${error.id})` : text;
}

function factsOf(job) {
  const { data } = job;
  const words = [];
  const ended = data.done_at ? between(data.started_at ?? data.queued_at, data.done_at) : null;
  if (ended !== null) words.push(`${data.started_at ? "took" : "ended after"} ${span(ended)}`);
  else if (!data.ready && !FINAL.has(data.state)) words.push(`for ${span(Date.now() - job.at)}`);
  if (job.canvas && data.total) words.push(`${data.completed} of ${data.total} done`);
  if (data.retries) words.push(data.retries === 1 ? "1 retry" : `${data.retries} retries`);
  words.push(`id ${job.id.slice(0, 8)}`);
  return words.join(" · ");
}

function between(start, end) {
  const ms = Date.parse(end) - Date.parse(start);
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

function span(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60000);
  return `${minutes} min ${Math.round((ms - minutes * 60000) / 1000)} s`;
}
