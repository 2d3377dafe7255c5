// Which view the address names: #/batch/<id>?status=failed

const ROUTES = [
  [/^\/?$/, "overview", []],
  [/^\/batches$/, "batches", []],
  [/^\/batch\/([^/]+)$/, "batch", ["id"]],
  [/^\/task\/([^/]+)$/, "task", ["id"]],
  [/^\/failed$/, "failed", []],
];

export function currentRoute() {
  const [path, query] = location.hash.slice(1).split("?");
  for (const [pattern, name, keys] of ROUTES) {
    const found = path.match(pattern);
    if (!found) continue;
    const params = Object.fromEntries(new URLSearchParams(query ?? ""));
    keys.forEach((key, n) => {
      params[key] = decoded(found[n + 1]);
    });
    return { name, params };
  }
  return { name: "overview", params: {} };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Call `callback` when another view is named; returns how to end that. */
export function onRoute(callback) {
  let shown = location.hash.split("?")[0];
  const check = () => {
    const now = location.hash.split("?")[0];
    if (now !== shown) {
      shown = now;
      callback();
    }
  };
  window.addEventListener("hashchange", check);
  return () => window.removeEventListener("hashchange", check);
}

/** Change what follows the question mark without leaving the view. */
export function keepInAddress(values) {
  const path = location.hash.split("?")[0] || "#/";
  const kept = Object.entries(values).filter(([, value]) => value);
  const query = new URLSearchParams(kept).toString();
  history.replaceState(null, "", query ? `${path}?${query}` : path);
}

export const toBatch = (id, query = "") => `#/batch/${encodeURIComponent(id)}${query}`;
export const toTask = (id) => `#/task/${encodeURIComponent(id)}`;
