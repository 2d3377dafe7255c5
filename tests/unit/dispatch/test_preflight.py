"""Preflight against what two real servers said, and against the simulator."""

import copy
import json
import random
from pathlib import Path

import msgspec
import pytest
from PIL import Image

import config
from config.settings import Workflow
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import Ticket
from daemon.comfy.simulator.simulator import Simulator
from daemon.dispatch.preflight import NodeProblem, Preflight, check_graph
from daemon.dispatch.row_report import check_rows
from daemon.dispatch.workflow import Template, load_templates
from ledger.task import Dependency, InputFile, Task
from tests.fakes.replay import GENERATIONS, RECORDINGS, recording

SHIPPED = Path(config.__file__).parent / "examples" / "workflows"
WORKFLOWS = {
    "图片合成": Workflow(
        template=SHIPPED / "image_composition.json",
        inputs={
            "product_image": "product.image",
            "model_image": "model.image",
            "seed": "sampler.seed",
            "strength": "sampler.strength",
        },
    ),
    "图生视频": Workflow(template=SHIPPED / "image_to_video.json", inputs={"image": "image.image"}),
}


def classes(generation):
    """Return the recorded answers of /object_info/<class> as one /object_info."""
    return {
        name: description
        for answer in recording(generation, "object_info").values()
        for name, description in answer.items()
    }


def submissions(generation):
    """Yield every recorded POST /prompt with its graph, status and answer."""
    for path in sorted((RECORDINGS / generation).glob("*.json")):
        recorded = json.loads(path.read_text())
        for exchange in recorded.values() if isinstance(recorded, dict) else ():
            request = exchange.get("request") if isinstance(exchange, dict) else None
            if not isinstance(request, dict) or request.get("path") != "/prompt":
                continue
            graph = (request.get("json") or {}).get("prompt")
            if graph and "nodes" not in graph:
                yield path.stem, graph, exchange["status"]


def class_of_inputs(module="nodes", output_node=True, optional=None, **required):
    return {
        "input": {"required": required, "optional": optional or {}},
        "output_node": output_node,
        "python_module": module,
    }


def graph_of(inputs, class_type="Node"):
    return {"1": {"class_type": class_type, "inputs": inputs, "_meta": {"title": "loader"}}}


def kinds(findings):
    return [(finding.kind, finding.input_name) for finding in findings]


# -- recorded servers ---------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_preflight_agrees_with_what_real_servers_accepted_and_refused(generation):
    # Not of the graph: files uploaded, an output node (templates see to it), a bad prompt id.
    unseen = {"invalid_missing_input_file", "invalid_no_output_node", "jobs_api"}
    seen = {200: 0, 400: 0}
    for name, graph, status in submissions(generation):
        if name not in unseen:
            seen[status] += 1
            assert bool(check_graph(graph, classes(generation))) == (status != 200), name
    assert seen[200] >= 5
    assert seen[400] == 3


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("invalid_unknown_node", ("missing_node", None)),
        ("invalid_missing_input_link", ("rejected", "image2")),
        ("invalid_value_out_of_range", ("rejected", "blend_factor")),
    ],
)
def test_each_recorded_refusal_is_foreseen_by_node_and_input(generation, name, finding):
    graph = recording(generation, name)["submit"]["request"]["json"]["prompt"]
    found = check_graph(graph, classes(generation))
    assert kinds(found) == [finding]
    assert found[0].node_id == "30"
    assert "node 30" in found[0].message


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_gravest_kind_comes_first(generation):
    known = classes(generation) | {
        "CheckpointLoader": class_of_inputs(output_node=False, ckpt_name=[["a.safetensors"]])
    }
    graph = copy.deepcopy(
        recording(generation, "invalid_value_out_of_range")["submit"]["request"]["json"]["prompt"]
    )
    graph["20"]["inputs"]["image"] = ["99", 0]
    graph["99"] = {"class_type": "CheckpointLoader", "inputs": {"ckpt_name": "b.safetensors"}}
    found = check_graph(graph, known)
    assert kinds(found) == [("missing_model", "ckpt_name"), ("rejected", "blend_factor")]


# -- the simulator ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
async def test_the_shipped_templates_pass_preflight_and_are_accepted(tmp_path, version):
    async with Simulator(tmp_path / "server", version=version) as server:
        client = ComfyClient("gpu-a", server.url, clock=SystemClock())
        try:
            known = await client.node_classes()
            for number, template in enumerate(load_templates(WORKFLOWS).values()):
                graph = template.fill(
                    template.parameters_for({}, random.Random(1)), output_prefix=f"p/{number}"
                )
                assert check_graph(graph, known) == []
                for column in template.picture_columns:
                    node = graph[template.targets[column].node_id]
                    node["inputs"]["image"] = await client.upload(_picture(tmp_path), "a.png")
                ticket = Ticket(
                    prompt_id=f"{number}1111111-1111-4111-8111-111111111111",
                    task_id=f"img_{number}",
                    attempt=1,
                )
                assert await client.submit(graph, ticket, "us") == ticket.prompt_id
        finally:
            await client.close()


def _picture(folder):
    path = folder / "a.png"
    Image.new("RGB", (32, 48), "red").save(path)
    return path


# -- notations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "notation",
    [
        [["a", "b"]],
        [["a", "b"], {"default": "a"}],
        ["COMBO", {"options": ["a", "b"], "multiselect": False}],
        ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "a", "inputs": {}}, {"key": "b"}]}],
    ],
)
def test_choices_are_read_in_every_notation(notation):
    known = {"Node": class_of_inputs(mode=notation)}
    assert check_graph(graph_of({"mode": "b"}), known) == []
    (found,) = check_graph(graph_of({"mode": "c"}), known)
    assert found.kind == "rejected"
    assert found.message == (
        "node 1 (Node 'loader'), input mode: 'c' is not among what this server offers (a, b)"
    )


@pytest.mark.parametrize(
    ("input_name", "value", "kind"),
    [
        ("ckpt_name", "x.safetensors", "missing_model"),
        ("lora_name", "x", "missing_model"),
        ("clip_name2", "x", "missing_model"),
        ("vae", "x", "missing_model"),
        ("anything", "x.gguf", "missing_model"),
        ("sampler_name", "x", "rejected"),
        ("mode", "x", "rejected"),
        ("ckpt_name", 7, "missing_model"),
    ],
)
def test_a_choice_that_names_a_model_is_a_missing_model(input_name, value, kind):
    known = {"Node": class_of_inputs(**{input_name: [["other"]]})}
    assert kinds(check_graph(graph_of({input_name: value}), known)) == [(kind, input_name)]


def test_a_server_without_any_model_says_so():
    known = {"Node": class_of_inputs(ckpt_name=[[]])}
    (found,) = check_graph(graph_of({"ckpt_name": "x.safetensors"}), known)
    assert "it offers nothing" in found.message


def test_custom_nodes_that_fill_their_lists_in_the_browser_are_not_held_up():
    known = {"Node": class_of_inputs("custom_nodes.impact", mode=[["none"]], lora_name=[["a"]])}
    assert check_graph(graph_of({"mode": "cat", "lora_name": "b"}), known) == []
    (found,) = check_graph(graph_of({"mode": "none", "lora_name": "b.safetensors"}), known)
    assert found.kind == "missing_model"


@pytest.mark.parametrize(
    "notation",
    [
        [["there.png"], {"image_upload": True}],
        ["COMBO", {"options": ["there.png"], "video_upload": True}],
        ["COMBO", {"remote": {"route": "/x"}, "options": ["a"]}],
        ["COMBO", {}],
        ["SOMETHING_NEW", {"options": ["a"]}],
        ["*"],
    ],
)
def test_what_only_the_server_can_know_is_left_to_it(notation):
    known = {"Node": class_of_inputs(image=notation)}
    assert check_graph(graph_of({"image": "later.png"}), known) == []


@pytest.mark.parametrize(
    ("notation", "value", "fits"),
    [
        (["INT", {"min": 0, "max": 2**64 - 1}], 2**64 - 1, True),
        (["INT", {"min": 0, "max": 2**64 - 1}], -1, False),
        (["INT", {"min": 1}], "12", True),
        (["INT", {"min": 1}], "x", False),
        (["INT", {"max": 4}], 4.9, True),  # ComfyUI cuts it off
        (["FLOAT", {"min": 0.0, "max": 1.0}], 1, True),
        (["FLOAT", {"min": 0.0, "max": 1.0}], 1.01, False),
        (["FLOAT"], [1, 2, 3], False),
        (["FLOAT", {"max": 1.0}], {"__value__": 2.0}, False),
        (["STRING", {"multiline": True}], 7, True),
    ],
)
def test_numbers_are_held_against_the_bounds_as_the_server_reads_them(notation, value, fits):
    found = check_graph(graph_of({"x": value}), {"Node": class_of_inputs(x=notation)})
    assert kinds(found) == ([] if fits else [("rejected", "x")])


def test_several_choices_at_once_are_each_looked_up():
    known = {"Node": class_of_inputs(x=["COMBO", {"options": ["a", "b"], "multiselect": True}])}
    assert check_graph(graph_of({"x": {"__value__": ["a", "b"]}}), known) == []
    assert len(check_graph(graph_of({"x": {"__value__": ["a", "c"]}}), known)) == 1


def test_optional_inputs_may_be_missing_but_not_wrong():
    known = {"Node": class_of_inputs(optional={"x": ["INT", {"max": 1}]})}
    assert check_graph(graph_of({}), known) == []
    assert len(check_graph(graph_of({"x": 2}), known)) == 1


def test_nodes_that_lead_nowhere_are_not_looked_into_but_must_exist():
    known = {"Node": class_of_inputs(), "Aside": class_of_inputs(output_node=False, x=["INT"])}
    graph = graph_of({}) | {"2": {"class_type": "Aside", "inputs": {}}}
    assert check_graph(graph, known) == []
    graph["3"] = {"class_type": "Unheard", "inputs": {}}
    assert kinds(check_graph(graph, known)) == [("missing_node", None)]


def test_a_wire_to_a_node_that_is_not_there_is_found():
    (found,) = check_graph(graph_of({"x": ["7", 0]}), {"Node": class_of_inputs(x=["IMAGE"])})
    assert "hangs on node 7" in found.message


@pytest.mark.parametrize("description", [7, {"input": None}, {"input": {"required": []}}, {"x": 1}])
def test_a_description_of_another_shape_is_no_obstacle(description):
    assert check_graph(graph_of({"x": 1}), {"Node": description}) == []


def test_a_ring_of_wires_does_not_hang():
    known = {"Node": class_of_inputs(x=["IMAGE"])}
    assert check_graph(graph_of({"x": ["1", 0]}), known) == []


# -- the report ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def templates():
    return load_templates(WORKFLOWS)


PICTURE = InputFile(name="a.png", sha256="0" * 64, size_bytes=1)


def task(number, workflow_type="图片合成", **fields):
    fields.setdefault("inputs", {"product_image": PICTURE, "model_image": PICTURE})
    return Task(
        task_id=f"t{number}{workflow_type}",
        root_task_id=f"t{number}",
        row_id=f"b:{number}",
        batch_id="b",
        row_number=number,
        workflow_type=workflow_type,
        created_at="2026-11-21T10:00:00.000Z",
        updated_at="2026-11-21T10:00:00.000Z",
        **fields,
    )


def test_the_report_counts_rows_by_what_keeps_them_from_running(templates):
    tasks = [task(n) for n in range(187)]
    tasks += [task(n, inputs={"product_image": PICTURE}) for n in range(187, 196)]
    tasks += [task(n, row={"strength": "many"}) for n in range(196, 200)]
    report = check_rows(tasks, templates, {"图片合成": {"a": []}})
    assert (report.total, report.ready) == (200, 187)
    assert report.troubles == {"missing_picture": 9, "bad_input": 4}
    assert next(iter(report.reasons.items())) == ("the row names no picture for model_image", 9)


def test_a_row_is_ready_when_one_server_can_run_it(templates):
    wrong = NodeProblem(kind="missing_model", node_id="1", input_name="x", message="no x")
    two = {"图片合成": {"a": [wrong], "b": []}}
    assert check_rows([task(1)], templates, two).ready == 1
    one = {"图片合成": {"a": [wrong]}}
    assert check_rows([task(1)], templates, one).troubles == {"missing_model": 1}


def test_a_two_stage_row_counts_once_and_its_video_waits_for_the_picture(templates):
    video = task(
        1, "图生视频", inputs={}, depends_on=Dependency(row_id="b:1", workflow_type="图片合成")
    )
    report = check_rows([task(1), video], templates, {})
    assert (report.total, report.ready) == (1, 1)
    alone = msgspec.structs.replace(video, depends_on=None)
    report = check_rows([task(1), alone], templates, {})
    assert (report.total, report.ready) == (1, 0)
    assert report.troubles == {"missing_picture": 1}


def test_an_unknown_workflow_type_is_reported(templates):
    assert check_rows([task(1, "别的")], templates, {}).troubles == {"no_workflow": 1}


def test_no_rows_is_a_report_too(templates):
    report = check_rows([], templates, {})
    assert (report.total, report.ready, report.reasons) == (0, 0, {})


# -- many rows of one template --------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@pytest.mark.parametrize("lacking", [None, "Sampler", "mode"])
def test_a_template_that_was_checked_once_is_judged_as_each_of_its_graphs_would_be(first, lacking):
    sampler = {"cfg": 1, "mode": "a", "ckpt_name": "x.safetensors", "free": [1, 2]}
    source = {
        "1": {"class_type": "Sampler", "inputs": sampler},
        "2": {"class_type": "Save", "inputs": {"image": ["1", 0], "filename_prefix": "p"}},
        "3": {"class_type": "Other", "inputs": {}},
    }
    mapped = {"cfg": "1.cfg", "model": "1.ckpt_name", "free": "1.free"}
    template = Template.from_bytes(
        "t", Workflow(template=SHIPPED, inputs=mapped), json.dumps(source).encode()
    )
    known = {
        "Sampler": class_of_inputs(
            output_node=False,
            cfg=["INT", {"min": 0, "max": 9}],
            mode=[["a"]] if lacking != "mode" else [["b"]],
            ckpt_name=[["x.safetensors"]],
        ),
        "Save": class_of_inputs(image=["IMAGE"], filename_prefix=["STRING"]),
        "Other": class_of_inputs(output_node=False, needed=["INT"]),
    }
    known.pop(lacking, None)
    rows = [{"cfg": 2}, {"cfg": 99}, {"model": "y.safetensors"}, {"free": ["3", 0]}]
    graphs = [template.fill(row, output_prefix=f"p{n}") for n, row in enumerate(rows)]
    preflight = Preflight(template, known, graphs[first])
    assert [preflight.problems(graph) for graph in graphs] == [
        check_graph(graph, known) for graph in graphs
    ]
    assert bool(preflight.problems(graphs[0])) == (lacking is not None)
    assert all(preflight.problems(graph) for graph in graphs[1:])
    assert preflight.is_of(template, known)
    assert not preflight.is_of(template, dict(known))
