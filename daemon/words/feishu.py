"""What Feishu's failures mean and which click or setting mends them: ``table.feishu_<about>``.

*said* is Feishu's own text, *number* its code, *log_id* what its support asks for.
"""

ZH: dict[str, str] = {
    "table.feishu_token": "飞书不接受访问令牌（{number}）：{said}；会自动重新获取",
    "table.feishu_rate": "飞书限制了调用频率（{number}）；稍后自动重试",
    "table.feishu_hook_rate": "机器人消息发得太快（{number}）；稍后自动重试",
    "table.feishu_internal": "飞书内部错误（{number}）：{said}；稍后自动重试，日志号 {log_id}",
    "table.feishu_conflict": "其他人正在写同一份文档（{number}）；稍后自动重试",
    "table.feishu_not_ready": "文档正在处理其他操作（{number}）；稍后自动重试",
    "table.feishu_transfer": "文件传输不完整（{number}）：{said}；稍后自动重试",
    "table.feishu_resent": "同一请求已经发送过（{number}）；稍后自动核对",
    "table.feishu_no_answer": "飞书没有应答：{said}；请检查网络和 feishu.base_url，会自动重试",
    "table.feishu_no_json": "飞书网关的应答无法读取：{said}；会自动重试；"
    "若一直如此，请检查代理和 feishu.base_url",
    "table.feishu_shape": "飞书的应答与文档不符：{said}；请把日志号 {log_id} 告诉我们",
    "table.feishu_unknown": "飞书返回了未知错误 {number}：{said}；日志号 {log_id}，"
    "可用它询问飞书技术支持",
    "table.feishu_user_token": "飞书要求用户身份（{number}）：{said}；请使用自建应用的应用身份",
    "table.feishu_credentials": "飞书不认识这个应用（{number}）：{said}；"
    "请从开发者后台 → 凭证与基础信息复制 App ID 和 App Secret 到 feishu.app_id 和 "
    "feishu.app_secret",
    "table.feishu_app_stopped": "应用已停用或未在本企业安装（{number}）；"
    "请在开发者后台发布版本，并在管理后台 → 应用管理中启用",
    "table.feishu_scope": "应用缺少权限（{number}）：{said}；"
    "请在开发者后台 → 权限管理开通，然后创建并发布新版本",
    "table.feishu_grant": "应用的权限没有生效（{number}）：{said}；"
    "请在开发者后台 → 权限管理开通，然后创建并发布新版本",
    "table.feishu_address": "本机的 IP 不在应用的白名单里（{number}）；"
    "请在开发者后台 → 安全设置 → IP 白名单中添加",
    "table.feishu_no_document": "找不到文档（{number}）；请从浏览器地址栏重新复制链接到 tables.url",
    "table.feishu_no_link": "tables.url 不是飞书表格的链接：其中没有 /base/、/sheets/ 或 /wiki/；"
    "请从浏览器地址栏复制",
    "table.feishu_other_page": "tables.url 指向的知识库页面是 {said}，不是多维表格或电子表格；"
    "请从浏览器地址栏复制表格的链接",
    "table.feishu_is_sheet": "链接指向的是电子表格，不是多维表格；请修改 tables.kind 或 tables.url",
    "table.feishu_is_bitable": "链接指向的是多维表格，不是电子表格；请修改 tables.kind 或 "
    "tables.url",
    "table.feishu_no_collaborator": "应用不能访问文档（{number}）；"
    "请在文档右上角 … → 更多 → 添加文档应用，权限选“可编辑”（开启高级权限时选“可管理”）",
    "table.feishu_advanced": "文档开启了高级权限，应用看不到或不能写（{number}）；"
    "请在文档右上角 … → 更多 → 添加文档应用，把本应用的权限改为“可管理”",
    "table.feishu_empty": "文档开启了高级权限，而应用一行也看不到：要么表格是空的，"
    "要么应用没有管理权限；"
    "请在文档右上角 … → 更多 → 添加文档应用，把本应用的权限改为“可管理”",
    "table.feishu_no_table": "找不到数据表（{number}）；请打开那张数据表，重新复制链接到 "
    "tables.url",
    "table.feishu_no_view": "找不到视图（{number}）；请重新复制链接到 tables.url",
    "table.feishu_no_field": "有一列被改名或删除（{number}）：{said}；请改回列名，或在 "
    "tables.columns 中写明",
    "table.feishu_no_sheet": "找不到工作表（{number}）；请修改 tables.sheet，或重新复制链接到 "
    "tables.url",
    "table.feishu_embedded": "工作表“{sheet}”是嵌入的多维表格；请另建多维表格，或在 "
    "tables.sheet 中选别的工作表",
    "table.feishu_unknown_sheet": "没有名为“{sheet}”的工作表，只有：{titles}；请修改 tables.sheet",
    "table.feishu_no_room": "工作表右侧没有空列；请在右侧插入 {count} 列",
    "table.feishu_range": "单元格范围不存在（{number}）：{said}；请检查表格是否被清空或截短",
    "table.feishu_protected": "单元格被保护或锁定（{number}）；"
    "请在 数据 → 保护范围 中允许本应用编辑，或取消保护",
    "table.feishu_too_large": "一次读写的内容太多（{number}）：{said}；请把表格分成几张",
    "table.feishu_plan_limit": "文档达到了套餐上限（{number}）：{said}；请删除旧行旧附件，"
    "或换一份文档",
    "table.feishu_image_count": "一份表格最多 4000 张不同的图片，已经用完（{number}）；"
    "请复制一份新表格并修改 tables.url，或删除旧图片",
    "table.feishu_document_full": "文档里的文件已满（{number}）；请清理，或换一份文档",
    "table.feishu_storage_full": "企业的云空间已满（{number}）；请在管理后台清理或扩容",
    "table.feishu_request": "飞书不接受我们的请求（{number}）：{said}；这是程序的问题，请把日志号 "
    "{log_id} 告诉我们",
    "table.feishu_row_gone": "这一行已被删除（{number}）",
    "table.feishu_value": "单元格不接受这个值（{number}）：{said}；请检查该列的类型",
    "table.feishu_cell_too_large": "内容超过单元格上限（{number}）",
    "table.feishu_foreign_file": "文档不认得为它上传的文件（{number}）；文件只重新上传一次",
    "table.feishu_no_change": "没有需要写入的内容（{number}）",
    "table.feishu_file_too_large": "文件太大（{number}）",
    "table.feishu_file_empty": "文件是空的，没有上传；请重试这一行",
    "table.feishu_upload_expired": "上传已过期（{number}）；会重新上传",
    "table.feishu_file_name": "飞书不接受这个文件名（{number}）：{said}；请修改 outputs.name",
    "table.feishu_content_check": "飞书的内容审核没有通过（{number}）：{said}；"
    "请检查文件名和图片内容",
    "table.feishu_file_gone": "单元格里的文件已经不存在（{number}）；请重新上传",
    "table.feishu_no_picture": "无法读取图片：{reason}",
    "table.feishu_unfit": "列“{column}”是{type}类型，不能写入“{value}”；请改为{wanted}类型",
    "table.feishu_quota": "本月的飞书调用次数已用完，暂停到下月 1 日：{said}；"
    "可在管理后台 → 费用中心查看用量并升级套餐；提前恢复请运行 `tables resume`",
    "table.feishu_hook_sign": "机器人拒绝了签名（{number}）；"
    "请核对 alerts.feishu_webhook_secret，并校准本机时间",
    "table.feishu_hook_address": "本机的 IP 不在机器人的白名单里（{number}）；"
    "请在群机器人的安全设置中添加",
    "table.feishu_hook_keyword": "消息里没有机器人要求的关键词（{number}）；请填写 "
    "alerts.feishu_keyword",
    "table.feishu_hook_body": "机器人不接受这条消息（{number}）：{said}",
    "table.feishu_check_bitable": "多维表格“{name}”可以访问",
    "table.feishu_check_sheet": "电子表格“{name}”可以访问",
    "table.feishu_check_column": "列“{column}”：{type}",
    "table.feishu_check_column_type": "列“{column}”的类型是{type}，不能写入{wanted}；"
    "请改为{wanted}类型",
    "table.feishu_resumed": "已恢复调用飞书；正在运行的程序会在五分钟内继续",
    "table.feishu_not_paused": "飞书调用没有暂停",
    "table.feishu_check_written": "写入测试通过",
    "table.feishu_check_quota": "本月已调用 {calls} 次（上限 {budget}）",
}

EN: dict[str, str] = {
    "table.feishu_token": "Feishu refuses the access token ({number}): {said}; "
    "a new one is fetched by itself",
    "table.feishu_rate": "Feishu limits the rate of calls ({number}); tried again by itself",
    "table.feishu_hook_rate": "the bot gets messages too fast ({number}); tried again by itself",
    "table.feishu_internal": "an internal error of Feishu ({number}): {said}; tried again by "
    "itself, "
    "log id {log_id}",
    "table.feishu_conflict": "somebody else writes to the document ({number}); tried again by "
    "itself",
    "table.feishu_not_ready": "the document is busy with something else ({number}); "
    "tried again by itself",
    "table.feishu_transfer": "a file came incomplete ({number}): {said}; tried again by itself",
    "table.feishu_resent": "the same request was sent before ({number}); looked at again by itself",
    "table.feishu_no_answer": "Feishu does not answer: {said}; look at the network and at "
    "feishu.base_url; tried again by itself",
    "table.feishu_no_json": "the answer of Feishu's gateway cannot be read: {said}; tried again by "
    "itself; if it stays so, look at the proxy and at feishu.base_url",
    "table.feishu_shape": "Feishu's answer is not as documented: {said}; tell us the log id "
    "{log_id}",
    "table.feishu_unknown": "Feishu answers with the unknown error {number}: {said}; "
    "its support knows more by the log id {log_id}",
    "table.feishu_user_token": "Feishu wants a user's identity ({number}): {said}; "
    "use a self-built app's own",
    "table.feishu_credentials": "Feishu does not know the app ({number}): {said}; copy App ID and "
    "App Secret from the developer console > Credentials to feishu.app_id and feishu.app_secret",
    "table.feishu_app_stopped": "the app is stopped or not installed here ({number}); publish a "
    "version "
    "in the developer console and enable it in Admin console > App management",
    "table.feishu_scope": "the app lacks a scope ({number}): {said}; add it in the developer "
    "console > "
    "Permissions & Scopes, then create and publish a new version",
    "table.feishu_grant": "the app's right is not in effect ({number}): {said}; add it in the "
    "developer "
    "console > Permissions & Scopes, then create and publish a new version",
    "table.feishu_address": "this machine's IP is not in the app's whitelist ({number}); add it "
    "in the "
    "developer console > Security settings > IP whitelist",
    "table.feishu_no_document": "there is no such document ({number}); "
    "copy its address from the browser to tables.url again",
    "table.feishu_no_link": "tables.url is no address of a Feishu table: it has none of /base/, "
    "/sheets/ and /wiki/ in it; copy it from the browser",
    "table.feishu_other_page": "tables.url leads to a wiki page that is a {said}, neither a "
    "Bitable nor a spreadsheet; copy the table's address from the browser",
    "table.feishu_is_sheet": "the address leads to a spreadsheet, not to a Bitable; "
    "correct tables.kind or tables.url",
    "table.feishu_is_bitable": "the address leads to a Bitable, not to a spreadsheet; "
    "correct tables.kind or tables.url",
    "table.feishu_no_collaborator": "the app has no access to the document ({number}); in the "
    "document: "
    "… > More > Add document app, with permission to edit (to manage, with advanced permissions "
    "on)",
    "table.feishu_advanced": "advanced permissions are on and keep the app out ({number}); in the "
    "document: … > More > Add document app, and give this app permission to manage",
    "table.feishu_empty": "advanced permissions are on and the app sees no row: the table is "
    "empty, or "
    "the app may not manage it; in the document: … > More > Add document app, and give this app "
    "permission to manage",
    "table.feishu_no_table": "there is no such table ({number}); open it and copy the address to "
    "tables.url again",
    "table.feishu_no_view": "there is no such view ({number}); copy the address to tables.url "
    "again",
    "table.feishu_no_field": "a column was renamed or deleted ({number}): {said}; call it as "
    "before or "
    "name it in tables.columns",
    "table.feishu_no_sheet": "there is no such sheet ({number}); correct tables.sheet, or copy the "
    "address to tables.url again",
    "table.feishu_embedded": "the sheet “{sheet}” is an embedded Bitable; make a Bitable of its "
    "own, "
    "or name another sheet in tables.sheet",
    "table.feishu_unknown_sheet": "there is no sheet “{sheet}”, only: {titles}; "
    "correct tables.sheet",
    "table.feishu_no_room": "the sheet has no free column at its right; insert {count} there",
    "table.feishu_range": "there are no such cells ({number}): {said}; "
    "see whether the sheet was emptied or cut",
    "table.feishu_protected": "the cells are protected or locked ({number}); let the app edit "
    "them in "
    "Data > Protected ranges, or end the protection",
    "table.feishu_too_large": "too much for one call ({number}): {said}; split the table",
    "table.feishu_plan_limit": "the document has reached a limit of the plan ({number}): {said}; "
    "delete "
    "old rows or attachments, or take another document",
    "table.feishu_image_count": "a spreadsheet takes 4,000 different pictures, and has them "
    "({number}); "
    "copy it to a new one and correct tables.url, or delete old pictures",
    "table.feishu_document_full": "the document takes no more files ({number}); tidy it or take "
    "another",
    "table.feishu_storage_full": "the tenant's cloud space is full ({number}); "
    "make room or buy more in the Admin console",
    "table.feishu_request": "Feishu refuses our request ({number}): {said}; "
    "a fault of the program: tell us the log id {log_id}",
    "table.feishu_row_gone": "the row was deleted ({number})",
    "table.feishu_value": "the cell does not take the value ({number}): {said}; see the column's "
    "type",
    "table.feishu_cell_too_large": "more than a cell takes ({number})",
    "table.feishu_foreign_file": "the document does not know the file uploaded to it "
    "({number}); it is uploaded once more, and only once",
    "table.feishu_no_change": "there was nothing to write ({number})",
    "table.feishu_file_too_large": "the file is too large ({number})",
    "table.feishu_file_empty": "the file is empty and was not uploaded; retry the row",
    "table.feishu_upload_expired": "the upload has expired ({number}); it is begun anew",
    "table.feishu_file_name": "Feishu does not take the file's name ({number}): {said}; "
    "change outputs.name",
    "table.feishu_content_check": "Feishu's content check refused it ({number}): {said}; "
    "look at the file's name and the picture",
    "table.feishu_file_gone": "the file in the cell is gone ({number}); upload it again",
    "table.feishu_no_picture": "the picture cannot be read: {reason}",
    "table.feishu_unfit": "column “{column}” is of type {type} and does not take “{value}”; "
    "make it a column of type {wanted}",
    "table.feishu_quota": "this month's calls to Feishu are used up, held back until the 1st: "
    "{said}; "
    "see usage and plans in Admin console > Billing; `tables resume` ends the pause",
    "table.feishu_hook_sign": "the bot refuses the signature ({number}); check "
    "alerts.feishu_webhook_secret and this machine's clock",
    "table.feishu_hook_address": "this machine's IP is not in the bot's whitelist ({number}); "
    "add it in the bot's security settings",
    "table.feishu_hook_keyword": "the message lacks the bot's keyword ({number}); "
    "set alerts.feishu_keyword",
    "table.feishu_hook_body": "the bot does not take the message ({number}): {said}",
    "table.feishu_check_bitable": "the Bitable “{name}” can be reached",
    "table.feishu_check_sheet": "the spreadsheet “{name}” can be reached",
    "table.feishu_check_column": "column “{column}”: {type}",
    "table.feishu_check_column_type": "column “{column}” is of type {type}, which does not take "
    "{wanted}; "
    "make it a column of type {wanted}",
    "table.feishu_resumed": "calls to Feishu pass again; a running daemon goes on within five "
    "minutes",
    "table.feishu_not_paused": "calls to Feishu were not held back",
    "table.feishu_check_written": "the test write went well",
    "table.feishu_check_quota": "{calls} calls this month (budget: {budget})",
}
