// Who calls: an API key that this tab alone remembers, or the session of a cookie that no script can read.

const KEPT = "lockgroove.key"; // in sessionStorage: it goes with the tab
const SAFE = ["get", "head"];

let csrfToken = "";

function key() {
  return sessionStorage.getItem(KEPT) ?? "";
}

export function credentialHeaders(verb) {
  if (key()) return { "X-Api-Key": key() };
  return csrfToken && !SAFE.includes(verb) ? { "X-CSRF-Token": csrfToken } : {};
}

function tell(text) {
  document.getElementById("caller").textContent = text;
}

async function call(method, headers = {}) {
  const answer = await fetch("session", { method, headers, credentials: "same-origin" });
  const told = answer.status === 204 ? {} : await answer.json();
  return { ok: answer.ok, told };
}

function takeOver({ ok, told }) {
  csrfToken = ok ? told.csrfToken : "";
  return ok ? `Signed in as ${told.user} (${told.scopes.join(", ")}).` : "";
}

async function signIn(field) {
  const found = await call("POST", { "X-Api-Key": field.value || key() });
  if (found.ok) forget(field);
  tell(takeOver(found) || found.told.detail);
}

async function signOut(field) {
  forget(field);
  const { ok, told } = await call("DELETE", csrfToken ? { "X-CSRF-Token": csrfToken } : {});
  csrfToken = ok ? "" : csrfToken;
  tell(ok ? "Signed out; no key is kept." : told.detail);
}

function forget(field) {
  field.value = "";
  sessionStorage.removeItem(KEPT);
}

function use(field) {
  if (field.value) sessionStorage.setItem(KEPT, field.value);
  else sessionStorage.removeItem(KEPT);
  field.value = "";
  tell(key() ? "The key is sent with every call, as long as this tab is open." : "No key is sent.");
}

function guarded(work) {
  return (event) => {
    event.preventDefault();
    Promise.resolve(work()).catch((error) => tell(String(error)));
  };
}

export async function connect() {
  const field = document.getElementById("key");
  document.getElementById("credential").addEventListener("submit", guarded(() => use(field)));
  document.getElementById("sign-in").addEventListener("click", guarded(() => signIn(field)));
  document.getElementById("sign-out").addEventListener("click", guarded(() => signOut(field)));
  if (key()) tell("A key is kept by this tab.");
  else tell(takeOver(await call("GET")) || "Not signed in.");
}
