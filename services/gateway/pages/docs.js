// Shows openapi.json: operations by tag, each with its parameters, body and answers.
"use strict";

const VERBS = ["get", "post", "put", "patch", "delete"];

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function schemaName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.type === "array") return `${schemaName(schema.items)}[]`;
  return [schema.type, schema.format].flat().filter(Boolean).join(" ") || "any";
}

function resolve(api, schema) {
  return schema && schema.$ref ? api.components.schemas[schemaName(schema)] : schema;
}

function fieldsTable(api, schema) {
  const fields = Object.entries(resolve(api, schema)?.properties ?? {});
  const rows = fields.map(([name, field]) =>
    element("tr", "", element("td", "", element("code", name)), element("td", schemaName(field)), element("td", field.description)));
  return element("table", "", ...rows);
}

function parametersTable(parameters) {
  const rows = parameters.map((each) =>
    element("tr", "", element("td", "", element("code", each.name)), element("td", each.in),
      element("td", schemaName(each.schema)), element("td", each.schema.description)));
  return element("table", "", ...rows);
}

function bodies(api, title, content) {
  return Object.entries(content ?? {}).flatMap(([type, { schema }]) =>
    [element("h4", `${title}: ${type} ${schemaName(schema)}`), fieldsTable(api, schema)]);
}

function show(api, path, verb, operation) {
  const head = element("summary", "");
  const label = element("span", verb.toUpperCase());
  label.className = "verb";
  head.append(label, element("code", path), ` ${operation.summary ?? ""}`);
  const about = element("p", operation.description);
  about.className = "about";
  const made = element("details", "", head, about);
  if (operation.parameters?.length) made.append(element("h4", "Parameters"), parametersTable(operation.parameters));
  made.append(...bodies(api, "Body", operation.requestBody?.content));
  for (const [status, response] of Object.entries(operation.responses)) {
    made.append(...bodies(api, status, response.content));
  }
  made.dataset.text = `${verb} ${path} ${operation.summary}`.toLowerCase();
  return made;
}

function list(api) {
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const verb of VERBS.filter((each) => item[each])) {
      const tag = item[verb].tags?.[0] ?? "Other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(show(api, path, verb, item[verb]));
    }
  }
  return [...groups].flatMap(([tag, operations]) => [element("h2", tag), ...operations]);
}

async function start() {
  const main = document.getElementById("operations");
  const answer = await fetch("openapi.json");
  if (!answer.ok) {
    main.replaceChildren(element("p", `openapi.json cannot be read: ${answer.status}`));
    return;
  }
  const api = await answer.json();
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("about").textContent = api.info.description;
  main.replaceChildren(...list(api));
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const each of main.querySelectorAll("details")) each.hidden = !each.dataset.text.includes(wanted);
  });
}

start();
