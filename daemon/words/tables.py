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
    "table.somebody": "有人",
}

EN: dict[str, str] = {
    "table.doubled": "two columns mean “{column}”: {headings}; keep one of them or rename one",
    "table.missing": "missing columns: {columns}; add these headings, or set create_columns = true",
    "table.no_input": "none of the columns that people fill is there; add some of: {columns}",
    "table.unreachable": "the table cannot be read or written just now: {reason}",
    "table.file_missing": "{path} is not there; put it there or correct tables.path",
    "table.file_denied": "no right to read or write {path}; change its mode or its folder's",
    "table.in_use": "{who} has {path} open; results are written as soon as it is closed",
    "table.somebody": "somebody",
}
