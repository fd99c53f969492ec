// The single-page application of the demo. It talks to the OAuth Agent and to the API, and keeps nothing:
// no token ever reaches it, and what it shows lives in this page's memory only.

const AGENT = meta("oauth-agent");
const API = meta("api");
const HEADERS = { accept: "application/json", "token-handler-version": "1" };
const FORM = "application/x-www-form-urlencoded";

// The access token's lifetime as the agent told it: seconds in all, and the moment it ends.
let lifetime = null;

class RemoteError extends Error {
  constructor(status, code, details) {
    super(`${code} (${status})${details ? `: ${details}` : ""}`);
    this.status = status;
    this.code = code;
  }
}

// ---- the OAuth Agent and the API ------------------------------------------------------------------------

const agent = {
  startLogin: () => call("/login/start", { method: "POST", body: new URLSearchParams() }),
  endLogin: (parameters) => call("/login/end", { method: "POST", body: new URLSearchParams(parameters) }),
  session: () => call("/session", { method: "GET" }),
  refresh: () => call("/refresh", { method: "POST", body: new URLSearchParams() }),
  logout: () => call("/logout", { method: "POST" }),
};

async function call(path, { method, body }) {
  const headers = body ? { ...HEADERS, "content-type": FORM } : HEADERS;
  const answer = await send(AGENT + path, { method, headers, body: body?.toString() });
  const document = await json(answer);
  if (!answer.ok) throw remoteError(answer, document);
  if (document === null) throw new RemoteError(answer.status, "invalid_answer", "JSON was expected");
  return document;
}

async function callApi() {
  const answer = await send(`${API}/hello?from=spa`, { headers: HEADERS });
  return { answer, document: await json(answer) };
}

async function send(url, options) {
  try {
    return await fetch(url, { ...options, credentials: "include" });
  } catch {
    throw new RemoteError(0, "unreachable", "the server did not answer");
  }
}

async function json(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

function remoteError(answer, document) {
  const code = document?.error_code ?? document?.code ?? "server_error";
  const details = document?.detailed_error ?? document?.message ?? answer.statusText;
  return new RemoteError(answer.status, code, details);
}

// ---- what happens ---------------------------------------------------------------------------------------

async function load() {
  const parameters = new URLSearchParams(location.search);
  if (!isLoginResponse(parameters)) return showSession(await agent.session());
  try {
    showSession(await agent.endLogin(parameters));
  } catch (error) {
    // A refused second login leaves an earlier session as it was.
    showSession(await agent.session().catch(() => ({ is_logged_in: false })));
    throw error.code === "access_denied" ? new Error("The sign-in was cancelled: access_denied.") : error;
  } finally {
    // A code is worthless now, but it has no business in the history.
    history.replaceState(null, "", "/");
  }
}

function isLoginResponse(parameters) {
  const isPlain = parameters.has("state") && (parameters.has("code") || parameters.has("error"));
  return isPlain || (parameters.has("response") && [...parameters].length === 1);
}

async function login() {
  const { authorization_url: url } = await agent.startLogin();
  say("On the way to the sign-in page …");
  location.assign(url);
}

async function refresh() {
  try {
    startCountdown((await agent.refresh()).access_token_expires_in);
    say("Refreshed: there is a new access token, somewhere this page cannot look.", "good");
  } catch (error) {
    throw error.status === 401 ? sessionExpired(error) : error;
  }
}

async function logout() {
  const { logout_url: url } = await agent.logout();
  showSession({ is_logged_in: false });
  say("Signed out.");
  if (url) location.assign(url);
}

async function askApi() {
  let { answer, document } = await callApi();
  showAnswer(answer, document);
  if (answer.status === 401) {
    await refresh();
    ({ answer, document } = await callApi());
    showAnswer(answer, document);
  }
  if (answer.status === 401) throw sessionExpired(remoteError(answer, document));
  if (!answer.ok) throw remoteError(answer, document);
  say("The API answered.", "good");
}

function sessionExpired(error) {
  const wasSignedIn = document.body.dataset.state === "signed-in";
  showSession({ is_logged_in: false });
  const advice = wasSignedIn ? "Your session expired, please sign in again" : "Please sign in first";
  return new Error(`${advice}: ${error.message}`);
}

// ---- what is shown --------------------------------------------------------------------------------------

function showSession({ is_logged_in: isLoggedIn, id_token_claims: claims, access_token_expires_in: seconds }) {
  document.body.dataset.state = isLoggedIn ? "signed-in" : "signed-out";
  const name = claims?.name ?? claims?.sub ?? "";
  text("person", name);
  text("email", claims?.email ?? "");
  text("initials", name.split(" ").map((word) => word[0]).join(""));
  byId("claims").replaceChildren(tableBody(Object.entries(isLoggedIn ? claims ?? {} : {})));
  startCountdown(isLoggedIn ? seconds : undefined);
  say(isLoggedIn ? `Signed in${name ? ` as ${name}` : ""}.` : "You are not signed in.", isLoggedIn ? "good" : "");
}

function showAnswer(answer, received) {
  const badge = element("span", String(answer.status), answer.ok ? "badge" : "badge bad");
  const line = element("p", "", "line");
  line.append(badge, element("code", `GET ${API}/hello?from=spa`));
  if (!received?.headers) {
    byId("api-answer").replaceChildren(line, table([["body", JSON.stringify(received)]], "Answer"));
    return;
  }
  const sent = (wanted) => received.headers.filter(([name]) => name === wanted).map(([, value]) => value);
  const credentials = [
    ["authorization", sent("authorization").join(" | ") || "none"],
    ["cookie", sent("cookie").join(" | ") || "none"],
  ];
  const columns = element("div", "", "received");
  columns.append(
    titled("Credentials", table(credentials, "Credentials the API received")),
    titled("Access token claims", table(Object.entries(received.claims), "Access token claims")),
  );
  byId("api-answer").replaceChildren(line, columns, allHeaders(received));
}

function allHeaders(received) {
  const details = element("details", "");
  const request = `${received.method} ${received.path}${received.query ? `?${received.query}` : ""}`;
  details.append(
    element("summary", `The whole request, ${received.headers.length} headers`),
    table([["request", request], ...received.headers], "The whole request"),
  );
  return details;
}

function startCountdown(seconds) {
  lifetime = typeof seconds === "number" ? { seconds, end: performance.now() + seconds * 1000 } : null;
  showCountdown();
}

function showCountdown() {
  const left = lifetime ? Math.max(0, Math.ceil((lifetime.end - performance.now()) / 1000)) : 0;
  const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left`;
  const ended = "expired; the next call renews it";
  text("countdown", lifetime === null ? "lifetime unknown" : left > 0 ? clock : ended);
  byId("lifetime").value = lifetime?.seconds ? left / lifetime.seconds : 0;
}

function showStorage() {
  const seen = {
    "seen-cookie": document.cookie,
    "seen-local": contents(() => localStorage),
    "seen-session": contents(() => sessionStorage),
  };
  for (const [id, value] of Object.entries(seen)) {
    text(id, value || "empty");
    byId(id).classList.toggle("bad", Boolean(value));
  }
  const isEmpty = Object.values(seen).every((value) => !value);
  text("reassurance", isEmpty ? "Nothing here for a thief." : "Something is here that this page did not put there.");
}

function contents(storage) {
  try {
    const entries = Object.entries(storage());
    return entries.length ? `${entries.length}: ${entries.map((entry) => entry.join("=")).join("; ")}` : "";
  } catch {
    return "";
  }
}

function say(message, tone = "") {
  text("status", message);
  byId("status").dataset.tone = tone;
}

// ---- small parts ----------------------------------------------------------------------------------------

function table(rows, label) {
  const result = element("table", "");
  result.setAttribute("aria-label", label);
  result.append(tableBody(rows));
  return result;
}

function tableBody(rows) {
  const body = element("tbody", "");
  for (const [name, value] of rows) {
    const header = element("th", name);
    header.scope = "row";
    const row = element("tr", "");
    row.append(header, element("td", typeof value === "string" ? value : JSON.stringify(value)));
    body.append(row);
  }
  return body;
}

function titled(title, content) {
  const part = element("div", "");
  part.append(element("h3", title), content);
  return part;
}

function element(name, content, className = "") {
  const result = document.createElement(name);
  result.textContent = content;
  result.className = className;
  return result;
}

function byId(id) {
  return document.getElementById(id);
}

function text(id, content) {
  // An unchanged text stays untouched, or screen readers would hear it every second.
  if (byId(id).textContent !== content) byId(id).textContent = content;
}

function meta(name) {
  return document.querySelector(`meta[name="${name}"]`).content.replace(/\/$/, "");
}

// One thing at a time: buttons rest while an action runs, and every failure ends in the status line.
async function act(action) {
  const buttons = [...document.querySelectorAll("button")];
  buttons.forEach((button) => (button.disabled = true));
  try {
    await action();
  } catch (error) {
    if (document.body.dataset.state === "loading") document.body.dataset.state = "signed-out";
    say(error.message, "bad");
  } finally {
    buttons.forEach((button) => (button.disabled = false));
    showStorage();
  }
}

for (const [id, action] of Object.entries({ login, logout, refresh, "call-api": askApi })) {
  byId(id).addEventListener("click", () => act(action));
}
setInterval(() => {
  showCountdown();
  showStorage();
}, 1000);
showStorage();
act(load);
