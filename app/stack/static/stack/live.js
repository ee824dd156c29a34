import { setText } from "./dom.js";
import { down, onBack, up, waitFor } from "./link.js";

// Asks again and again and shows each answer. Nothing is asked while nobody
// looks, and what takes long to answer is asked for less often: at most a tenth
// of the time is spent on it. Returns a function that asks now.
export function follow(who, { ask, show, every, age }) {
  let timer;
  let open = false;
  let again = false;
  let failures = 0;
  let last = null;
  let before = 0;

  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    again = open;
    if (open) return;
    open = true;
    const begun = performance.now();
    let next = every;
    try {
      const answer = await ask();
      // Asked before something changed that has to be seen: the next one tells.
      if (!again) show(answer);
      failures = 0;
      last = new Date();
      up(who);
      // The quicker of two answers counts, or one slow moment would set the pace.
      const took = performance.now() - begun;
      next = Math.max(every, Math.min(60000, 10 * took, 10 * before));
      before = took;
      setText(age, `Updated every ${Math.round(next / 1000)} s while this tab is in front.`);
    } catch (error) {
      failures += 1;
      if (error.away) down(who, error);
      else up(who);
      // What is not an outage may still end, as when an older server is replaced.
      next = Math.max(every, error.temporary ? waitFor(error, failures) : 30000);
      setText(age, `${stale(last)} ${error.away ? "The page goes on trying." : error.message}`);
    }
    open = false;
    timer = setTimeout(look, again ? 0 : next);
  }

  document.addEventListener("visibilitychange", look);
  onBack(() => failures && look());
  look();
  return look;
}

const stale = (last) => (last ? `Not up to date: this is from ${last.toLocaleTimeString()}.` : "Not known yet.");

// Rows are changed in place, by key: a table drawn anew every few seconds would
// lose the focus, a text selection and the scroll position.
export function syncRows(body, items, keyOf, make) {
  const before = new Map(Array.from(body.rows, (row) => [row.dataset.key, row]));
  const kept = new Set(items.map(keyOf));
  for (const [key, row] of before) if (!kept.has(key)) row.remove();
  items.forEach((item, place) => {
    const key = keyOf(item);
    let row = before.get(key);
    if (!row) {
      row = make(item);
      row.dataset.key = key;
    }
    row.update(item);
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
  });
}
