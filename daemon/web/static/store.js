// What the page knows: a snapshot, kept up by the events. Views listen to the parts they show.

export const store = {
  batches: new Map(), // id -> batch
  servers: [],
  inFlight: new Map(), // id -> task inside a server or being fetched
  progress: new Map(), // id -> {node, value, maximum}
  overview: null,
  latest: [], // newest results first
  stuck: new Map(), // id -> why it is taken for stuck
  connection: "connecting", // "live", "offline"
};

const LATEST = 24;
const listeners = new Map(); // part -> callbacks
const taskListeners = new Set();
const changed = new Set();
let scheduled = false;

/** Call `callback` after `part` changed, at most once a frame; returns how to end that. */
export function on(part, callback) {
  if (!listeners.has(part)) listeners.set(part, new Set());
  listeners.get(part).add(callback);
  return () => listeners.get(part).delete(callback);
}

/** Call `callback` with each task that changed, and with null when all may have changed. */
export function onTask(callback) {
  taskListeners.add(callback);
  return () => taskListeners.delete(callback);
}

/** Let the listeners of `part` know, together with all other changes of this frame. */
export function touch(part) {
  changed.add(part);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    const parts = [...changed];
    changed.clear();
    for (const each of parts) for (const callback of listeners.get(each) ?? []) callback();
  });
}

export function takeSnapshot(now) {
  store.batches = new Map(now.batches.map((batch) => [batch.batch_id, batch]));
  store.servers = now.servers;
  store.inFlight = new Map(now.tasks.map((task) => [task.task_id, task]));
  store.progress = new Map(Object.entries(now.progress));
  store.overview = now.overview;
  store.latest = now.latest;
  for (const part of ["batches", "servers", "tasks", "progress", "overview", "latest"]) touch(part);
  for (const callback of taskListeners) callback(null);
}

const INSIDE = new Set(["submitting", "queued", "running", "collecting"]);

export function takeTask(task) {
  if (INSIDE.has(task.stage)) store.inFlight.set(task.task_id, task);
  else store.inFlight.delete(task.task_id);
  if (task.stage !== "running") store.progress.delete(task.task_id);
  if (!INSIDE.has(task.stage) && store.stuck.delete(task.task_id)) touch("stuck");
  if (
    task.stage === "done" &&
    task.outputs_count &&
    !task.retry_count &&
    !store.latest.some((each) => each.task_id === task.task_id)
  ) {
    store.latest = [task, ...store.latest].slice(0, LATEST);
    touch("latest");
  }
  touch("tasks");
  for (const callback of taskListeners) callback(task);
}

/** Many tasks changed at once; whoever lists them must ask anew. */
export function takeManyTasks({ batch_ids: batchIds }) {
  for (const callback of taskListeners) callback(null, batchIds);
}

export function takeBatch(batch) {
  store.batches.set(batch.batch_id, batch);
  touch("batches");
}

export function takeProgress(changes) {
  for (const [taskId, how] of Object.entries(changes)) store.progress.set(taskId, how);
  touch("progress");
}

export function take(part, value) {
  store[part] = value;
  touch(part);
}
