"""Tables: what is wrong with one, what stands in its error column, what `tables` shows.

``table.<code>`` is a ``Trouble``; the sentence says what is wrong and what mends it.
``{heading[KEY]}`` is what the table calls a column.
"""

ZH: dict[str, str] = {
    "table.doubled": "两列都表示“{column}”：{headings}；请只保留一列，或改名",
    "table.missing": "缺少列：{columns}；请在表头添加，或设置 create_columns = true",
    "table.no_input": "没有任何需要填写的列；请添加其中一些：{columns}",
    "table.unreachable": "表格暂时无法读写：{reason}",
    "table.file_missing": "{path} 不存在；请放到那里，或修改 tables.path",
    "table.file_denied": "没有权限读写 {path}；请修改它或它所在文件夹的权限",
    "table.in_use": "{who} 正打开着 {path}；关闭后结果会自动写入",
    "table.copied": "这是复制的行：{heading[task_id]} {task} 及其结果属于另一行；"
    "要执行请清空这里的 {heading[task_id]} 和 {heading[status]}",
    "table.unknown_status": "状态“{status}”不认识；可用：{known}",
    "table.unknown_command": "命令“{command}”不认识；可用：{known}",
    "table.unknown_id": "{heading[task_id]} {task} 不在台账中，或早已归档；"
    "要执行请在 {heading[command]} 填写 重跑",
    "table.no_task": "{heading[task_id]} {task} 不在台账中，或早已归档；可用命令只有：重跑",
    "table.still_open": "{task} 尚未结束，不能重跑；请等它结束，或先取消",
    "table.first_run": "第一次执行，不需要命令“{command}”；已清空",
    "table.batch_paused": "批次已暂停；要继续请在 {heading[command]} 填写 继续",
    "table.status_reset": "这一行已有结果，改状态不会重新执行；请在 {heading[command]} 填写 重跑",
    "table.row_refused": "不能执行：{reason}",
    "table.picture_is_text": "{column} 里是文字；请放入图片",
    "table.picture_floats": "{column} 的图片浮在单元格上方，读不到；请右键图片 → 置于单元格内，"
    "或删除后用“插入图片 → 单元格图片”放入",
    "table.results_left_out": "还有结果图没有列可放：请在表头添加 {columns}，"
    "然后运行 `tables reconcile`",
    "table.result_unreadable": "结果文件无法读取：{reason}",
    "table.xlsx_damaged": "工作簿已损坏，无法读取；请打开后重新保存",
    "table.no_sheet": "没有名为“{sheet}”的工作表；有：{sheets}；请修改 tables.sheet",
    "table.xlsx_formula": "单元格 {cell} 是公式，不能写入；请清除公式",
    "table.xlsx_merged": "单元格 {cell} 被合并单元格覆盖，不能写入；请取消合并",
    "table.xlsx_error": "单元格 {cell} 是错误值 {error}",
    "table.xlsx_no_result": "单元格 {cell} 的公式没有存储结果；请用 Excel 打开并保存",
    "table.cell_too_long": "内容超过单元格上限 {limit} 个字符",
    "table.changed_meanwhile": "{path} 在读取时被改动；会自动重试",
    "table.readable": "可读，{rows} 行",
    "table.columns_to_come": "首次读取时会自动添加列：{columns}（create_columns = true）",
    "table.too_big": "文件超过 {limit}；请拆分",
    "table.empty": "没有表头；第一行需要写列名",
    "table.csv_quote": "第 {line} 行的引号没有闭合；请修正",
    "table.csv_encoding": "不是 UTF-8 或 GBK 文本；请另存为“CSV UTF-8”",
    "outbox.none_set": "设置中没有表格；见 `rowkeeper config example` 中的 [[tables]]。",
    "outbox.not_read": "{name} 无法读取：{why}",
    "outbox.not_written": "{name} 的结果在等待写入：{why}",
    "outbox.refused": "{name} 的行 {row}：{why}",
    "outbox.refused_more": "{name} 还有 {count} 行不能执行；原因写在各行的 {heading[error]} 中",
    "outbox.edited": "{name} 中完成后又被修改的行：{rows}；"
    "要用新内容请在 {heading[command]} 填写 重跑",
    "outbox.waiting": "{name}：{count} 个已结束任务的结果尚未写入",
    "outbox.row_gone": "{name} 中已没有 {heading[task_id]} 为 {row} 的行；结果仍保留",
    "outbox.reconciled": "核对了 {tables} 个表格，更正了 {cells} 个单元格。",
    "column.kind": "类型",
    "column.unpublished": "未写入",
    "column.refused": "不能执行",
    "column.edited": "被修改",
    "column.place": "位置",
    "column.table": "表格",
    "column.row_key": "行",
    "column.heading": "列",
    "column.was": "原为",
    "column.now": "现为",
}

EN: dict[str, str] = {
    "table.doubled": "two columns mean “{column}”: {headings}; keep one of them or rename one",
    "table.missing": "missing columns: {columns}; add these headings, or set create_columns = true",
    "table.no_input": "none of the columns that people fill is there; add some of: {columns}",
    "table.unreachable": "the table cannot be read or written just now: {reason}",
    "table.file_missing": "{path} is not there; put it there or correct tables.path",
    "table.file_denied": "no right to read or write {path}; change its mode or its folder's",
    "table.in_use": "{who} has {path} open; results are written as soon as it is closed",
    "table.copied": "a copied row: “{heading[task_id]}” {task} and its result are another row's; "
    "to run this row clear its “{heading[task_id]}” and “{heading[status]}”",
    "table.unknown_status": "status “{status}” is unknown; known are: {known}",
    "table.unknown_command": "command “{command}” is unknown; known are: {known}",
    "table.unknown_id": "“{heading[task_id]}” {task} is not in the ledger, or was archived long "
    "ago; to run this row write rerun into “{heading[command]}”",
    "table.no_task": "“{heading[task_id]}” {task} is not in the ledger, or was archived long "
    "ago; the only command for it is rerun",
    "table.still_open": "{task} has not ended, so it cannot be rerun; wait, or cancel it first",
    "table.first_run": "It runs for the first time, without need of “{command}”; emptied",
    "table.batch_paused": "The batch is paused; write resume into “{heading[command]}” to go on",
    "table.status_reset": "the row has its result; to run it again write rerun into "
    "“{heading[command]}”",
    "table.row_refused": "cannot run: {reason}",
    "table.picture_is_text": "{column} holds text; put a picture there",
    "table.picture_floats": "the picture of {column} floats above its cell and cannot be read; "
    "put it into the cell",
    "table.results_left_out": "results lack a column: add {columns} to the headings, then run "
    "`tables reconcile`",
    "table.result_unreadable": "the result cannot be read: {reason}",
    "table.xlsx_damaged": "the workbook cannot be read ({reason}); open it and save it anew",
    "table.no_sheet": "there is no sheet “{sheet}”, but: {sheets}; correct tables.sheet",
    "table.xlsx_formula": "cell {cell} holds a formula and is not overwritten; remove the formula",
    "table.xlsx_merged": "cell {cell} is hidden by a merged cell; unmerge it",
    "table.xlsx_error": "cell {cell} holds the error {error}",
    "table.xlsx_no_result": "the formula in cell {cell} has no stored result; save it in Excel",
    "table.cell_too_long": "the text is longer than a cell takes ({limit} characters)",
    "table.changed_meanwhile": "{path} was changed while it was read; tried again by itself",
    "table.readable": "can be read, {rows} rows",
    "table.columns_to_come": "columns that the first look will add: {columns} "
    "(create_columns = true)",
    "table.too_big": "the file is larger than {limit}; split it",
    "table.empty": "there are no headings; the first line must name the columns",
    "table.csv_quote": "a quote in line {line} is not closed; mend it",
    "table.csv_encoding": "is no text in UTF-8 or GBK; save it as “CSV UTF-8”",
    "outbox.none_set": "No table in the settings; see [[tables]] in `rowkeeper config example`.",
    "outbox.not_read": "{name} cannot be read: {why}",
    "outbox.not_written": "results for {name} wait to be written: {why}",
    "outbox.refused": "{name}, row {row}: {why}",
    "outbox.refused_more": "{name}: {count} more rows cannot run; "
    "each says why in its “{heading[error]}”",
    "outbox.edited": "edited after they had finished, in {name}: {rows}; rerun in "
    "“{heading[command]}” runs them so",
    "outbox.waiting": "{name}: the results of {count} finished tasks are not written yet",
    "outbox.row_gone": "{name} has no row with “{heading[task_id]}” {row} any more; its "
    "results are kept",
    "outbox.reconciled": "{tables} tables compared, {cells} cells put right.",
    "column.kind": "kind",
    "column.unpublished": "unpublished",
    "column.refused": "refused",
    "column.edited": "edited",
    "column.place": "place",
    "column.table": "table",
    "column.row_key": "row",
    "column.heading": "column",
    "column.was": "was",
    "column.now": "now",
}
