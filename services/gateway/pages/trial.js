// The form that tries an operation: sends it, shows the answer and the same call for a shell, and follows streams.
import { credentialHeaders } from "./credential.js";
import { element, sample } from "./schema.js";

const JSON_TYPE = "application/json";
const EVENTS = "text/event-stream";
const LONGEST = 200000; // characters of a stream that are kept

function input(parameter) {
  const made = element("input");
  made.name = parameter.name;
  made.required = parameter.required ?? false;
  made.placeholder = parameter.in;
  made.autocomplete = "off";
  return made;
}

function bodyField(api, operation) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  const made = element("textarea");
  const { schema, example } = Object.values(content)[0];
  made.rows = 8;
  made.spellcheck = false;
  made.value = content[JSON_TYPE] ? JSON.stringify(example ?? sample(api, schema), null, 2) : "";
  return made;
}

function base(api) {
  return location.origin + api.servers[0].url.replace(/\/$/, "");
}

function request(api, { path, verb, operation, parameters }, inputs, body) {
  const headers = new Map();
  const query = new URLSearchParams();
  let target = path;
  parameters.forEach((parameter, index) => {
    const { value } = inputs[index];
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === "header") headers.set(parameter.name, value);
    else if (value) query.append(parameter.name, value);
  });
  if (isStream(operation)) headers.set("Accept", EVENTS);
  if (body?.value) headers.set("Content-Type", JSON_TYPE);
  const text = query.size ? `?${query}` : "";
  return { url: base(api) + target + text, method: verb.toUpperCase(), headers, body: body?.value || undefined };
}

function isStream(operation) {
  return Boolean(operation.responses["200"]?.content?.[EVENTS]);
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function asCurl({ url, method, headers, body }, needsKey) {
  const parts = ["curl", "-X", method, quoted(url)];
  if (needsKey) parts.push("-H", '"X-Api-Key: $LOCKGROOVE_KEY"');
  for (const [name, value] of headers) parts.push("-H", quoted(`${name}: ${value}`));
  if (body) parts.push("-d", quoted(body));
  return parts.join(" ");
}

function formatted(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function follow(answer, place) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    place.textContent = (place.textContent + part.value).slice(-LONGEST);
  }
}

async function send(call, verb, shown, signal) {
  const headers = { ...Object.fromEntries(call.headers), ...credentialHeaders(verb) };
  const started = performance.now();
  const answer = await fetch(call.url, { method: call.method, headers, body: call.body, signal, credentials: "same-origin" });
  const took = Math.round(performance.now() - started);
  shown.status.textContent = `${answer.status} ${answer.statusText} after ${took} ms`;
  shown.headers.textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  if (answer.headers.get("content-type")?.startsWith(EVENTS)) await follow(answer, shown.body);
  else shown.body.textContent = formatted(await answer.text());
}

function output() {
  const shown = { status: element("p"), curl: element("pre"), headers: element("pre"), body: element("pre") };
  shown.status.setAttribute("role", "status");
  for (const [name, place] of Object.entries(shown)) {
    if (name === "status") continue;
    place.tabIndex = 0; // what scrolls can be scrolled by keys
    place.setAttribute("aria-label", name);
  }
  return shown;
}

function labelled(text, field) {
  return element("label", text, field);
}

export function tryOut(api, operation) {
  const inputs = operation.parameters.map(input);
  const body = bodyField(api, operation.operation);
  const go = element("button", isStream(operation.operation) ? "Open" : "Send");
  const stop = element("button", "Stop");
  const shown = output();
  let under = new AbortController();
  stop.type = "button";
  stop.disabled = true;
  stop.addEventListener("click", () => under.abort());
  const fields = inputs.map((each) => labelled(each.name, each));
  if (body) fields.push(labelled("body", body));
  const form = element("form", "", ...fields, go, stop, ...Object.values(shown));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const call = request(api, operation, inputs, body);
    under = new AbortController();
    for (const place of Object.values(shown)) place.textContent = "";
    shown.status.textContent = "…";
    shown.curl.textContent = asCurl(call, operation.operation.security.length > 0);
    [go.disabled, stop.disabled] = [true, false];
    try {
      await send(call, operation.verb, shown, under.signal);
    } catch (error) {
      shown.status.textContent += under.signal.aborted ? " Stopped." : ` ${error}`;
    } finally {
      [go.disabled, stop.disabled] = [false, true];
    }
  });
  return form;
}
