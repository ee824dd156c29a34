import { byId } from "./dom.js";
import { load, save } from "./store.js";

// Where the API is, as the page was told.
export const API = document.body.dataset.api;

export const currentToken = () => load("token") ?? "";

// 401, or 429 after too many wrong tokens from this address: then too a right
// one is taken at once.
export const refused = (response) => response.headers.has("WWW-Authenticate");

let waiting = null;

// Every call that was refused waits for the same answer, so one form serves all.
export function needToken() {
  waiting ??= new Promise(ask).finally(() => {
    waiting = null;
  });
  return waiting;
}

function ask(accepted) {
  const section = byId("token-section");
  const input = byId("token");
  const before = document.activeElement;
  say(currentToken() ? "The server does not accept the token of this tab any more. Enter the new one." : "");
  save("token", "");
  section.hidden = false;
  byId("loading").hidden = true;
  input.focus();

  let checking = false;
  byId("token-form").onsubmit = async (event) => {
    event.preventDefault();
    if (checking) return;
    checking = true;
    const problem = await check(input.value.trim());
    checking = false;
    say(problem);
    if (problem) {
      input.focus();
      input.select();
      return;
    }
    save("token", input.value.trim());
    input.value = "";
    section.hidden = true;
    if (before?.isConnected && before !== document.body) before.focus();
    else byId("main").focus();
    accepted();
  };
}

async function check(token) {
  if (!token) return "Enter the token.";
  // A header takes nothing else; fetch would fail as if the network were down.
  if (!/^[\x21-\x7e]+$/.test(token)) return "A token has no spaces and only plain ASCII characters. Check what you pasted.";
  try {
    const response = await fetch(`${API}tasks`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10000),
    });
    if (refused(response)) return "The server does not accept this token. Check it and try again.";
    if (response.status >= 500) return "The server cannot check the token now. Try again in a moment.";
    return "";
  } catch {
    return "The server does not answer, so the token is not checked yet. Try again in a moment.";
  }
}

function say(text) {
  byId("token-error").textContent = text;
  byId("token").setAttribute("aria-invalid", String(Boolean(text)));
}
