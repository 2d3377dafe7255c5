// A list of any length that holds only the rows in sight: each row of the same height, reused.

import { h, setAttribute } from "./dom.js";

const BEYOND = 6; // rows kept ready above and below

/**
 * `make()` returns {node, show(index)}; the node must hold one link, which arrow keys move between.
 */
export function virtualList({ rowHeight, make, label }) {
  const sizer = h("div", { class: "list-sizer", role: "list", "aria-label": label });
  const node = h(
    "div",
    { class: "list-scroller", tabindex: "0", role: "group", "aria-label": label },
    sizer,
  );
  const inUse = new Map(); // index -> row
  const spare = [];
  let length = 0;
  let scheduled = false;

  const later = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw(false);
    });
  };
  node.addEventListener("scroll", later, { passive: true });
  node.addEventListener("keydown", keys);
  const watch = new ResizeObserver(later);
  watch.observe(node);

  function range() {
    const first = Math.max(0, Math.floor(node.scrollTop / rowHeight) - BEYOND);
    const last = Math.min(
      length,
      Math.ceil((node.scrollTop + node.clientHeight) / rowHeight) + BEYOND,
    );
    return [first, last];
  }

  function draw(anew) {
    const [first, last] = range();
    for (const [index, row] of inUse) {
      const focused = row.node.contains(document.activeElement) && index < length;
      if ((index < first || index >= last) && !focused) {
        inUse.delete(index);
        spare.push(row);
      }
    }
    for (let index = first; index < last; index += 1) {
      const known = inUse.get(index);
      if (known && !anew) continue;
      place(known ?? spare.pop() ?? created(), index);
    }
    for (const row of spare) row.node.hidden = true;
  }

  function created() {
    const row = make();
    setAttribute(row.node, "role", "listitem");
    sizer.append(row.node);
    return row;
  }

  function place(row, index) {
    inUse.set(index, row);
    row.node.hidden = false;
    row.node.style.transform = `translateY(${index * rowHeight}px)`;
    setAttribute(row.node, "aria-setsize", length);
    setAttribute(row.node, "aria-posinset", index + 1);
    row.show(index);
  }

  function keys(event) {
    const now = [...inUse].find(([, row]) => row.node.contains(event.target))?.[0];
    const page = Math.max(1, Math.floor(node.clientHeight / rowHeight) - 1);
    const to = {
      ArrowDown: (now ?? -1) + 1,
      ArrowUp: (now ?? 1) - 1,
      PageDown: (now ?? 0) + page,
      PageUp: (now ?? 0) - page,
      Home: 0,
      End: length - 1,
    }[event.key];
    if (to === undefined || !length) return;
    event.preventDefault();
    focus(Math.max(0, Math.min(length - 1, to)));
  }

  function focus(index) {
    const top = index * rowHeight;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + rowHeight > node.scrollTop + node.clientHeight)
      node.scrollTop = top + rowHeight - node.clientHeight;
    draw(false);
    inUse.get(index)?.node.querySelector("a")?.focus({ preventScroll: true });
  }

  return {
    node,
    /** Show so many rows, all of them anew. */
    setLength(count) {
      length = count;
      sizer.style.height = `${count * rowHeight}px`;
      draw(true);
    },
    /** Show one row anew, if it is in sight. */
    refresh(index) {
      inUse.get(index)?.show(index);
    },
    /** Show all rows in sight anew. */
    refreshAll: () => draw(true),
    end: () => watch.disconnect(),
  };
}
