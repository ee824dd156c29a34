import { newKey, submit, upload } from "./api.js";
import { announce, byId, setBusy, showProblem } from "./dom.js";
import { explain } from "./explain.js";
import { addJob } from "./jobs.js";

const LARGEST = 5 * 1024 * 1024;

// What came through of the last try: when only the job could not be made, the
// next click does not send the file again.
let sent = null;
let busy = false;

export function startUpload(tasks) {
  // Both are the demo's: a project may have a task of this name and no data sets.
  if (!("uploads" in document.body.dataset) || !tasks.some(({ name }) => name === "summarize")) return;
  byId("upload-form").addEventListener("submit", onUpload);
  byId("csv-file").addEventListener("change", () => {
    sent = null;
    showProblem(byId("upload-error"), "");
  });
  byId("upload-section").hidden = false;
}

async function onUpload(event) {
  event.preventDefault();
  if (busy) return;
  const input = byId("csv-file");
  const problem = byId("upload-error");
  const [file] = input.files;
  const wrong = objection(file);
  showProblem(problem, wrong);
  if (wrong) return;

  const button = byId("upload");
  busy = true;
  setBusy(button, true);
  try {
    sent ??= { dataset: await upload(file), key: newKey() };
    const { id, name } = sent.dataset;
    const kwargs = { dataset: id };
    const job = await submit("summarize", { args: [], kwargs }, sent.key);
    addJob(job, kwargs, `dataset=${name ?? file.name}`);
    announce(`${file.name} is uploaded and being summarized.`);
    sent = null;
    input.value = "";
  } catch (error) {
    // 409: the first try is still under way, and the next one must name it too.
    if (!error.temporary && error.status !== 409) sent = null;
    explain(problem, error, sent ? "the file is there already; press the button" : "upload");
  } finally {
    busy = false;
    setBusy(button, false);
  }
}

function objection(file) {
  if (!file) return "Choose a CSV file first.";
  if (file.size === 0) return `${file.name} is empty.`;
  if (file.size <= LARGEST) return "";
  // Rounded up: "5.0 MiB, at most 5 MiB" would read like a mistake.
  const size = Math.ceil((file.size / 1024 / 1024) * 10) / 10;
  return `${file.name} has ${size} MiB; the server takes at most 5 MiB.`;
}
