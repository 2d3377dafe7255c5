"""What a field of a body or query may hold; found in English texts again by ``retelling``."""

ZH: dict[str, str] = {
    "field.must": "应为：{why}",
    "field.bool": "true 或 false",
    "field.whole_number": "整数",
    "field.number": "数字",
    "field.text": "文字",
    "field.object": "对象",
    "field.json_object": "应为 JSON 对象",
    "field.one_of": "{names} 之一",
    "field.list": "列表，每项为 {why}",
    "field.or_null": "{why}，或 null",
    "field.unknown": "没有这一项；可用：{names}",
    "field.missing": "缺少这一项",
    "field.twice": "出现了不止一次",
    "field.at_least": "应不小于 {limit}",
    "field.at_most": "应不大于 {limit}",
    "field.above": "应大于 {limit}",
}

EN: dict[str, str] = {
    "field.must": "must be {why}",
    "field.bool": "true or false",
    "field.whole_number": "a whole number",
    "field.number": "a number",
    "field.text": "text",
    "field.object": "an object",
    "field.json_object": "must be a JSON object",
    "field.one_of": "one of {names}",
    "field.list": "a list, each {why}",
    "field.or_null": "{why} or null",
    "field.unknown": "is unknown; known: {names}",
    "field.missing": "is missing",
    "field.twice": "stands there more than once",
    "field.at_least": "Expected `{type}` >= {limit}",
    "field.at_most": "Expected `{type}` <= {limit}",
    "field.above": "Expected `{type}` > {limit}",
}
