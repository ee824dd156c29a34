// From the JSON Schema of a task's arguments, as pydantic writes it, to a plain
// list of fields with what to say about each.
const NUMERIC = new Set(["number", "integer"]);

export function fieldsOf(schema) {
  const defs = schema?.$defs ?? schema?.definitions ?? {};
  const required = new Set(schema?.required ?? []);
  return Object.entries(schema?.properties ?? {}).map(([name, node]) => {
    const rules = resolve(node, defs);
    return { name, rules, kind: kindOf(rules), required: required.has(name) };
  });
}

function resolve(node, defs, depth = 0) {
  if (!node || typeof node !== "object" || depth > 8) return {};
  const { $ref, allOf, anyOf, oneOf, ...own } = node;
  const inner = (other) => resolve(other, defs, depth + 1);
  if ($ref) return { ...inner(defs[$ref.split("/").pop()]), ...own };
  if (allOf?.length) return { ...Object.assign({}, ...allOf.map(inner)), ...own };
  if (own.items) own.items = inner(own.items);
  const listed = Array.isArray(own.type) ? own.type.map((type) => ({ ...own, type })) : null;
  const options = anyOf ?? oneOf ?? listed;
  if (!options) return own;
  const real = options.map(inner).filter((option) => option.type !== "null");
  return { ...own, ...joined(real), ...described(own), nullable: real.length < options.length };
}

const described = ({ title, description }) => (description ? { title, description } : {});

function joined(options) {
  if (options.length === 1) return options[0];
  const types = new Set(options.map((option) => option.type));
  if ([...types].every((type) => NUMERIC.has(type))) return { type: "number" };
  if (types.size === 1) return { type: [...types][0], items: options[0].items };
  return { type: "any" };
}

function kindOf(rules) {
  if (rules.enum || "const" in rules) return "choice";
  if (NUMERIC.has(rules.type)) return rules.type;
  if (rules.type === "boolean") return "boolean";
  if (rules.type === "string") return rules.maxLength === undefined || rules.maxLength <= 255 ? "text" : "longtext";
  if (rules.type === "array" && NUMERIC.has(rules.items?.type)) return "numbers";
  return rules.type === "array" || rules.type === "object" ? "json" : "any";
}

// The smallest and largest whole number or decimal an input may offer.
export function bounds({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }) {
  const step = type === "integer" ? 1 : 0;
  return {
    min: minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + step),
    max: maximum ?? (exclusiveMaximum === undefined ? undefined : exclusiveMaximum - step),
  };
}

export function hintOf({ rules, kind, required }) {
  const words = [];
  if (rules.description) words.push(rules.description.replace(/\.?\s*$/, "."));
  if (kind === "numbers") words.push("Numbers separated by commas, or a JSON list.");
  if (kind === "json") words.push(`JSON ${rules.type === "array" ? "list" : "object"}.`);
  if (kind === "integer") words.push(`Whole number${range(rules)}.`);
  if (kind === "number" && range(rules)) words.push(`Number${range(rules)}.`);
  if (rules.minLength > 1) words.push(`At least ${rules.minLength} characters.`);
  if (rules.maxLength) words.push(`At most ${rules.maxLength} characters.`);
  if (rules.minItems > 1) words.push(`At least ${rules.minItems} items.`);
  if (rules.maxItems) words.push(`At most ${rules.maxItems} items.`);
  if (!required && (rules.default ?? null) === null) words.push("Optional.");
  return words.join(" ");
}

export function range(rules) {
  const words = [];
  if (rules.minimum !== undefined) words.push(` from ${rules.minimum}`);
  if (rules.exclusiveMinimum !== undefined) words.push(` above ${rules.exclusiveMinimum}`);
  if (rules.maximum !== undefined) words.push(` to ${rules.maximum}`);
  if (rules.exclusiveMaximum !== undefined) words.push(` below ${rules.exclusiveMaximum}`);
  return words.join("");
}
