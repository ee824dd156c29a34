// sessionStorage lives as long as the tab. Where the browser forbids it the
// page still works, it only forgets on reload.
const memory = new Map();

export function load(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`stack.${name}`));
  } catch {
    return memory.get(name) ?? null;
  }
}

export function save(name, value) {
  memory.set(name, value);
  try {
    sessionStorage.setItem(`stack.${name}`, JSON.stringify(value));
  } catch {
    // Forbidden or full: the copy in memory serves until the reload.
  }
}
