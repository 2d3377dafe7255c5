"""Why a task failed, as its row in a table says it: ``failure.<kind>``, one for each failure class.

``{said}`` is ComfyUI's own text, or ours where it names node and input; what only a person at the
server can use stands in `why`.
"""

ZH: dict[str, str] = {
    "failure.server_unreachable": "连不上服务器",
    "failure.rejected": "ComfyUI 拒绝了工作流：{said}",
    "failure.missing_node": "服务器缺少节点：{said}",
    "failure.missing_model": "服务器缺少模型：{said}",
    "failure.missing_input": "服务器丢失了输入图片；可在 {heading[command]} 填写 重试",
    "failure.out_of_memory": "显存不足：{said}",
    "failure.execution_error": "ComfyUI 执行出错：{said}",
    "failure.interrupted": "在 ComfyUI 里被人中断；可在 {heading[command]} 填写 重试",
    "failure.timeout": "运行太久：{said}",
    "failure.bad_input": "这一行的输入不可用（图片已不在，或某列的值不被接受）；"
    "详情见 `why {task}`",
    "failure.bad_output": "结果文件不完整或无法解码；详情见 `why {task}`",
    "failure.lost_by_server": "服务器重启后不再记得它",
    "failure.poison": "服务器多次在执行这一行时崩溃，已停止；详情见 `why {task}`",
}

EN: dict[str, str] = {
    "failure.server_unreachable": "{said}",
    "failure.rejected": "{said}",
    "failure.missing_node": "{said}",
    "failure.missing_model": "{said}",
    "failure.missing_input": "{said}; write retry into “{heading[command]}” to run it again",
    "failure.out_of_memory": "{said}",
    "failure.execution_error": "{said}",
    "failure.interrupted": "{said}; write retry into “{heading[command]}” to run it again",
    "failure.timeout": "{said}",
    "failure.bad_input": "{said}",
    "failure.bad_output": "{said}",
    "failure.lost_by_server": "{said}",
    "failure.poison": "{said}",
}
