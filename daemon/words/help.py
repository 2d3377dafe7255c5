"""What the command line says about itself."""

ZH: dict[str, str] = {
    "help.main": "把任务文件的每一行交给 ComfyUI 变成图片和视频。",
    "help.run": "在前台运行守护进程（不带命令时也是如此）。",
    "help.check": "检查设置、文件夹、服务器、工作流、表格和告警。",
    "help.status": "显示服务器、批次和正在运行的任务。",
    "help.tasks": "列出任务。",
    "help.task": "显示一个任务的全部内容、变更记录和同一行的各次运行。",
    "help.tables": "列出表格及其未写入的结果；reconcile：更正与台账不符的单元格；resume："
    "恢复调用飞书。",
    "help.submit": "把任务文件（连同图片，或整个文件夹）放进收件夹，并告知结论。",
    "help.simulate": "单独运行 ComfyUI 兼容模拟器。",
    "help.demo": "用模拟器和示例行演示全过程。",
    "help.ledger": "校验、导出、压缩、修复、备份或恢复台账。",
    "help.ledger.verify": "检查台账的每一项保证；只读。",
    "help.ledger.export": "把整个台账输出为一个 JSON 文档；只读。",
    "help.ledger.history": "显示一个任务的每次变更；只读。",
    "help.ledger.compact": "写出新的快照并归档旧日志。",
    "help.ledger.repair": "保留损坏台账中所有完好的内容，列出其余部分。",
    "help.ledger.backup": "把台账复制到 PATH（不能已存在；默认放入 ledger-backups，只留最近十份）"
    "并校验；守护进程运行时也可以。",
    "help.ledger.restore": "用一个备份（ledger-backups 中的名称，或文件夹）代替台账；原台账另存。",
    "help.config": "显示生效的设置，或示例文件。",
    "help.config.show": "输出生效的设置及其来源。",
    "help.config.example": "输出示例文件，每个键都有说明。",
    "help.service_unit": "输出本次安装的 systemd 服务文件。",
    "option.config": "设置文件；默认 $ROWKEEPER_CONFIG，再默认当前文件夹的 rowkeeper.toml。",
    "option.write_test": "在每张表写一个单元格再还原，并给机器人发一条消息。",
    "option.json": "输出一个 JSON 文档。",
    "option.once": "做完所有能做的事后退出。",
    "option.status": "只看这些状态：待处理 在处理中 已完成 失败 已取消，或英文阶段名。",
    "option.type": "只看这种工作流类型。",
    "option.batch": "只看这个批次。",
    "option.failed": "只看失败的。",
    "option.timeout": "等待结论的秒数；0 表示不等。",
    "option.port": "监听端口；0 表示任意空闲端口。",
    "option.host": "监听地址。",
    "option.seconds_per_job": "每个任务需要的秒数。",
    "option.fault": (
        "以此概率制造一种故障，例如 lost_answer=0.1；NAME:TARGET=P 只针对一个目标"
        "（任务、文件、节点类），例如 missing_class:SaveImage=1。"
    ),
    "option.folder": "模拟器存放文件的文件夹。",
    "option.rows": "示例行数；示例中的行会重复使用。",
    "option.keep_running": "做完后继续运行，直到 Ctrl-C。",
    "option.demo_dir": "演示所用的文件夹（否则新建一个临时文件夹）。",
    "option.version": "模拟器自称的 ComfyUI 版本。",
}

EN: dict[str, str] = {
    "help.main": "Turns rows of job files into pictures and videos on ComfyUI.",
    "help.run": "Run the daemon in the foreground (also without any command).",
    "help.check": "Check settings, folders, servers, workflows, tables and alerts.",
    "help.status": "Show servers, batches and what runs now.",
    "help.tasks": "List tasks.",
    "help.task": "Show one task with its history and the other runs of its row.",
    "help.tables": "List tables and what they were not told; reconcile: put cells right; "
    "resume: let calls to Feishu pass again.",
    "help.submit": "Put job files (with their pictures, or as folders) into the inbox and tell the "
    "verdict.",
    "help.simulate": "Run the ComfyUI-compatible simulator alone.",
    "help.demo": "Show the whole way with the simulator and example rows.",
    "help.ledger": "Verify, export, compact, repair, back up or restore the ledger.",
    "help.ledger.verify": "Check every promise of the ledger; only reads.",
    "help.ledger.export": "Print the whole ledger as one JSON document; only reads.",
    "help.ledger.history": "Show every change of a task; only reads.",
    "help.ledger.compact": "Write a fresh snapshot and archive old journals.",
    "help.ledger.repair": "Keep all that is whole of a damaged ledger, list the rest.",
    "help.ledger.backup": "Copy the ledger to PATH (not there yet; else into ledger-backups, of "
    "which the last ten stay) and read it back; a daemon may run.",
    "help.ledger.restore": "Put a backup (a name in ledger-backups, or a folder) in the ledger's "
    "place; the old one is kept aside.",
    "help.config": "Show the settings in effect, or an example file.",
    "help.config.show": "Print the settings in effect, with their origin.",
    "help.config.example": "Print an example file with every key explained.",
    "help.service_unit": "Print the systemd unit of this installation.",
    "option.config": "Settings file (else $ROWKEEPER_CONFIG, else rowkeeper.toml here).",
    "option.write_test": "Write a cell of each table and put it back; send the bot a message.",
    "option.json": "Print one JSON document.",
    "option.once": "Work until nothing is left to do, then exit.",
    "option.status": "Only these: pending processing done failed cancelled, or a stage.",
    "option.type": "Only this workflow type.",
    "option.batch": "Only this batch.",
    "option.failed": "Only failed ones.",
    "option.timeout": "Wait so many seconds for the verdict; 0 = do not wait.",
    "option.port": "Port to listen at; 0 = any free one.",
    "option.host": "Address to listen at.",
    "option.seconds_per_job": "How long a job takes.",
    "option.fault": (
        "Make a fault happen with this probability, as in lost_answer=0.1; NAME:TARGET=P aims it "
        "at one task, file or node class, as in missing_class:SaveImage=1."
    ),
    "option.folder": "Where the simulator keeps its files.",
    "option.rows": "So many rows; those of the example are used again and again.",
    "option.keep_running": "Stay up when all is done, until Ctrl-C.",
    "option.demo_dir": "Where it works (else in a new temporary folder).",
    "option.version": "The ComfyUI version it claims to be.",
}
