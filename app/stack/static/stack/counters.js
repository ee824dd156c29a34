import { tasks as fetchTasks } from "./api.js";
import { byId, el } from "./dom.js";
import { pause, persist } from "./link.js";

const HOOKS = ["success", "failure", "retry", "return"];

export function showCounters(tasks) {
  const counted = tasks.filter(({ counters }) => counters && Object.keys(counters).length);
  byId("counters-section").hidden = !counted.length;
  const lines = counted.map(({ name, counters }) => {
    const line = el("tr", { "data-task": name }, el("th", { scope: "row" }, name));
    line.append(...HOOKS.map((hook) => el("td", { class: "num", "data-hook": hook }, String(counters[hook] ?? 0))));
    return line;
  });
  byId("counters").tBodies[0].replaceChildren(...lines);
}

// Many jobs may end together; one request serves them. The pause also lets
// after_return count, which runs after the result can be read.
let wanted = false;
let running = false;
export async function refreshCounters() {
  wanted = true;
  if (running) return;
  running = true;
  try {
    while (wanted) {
      await pause(600);
      wanted = false;
      showCounters(await persist("counters", fetchTasks));
    }
  } catch {
    // The figures shown stay; the next job that ends asks again.
  }
  running = false;
}
