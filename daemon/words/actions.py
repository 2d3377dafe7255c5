"""What actions answer, and why they refuse."""

ZH: dict[str, str] = {
    "action.paused": "已暂停：第 {stage} 阶段，处理中的 {processing} 行会做完，{pending} 行等待。",
    "action.already_paused": "批次本来就是暂停状态，没有改动。",
    "action.resumed": "从第 {stage} 阶段继续：已完成 {completed}，失败 {failed}，"
    "将处理剩余的 {pending} 行。",
    "action.nothing_pending": "没有待处理的行：第 {stage} 阶段，已完成 {completed}，失败 {failed}；"
    "没有改动。",
    "action.stopped": "已停止：收回 {taken_back} 个已提交的任务，{pending} 行等待。",
    "action.already_stopped": "批次本来就是停止状态，没有改动。",
    "action.rerun": "已建立新批次 {batch}，{rows} 行从头执行。",
    "action.rerun_in_part": "已建立新批次 {batch}，{rows} 行从头执行；"
    "{left_out} 行没有第一阶段的图片，未包含。",
    "action.retried": "已重新提交为 {task}（第 {number} 次重试）。",
    "action.retried_beside_waiting": "已重新提交为 {task}（第 {number} 次重试）；"
    "批次未在运行，其余 {waiting} 行继续等待。",
    "action.all_retried": "已重新提交 {count} 行。",
    "action.all_retried_but_some": "已重新提交 {count} 行；{left_out} 行的文件已不在，未提交。",
    "action.all_retried_beside_waiting": "已重新提交 {count} 行；"
    "批次未在运行，其余 {waiting} 行继续等待。",
    "action.all_retried_but_some_beside_waiting": "已重新提交 {count} 行；{left_out} 行的文件已不在"
    "，未提交；批次未在运行，其余 {waiting} 行继续等待。",
    "action.none_failed": "没有失败的行，没有改动。",
    "action.cancelled": "任务 {task} 已取消。",
    "action.cancel_requested": "已要求取消任务 {task}；ComfyUI 停下后即为已取消，"
    "如果刚好做完则仍算完成。",
    "action.already_requested": "任务 {task} 的取消已在进行中，没有改动。",
    "action.already_collecting": "任务 {task} 已在 ComfyUI 做完，正在取回文件，没有改动。",
    "action.already_ended": "任务 {task} 之前已经结束（{status}），没有改动。",
    "action.put_first": "已排到本批次其他等待的行之前（优先级 {priority}）。",
    "action.is_first": "本来就排在最前，没有改动。",
    "action.none_waits": "这一行没有等待中的任务，没有改动。",
    "action.server_drained": "服务器 {server} 不再接新任务；已有的会做完。",
    "action.server_already_drained": "服务器 {server} 本来就不接新任务，没有改动。",
    "action.server_resumed": "服务器 {server} 重新接任务。",
    "action.server_not_drained": "服务器 {server} 本来就在接任务，没有改动。",
    "error.cannot_pause_stopped.message": "批次 {batch} 已停止，不能暂停。",
    "error.cannot_pause_stopped.hint": "它的行已在等待；要继续请用 resume。",
    "error.cannot_pause_failed.message": "批次 {batch} 已失败，不能暂停。",
    "error.cannot_pause_failed.hint": "它的行已在等待；查明原因后用 resume 从失败点继续。",
    "error.cannot_pause_completed.message": "批次 {batch} 已结束，没有可暂停的行。",
    "error.cannot_pause_completed.hint": "要全部再做一遍请用 rerun。",
    "error.cannot_resume_running.message": "批次 {batch} 正在运行，不需要继续。",
    "error.cannot_resume_running.hint": "要停下请用 pause 或 stop；失败的行请用 retry-failed。",
    "error.cannot_resume_completed.message": "批次 {batch} 已结束，没有可继续的行。",
    "error.cannot_resume_completed.hint": "失败的行请用 retry-failed；要全部再做一遍请用 rerun。",
    "error.cannot_stop_completed.message": "批次 {batch} 已结束，没有可停止的行。",
    "error.cannot_stop_completed.hint": "要全部再做一遍请用 rerun。",
    "error.rerun_stage.message": "没有第 {stage} 阶段。",
    "error.rerun_stage.hint": "可用 1 或 2；不写则两个阶段都重跑。",
    "error.rerun_nothing.message": "批次 {batch} 没有可以重跑的行。",
    "error.rerun_nothing.hint": "单独重跑第二阶段需要第一阶段已完成的图片；"
    "请先重跑第一阶段，或用 retry-failed。",
    "error.rerun_column.message": "重跑时不能改这些列：{columns}。",
    "error.rerun_column.hint": "请另写一个任务文件放进收件夹。",
    "error.rerun_picture_column.message": "重跑时不能换图片：{columns}。",
    "error.rerun_picture_column.hint": "请把新图片和任务文件一起放进收件夹。",
    "error.rerun_priority.message": "优先级应为整数（不超过十亿），不是 {value}。",
    "error.rerun_priority.hint": "例如 --set priority=5，数字大的先做。",
    "error.rerun_seed.message": "种子应为 0 到 {limit} 的整数，不是 {value}。",
    "error.rerun_seed.hint": "例如 --set seed=42；要换一个种子请用 --new-seed。",
    "error.retry_open.message": "任务 {task} 尚未结束（{state}），不能重试。",
    "error.retry_open.hint": "等它结束，或先取消它。",
    "error.retry_done.message": "任务 {task} 已完成，不能重试。",
    "error.retry_done.hint": "要再做一遍请对整个批次用 rerun，或把这一行写进新的任务文件。",
    "error.retry_family_open.message": "任务 {task} 已被重试：{newest} 尚未结束。",
    "error.retry_family_open.hint": "请等 {newest} 结束。",
    "error.retry_family_done.message": "任务 {task} 已由 {newest} 重试成功。",
    "error.retry_family_done.hint": "不需要再重试；结果在 {newest}。",
    "error.files_gone.message": "文件已被清理，无法重新执行：{files}。",
    "error.files_gone.hint": "请把这些文件放回，或连同新的任务文件重新提交。",
}

EN: dict[str, str] = {
    "action.paused": "Paused in stage {stage}: {processing} rows being processed will end, "
    "{pending} wait.",
    "action.already_paused": "The batch was paused already; nothing changed.",
    "action.resumed": "Goes on from stage {stage}: {completed} done, {failed} failed, "
    "the remaining {pending} rows run.",
    "action.nothing_pending": "No row is pending: stage {stage}, {completed} done, {failed} "
    "failed; nothing changed.",
    "action.stopped": "Stopped: {taken_back} submitted tasks are being taken back, "
    "{pending} rows wait.",
    "action.already_stopped": "The batch was stopped already; nothing changed.",
    "action.rerun": "The new batch {batch} runs {rows} rows from the beginning.",
    "action.rerun_in_part": "The new batch {batch} runs {rows} rows from the beginning; "
    "{left_out} rows have no picture of stage one and were left out.",
    "action.retried": "Submitted again as {task} (retry {number}).",
    "action.retried_beside_waiting": "Submitted again as {task} (retry {number}); the batch does "
    "not run, so the other {waiting} rows go on waiting.",
    "action.all_retried": "{count} row(s) submitted again.",
    "action.all_retried_but_some": "{count} row(s) submitted again; {left_out} left out because "
    "their files are gone.",
    "action.all_retried_beside_waiting": "{count} row(s) submitted again; the batch does not run, "
    "so the other {waiting} rows go on waiting.",
    "action.all_retried_but_some_beside_waiting": "{count} row(s) submitted again; {left_out} left "
    "out because their files are gone; the batch does not run, so the other {waiting} rows go on "
    "waiting.",
    "action.none_failed": "No row has failed; nothing changed.",
    "action.cancelled": "Task {task} is cancelled.",
    "action.cancel_requested": "Cancelling task {task} was requested; it counts once ComfyUI has "
    "let go, and a task that ended just before stays done.",
    "action.already_requested": "Cancelling task {task} is under way already; nothing changed.",
    "action.already_collecting": "Task {task} has ended in ComfyUI and its files are being "
    "fetched; nothing changed.",
    "action.already_ended": "Task {task} had already ended ({status}); nothing changed.",
    "action.put_first": "Goes before all other waiting rows of its batch (priority {priority}).",
    "action.is_first": "It is the first already; nothing changed.",
    "action.none_waits": "No task of this row waits; nothing changed.",
    "action.server_drained": "Server {server} gets no new tasks; those it has will end.",
    "action.server_already_drained": "Server {server} was drained already; nothing changed.",
    "action.server_resumed": "Server {server} takes tasks again.",
    "action.server_not_drained": "Server {server} was taking tasks already; nothing changed.",
    "error.cannot_pause_stopped.message": "Batch {batch} is stopped and cannot be paused.",
    "error.cannot_pause_stopped.hint": "Its rows wait already; `resume` lets them go on.",
    "error.cannot_pause_failed.message": "Batch {batch} has failed and cannot be paused.",
    "error.cannot_pause_failed.hint": "Its rows wait already; find the cause, then `resume`.",
    "error.cannot_pause_completed.message": "Batch {batch} is completed; no row is left to pause.",
    "error.cannot_pause_completed.hint": "`rerun` does it all once more.",
    "error.cannot_resume_running.message": "Batch {batch} is running; there is nothing to resume.",
    "error.cannot_resume_running.hint": "`pause` or `stop` hold it; `retry-failed` is for failed "
    "rows.",
    "error.cannot_resume_completed.message": "Batch {batch} is completed; no row is left to run.",
    "error.cannot_resume_completed.hint": "`retry-failed` is for failed rows, `rerun` does it all "
    "once more.",
    "error.cannot_stop_completed.message": "Batch {batch} is completed; no row is left to stop.",
    "error.cannot_stop_completed.hint": "`rerun` does it all once more.",
    "error.rerun_stage.message": "There is no stage {stage}.",
    "error.rerun_stage.hint": "Use 1 or 2, or leave it out for both.",
    "error.rerun_nothing.message": "Batch {batch} has no row that could run again.",
    "error.rerun_nothing.hint": "Stage 2 alone needs pictures that stage 1 made: rerun stage 1 "
    "or use `retry-failed` first.",
    "error.rerun_column.message": "A rerun cannot change these columns: {columns}.",
    "error.rerun_column.hint": "Write another job file and put it into the inbox.",
    "error.rerun_picture_column.message": "A rerun cannot change pictures: {columns}.",
    "error.rerun_picture_column.hint": "Put a job file with the new pictures into the inbox.",
    "error.rerun_priority.message": "The priority must be a whole number up to a billion, "
    "not {value}.",
    "error.rerun_priority.hint": "For example --set priority=5; higher goes first.",
    "error.rerun_seed.message": "A seed must be a whole number from 0 to {limit}, not {value}.",
    "error.rerun_seed.hint": "For example --set seed=42; --new-seed draws another one.",
    "error.retry_open.message": "Task {task} has not ended ({state}) and cannot be retried.",
    "error.retry_open.hint": "Wait for its end, or cancel it first.",
    "error.retry_done.message": "Task {task} is done and cannot be retried.",
    "error.retry_done.hint": "Use `rerun` on its batch, or put the row into a new job file.",
    "error.retry_family_open.message": "Task {task} was retried: {newest} has not ended.",
    "error.retry_family_open.hint": "Wait for {newest}.",
    "error.retry_family_done.message": "Task {task} was retried with success by {newest}.",
    "error.retry_family_done.hint": "Nothing is left to retry; the result is that of {newest}.",
    "error.files_gone.message": "Files are gone, so it cannot run again: {files}.",
    "error.files_gone.hint": "Put the files back, or bring them with a new job file.",
}
