"""What the bot in the chat says."""

ZH: dict[str, str] = {
    "alert.new": "【rowkeeper】需要处理：",
    "alert.again": "【rowkeeper】仍未解决：",
    "alert.over": "【rowkeeper】已恢复：",
    "alert.stuck": "{count} 个任务卡住；请在网页查看，或运行 `rowkeeper stuck`",
    "alert.batch": "批次 {name} 连续失败过多，已停止；失败 {failed} 行，剩余 {pending} 行；"
    "排除原因后运行 `rowkeeper batch {batch} resume`",
    "alert.server": "ComfyUI {server} 已 {minutes} 分钟没有应答；请检查它",
    "alert.disk": "{path} 只剩 {free} GiB（下限 {limit} GiB）；请腾出空间",
    "alert.ledger": "台账无法写入，已暂停接收新任务；请检查磁盘",
    "alert.table": "表格 {table}：{what}",
    "alert.quota": "本月飞书调用 {calls} 次，接近上限 {budget}；用完后表格会暂停到下月 1 日",
    "alert.quota_spent": "本月的飞书调用次数已用完，表格暂停到 {until}；"
    "升级套餐后运行 `rowkeeper tables resume` 可提前恢复",
    "alert.more": "…… 另有 {count} 条",
}

EN: dict[str, str] = {
    "alert.new": "[rowkeeper] needs you:",
    "alert.again": "[rowkeeper] still not mended:",
    "alert.over": "[rowkeeper] fine again:",
    "alert.stuck": "{count} tasks are stuck; see the page or run `rowkeeper stuck`",
    "alert.batch": "batch {name} failed too often in a row and was halted; {failed} rows failed, "
    "{pending} are left; mend the cause, then run `rowkeeper batch {batch} resume`",
    "alert.server": "ComfyUI {server} has not answered for {minutes} minutes; look after it",
    "alert.disk": "{path} has only {free} GiB left (limit: {limit} GiB); make room",
    "alert.ledger": "the ledger cannot be written and no new work is taken; look after the disk",
    "alert.table": "table {table}: {what}",
    "alert.quota": "{calls} calls to Feishu this month, near the budget of {budget}; "
    "when it is spent, tables pause until the 1st",
    "alert.quota_spent": "this month's calls to Feishu are used up, tables pause until {until}; "
    "`rowkeeper tables resume` ends the pause after an upgrade of the plan",
    "alert.more": "… and {count} more",
}
