import { ready } from "./api.js";
import { byId, el } from "./dom.js";

// Who finds the server away, and what it said. Each loop clears its own entry:
// the list of tasks may answer while the results are out of reach, and one
// common flag would make the banner flicker.
const troubles = new Map();
const listeners = [];

export const backoff = (failures) => Math.min(5000, 500 * 2 ** Math.max(0, failures - 1));
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
export const onBack = (listener) => listeners.push(listener);

export function down(who, error) {
  troubles.set(who, error);
  showFirst();
}

export function up(who) {
  if (!troubles.delete(who)) return;
  if (troubles.size) {
    showFirst();
    return;
  }
  byId("banner").replaceChildren();
  for (const listener of listeners) listener();
}

// Calls until the server answers. Other errors are the caller's.
export async function persist(who, action) {
  for (let failures = 1; ; failures += 1) {
    try {
      const value = await action();
      up(who);
      return value;
    } catch (error) {
      if (!error.temporary) {
        up(who);
        throw error;
      }
      if (error.away) down(who, error);
      await pause(waitFor(error, failures));
    }
  }
}

// A failed click is not repeated by itself, so something else has to notice
// that the server is back.
let probing = false;
export async function reportFailedAction(error) {
  down("action", error);
  if (probing) return;
  probing = true;
  await pause(1000);
  try {
    await persist("action", ready);
  } catch {
    // It answers, which is all that was asked.
  }
  probing = false;
}

export const waitFor = (error, failures) => Math.min(5000, Math.max(backoff(failures), (error.retryAfter ?? 0) * 1000));

// The one that noticed first keeps the word: several loops that say the same
// in turn would have a screen reader talk without end.
function showFirst() {
  const [error] = troubles.values();
  const title = error.status === 0 ? "The server does not answer." : "The server cannot work at the moment.";
  const said = error.status === 0 ? "" : `It said: “${error.message}” `;
  const wait = error.retryAfter ? `It asks to wait ${error.retryAfter} s. ` : "";
  const text = `${said}${wait}This page keeps trying and goes on by itself.`;
  const banner = byId("banner");
  if (banner.textContent === `${title} ${text}`) return;
  banner.replaceChildren(el("p", {}, el("strong", {}, title), ` ${text}`));
}
