// Reads schemas: their names, their fields, and a body to begin with.

export function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

export function resolve(api, value) {
  if (!value?.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((place, step) => place[step], api);
}

export function schemaName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(schemaName).join(" or ");
  if (schema.type === "array") return `${schemaName(schema.items)}[]`;
  return [schema.type, schema.format].flat().filter(Boolean).join(" ") || "any";
}

function table(rows) {
  const made = element("div", "", element("table", "", ...rows));
  made.className = "wide";
  return made;
}

function marks(field, required) {
  return [required && "required", field.readOnly && "read only", field.writeOnly && "write only"].filter(Boolean).join(", ");
}

export function fieldsTable(api, schema) {
  const whole = resolve(api, schema) ?? {};
  const rows = Object.entries(whole.properties ?? {}).map(([name, field]) =>
    element("tr", "",
      element("td", "", element("code", name)),
      element("td", schemaName(field)),
      element("td", marks(field, whole.required?.includes(name))),
      element("td", field.description)));
  return rows.length ? table(rows) : element("p", whole.description ?? "");
}

export function operationParameters(api, operation) {
  return (operation.parameters ?? []).map((each) => resolve(api, each));
}

export function parameterTable(parameters) {
  return table(parameters.map((each) =>
    element("tr", "",
      element("td", "", element("code", each.name)),
      element("td", each.in),
      element("td", `${schemaName(each.schema)}${each.required ? ", required" : ""}`),
      element("td", each.description ?? each.schema.description))));
}

export function sample(api, schema, depth = 0) {
  const whole = resolve(api, schema) ?? {};
  if (whole.enum) return whole.enum.find((each) => !String(each).endsWith("UNSPECIFIED")) ?? whole.enum[0];
  switch ([whole.type].flat()[0]) {
    case "object": return sampleObject(api, whole, depth);
    case "array": return [];
    case "integer": case "number": return whole.minimum ?? 0;
    case "boolean": return false;
    default: return whole.examples?.[0] ?? "";
  }
}

function sampleObject(api, whole, depth) {
  const wanted = Object.entries(whole.properties ?? {}).filter(([name, field]) =>
    !field.readOnly && (depth === 0 ? !field.$ref || whole.required?.includes(name) : whole.required?.includes(name)));
  return Object.fromEntries(wanted.map(([name, field]) => [name, sample(api, field, depth + 1)]));
}
