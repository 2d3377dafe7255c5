// What operators do: confirmed with the real counts, carried out once, answered.

import { change, read } from "./api.js";
import { confirm } from "./dialog.js";
import { count } from "./format.js";
import { tellDone, tellProblem } from "./notice.js";
import { store, takeBatch, touch } from "./store.js";
import { Declined } from "./token.js";
import { t } from "./words.js";

/** Do `work` with `controls` (a fieldset or button) disabled meanwhile, and tell what came of it. */
export async function carryOut(controls, work) {
  if (controls.disabled) return;
  controls.disabled = true;
  controls.setAttribute("aria-busy", "true");
  try {
    const answer = await work();
    if (answer) tellDone(answer.message);
  } catch (error) {
    if (!(error instanceof Declined)) tellProblem(error);
  } finally {
    controls.disabled = false;
    controls.removeAttribute("aria-busy");
  }
}

const batchPath = (id) => `/api/batches/${encodeURIComponent(id)}`;

async function freshBatch(id) {
  const batch = await read(batchPath(id));
  takeBatch(batch);
  return batch;
}

function counts(batch) {
  const stands = batch.statistics;
  const facts = [
    [t("fact.stage"), count(batch.stage)],
    [t("fact.done"), count(stands.completed)],
    [t("fact.failed"), count(stands.failed)],
    [t("fact.pending"), count(stands.pending)],
  ];
  if (stands.processing) facts.push([t("fact.processing"), count(stands.processing)]);
  return facts;
}

/** Ask with the counts of this very moment, then POST; the list shows the result at once. */
async function askAndChange(
  batchId,
  verb,
  { title, text, yes, choices, danger, body = () => null },
) {
  const batch = await freshBatch(batchId);
  const chosen = await confirm({
    title,
    text: text(batch),
    facts: counts(batch),
    yes,
    choices,
    danger,
  });
  if (chosen === null) return null;
  const answer = await change(`${batchPath(batchId)}/${verb}`, body(chosen));
  await freshBatch(batchId);
  if (answer.batch_id && answer.batch_id !== batchId) await freshBatch(answer.batch_id);
  return answer;
}

export const pauseBatch = (id) =>
  askAndChange(id, "pause", {
    title: t("action.pause"),
    yes: t("action.pause"),
    text: (batch) =>
      t("confirm.pause", {
        processing: count(batch.statistics.processing),
        pending: count(batch.statistics.pending),
      }),
  });

export const resumeBatch = (id) =>
  askAndChange(id, "resume", {
    title: t("action.resume"),
    yes: t("action.resume"),
    text: (batch) => t("confirm.resume", { pending: count(batch.statistics.pending) }),
  });

export const resumeFromFailure = (id) =>
  askAndChange(id, "resume", {
    title: t("action.resume_failed"),
    yes: t("action.resume_failed"),
    text: (batch) =>
      t("confirm.resume_failed", {
        pending: count(batch.statistics.pending),
        kept: count(batch.statistics.completed + batch.statistics.failed),
      }),
  });

export const stopBatch = (id) =>
  askAndChange(id, "stop", {
    title: t("action.stop"),
    yes: t("action.stop"),
    danger: true,
    text: () => t("confirm.stop"),
    choices: [{ name: "interrupt", label: t("confirm.interrupt") }],
    body: (chosen) => ({ interrupt: chosen.interrupt }),
  });

export const rerunBatch = (id) =>
  askAndChange(id, "rerun", {
    title: t("action.rerun"),
    yes: t("action.rerun"),
    danger: true,
    text: (batch) => t("confirm.rerun", { rows: count(batch.statistics.rows) }),
    choices: [{ name: "newSeed", label: t("confirm.new_seed") }],
    body: (chosen) => ({ new_seed: chosen.newSeed }),
  });

export const retryFailed = (id) =>
  askAndChange(id, "retry-failed", {
    title: t("action.retry_failed"),
    yes: t("action.retry_failed"),
    text: (batch) => t("confirm.retry_failed", { failed: count(batch.statistics.failed) }),
  });

export async function retryTask(task) {
  const chosen = await confirm({
    title: t("action.retry"),
    text: t("confirm.retry", { task: task.task_id }),
    yes: t("action.retry"),
  });
  return chosen && change(`/api/tasks/${task.task_id}/retry`, {});
}

export async function cancelTask(task) {
  const chosen = await confirm({
    title: t("action.cancel"),
    text: t("confirm.cancel", { task: task.task_id }),
    yes: t("action.cancel"),
    danger: true,
  });
  return chosen && change(`/api/tasks/${task.task_id}/cancel`);
}

export async function setDrained(server, drained) {
  const key = drained ? "drain" : "undrain";
  const chosen = await confirm({
    title: t(`action.${key}`),
    text: t(`confirm.${key}`, { server }),
    yes: t(`action.${key}`),
  });
  return (
    chosen && change(`/api/servers/${encodeURIComponent(server)}/${drained ? "drain" : "resume"}`)
  );
}

/** Ask how every task in process really stands; the page then marks those that are stuck. */
export async function checkStuck() {
  const found = await read("/api/diagnosis/tasks/status-check");
  store.stuck = new Map(found.stuck_tasks.map((task) => [task.id, task.stuck_reason]));
  touch("stuck");
  return found;
}

export async function recoverStuck() {
  const found = await checkStuck();
  const facts = [
    [t("fact.running"), count(found.total_running)],
    [t("fact.stuck"), count(found.total_stuck)],
  ];
  const chosen = await confirm({
    title: t("action.recover"),
    text: t("confirm.recover"),
    facts,
    yes: t("action.recover"),
    choices: [{ name: "force", label: t("confirm.force") }],
  });
  if (chosen === null) return null;
  const answer = await change(`/api/diagnosis/tasks/recovery?force_reset=${chosen.force}`);
  await checkStuck();
  return answer;
}
