"""What keeps work from going on, and what a person does about it."""

ZH: dict[str, str] = {
    "concern.starting": "守护进程（{pid}）正在启动，还不能访问；它的日志会说明它在等什么。",
    "concern.ledger": "台账写不进去（多半是磁盘满了）：暂不接收也不开始新的行，已在服务器上的照常"
    "做完；请为 {path} 腾出空间，之后会自动恢复。",
    "concern.archive": "台账 archive 文件夹里的归档读不出来（{what}），而表格“{table}”要靠它认出"
    "一行：丢了任务ID的行会当作新行再运行一次。请停下守护进程，把最近一份备份（ledger-backups）里的"
    "同名文件放回去（损坏的另存），再启动。",
    "concern.outputs": "结果存不进 {path}：{reason}；请腾出空间或修改权限。结果仍在服务器上，"
    "之后会自动取回。",
    "concern.postponed": "收件夹里的任务暂时收不进来：{reason}；请腾出空间或修改权限，"
    "之后会自动接收。",
    "concern.unmoved": "“{name}”已接收，但移不走，还在收件夹里：请给守护进程的用户写权限"
    "（chmod -R g+w，或放文件的人使用 umask 002），或自行移走；它的行照常运行。",
    "concern.unfiled": "“{name}”已处理，但还在收件夹里，因为写不了报告或移不走：{reason}；"
    "请腾出空间或排除障碍，之后会自动移走。",
    "concern.no_job_file": "收件夹里的文件夹“{name}”没有任务文件（.csv .xlsx .json .jsonl），"
    "不会被接收：请把任务文件放进去；若它只是存放图片，可不必理会。",
    "concern.job_file_below": "收件夹里的文件夹“{name}”不会被接收：任务文件 {job} 放深了一层；"
    "请把它移到“{name}”里。",
}

EN: dict[str, str] = {
    "concern.starting": "A daemon (process {pid}) is starting and cannot be asked yet; its log "
    "says what it waits for.",
    "concern.ledger": "The ledger cannot be written (most likely the disk is full): no row is "
    "taken in or sent out, and what is on the servers is left to finish; make room at {path}, "
    "and all goes on by itself.",
    "concern.archive": "In the ledger's folder archive finished tasks cannot be read ({what}), and "
    "table “{table}” needs them to know a row again: one that lost its task id runs again as if it "
    "were new. Stop the daemon, keep the damaged file aside, put that of the newest backup (in "
    "ledger-backups) in its place, and start again.",
    "concern.outputs": "Results cannot be stored in {path}: {reason}; make room or correct its "
    "rights. They stay on the server and are fetched then.",
    "concern.postponed": "What lies in the inbox cannot be taken in: {reason}; make room or "
    "correct the rights, and it is taken then.",
    "concern.unmoved": "“{name}” was taken in but still lies in the inbox, because it may not be "
    "moved: give the daemon's user the right to write to it (chmod -R g+w, or umask 002 for "
    "whoever drops), or move it away yourself; its rows run all the same.",
    "concern.unfiled": "“{name}” is decided but still lies in the inbox, because its report could "
    "not be written or it could not be moved: {reason}; make room or clear the way, and it goes.",
    "concern.no_job_file": "The folder “{name}” in the inbox has no job file (.csv .xlsx .json "
    ".jsonl) and is not taken in: put one into it, or leave it if it only holds pictures for "
    "others.",
    "concern.job_file_below": "The folder “{name}” in the inbox is not taken in: its job file "
    "{job} lies too deep; move it into “{name}” itself.",
}
