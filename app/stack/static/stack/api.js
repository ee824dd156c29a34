import { API, currentToken, needToken, refused } from "./token.js";

const { version: VERSION, readyz: READYZ } = document.body.dataset;

export class ApiError extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status; // 0: no answer at all
    this.retryAfter = retryAfter;
  }

  get away() {
    return this.status === 0 || this.status >= 500;
  }

  // The request was fine and may be sent again as it is.
  get temporary() {
    return this.away || this.status === 429;
  }
}

export const version = () => call("GET", VERSION);
export const ready = () => call("GET", READYZ, { anyBody: true });
export const tasks = () => call("GET", `${API}tasks`);
export const task = (id) => call("GET", `${API}tasks/${encodeURIComponent(id)}`);
export const cancel = (id) => call("DELETE", `${API}tasks/${encodeURIComponent(id)}`, { anyBody: true });

export const schedules = () => call("GET", `${API}schedules`, { timeout: 30000 });
export const workers = () => call("GET", `${API}workers`);
export const queues = () => call("GET", `${API}queues`);

// A canvas as jobs are shown: its progress is named as a task's.
export async function canvas(id) {
  const data = await call("GET", `${API}canvas/${encodeURIComponent(id)}`);
  return { ...data, progress: { current: data.completed, total: data.total } };
}
export const cancelCanvas = (id) => call("DELETE", `${API}canvas/${encodeURIComponent(id)}`, { anyBody: true });

const JSON_BODY = { "Content-Type": "application/json" };

export const submitCanvas = (kind, body) =>
  call("POST", `${API}canvas/${kind}`, { body: JSON.stringify(body), headers: JSON_BODY, timeout: 30000 });

export const putSchedule = (name, changes) =>
  call("PUT", `${API}schedules/${encodeURIComponent(name)}`, { body: JSON.stringify(changes), headers: JSON_BODY });
export const deleteSchedule = (name) =>
  call("DELETE", `${API}schedules/${encodeURIComponent(name)}`, { anyBody: true });

export function submit(name, body, key) {
  return call("POST", `${API}tasks/${encodeURIComponent(name)}`, {
    body: JSON.stringify(body),
    headers: { ...JSON_BODY, "Idempotency-Key": key },
  });
}

export function upload(file) {
  const body = new FormData();
  body.append("file", file);
  return call("POST", `${API}datasets`, { body, timeout: 120000 });
}

// With one key per intended job, sending again after a lost answer gives the
// job that the first try made. randomUUID is missing on plain http.
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function call(method, path, { body, headers = {}, timeout = 10000, anyBody = false } = {}) {
  for (;;) {
    const token = currentToken();
    const sent = { Accept: "application/json", ...headers };
    if (token && path.startsWith(API)) sent.Authorization = `Bearer ${token}`;
    let response;
    let text;
    try {
      const signal = AbortSignal.timeout(timeout);
      response = await fetch(path, { method, body, headers: sent, signal, cache: "no-store" });
      text = await response.text();
    } catch {
      throw new ApiError(0, "no answer");
    }
    if (!refused(response)) return answer(response, text, anyBody);
    // Another call may have brought a new token while this one was open.
    if (token === currentToken()) await needToken();
  }
}

function answer(response, text, anyBody) {
  let data = null;
  try {
    data = JSON.parse(text);
  } catch {
    // A proxy answers in HTML; its status still says enough.
  }
  if (response.ok) {
    if (data !== null || anyBody) return data;
    throw new ApiError(502, "an answer that is not JSON");
  }
  throw new ApiError(response.status, messageOf(data) || `status ${response.status}`, seconds(response));
}

// {"error": {"code", "message"}} by contract; /readyz and proxies may differ.
export function messageOf(data) {
  if (data === null || data === undefined) return "";
  if (typeof data !== "object") return String(data);
  if (data.error) return messageOf(data.error);
  if (data.message || data.detail) return messageOf(data.message || data.detail);
  return JSON.stringify(data).slice(0, 300);
}

function seconds(response) {
  const value = response.headers.get("Retry-After");
  if (!value) return null;
  const wait = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.max(1, Math.ceil(wait)) : null;
}
