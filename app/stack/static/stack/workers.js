import { queues as fetchQueues, workers as fetchWorkers } from "./api.js";
import { announce, byId, el, setText } from "./dom.js";
import { follow, syncRows } from "./live.js";

const EVERY = 3000;
const NONE = "No worker runs. What is submitted waits until one does.";

let seen = null;

export function startWorkers() {
  follow("workers", {
    ask: () => Promise.all([fetchWorkers(), fetchQueues()]),
    show: ([workers, queues]) => show(workers, queues),
    every: EVERY,
    age: byId("workers-age"),
  });
}

function show(workers, { queues, unacknowledged, problem }) {
  byId("workers-section").hidden = false;
  byId("workers-box").hidden = !workers.length;
  setText(byId("no-workers"), workers.length ? "" : NONE);
  byId("no-workers").hidden = workers.length > 0;
  if (seen !== null && !seen !== !workers.length) announce(workers.length ? "A worker runs." : NONE);
  seen = workers.length;
  syncRows(byId("workers").tBodies[0], workers, ({ name }) => name, workerRow);
  syncRows(byId("queues").tBodies[0], queues, ({ name }) => name, queueRow);
  const held = unacknowledged === 1 ? "1 task is" : `${unacknowledged} tasks are`;
  const told = `${held} with the workers: running, or waiting there for their time.`;
  setText(byId("unacknowledged"), problem ?? told);
}

function workerRow({ name }) {
  const badge = el("span", { class: "badge" });
  const [running, held, pool, queues, since] = ["num", "num", "", "", ""].map((kind) => el("td", { class: kind || null }));
  const row = el("tr", { "data-testid": "worker" }, el("th", { scope: "row" }, name), el("td", {}, badge));
  running.dataset.testid = "worker-active";
  row.append(running, held, pool, queues, since);
  row.update = (worker) => {
    row.dataset.state = worker.ready ? "SUCCESS" : "RETRY";
    setText(badge, worker.state);
    setText(running, `${worker.active} of ${worker.concurrency}`);
    setText(held, String(worker.reserved + worker.delayed));
    setText(pool, worker.pool);
    setText(queues, worker.queues.join(", "));
    setText(since, agoOf(worker.since));
  };
  return row;
}

// How long and not when: the zone of the one who looks need not be the server's.
function agoOf(iso) {
  return lastingFor((Date.now() - Date.parse(iso)) / 1000);
}

function lastingFor(seconds) {
  const minutes = Math.max(0, Math.floor(seconds / 60));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`;
}

function queueRow({ name }) {
  const waiting = el("td", { class: "num", "data-testid": "queue-waiting" });
  const oldest = el("td", { class: "num", "data-testid": "queue-oldest" });
  const delayed = el("td", { class: "num", "data-testid": "queue-delayed" });
  const workers = el("td", { class: "num", "data-testid": "queue-workers" });
  const problem = el("p", { class: "error", "data-testid": "queue-problem" });
  const row = el("tr", { "data-testid": "queue" }, el("th", { scope: "row" }, name, problem));
  row.append(waiting, oldest, delayed, workers);
  row.update = (queue) => {
    setText(waiting, String(queue.waiting));
    setText(oldest, queue.oldest === null ? "" : lastingFor(queue.oldest));
    setText(delayed, String(queue.delayed));
    setText(problem, queue.problem ?? queue.unserved ?? "");
    setText(workers, queue.workers ? String(queue.workers) : "none");
    row.classList.toggle("stuck", !queue.workers && queue.waiting > 0);
  };
  return row;
}
