// Elements from plain values. Text is always text: nothing here, or anywhere, parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element; props that begin with "on" are listeners, null and false ones are left out. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name in DIRECT) node[name] = value;
    else setAttribute(node, name, value);
  }
  node.append(
    ...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return node;
}

const DIRECT = {
  value: 1,
  checked: 1,
  disabled: 1,
  hidden: 1,
  tabIndex: 1,
  textContent: 1,
  open: 1,
};

/** Set an attribute, or remove it for null and false. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

/** Set text only when it differs, so that nothing flickers and screen readers stay calm. */
export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

/** Replace the children of a node. */
export function fill(node, ...children) {
  node.replaceChildren(
    ...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return node;
}

/** Make an icon of 16 by 16, decorative: whoever uses it says in words what it means. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const ICONS = {
  overview: "M2.5 13.5v-5m3.7 5v-11m3.6 11v-7m3.7 7v-9",
  batches: "M2.5 4h11M2.5 8h11M2.5 12h7",
  failed: "M8 5v3.5M8 11v.2M8 1.8 14.5 13.5h-13z",
  pause: "M5.5 3.5v9m5-9v9",
  play: "M5 3.2v9.6L12.6 8z",
  stop: "M4 4h8v8H4z",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  cross: "M4 4l8 8M12 4l-8 8",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  upload: "M8 10.5v-8M4.8 5.5 8 2.3l3.2 3.2M2.5 11v2.5h11V11",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.2v1.4m0 10.8v1.4M1.2 8h1.4m10.8 0h1.4M3.2 3.2l1 1m7.6 7.6 1 1m0-9.6-1 1M4.2 11.8l-1 1",
  moon: "M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9m3.3 7.8 3.4 3.4",
  check: "M3 8.5 6.5 12 13 4.5",
};

/**
 * Keep the children of `container` in step with `items`; `make(item)` returns {node, update}.
 *
 * What goes is removed first, so that what stays need not move: that would take a click and the
 * focus from it.
 */
export function keyed(container, keyOf, make) {
  let known = new Map();
  return function show(items) {
    const keys = new Set(items.map(keyOf));
    for (const [key, part] of known) if (!keys.has(key)) part.node.remove();
    const next = new Map();
    let place = container.firstChild;
    for (const item of items) {
      const key = keyOf(item);
      const part = known.get(key) ?? make(item);
      part.update(item);
      next.set(key, part);
      if (part.node === place) place = place.nextSibling;
      else container.insertBefore(part.node, place);
    }
    known = next;
  };
}
