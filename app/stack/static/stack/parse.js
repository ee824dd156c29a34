import { range } from "./schema.js";

// From what was typed to JSON: {value}, {} to leave the argument out, or
// {error}. The server validates again and has the last word; this only spares
// a round trip.
export function parse(field, raw) {
  const { rules, kind, required } = field;
  if (kind === "boolean") return { value: raw };
  if (kind === "choice") return raw === "" ? missing(required) : { value: JSON.parse(raw) };
  // A default that was emptied on purpose must not come back.
  const emptied = kind === "text" || kind === "longtext" ? Boolean(rules.default) : false;
  const text = kind === "longtext" || kind === "text" ? raw : raw.trim();
  if (text === "" && !emptied) return missing(required);
  try {
    return { value: READ[kind](text, rules) };
  } catch (error) {
    return { error: error.message };
  }
}

const missing = (required) => (required ? { error: "Fill in this field." } : {});

const READ = {
  text: checkedText,
  longtext: checkedText,
  number: checkedNumber,
  integer: checkedNumber,
  numbers(text, rules) {
    const list = text.startsWith("[") ? json(text) : text.split(/[\s,;]+/).filter(Boolean);
    const numbers = list.map((item) => checkedNumber(item, rules.items));
    return checkedLength(numbers, rules.minItems, rules.maxItems, "items");
  },
  json(text, rules) {
    const value = json(text);
    if (rules.type !== "array") return value;
    if (!Array.isArray(value)) throw new Error("Enter a JSON list, such as [1, 2].");
    return checkedLength(value, rules.minItems, rules.maxItems, "items");
  },
  any(text) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  },
};

function json(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

function checkedText(text, { minLength, maxLength }) {
  // Python counts code points, JavaScript's length UTF-16 units.
  checkedLength([...text], minLength, maxLength, "characters");
  return text;
}

function checkedLength(list, min = 0, max = Infinity, unit) {
  if (list.length < min) throw new Error(`At least ${min} ${unit}; these are ${list.length}.`);
  if (list.length > max) throw new Error(`At most ${max} ${unit}; these are ${list.length}.`);
  return list;
}

function checkedNumber(item, rules) {
  const value = typeof item === "number" ? item : Number(item === "" || item === null ? NaN : item);
  if (!Number.isFinite(value)) throw new Error(`${JSON.stringify(item)} is not a number.`);
  if (rules.type === "integer" && !Number.isInteger(value)) throw new Error(`${value} is not a whole number.`);
  // Beyond 2**53 JavaScript would send a neighbour of the number typed.
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && !/[.e]/i.test(String(item))) {
    throw new Error("This page cannot send a whole number this large exactly; the API can.");
  }
  const low = value < rules.minimum || value <= rules.exclusiveMinimum;
  const high = value > rules.maximum || value >= rules.exclusiveMaximum;
  if (low || high) throw new Error(`Enter a number${range(rules)}; this is ${value}.`);
  return value;
}
