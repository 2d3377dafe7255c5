// The rows of one batch as the page holds them: loaded in parts, kept up by events, filtered.

import { read } from "./api.js";
import { groupOf } from "./status.js";

const PART = 1000;

/** One entry for each family (row and workflow type): its newest task. */
export class BatchRows {
  constructor(batchId) {
    this.batchId = batchId;
    this.all = [];
    this.visible = []; // places in `all`
    this.status = "";
    this.search = "";
    this.complete = false;
    this.places = new Map(); // family -> place in `all`
    this.shownAt = new Map(); // place in `all` -> place in `visible`
  }

  /** Load all rows; `step` is called after each part. */
  async load(step, signal) {
    const fresh = new BatchRows(this.batchId);
    let cursor = null;
    do {
      const path = `/api/batches/${encodeURIComponent(this.batchId)}/rows?limit=${PART}${cursor ? `&cursor=${cursor}` : ""}`;
      const page = await read(path, { signal });
      for (const task of page.rows) fresh.put(task);
      cursor = page.next_cursor;
      if (!this.complete) {
        this.adopt(fresh);
        step();
      }
    } while (cursor);
    this.complete = true;
    this.adopt(fresh);
    step();
  }

  adopt(fresh) {
    this.all = fresh.all;
    this.places = fresh.places;
    this.filter();
  }

  /** Take in how a task stands now; returns its place in `all`. */
  put(task) {
    const family = `${task.row_id}\n${task.workflow_type}`;
    const place = this.places.get(family);
    if (place === undefined) {
      this.places.set(family, this.all.length);
      return this.all.push(task) - 1;
    }
    const known = this.all[place];
    const isNewer =
      task.task_id === known.task_id
        ? (task.version ?? 1) >= (known.version ?? 1)
        : task.created_at >= known.created_at && !task.retry_count;
    if (isNewer) this.all[place] = task;
    return place;
  }

  fits(task) {
    if (this.status && groupOf(task) !== this.status) return false;
    if (!this.search) return true;
    const words = `${task.row_number} ${task.product_name ?? ""} ${task.model_name ?? ""} ${task.workflow_type} ${task.task_id} ${task.error_message ?? ""} ${task.server ?? ""}`;
    return words.toLowerCase().includes(this.search);
  }

  filter() {
    this.visible = [];
    this.shownAt = new Map();
    this.all.forEach((task, place) => {
      if (!this.fits(task)) return;
      this.shownAt.set(place, this.visible.length);
      this.visible.push(place);
    });
  }

  at(index) {
    return this.all[this.visible[index]];
  }
}
