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
    "table.readable": "can be read, {rows} rows",
    "table.too_big": "the file is larger than {limit}; split it",
    "table.empty": "there are no headings; the first line must name the columns",
    "table.csv_quote": "a quote in line {line} is not closed; mend it",
    "table.csv_encoding": "is no text in UTF-8 or GBK; save it as “CSV UTF-8”",
}
