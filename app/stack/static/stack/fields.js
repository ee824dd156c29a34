import { el } from "./dom.js";
import { parse } from "./parse.js";
import { bounds, fieldsOf, hintOf } from "./schema.js";

// One form part for a task: `nodes` to show and `read()` for the arguments.
export function buildFields(schema) {
  const parts = fieldsOf(schema).map(buildField);
  const nodes = parts.map((part) => part.node);
  if (!parts.length) nodes.push(el("p", { class: "hint" }, "This task takes no arguments."));
  return { nodes, read: () => readAll(parts) };
}

function buildField(field) {
  const id = `arg-${field.name}`;
  const control = controlFor(field, {
    id,
    name: field.name,
    "data-testid": `field-${field.name}`,
    "aria-describedby": `${id}-hint ${id}-error`,
    "aria-required": field.required ? "true" : null,
  });
  const label = el("label", { for: id }, field.name);
  const hint = el("p", { id: `${id}-hint`, class: "hint" }, hintOf(field));
  const error = el("p", { id: `${id}-error`, class: "error" });
  const check = field.kind === "boolean";
  const node = check
    ? el("div", { class: "field check" }, control, label, hint, error)
    : el("div", { class: "field" }, label, control, hint, error);
  return { node, name: field.name, read: () => readControl(control, error, field) };
}

function controlFor({ rules, kind, required }, shared) {
  if (kind === "choice") return choice(rules, required, shared);
  if (kind === "boolean") return el("input", { ...shared, type: "checkbox", checked: rules.default === true });
  const given = rules.default ?? null;
  const text = given === null ? "" : asText(given);
  if (kind === "number" || kind === "integer") {
    const step = kind === "integer" ? "1" : "any";
    return el("input", { ...shared, type: "number", step, ...bounds(rules), value: text });
  }
  const example = rules.examples?.length ? asText(rules.examples[0]) : null;
  if (kind === "text" || kind === "any") {
    const type = rules.format === "email" ? "email" : "text";
    return el("input", { ...shared, type, autocomplete: "off", value: text, placeholder: example });
  }
  const rows = kind === "longtext" ? "4" : "2";
  const placeholder = example ?? (kind === "numbers" ? "1, 2, 3.5" : null);
  return el("textarea", { ...shared, rows, spellcheck: kind === "longtext" ? null : "false", placeholder }, text);
}

function choice(rules, required, shared) {
  const values = rules.enum ?? [rules.const];
  const select = el("select", shared);
  if (!required || rules.default === undefined) select.append(el("option", { value: "" }, required ? "Choose…" : "Default"));
  for (const value of values) {
    select.append(el("option", { value: JSON.stringify(value), selected: value === rules.default }, asText(value)));
  }
  return select;
}

const asText = (value) => {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.map((item) => JSON.stringify(item)).join(", ") : JSON.stringify(value);
};

// All fields are read before the first wrong one is focused, so that every
// mistake is marked at once. Answers null when something is wrong.
export function readAll(parts) {
  const values = {};
  let wrong = null;
  for (const part of parts) {
    const { value, error, control } = part.read();
    if (error) wrong ??= control;
    else if (value !== undefined) values[part.name] = value;
  }
  if (!wrong) return values;
  wrong.closest("details")?.setAttribute("open", "");
  wrong.focus();
  return null;
}

export function readControl(control, error, field) {
  const raw = control.type === "checkbox" ? control.checked : control.value;
  // A number input hides what it cannot read behind an empty value.
  const result = control.validity.badInput ? { error: "This is not a number." } : parse(field, raw);
  error.textContent = result.error ?? "";
  control.setAttribute("aria-invalid", String(Boolean(result.error)));
  return { ...result, control };
}
