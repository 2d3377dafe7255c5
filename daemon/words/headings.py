"""What the columns of job files and tables are called: by key, in both languages.

A column's English heading is its key. Of the others the first is the one that is shown and created.
"""

#: Columns that a person fills.
INPUT_HEADINGS: dict[str, tuple[str, ...]] = {
    "row_number": ("编号", "序号"),
    "product_name": ("产品名", "产品名称"),
    "model_name": ("模特名", "模特名称"),
    "workflow_type": ("工作流类型", "任务类型"),
    "product_image": ("产品图", "产品图片"),
    "model_image": ("模特图", "模特图片"),
    "image": ("图片",),
    "prompt": ("提示词",),
    "priority": ("优先级",),
}

#: Columns that we fill; the record's own name for ``error`` is ``error_message``. A person writes a
#: wish into ``command``, and may reset nothing else.
OUR_HEADINGS: dict[str, tuple[str, ...]] = {
    "status": ("状态", "任务状态"),
    "task_id": ("任务ID",),
    "error": ("错误信息", "错误原因", "error_message"),
    "started_at": ("开始时间",),
    "finished_at": ("完成时间", "结束时间"),
    "output_image": ("输出图片", "产品模特合成图"),
    "output_video": ("输出视频",),
    "retry_count": ("重试次数",),
    "command": ("命令",),
    "image_done": ("图片是否已处理",),
    "video_done": ("视频是否已实现",),
}

HEADINGS: dict[str, tuple[str, ...]] = {**INPUT_HEADINGS, **OUR_HEADINGS}

#: By language, what a column is called when it is shown or created.
SHOWN: dict[str, dict[str, str]] = {
    "zh": {key: names[0] for key, names in HEADINGS.items()},
    "en": {key: key for key in HEADINGS},
}
