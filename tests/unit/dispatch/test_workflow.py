"""Templates: loading, filling, what is refused."""

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import config
from config.settings import OutputNode, Workflow
from daemon.dispatch.templates import TemplateError
from daemon.dispatch.values import BadValue
from daemon.dispatch.workflow import Template, draw_seed, encode, graph_sha256
from tests.fakes.chinese import english_in

SHIPPED = Path(config.__file__).parent / "examples" / "workflows"
COMPOSITION = Workflow(
    template=SHIPPED / "image_composition.json",
    inputs={
        "product_image": "product.image",
        "model_image": "model.image",
        "seed": "sampler.seed",
    },
    outputs={"image": "output"},
)
VIDEO = Workflow(template=SHIPPED / "image_to_video.json", inputs={"image": "image.image"})


def graph_with(**nodes):
    """Build a small API graph: name -> (class, inputs[, title])."""
    graph = {}
    for node_id, (class_type, inputs, *title) in nodes.items():
        graph[node_id.removeprefix("n").replace("_", ":")] = {
            "class_type": class_type,
            "inputs": inputs,
            **({"_meta": {"title": title[0]}} if title else {}),
        }
    return graph


SMALL = graph_with(
    n1=(
        "KSampler",
        {"seed": 7, "cfg": 8.0, "denoise": 1, "tiled": False, "model": ["4", 0]},
        "画.师",
    ),
    n2=("CLIPTextEncode", {"text": "a cat"}, "positive"),
    n12_3=("SaveImage", {"images": ["1", 0], "filename_prefix": ["9", 0]}, "output"),
)


def template(graph=SMALL, outputs=None, **inputs):
    mapping = Workflow(template=Path("unused.json"), inputs=inputs, outputs=outputs or {})
    return Template.from_bytes("图片合成", mapping, json.dumps(graph).encode())


def problems_of(source=None, graph=SMALL, outputs=None, **inputs):
    mapping = Workflow(template=Path("unused.json"), inputs=inputs, outputs=outputs or {})
    source = json.dumps(graph).encode() if source is None else source
    with pytest.raises(TemplateError) as refused:
        Template.from_bytes("图片合成", mapping, source)
    return told(refused.value)


def told(error):
    """Return what an English reader is told; a Chinese one must be told it too."""
    assert [english_in(each.text("zh")) for each in error.problems] == [""] * len(error.problems)
    return [each._replace(what=each.what.text(), fix=each.fix.text()) for each in error.problems]


# -- the shipped templates ----------------------------------------------------------------------


def test_the_shipped_templates_load_with_the_contracts_mapping():
    composition = Template.load("图片合成", COMPOSITION)
    assert composition.picture_columns == {"product_image", "model_image"}
    assert composition.columns == {"product_image", "model_image", "seed"}
    assert [(n.node_id, n.class_type, n.title) for n in composition.result_nodes] == [
        ("40", "SaveImage", "output")
    ]
    assert composition.sha256 == hashlib.sha256(COMPOSITION.template.read_bytes()).hexdigest()
    video = Template.load("图生视频", VIDEO)
    assert video.picture_columns == {"image"}
    assert [n.class_type for n in video.result_nodes] == ["SaveVideo"]


def test_a_filled_template_holds_the_rows_values_and_the_attempts_folder():
    graph = Template.load("图片合成", COMPOSITION).fill(
        {"product_image": "rowkeeper/a.png", "seed": 2**53 - 1, "prompt": "ignored"},
        output_prefix="rowkeeper/img_20261121_000067-1",
    )
    assert graph["10"]["inputs"]["image"] == "rowkeeper/a.png"
    assert graph["11"]["inputs"]["image"] == "model.png"
    assert graph["35"]["inputs"]["seed"] == 2**53 - 1
    assert graph["40"]["inputs"]["filename_prefix"] == "rowkeeper/img_20261121_000067-1/40"


# -- filling ------------------------------------------------------------------------------------


def test_a_subgraph_id_becomes_a_name_that_comfyui_does_not_take_for_a_counter():
    graph = template().fill({}, output_prefix="p")
    assert graph["12:3"]["inputs"]["filename_prefix"] == "p/12-3"


def test_every_node_that_saves_gets_the_prefix_and_a_wire_to_it_is_cut():
    graph = graph_with(
        n1=("SaveImage", {"images": ["9", 0], "filename_prefix": ["9", 0]}, "output"),
        n2=("VHS_VideoCombine", {"filename_prefix": "clip"}),
        n3=("PreviewImage", {"images": ["9", 0]}),
    )
    filled = template(graph, outputs={"image": "1"}).fill({}, output_prefix="p")
    assert filled["1"]["inputs"]["filename_prefix"] == "p/1"
    assert filled["2"]["inputs"]["filename_prefix"] == "p/2"
    assert "filename_prefix" not in filled["3"]["inputs"]


@pytest.mark.parametrize(
    ("target", "given_value", "filled"),
    [
        ("1.seed", "12", 12),
        ("1.seed", " 12 ", 12),
        ("1.seed", "12.0", 12),
        ("1.seed", "１２", 12),
        ("1.seed", 12.0, 12),
        ("1.seed", str(2**64 - 1), 2**64 - 1),
        ("1.cfg", "7.5", 7.5),
        ("1.cfg", 7, 7.0),
        ("1.denoise", "0.75", 0.75),
        ("1.tiled", "是", True),
        ("1.tiled", "0", False),
        ("1.tiled", True, True),
        ("2.text", 7, "7"),
        ("2.text", "  红色 ", "  红色 "),
    ],
)
def test_a_rows_text_takes_the_type_of_the_templates_value(target, given_value, filled):
    node, _, name = target.partition(".")
    graph = template(x=target).fill({"x": given_value}, output_prefix="p")
    assert graph[node]["inputs"][name] == filled
    assert type(graph[node]["inputs"][name]) is type(filled)


@pytest.mark.parametrize(
    ("target", "given_value"),
    [
        ("1.seed", "abc"),
        ("1.seed", "1.5"),
        ("1.seed", 1.5),
        ("1.seed", "1_000"),
        ("1.seed", True),
        ("1.seed", 2**64),
        ("1.seed", 10**400),
        ("1.seed", "9" * 5000),
        ("1.cfg", "nan"),
        ("1.cfg", "1e999"),
        ("1.cfg", [1]),
        ("1.tiled", "maybe"),
        ("2.text", {"a": 1}),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_column(target, given_value):
    with pytest.raises(BadValue, match="column 步数: ") as refused:
        template(步数=target).fill({"步数": given_value}, output_prefix="p")
    assert len(str(refused.value)) < 160


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_cell_leaves_the_templates_own_value(blank):
    assert template(x="1.seed").fill({"x": blank}, output_prefix="p")["1"]["inputs"]["seed"] == 7


values = st.one_of(
    st.none(),
    st.text(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["t", "s", "other"]), values))
def test_the_same_arguments_fill_byte_identical_graphs(parameters):
    whole = template(t="positive.text", s="1.cfg")

    def outcome():
        try:
            graph = whole.fill(dict(reversed(parameters.items())), output_prefix="p")
        except BadValue as refused:
            return str(refused)
        return encode(graph), graph_sha256(graph)

    assert outcome() == outcome()
    assert whole.fill({}, output_prefix="p")["2"]["inputs"]["text"] == "a cat"


def test_a_row_without_seed_gets_a_new_one_and_a_given_one_is_kept():
    whole = template(seed="1.seed", prompt="positive.text")
    rng = random.Random(1)
    first, second = (whole.parameters_for({"prompt": "x", "other": 1}, rng) for _ in range(2))
    assert first["prompt"] == "x"
    assert set(first) == {"seed", "prompt"}
    assert first["seed"] != second["seed"]
    assert whole.parameters_for({"seed": "42"}, rng) == {"seed": "42"}
    assert "seed" not in template(prompt="positive.text").parameters_for({"seed": 1}, rng)


def test_pictures_are_left_to_the_upload():
    composition = Template.load("图片合成", COMPOSITION)
    row = {"product_image": "a.png", "model_image": "b.png"}
    assert set(composition.parameters_for(row, random.Random(1))) == {"seed"}


def test_seeds_stay_below_2_to_the_53():
    assert all(0 <= draw_seed(random.Random(n)) < 2**53 for n in range(200))


# -- what is found ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["画.师.seed", "1.seed", " 画.师 . seed "])
def test_a_target_is_found_by_title_with_dots_and_by_id(text):
    assert template(x=text).fill({"x": 5}, output_prefix="p")["1"]["inputs"]["seed"] == 5


def test_an_input_with_dots_in_its_name_is_found():
    graph = graph_with(
        n1=("SaveVideo", {"video": ["2", 0], "filename_prefix": "x", "format.codec": "h264"}, "out")
    )
    filled = template(graph, x="out.format.codec").fill({"x": "av1"}, output_prefix="p")
    assert filled["1"]["inputs"]["format.codec"] == "av1"


def test_a_subgraph_id_is_found():
    graph = graph_with(n12_3=("SaveImage", {"filename_prefix": "x", "note": "a"}))
    assert template(graph, x="12:3.note").columns == {"x"}


@pytest.mark.parametrize(
    ("class_type", "is_picture"),
    [("LoadImage", True), ("LoadImageMask", True), ("Fancy Load Image", True),
     ("LoadImageOutput", False), ("LoadImageFromUrl", False), ("ImageScale", False)],
)  # fmt: skip
def test_columns_that_go_to_picture_loaders_are_picture_columns(class_type, is_picture):
    graph = graph_with(
        n1=(class_type, {"image": "a.png"}), n2=("SaveImage", {"filename_prefix": "x"})
    )
    assert template(graph, p="1.image").picture_columns == ({"p"} if is_picture else frozenset())


def test_without_mapped_outputs_every_node_that_saves_is_a_result():
    graph = graph_with(
        n1=("SaveImage", {"filename_prefix": "x"}),
        n2=("SomeSaver", {"filename_prefix": "x"}),
        n3=("PreviewImage", {"images": ["9", 0]}),
    )
    assert [node.node_id for node in template(graph).result_nodes] == ["1", "2"]


def test_a_mapped_output_may_make_several_files_and_be_of_an_unknown_class():
    graph = graph_with(n1=("SaveImage", {"filename_prefix": "x"}), n2=("Odd", {}, "mine"))
    found = template(graph, outputs={"image": OutputNode(node="mine", count=4)}).result_nodes
    assert [(node.node_id, node.count) for node in found] == [("2", 4)]


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n", "not JSON"),
        (b'{"1": NaN}', "not JSON"),
        (b"[]", "no workflow"),
        (b"7", "no workflow"),
        (b"{}", "no node"),
        (b'{"nodes": [], "links": [], "version": 0.4}', "own save format"),
        (b'{"prompt": {"1": {"class_type": "A", "inputs": {}}}}', "no class_type"),
        (b'{"1": {"class_type": "A"}}', "no inputs"),
        (b'{"1": {"class_type": 7, "inputs": {}}}', "no class_type"),
    ],
)
def test_a_file_that_is_no_api_export_is_refused_with_the_way_out(source, what):
    (problem,) = problems_of(source=source)
    assert problem.key == 'workflows."图片合成".template'
    assert what in problem.what
    assert "Export (API)" in problem.fix


def test_a_byte_order_mark_is_no_obstacle():
    unmapped = Workflow(template=Path("unused.json"))
    source = b"\xef\xbb\xbf" + json.dumps(SMALL).encode()
    assert Template.from_bytes("t", unmapped, source).source == source


def test_a_missing_file_is_a_problem_of_the_template_key(tmp_path):
    with pytest.raises(TemplateError) as refused:
        Template.load("video", Workflow(template=tmp_path / "none.json"))
    (problem,) = told(refused.value)
    assert problem.key == "workflows.video.template"
    assert "No such file" in problem.what


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("positiv.text", "no node 'positiv'", "'positive'"),
        ("positive.txt", "no input 'txt'", "'text'"),
        ("positive", "names no input", "node title . input name"),
        (".text", "names no input", "node title . input name"),
        ("画.师.model", "is wired to node 4", "not wired"),
        ("output.filename_prefix", "is wired to node 9", ""),
    ],
)
def test_a_target_that_cannot_be_filled_is_named_with_a_fix(text, what, fix):
    (problem,) = problems_of(seed=text)
    assert problem.key == 'workflows."图片合成".inputs.seed'
    assert what in problem.what
    assert fix in problem.fix


def test_a_title_that_two_nodes_bear_names_both_ids():
    graph = SMALL | graph_with(n5=("KSampler", {"seed": 1}, "positive"))
    (problem,) = problems_of(graph=graph, x="positive.text")
    assert "2, 5" in problem.what
    assert "title of its own" in problem.fix


def test_the_prefix_cannot_be_mapped():
    graph = graph_with(n1=("SaveImage", {"filename_prefix": "x"}, "output"))
    (problem,) = problems_of(graph=graph, name="output.filename_prefix")
    assert "outputs.name" in problem.fix


def test_two_columns_cannot_fill_the_same_input():
    (problem,) = problems_of(a="positive.text", b="2.text")
    assert problem.key.endswith("inputs.b")


def test_a_workflow_that_saves_nothing_is_refused():
    graph = graph_with(n1=("PreviewImage", {"images": ["2", 0]}))
    (problem,) = problems_of(graph=graph)
    assert problem.key == 'workflows."图片合成".outputs'
    assert "SaveImage" in problem.fix


@pytest.mark.parametrize(
    ("outputs", "what"),
    [
        ({"image": "outptu"}, "no node 'outptu'"),
        ({"image": "look"}, "temporary"),
        ({"image": OutputNode(node="output", count=0)}, "count is 0"),
        ({"image": "output", "again": "12:3"}, "named twice"),
    ],
)
def test_an_output_that_cannot_be_a_result_is_refused(outputs, what):
    graph = SMALL | graph_with(n7=("PreviewImage", {}, "look"))
    (problem,) = problems_of(graph=graph, outputs=outputs)
    assert problem.key.startswith('workflows."图片合成".outputs.')
    assert what in problem.what


def test_all_problems_are_told_at_once():
    found = problems_of(outputs={"image": "none"}, a="x.y", b="positive.txt", c="positive.text")
    assert [problem.key.rpartition(".")[2] for problem in found] == ["a", "b", "image"]
