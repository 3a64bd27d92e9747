// Shows openapi.json: operations by tag, each with what it takes and answers, and a form to try it.
import { connect } from "./credential.js";
import { element, fieldsTable, operationParameters, parameterTable, resolve, schemaName } from "./schema.js";
import { tryOut } from "./trial.js";

const VERBS = ["get", "post", "put", "patch", "delete"];

function contents(api, title, content) {
  return Object.entries(content ?? {}).flatMap(([type, { schema }]) => [
    element("h4", `${title}: ${type} ${schemaName(schema)}`),
    fieldsTable(api, schema),
  ]);
}

function credentials(operation) {
  const scopes = new Set((operation.security ?? []).flatMap((each) => Object.values(each).flat()));
  if (scopes.size) return `Scope: ${[...scopes].join(", ")}`;
  return operation.security?.length ? "Needs a credential." : "Needs no credential.";
}

function fill(api, operation, path, verb, made) {
  const parameters = operationParameters(api, operation);
  const text = element("p", operation.description ?? "");
  text.className = "about";
  made.append(text, element("p", credentials(operation)));
  if (parameters.length) made.append(element("h4", "Parameters"), parameterTable(parameters));
  made.append(...contents(api, "Body", operation.requestBody?.content));
  for (const [status, reference] of Object.entries(operation.responses)) {
    const response = resolve(api, reference);
    if (status.startsWith("2")) made.append(...contents(api, status, response.content));
    else made.append(element("p", `${status}: ${response.description}`));
  }
  made.append(element("h4", "Try it"), tryOut(api, { path, verb, operation, parameters }));
}

function show(api, path, verb, operation) {
  const label = element("span", verb.toUpperCase());
  label.className = `verb ${verb}`;
  const made = element("details", "", element("summary", "", label, element("code", path), ` ${operation.summary ?? ""}`));
  made.dataset.text = `${verb} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  made.addEventListener("toggle", () => fill(api, operation, path, verb, made), { once: true });
  return made;
}

function list(api) {
  const groups = new Map(api.tags.map((tag) => [tag.name, { about: tag.description, operations: [] }]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const verb of VERBS.filter((each) => item[each])) {
      groups.get(item[verb].tags[0]).operations.push(show(api, path, verb, item[verb]));
    }
  }
  return [...groups].map(([tag, { about, operations }]) => {
    const made = element("section", "", element("h2", tag), element("p", about), ...operations);
    made.setAttribute("aria-label", tag);
    return made;
  });
}

function filter(main, wanted) {
  for (const section of main.querySelectorAll("section")) {
    const operations = [...section.querySelectorAll("details")];
    for (const each of operations) each.hidden = !each.dataset.text.includes(wanted);
    section.hidden = operations.every((each) => each.hidden);
  }
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
  document.getElementById("filter").addEventListener("input", (event) => filter(main, event.target.value.toLowerCase()));
  await connect();
}

start();
