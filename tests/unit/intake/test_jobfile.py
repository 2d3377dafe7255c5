import datetime as dt
import io
import time
import tracemalloc
import zipfile

import openpyxl
import orjson
import pytest

from daemon.intake import jobfile, workbook
from daemon.intake.columns import HEADINGS
from daemon.intake.errors import Unreadable
from daemon.intake.grid import MAX_COLUMNS
from daemon.words import Words

KNOWN = frozenset(HEADINGS) | {"seed", "数量"}
EN = Words("en")
CHINESE = "编号,产品名,产品图\n1,茶壶,a.png\n2,茶杯,b.png\n"
ROWS = [
    {"row_number": "1", "product_name": "茶壶", "product_image": "a.png"},
    {"row_number": "2", "product_name": "茶杯", "product_image": "b.png"},
]


def read(name: str, data: bytes | str) -> list[dict]:
    job = jobfile.read_job_file(name, data if isinstance(data, bytes) else data.encode(), KNOWN)
    return [row.values for row in job.rows]


def why(name: str, data: bytes | str) -> str:
    with pytest.raises(Unreadable) as caught:
        read(name, data)
    return str(caught.value)


def book(*lines, formulas=()) -> bytes:
    made = openpyxl.Workbook()
    for line in lines:
        made.active.append(line)
    for place, formula in formulas:
        made.active[place] = formula
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16", "utf-16-le", "utf-16-be"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_in_every_usual_encoding_and_with_every_usual_delimiter(encoding, delimiter):
    assert read("a.csv", CHINESE.replace(",", delimiter).encode(encoding)) == ROWS


def test_english_keys_and_chinese_headings_mean_the_same():
    assert read("a.csv", "row_number, Product Name ,产品图\n1,茶壶,a.png") == ROWS[:1]


def test_blank_lines_and_blank_cells_and_outer_blanks_do_not_count():
    data = "\n\n 编号 ,产品名,产品图,,\n 1 ,　茶壶 ,a.png,,\n,,,\n2,茶杯,b.png\n\n"
    assert read("a.csv", data) == ROWS


def test_what_nobody_sees_around_a_heading_does_not_make_it_another_one():
    text = "\ufeff\u200b编号\u200b,产品名\u00a0\u2060,\ufeff产品图\n1,茶壶,a.png\n2,茶杯,b.png\n"
    assert read("a.csv", text.encode("utf-8-sig")) == ROWS


def test_lines_that_were_never_written_are_problems_of_their_rows_only():
    data = CHINESE.encode() + b"3,a\0\0b,c.png\n" + b"\0" * 4096
    first, second, *bad = jobfile.read_job_file("a.csv", data, KNOWN).rows
    assert [first.values, second.values] == ROWS
    assert [(row.line, "NUL" in row.problem.text(EN)) for row in bad] == [(4, True), (5, True)]


def test_a_first_line_that_only_names_the_delimiter_is_no_heading():
    data = ("sep=;\r\n" + CHINESE.replace(",", ";")).encode()
    job = jobfile.read_job_file("a.csv", data, KNOWN)
    assert [row.values for row in job.rows] == ROWS
    assert [row.line for row in job.rows] == [3, 4]


def test_columns_of_other_names_are_kept_as_they_are():
    assert read("a.csv", "产品名,Notes to self\n茶壶,x y")[0]["Notes to self"] == "x y"


def test_a_row_with_a_cell_too_many_is_a_problem_of_that_row_only():
    job = jobfile.read_job_file("a.csv", "产品名,提示词\n壶,a, b\n杯,c".encode(), KNOWN)
    assert "quotes" in job.rows[0].problem.text(EN)
    assert job.rows[1].problem is None


def test_a_quote_that_is_never_closed_swallows_no_rows_silently():
    assert "not closed" in why("a.csv", '产品名,提示词\n壶,"a\n杯,b\n碗,c\n')


def test_two_columns_of_the_same_meaning_are_refused():
    assert "mean the same" in why("a.csv", "产品名,product_name\na,b")


def test_reports_of_ours_can_be_dropped_again_after_correction():
    assert read("a.csv", "rowkeeper_line,rowkeeper_reason,产品名\n3,x,壶") == [
        {"product_name": "壶"}
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b" \n \r\n", "empty"),
        ("a.csv", b"\xef\xbb\xbf", "empty"),
        ("a.csv", "产品名,产品图\n", "no rows"),
        ("a.csv", "colour,size\nred,3\n", "no column is known: found “colour”, “size”"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "PNG picture"),
        ("a.csv", b"PK\x03\x04 and so on", "Excel workbook"),
        ("a.csv", b"\xff\x00\x81\xff" * 20, "no text in UTF-8 or GBK"),
        ("a.csv", "产品名\n" + "x" * 200_000, "field larger"),
        ("a.csv", "产品名\n" + "x," * 500_001, "a line is longer"),
        ("a.csv", ",".join(map(str, range(MAX_COLUMNS + 1))), "columns"),
        ("a.xlsx", b"PK\x03\x04 and so on", "no .xlsx workbook"),
        ("a.xlsx", "产品名\n壶", "no .xlsx workbook"),
        ("a.json", "{", "no JSON"),
        ("a.json", "3", "neither an object"),
        ("a.json", '{"rows": 3}', "“rows” is no list"),
        ("a.json", '{"rows": [{}], "options": [1]}', "“options” is no object"),
        ("a.json", "[]", "no rows"),
        ("a.json", "[" * 100_000, "no JSON"),
        ("a.json", '{"products": [1]}', "no column is known"),
        ("a.json", '[{"prompt": "\\ud800"}]', "no JSON"),
        ("a.jsonl", "nonsense\n3", "no line can be read"),
        ("a.json", '{"rows": [{}], "options": {"rerun": "yes"}}', "“rerun” must be true or false"),
        ("a.json", '{"rows": [{}], "options": {"Rerun": true, "a": 1}}', "no “Rerun”, “a”"),
        ("a.json", '{"rows": [{}], "options": {"rerun": 1e999}}', "“rerun” must be true or false"),
        ("a.doc", "x", ".doc is no job file"),
        ("admin-token", "x", "the name has no ending"),
        ("a.jsonl", "nope", "expected a JSON value"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name, data, reason):
    assert reason in why(name, data)


def test_more_rows_than_allowed_are_refused_in_every_format(monkeypatch):
    monkeypatch.setattr("daemon.intake.grid.MAX_ROWS", 1)
    monkeypatch.setattr("daemon.intake.jobfile.MAX_ROWS", 1)
    assert "split it" in why("a.csv", CHINESE)
    assert "split it" in why("a.json", orjson.dumps(ROWS))
    assert "split it" in why("a.jsonl", b"\n".join(map(orjson.dumps, ROWS)))


@pytest.mark.parametrize(
    "data",
    [ROWS, {"rows": ROWS}, [{"编号": "1", "产品名": "茶壶 ", "产品图": "a.png"}, ROWS[1]]],
)
def test_json_rows_come_as_a_list_or_with_options(data):
    assert read("a.json", orjson.dumps(data)) == ROWS


def test_one_json_object_is_one_row_and_options_are_handed_on():
    assert read("a.json", orjson.dumps(ROWS[0])) == ROWS[:1]
    data = orjson.dumps({"rows": ROWS, "options": {"rerun": True}})
    assert jobfile.read_job_file("a.json", data, KNOWN).options == {"rerun": True}


def test_a_bad_item_in_json_is_a_problem_of_that_row_only():
    data = orjson.dumps([ROWS[0], 3, {"产品名": "a", "product_name": "b"}])
    problems = [row.problem for row in jobfile.read_job_file("a.json", data, KNOWN).rows]
    assert problems[0] is None
    assert "no JSON object" in problems[1].text(EN)
    assert "twice" in problems[2].text(EN)


def test_a_bad_line_in_jsonl_is_a_problem_of_that_row_only():
    data = b"\n".join([orjson.dumps(ROWS[0]), b"{oops", b"", orjson.dumps(ROWS[1])])
    rows = jobfile.read_job_file("a.jsonl", data, KNOWN).rows
    assert [(row.line, row.ordinal) for row in rows] == [(1, 1), (2, 2), (4, 3)]
    assert "no JSON" in rows[1].problem.text(EN)
    assert rows[2].values == ROWS[1]


def test_a_row_s_line_is_the_one_that_an_editor_shows():
    text = '\n产品名,提示词\n壶,"two\r\nlines"\n\n杯,c\n'
    rows = jobfile.read_job_file("a.csv", text.encode(), KNOWN).rows
    assert [(row.line, row.ordinal) for row in rows] == [(3, 1), (6, 2)]
    sheet = book(["产品名"], ["壶"], [None], ["杯"])
    rows = jobfile.read_job_file("a.xlsx", sheet, KNOWN).rows
    assert [(row.line, row.ordinal) for row in rows] == [(2, 1), (4, 2)]
    assert "line 3 is no CSV" in why("a.csv", '产品名,提示词\n杯,b\n壶,"a\n碗,c\n')


def test_xlsx_cells_become_what_people_see():
    when = dt.datetime(2026, 11, 21)  # noqa: DTZ001 - Excel knows no time zones
    data = book(
        ["编号", "产品名", "日期", "钟点", "价格", "数量"],
        [7, "茶壶", when, when.replace(hour=9, minute=30), 2.5, 3.0],
    )
    assert read("a.xlsx", data) == [
        {
            "row_number": 7,
            "product_name": "茶壶",
            "日期": "2026-11-21",
            "钟点": "2026-11-21 09:30:00",
            "价格": 2.5,
            "数量": 3,
        }
    ]


def with_results(data: bytes, formula: str, result: str) -> bytes:
    """Store a result beside a formula, as Excel does."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            if name.endswith("sheet1.xml"):
                old = f"<f>{formula}</f><v></v>".encode()
                old = old if old in part else f"<f>{formula}</f><v />".encode()
                assert old in part
                part = part.replace(old, f"<f>{formula}</f><v>{result}</v>".encode())
            target.writestr(name, part)
    return out.getvalue()


def test_rows_are_those_of_the_first_sheet_that_is_shown_and_has_columns_we_know():
    made = openpyxl.Workbook()
    made.active.append(["产品名", "产品图"])
    made.active.append(["隐藏", "h.png"])
    made.active.sheet_state = "hidden"
    made.create_sheet("说明").append(["请填写下一页"])
    made.create_sheet("空")
    for line in (["产品名", "产品图"], ["茶壶", "a.png"]):
        made.create_sheet("任务") if "任务" not in made.sheetnames else None
        made["任务"].append(line)
    out = io.BytesIO()
    made.save(out)
    assert read("a.xlsx", out.getvalue()) == [{"product_name": "茶壶", "product_image": "a.png"}]


def sheets(**lines: list[list[object]]) -> openpyxl.Workbook:
    """Return a workbook with a sheet for each name."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in lines.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return made


def saved(made: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def told_of(data: bytes) -> list[tuple[dict, str]]:
    """Return each row's values, and what is wrong with it."""
    rows = jobfile.read_job_file("a.xlsx", data, KNOWN).rows
    return [(row.values, row.problem.text(EN) if row.problem else "") for row in rows]


def test_a_second_sheet_with_rows_is_told_to_be_left_out_and_pages_without_rows_are_not():
    made = sheets(
        一月=[["产品名"], ["茶壶"]],
        说明=[["请看这里"], ["产品名 填在第一列"]],
        模板=[["产品名", "产品图"]],
        二月=[[None], ["产品名"], ["茶杯"], ["碗"]],
        旧=[["产品名"], ["盘"]],
    )
    made["旧"].sheet_state = "hidden"
    good, left_out = told_of(saved(made))
    assert good == ({"product_name": "茶壶"}, "")
    assert left_out[0] == {}
    assert left_out[1].startswith("sheet “二月” holds rows, too, and was not read")


def test_a_sheet_of_headings_alone_stands_in_no_other_sheets_way():
    made = sheets(模板=[["产品名"]], 任务=[["产品名"], ["茶壶"]])
    assert told_of(saved(made)) == [({"product_name": "茶壶"}, "")]
    assert "no rows" in why("a.xlsx", saved(sheets(模板=[["产品名"]])))


def test_what_lies_under_a_merged_cell_refuses_its_row_where_it_would_count():
    made = sheets(
        任务=[
            ["产品名", "产品图", "备注", "备注2"],
            ["茶壶", "a.png", "x", "y"],
            [None, "b.png"],
            ["茶杯", "c.png"],
            [None, None],
            ["碗", None],
        ]
    )
    for merged in ("A2:A3", "A5:B5", "C2:D4", "A6:B6"):
        made["任务"].merge_cells(merged)
    rows = told_of(saved(made))
    assert [values.get("product_image") for values, _ in rows] == ["a.png", "b.png", "c.png", None]
    assert [bool(problem) for _, problem in rows] == [False, True, False, True]
    assert "cell A3 lies under a merged cell" in rows[1][1]
    assert "cell B6 lies under a merged cell" in rows[3][1]


def test_a_line_of_blanks_under_a_merged_cell_is_no_row():
    made = sheets(任务=[["产品名", "备注"], ["茶壶", "x"], [None, "  "], ["茶杯", "y"]])
    made["任务"].merge_cells("A2:A3")
    kettle, cup = jobfile.read_job_file("a.xlsx", saved(made), KNOWN).rows
    assert (kettle.values["product_name"], cup.values["product_name"]) == ("茶壶", "茶杯")
    assert (cup.line, cup.ordinal, cup.problem) == (4, 2, None)


def test_merged_cells_without_end_hold_nobody_up():
    part = b"<mergeCells>%b</mergeCells></worksheet>"
    merges = b"".join(b'<mergeCell ref="A2:XFD%d"/>' % (1_048_576 - n) for n in range(20_000))
    out = io.BytesIO()
    made = io.BytesIO(book(["产品名"], ["壶"]))
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            old = source.read(name)
            target.writestr(name, old.replace(b"</worksheet>", part % merges))
    begun = time.thread_time()
    assert len(told_of(out.getvalue())) == 1
    assert time.thread_time() - begun < 3


def test_hidden_rows_run_like_any_others():
    made = sheets(任务=[["产品名"], ["茶壶"], ["茶杯"]])
    made["任务"].row_dimensions[3].hidden = True
    assert [values for values, _ in told_of(saved(made))] == [
        {"product_name": "茶壶"},
        {"product_name": "茶杯"},
    ]


def test_a_workbook_without_columns_we_know_names_those_of_its_first_sheet():
    made = openpyxl.Workbook()
    made.active.append(["colour"])
    made.create_sheet("more").append(["size"])
    out = io.BytesIO()
    made.save(out)
    assert "found “colour”" in why("a.xlsx", out.getvalue())


def test_of_a_formula_its_stored_result_counts():
    data = book(["产品名", "数量"], ["壶", "=1+1"])
    assert read("a.xlsx", with_results(data, "1+1", "2")) == [{"product_name": "壶", "数量": 2}]


def test_a_formula_without_a_stored_result_is_a_problem_of_its_row_not_a_blank():
    data = book(["产品名", "数量"], ["壶", "=1+1"], ["杯", 5])
    rows = jobfile.read_job_file("a.xlsx", data, KNOWN).rows
    assert "cell B2" in rows[0].problem.text(EN)
    assert rows[1].problem is None


def test_an_error_in_a_cell_is_a_problem_of_its_row():
    data = book(["产品名", "数量"], ["壶", "#REF!"])
    assert "cell B2 holds the error #REF!" in (
        jobfile.read_job_file("a.xlsx", data, KNOWN).rows[0].problem.text(EN)
    )


def test_what_stands_in_columns_without_a_use_refuses_no_row():
    data = book(["合计", "产品名", "说明"], ["=1+1", "壶", "#REF!"], ["=2+2", None, "#N/A"])
    (row,) = jobfile.read_job_file("a.xlsx", data, KNOWN).rows
    assert (row.values, row.problem) == ({"product_name": "壶"}, None)


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(workbook, "MAX_UNPACKED_BYTES", 1000)
    assert "unpacks" in why("a.xlsx", book(["产品名"], ["壶"]))


def test_a_cell_of_millions_of_characters_is_refused_before_it_is_unpacked_into_memory():
    out = io.BytesIO()
    made = io.BytesIO(book(["产品名"], ["壶"]))
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            part = source.read(name)
            cell = b'<row r="3"><c r="A3" t="inlineStr"><is><t>%b</t></is></c></row></sheetData>'
            target.writestr(name, part.replace(b"</sheetData>", cell % (b"A" * 3_000_000)))
    assert "more text than Excel allows" in why("a.xlsx", out.getvalue())


def test_a_forged_sheet_size_and_line_number_cannot_hold_the_reader_up(monkeypatch):
    monkeypatch.setattr(workbook, "MAX_SHEET_LINES", 10_000)
    out = io.BytesIO()
    made = io.BytesIO(book(["产品名"], ["壶"]))
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            part = part.replace(b'<row r="2"', b'<row r="99999999"')
            part = part.replace(b'"A1:A2"', b'"A1:XFD1048576"')
            target.writestr(name, part)
    begun = time.thread_time()
    assert "more lines" in why("a.xlsx", out.getvalue())
    assert time.thread_time() - begun < 2


@pytest.mark.parametrize("filler", [b"\x00", b"a", b"\xd6", b"[1,", b'"', b"x,\n", b"{},"])
def test_garbage_up_to_the_limit_is_answered_quickly_and_in_bounded_memory(filler, monkeypatch):
    monkeypatch.setattr(jobfile, "MAX_JOB_FILE_BYTES", 4_000_000)
    garbage = (filler * 4_000_000)[:4_000_000]
    for name in ("a.csv", "a.json", "a.jsonl", "a.xlsx"):
        tracemalloc.start()
        begun = time.thread_time()
        why(name, garbage)
        taken, (_, peak) = time.thread_time() - begun, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < 5, name
        assert peak < 100_000_000, name


def test_the_very_big_file_is_refused_by_its_size():
    assert "too big" in why("a.csv", b"x" * (jobfile.MAX_JOB_FILE_BYTES + 1))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_whole_numbers_beyond_64_bits_keep_all_their_digits_as_text(name):
    big, edge = 10**30 + 7, 2**64
    data = f'{{"row_number":{big},"seed":{-edge},"product_name":"{big}","prompt":9007199254740993}}'
    assert read(name, data) == [
        {
            "row_number": str(big),
            "seed": str(-edge),
            "product_name": str(big),
            "prompt": 2**53 + 1,
        }
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 400, "1" * 5000])
def test_a_number_beyond_what_anybody_can_hold_refuses_its_row_and_column_only(name, number):
    other = '{"product_name": "茶壶", "row_number": 12345678901234567890123}'
    rows = [other, f'{{"product_name": "茶杯", "sizes": [1, {{"wide": {number}}}]}}']
    data = f"[{','.join(rows)}]" if name == "a.json" else "\n".join(rows)
    good, bad = jobfile.read_job_file(name, data.encode(), KNOWN).rows
    assert good.problem is None
    assert good.values["row_number"] == "12345678901234567890123"
    assert bad.values["product_name"] == "茶杯"
    assert bad.problem is not None
    told = bad.problem.text(EN)
    assert "“sizes”" in told
    assert f"the number {number[:20]}" in told


def test_text_without_quotes_is_never_told_to_be_null_or_true_or_false():
    for text in ("nope", '{"prompt": trump}', "[false, fool]"):
        with pytest.raises(Unreadable) as caught:
            read("a.json", text)
        assert "文字要放在英文双引号里" in caught.value.reason.text(Words("zh")), text
        assert "expected a JSON value" in caught.value.reason.text(EN), text


def test_where_json_ends_to_be_json_is_told_in_every_language():
    for name, data, line in (("a.json", '[{"a": 1},\n{"a": NaN}]', 2), ("a.jsonl", "\n{oops", 2)):
        with pytest.raises(Unreadable) as caught:
            read(name, data)
        for words, place in ((EN, f"line {line}"), (Words("zh"), f"第 {line} 行")):
            assert place in caught.value.reason.text(words)


def test_rows_nested_as_deeply_as_json_is_read_are_told_and_do_no_harm():
    nested = "[" * 1000 + "1" * 20 + "]" * 1000
    data = f'{{"product_name":"茶壶","deep":{nested}}}'
    assert "no JSON for a job file" in why("a.json", data)
