import { tasks as fetchTasks, version as fetchVersion } from "./api.js";
import { startCanvases } from "./canvases.js";
import { refreshCounters, showCounters } from "./counters.js";
import { byId } from "./dom.js";
import { startForm } from "./form.js";
import { startJobs } from "./jobs.js";
import { persist } from "./link.js";
import { editSchedules, startSchedules } from "./schedules.js";
import { startUpload } from "./upload.js";
import { startWorkers } from "./workers.js";

showFlower();
byId("origin").textContent = location.origin;
startJobs(refreshCounters);
showVersion();
start();
startWorkers();
startSchedules();

async function start() {
  const loading = byId("loading");
  try {
    const tasks = await persist("tasks", fetchTasks);
    loading.hidden = true;
    startForm(tasks);
    startCanvases(tasks);
    startUpload(tasks);
    showCounters(tasks);
    editSchedules(tasks);
  } catch (error) {
    loading.hidden = false;
    loading.textContent = `The tasks cannot be loaded: ${error.message}`;
  }
}

async function showVersion() {
  try {
    const { version, commit } = await persist("version", fetchVersion);
    const short = commit ? ` (${String(commit).slice(0, 7)})` : "";
    byId("version").textContent = `${version ?? ""}${short}`;
  } catch {
    // Without a version the page works as well.
  }
}

function showFlower() {
  const given = document.body.dataset.flowerUrl;
  if (!given) return;
  const link = byId("flower-link");
  link.href = given;
  // An address from the environment must not become a script.
  if (/^https?:$/.test(link.protocol)) byId("flower-item").hidden = false;
  else link.removeAttribute("href");
}
