import { announce, showProblem } from "./dom.js";
import { reportFailedAction } from "./link.js";

const SAFE = "If the first try did arrive, you get the job it made and not a second one.";

// Says at the form what went wrong and what to do; the entries stay.
export function explain(node, error, verb, safe = SAFE) {
  if (error.away) reportFailedAction(error);
  if (!error.temporary) {
    showProblem(node, error.message);
    return;
  }
  const again = `Your entries are kept: ${verb} again`;
  const when = error.retryAfter ? `in ${error.retryAfter} s` : "in a moment";
  if (error.status === 0) showProblem(node, `The server did not answer. ${again} when it is back. ${safe}`);
  else showProblem(node, `${sentence(error.message)} ${again} ${when}. ${error.away ? safe : ""}`.trim());
  if (!error.retryAfter) return;

  const shown = node.textContent;
  setTimeout(() => {
    if (node.textContent !== shown) return;
    node.textContent = `The wait is over. ${again} now.`;
    announce(node.textContent);
  }, error.retryAfter * 1000);
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
