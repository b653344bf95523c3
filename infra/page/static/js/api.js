// Asking the worker: answers by ETag, the stream of what is new, and the token of this session.

const PREFIX = "/api/v1";
const TOKEN = "tidegate-token";
const kept = new Map();

const SAID = {
  404: "this worker does not know that address; is it of another version?",
  500: "the worker failed; its log says why",
  502: "the proxy in front of the worker does not reach it",
  503: "the worker cannot answer now",
  504: "the proxy in front of the worker got no answer in time",
};

export class ApiError extends Error {
  constructor(status, problem) {
    const wrong = problem?.error;
    super(wrong?.field === "redis" ? wrong.value : wrong ? `${wrong.field} must be ${wrong.rule}${wrong.value != null ? `, got ${wrong.value}` : ""}` : SAID[status] ?? `the worker answered with status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** The token lives as long as the tab, and nowhere else. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN) || "",
  set: (value) => (value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN)),
};

function headers(more = {}) {
  const given = token.get();
  return given ? { ...more, Authorization: `Bearer ${given}` } : more;
}

/** GET a part of the page; what has not changed comes from memory. */
export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== undefined);
  const url = `${PREFIX}/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
  const known = kept.get(url);
  const answer = await fetch(url, { headers: headers(known ? { "If-None-Match": known.tag } : {}), cache: "no-store" });
  if (answer.status === 304 && known) return known.value;
  const value = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, value);
  const tag = answer.headers.get("ETag");
  if (tag) {
    if (kept.size > 60) kept.clear();
    kept.set(url, { tag, value });
  }
  return value;
}

/** POST with the operator's token. */
export async function post(path, body) {
  const answer = await fetch(`${PREFIX}/${path}`, {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
  });
  const value = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, value);
  return value;
}

const WAITS = [500, 1000, 2000, 5000];
const SILENT_MS = 20_000;

/**
 * Follow the stream for ever; it is read by fetch, because an EventSource cannot carry a token.
 *
 * on: {event(name, value), lost(error)}
 */
export async function follow(on) {
  for (let failures = 0; ; failures += 1) {
    try {
      await readStream((name, value) => {
        failures = 0;
        on.event(name, value);
      });
      on.lost(new Error("the worker ended the stream"));
    } catch (error) {
      on.lost(error);
    }
    await new Promise((done) => setTimeout(done, WAITS[Math.min(failures, WAITS.length - 1)]));
  }
}

async function readStream(onevent) {
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENT_MS);
  try {
    const answer = await fetch(`${PREFIX}/stream`, { headers: headers(), signal: stop.signal, cache: "no-store" });
    if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => null));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENT_MS);
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const name = /^event: (.*)$/m.exec(part)?.[1];
        const data = /^data: (.*)$/m.exec(part)?.[1];
        if (name && data) onevent(name, JSON.parse(data));
      }
    }
  } finally {
    clearTimeout(silence);
  }
}
