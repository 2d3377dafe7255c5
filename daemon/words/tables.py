"""Tables: what is wrong with one, what stands in 错误信息, what `tables` shows.

``table.<code>`` is a ``Trouble``; the sentence says what is wrong and what mends it.
"""

ZH: dict[str, str] = {
    "table.doubled": "两列都表示“{column}”：{headings}；请只保留一列，或改名",
    "table.missing": "缺少列：{columns}；请在表头添加，或设置 create_columns = true",
    "table.no_input": "没有任何需要填写的列；请添加其中一些：{columns}",
    "table.unreachable": "表格暂时无法读写：{reason}",
    "table.file_missing": "{path} 不存在；请放到那里，或修改 tables.path",
    "table.file_denied": "没有权限读写 {path}；请修改它或它所在文件夹的权限",
    "table.in_use": "{who} 正打开着 {path}；关闭后结果会自动写入",
    "table.copied": "这是复制的行：任务ID {task} 属于另一行；要执行请清空这里的 任务ID",
    "table.unknown_status": "状态“{status}”不认识；可用：{known}",
    "table.unknown_command": "命令“{command}”不认识；可用：{known}",
    "table.unknown_id": "任务ID {task} 不在台账中；要执行请清空 任务ID",
    "table.no_task": "任务ID {task} 不在台账中；可用命令只有：重跑",
    "table.still_open": "{task} 尚未结束，不能重跑；请等它结束，或先取消",
    "table.status_reset": "这一行已有结果，改状态不会重新执行；请在 命令 填写 重跑",
    "table.row_refused": "不能执行：{reason}",
    "table.picture_is_text": "{column} 里是文字；请放入图片",
    "table.result_unreadable": "结果文件无法读取：{reason}",
    "table.readable": "可读，{rows} 行",
    "table.too_big": "文件超过 {limit}；请拆分",
    "table.empty": "没有表头；第一行需要写列名",
    "table.csv_quote": "第 {line} 行的引号没有闭合；请修正",
    "table.csv_encoding": "不是 UTF-8 或 GBK 文本；请另存为“CSV UTF-8”",
}

EN: dict[str, str] = {
    "table.doubled": "two columns mean “{column}”: {headings}; keep one of them or rename one",
    "table.missing": "missing columns: {columns}; add these headings, or set create_columns = true",
    "table.no_input": "none of the columns that people fill is there; add some of: {columns}",
    "table.unreachable": "the table cannot be read or written just now: {reason}",
    "table.file_missing": "{path} is not there; put it there or correct tables.path",
    "table.file_denied": "no right to read or write {path}; change its mode or its folder's",
    "table.in_use": "{who} has {path} open; results are written as soon as it is closed",
    "table.copied": "a copied row: 任务ID {task} is another row's; clear it here to run this row",
    "table.unknown_status": "status “{status}” is unknown; known are: {known}",
    "table.unknown_command": "command “{command}” is unknown; known are: {known}",
    "table.unknown_id": "任务ID {task} is not in the ledger; clear it to run this row",
    "table.no_task": "任务ID {task} is not in the ledger; the only command for it is 重跑 (rerun)",
    "table.still_open": "{task} has not ended, so it cannot be rerun; wait, or cancel it first",
    "table.status_reset": "the row has its result; to run it again write 重跑 (rerun) into 命令",
    "table.row_refused": "cannot run: {reason}",
    "table.picture_is_text": "{column} holds text; put a picture there",
    "table.result_unreadable": "the result cannot be read: {reason}",
    "table.readable": "can be read, {rows} rows",
    "table.too_big": "the file is larger than {limit}; split it",
    "table.empty": "there are no headings; the first line must name the columns",
    "table.csv_quote": "a quote in line {line} is not closed; mend it",
    "table.csv_encoding": "is no text in UTF-8 or GBK; save it as “CSV UTF-8”",
}
