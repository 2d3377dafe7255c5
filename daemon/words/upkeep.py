"""What diagnosis and sweeps say."""

ZH: dict[str, str] = {
    "stuck.absent": "任务不在执行器运行列表中：{server} 的队列和历史里都没有它",
    "stuck.ended": "{server} 上已经结束（{how}），台账里仍是在处理中",
    "stuck.over_limit": "已运行 {minutes} 分钟，超过上限 {limit} 分钟",
    "stuck.no_progress": "在 {server} 上运行，但已 {minutes} 分钟没有进展",
    "stuck.not_fetched": "在 {server} 上已经完成，结果 {minutes} 分钟还没有取回",
    "stuck.unreachable": "服务器 {server} 没有应答，任务情况未知",
    "stuck.unreachable_for": "服务器 {server} 已 {minutes} 分钟没有应答，任务情况未知",
    "stuck.unknown_server": "服务器 {server} 不在设置里，任务情况未知",
    "stuck.checked": "检查完成：运行中任务 {running} 个，卡住任务 {stuck} 个",
    "stuck.reset": "成功重置 {count} 个卡住的任务",
    "stuck.nothing": "没有需要重置的任务",
    "stuck.adopted": "{count} 个已在 ComfyUI 中结束，按实际结果处理",
    "stuck.still_ending": "{count} 个正在等待 ComfyUI 停止，停止后重置",
    "stuck.left": "{count} 个没有动（仍在队列中，或服务器没有应答）",
    "liveness.recovering": "正在恢复：{server} 上 {total} 个任务已处理 {settled} 个",
    "liveness.opening": "正在读取台账",
    "liveness.waits_for_room": "磁盘已满，启动在等待空间：请为 {paths} 腾出空间，之后会自动继续",
    "liveness.status": (
        "待处理 {waiting}，在处理中 {inside}，已完成 {done}，失败 {failed}；服务器 {up}/{servers}"
    ),
    "liveness.ledger_closed": "台账无法写入（磁盘？）；",
    "liveness.ledger_damaged": "台账有损坏，请运行 ledger repair；",
}

EN: dict[str, str] = {
    "stuck.absent": "not in the executor's list: neither queue nor history of {server} knows it",
    "stuck.ended": "it has ended on {server} ({how}), the ledger still says that it runs",
    "stuck.over_limit": "it has run for {minutes} minutes, the limit is {limit}",
    "stuck.no_progress": "it runs on {server}, but without progress for {minutes} minutes",
    "stuck.not_fetched": "it has ended on {server}; for {minutes} minutes its files "
    "were not fetched",
    "stuck.unreachable": "server {server} does not answer; nobody knows how it stands",
    "stuck.unreachable_for": "server {server} has not answered for {minutes} minutes; "
    "nobody knows how it stands",
    "stuck.unknown_server": "server {server} is not in the settings; nobody knows how it stands",
    "stuck.checked": "checked: {running} tasks in process, {stuck} of them stuck",
    "stuck.reset": "{count} stuck tasks were reset",
    "stuck.nothing": "no task needed a reset",
    "stuck.adopted": "{count} had ended in ComfyUI and were taken over as they ended",
    "stuck.still_ending": "{count} are reset as soon as ComfyUI has stopped them",
    "stuck.left": "{count} were left alone (still in a queue, or their server does not answer)",
    "liveness.recovering": "recovering: {settled} of {total} tasks on {server} settled",
    "liveness.opening": "reading the ledger",
    "liveness.waits_for_room": "the disk is full and the start waits: make room at {paths}, and it "
    "goes on by itself",
    "liveness.status": (
        "{waiting} waiting, {inside} in process, {done} done, {failed} failed; "
        "{up} of {servers} servers up"
    ),
    "liveness.ledger_closed": "The ledger cannot be written (disk?);",
    "liveness.ledger_damaged": "The ledger is damaged, see `ledger repair`;",
}
