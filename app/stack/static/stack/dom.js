// Everything shown is built here from text nodes: results, messages and file
// names come from other people and must never be read as markup.
export const byId = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// Writing the same text again would make screen readers repeat it.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function announce(text) {
  byId("announce").textContent = text;
}

// A disabled button loses the keyboard focus, so a busy one is only marked.
export function setBusy(button, busy) {
  button.setAttribute("aria-disabled", String(busy));
  button.classList.toggle("busy", busy);
}

// Shows a message where the user works and moves there; "" takes it away.
export function showProblem(node, text) {
  node.textContent = text;
  node.hidden = !text;
  if (text) node.focus();
}
