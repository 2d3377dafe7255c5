"""The table of recovery, line by line."""

import msgspec
import pytest

from daemon.comfy.server import FileRef, NodeError, Sighting, State
from daemon.settle.results import ResultNode
from daemon.settle.verdict import Decision, Probe, judge
from ledger.status import Stage
from tests.fakes.records import task_record

FILE = FileRef(
    node="40",
    filename="40_00001_.png",
    subfolder=task_record(attempt=1).output_prefix,
    type="output",
)
PREVIEW = FileRef(node="41", filename="p.png", subfolder="", type="temp")
ABSENT = Sighting(state=State.ABSENT)
INSIDE = (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING)


@pytest.mark.parametrize("stage", INSIDE)
def test_a_success_in_the_history_is_collected_from_every_stage(stage: Stage) -> None:
    sighting = Sighting(state=State.SUCCEEDED, outputs=(PREVIEW, FILE))
    verdict = judge(task_record(stage=stage, attempt=1), sighting, settled=False)
    assert (verdict.decision, verdict.files, verdict.adopted) == (Decision.COLLECT, (FILE,), False)
    assert verdict.is_ordinary


@pytest.mark.parametrize("folder", ["{ours}", "{ours}/clips", "chosen/by/the/node", ""])
def test_files_in_the_attempts_folder_or_the_nodes_own_are_its_result(folder: str) -> None:
    task = task_record(stage=Stage.RUNNING, attempt=1)
    named = folder.format(ours=task.output_prefix)
    for subfolder in (named, named.replace("/", "\\")):  # as ComfyUI on Windows names it
        file = FileRef(node="40", filename="a.png", subfolder=subfolder, type="output")
        sighting = Sighting(state=State.SUCCEEDED, outputs=(file,))
        assert judge(task, sighting, settled=False).decision is Decision.COLLECT


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize("attempt", ["vid_20261121_000009-1", "img_20261121_000001-11"])
def test_a_cached_success_with_another_attempts_files_is_a_bad_output(
    attempt: str, separator: str
) -> None:
    folder = f"rowkeeper{separator}{attempt}"
    file = FileRef(node="40", filename="40_00001_.mp4", subfolder=folder, type="output")
    sighting = Sighting(state=State.SUCCEEDED, outputs=(file,))
    verdict = judge(task_record(stage=Stage.RUNNING, attempt=1), sighting, settled=False)
    assert (verdict.decision, verdict.failure) == (Decision.FAIL, "bad_output")
    assert "another run" in verdict.message


@pytest.mark.parametrize("maker", ["40", "40.0.0.1"])
def test_files_of_the_result_nodes_and_of_those_they_expand_into_are_the_result(maker: str) -> None:
    task = task_record(stage=Stage.RUNNING, attempt=1)
    ours, other = (msgspec.structs.replace(FILE, node=node) for node in (maker, "400"))
    sighting = Sighting(state=State.SUCCEEDED, outputs=(other, ours))
    node = ResultNode(node_id="40", class_type="SaveImage", title="output")
    verdict = judge(task, sighting, settled=False, results=[node])
    assert verdict.files == (ours,)


def test_when_no_result_node_made_a_file_what_others_made_is_not_thrown_away() -> None:
    task = task_record(stage=Stage.RUNNING, attempt=1)
    node = ResultNode(node_id="41", class_type="SaveImage", title="output")
    sighting = Sighting(state=State.SUCCEEDED, outputs=(FILE,))
    assert judge(task, sighting, settled=False, results=[node]).files == (FILE,)


def test_a_success_without_any_file_is_a_bad_output() -> None:
    verdict = judge(task_record(stage=Stage.RUNNING), Sighting(state=State.SUCCEEDED), settled=True)
    assert (verdict.decision, verdict.failure) == (Decision.FAIL, "bad_output")


@pytest.mark.parametrize(
    ("out_of_memory", "kind"), [(True, "out_of_memory"), (False, "execution_error")]
)
def test_an_error_in_the_history_fails_with_the_nodes_message(
    out_of_memory: bool, kind: str
) -> None:
    error = NodeError(
        node_id="10", node_type="LoadImage", message="Truncated", out_of_memory=out_of_memory
    )
    verdict = judge(
        task_record(stage=Stage.RUNNING), Sighting(state=State.FAILED, error=error), settled=False
    )
    assert (verdict.decision, verdict.failure) == (Decision.FAIL, kind)
    assert verdict.message == "LoadImage (node 10): Truncated"


def test_an_interrupted_prompt_fails_as_interrupted() -> None:
    verdict = judge(
        task_record(stage=Stage.QUEUED), Sighting(state=State.INTERRUPTED), settled=False
    )
    assert (verdict.decision, verdict.failure) == (Decision.FAIL, "interrupted")


@pytest.mark.parametrize(
    ("stage", "state", "decision"),
    [
        (Stage.SUBMITTING, State.PENDING, Decision.FOLLOW),
        (Stage.SUBMITTING, State.RUNNING, Decision.FOLLOW),
        (Stage.QUEUED, State.PENDING, Decision.KEEP),
        (Stage.QUEUED, State.RUNNING, Decision.FOLLOW),
        (Stage.RUNNING, State.RUNNING, Decision.KEEP),
        (Stage.RUNNING, State.PENDING, Decision.KEEP),
    ],
)
def test_a_prompt_in_the_queue_is_followed(stage: Stage, state: State, decision: Decision) -> None:
    assert judge(task_record(stage=stage), Sighting(state=state), settled=True).decision is decision


@pytest.mark.parametrize("stage", INSIDE)
def test_an_absent_prompt_is_given_time_to_show_up(stage: Stage) -> None:
    verdict = judge(task_record(stage=stage), ABSENT, settled=False)
    assert verdict.decision is Decision.LOOK_AGAIN


@pytest.mark.parametrize("stage", INSIDE)
def test_a_settled_absence_asks_the_output_folder_and_adopts_what_is_complete(stage: Stage) -> None:
    task = task_record(stage=stage)
    assert judge(task, ABSENT, settled=True).decision is Decision.PROBE
    verdict = judge(task, ABSENT, settled=True, probe=Probe(complete=True, files=(FILE,)))
    assert (verdict.decision, verdict.files, verdict.adopted) == (Decision.COLLECT, (FILE,), True)
    assert not verdict.is_ordinary


@pytest.mark.parametrize("stage", [Stage.QUEUED, Stage.RUNNING])
def test_a_forgotten_prompt_without_outputs_runs_again(stage: Stage) -> None:
    verdict = judge(task_record(stage=stage), ABSENT, settled=True, probe=Probe(complete=False))
    assert verdict.decision is Decision.RUN_AGAIN


@pytest.mark.parametrize(
    ("ask", "decision"), [(False, Decision.SUBMIT_AGAIN), (True, Decision.ASK)]
)
def test_when_nobody_can_know_the_setting_decides(ask: bool, decision: Decision) -> None:
    verdict = judge(
        task_record(stage=Stage.SUBMITTING),
        ABSENT,
        settled=True,
        probe=Probe(complete=False),
        ask_when_uncertain=ask,
    )
    assert verdict.decision is decision


def test_the_third_death_of_a_server_over_one_row_is_blamed_on_the_row() -> None:
    probe = Probe(complete=False)
    second = judge(
        task_record(stage=Stage.RUNNING, lost_by_server=1), ABSENT, settled=True, probe=probe
    )
    third = judge(
        task_record(stage=Stage.RUNNING, lost_by_server=2), ABSENT, settled=True, probe=probe
    )
    assert second.decision is Decision.RUN_AGAIN
    assert (third.decision, third.failure) == (Decision.FAIL, "poison")


@pytest.mark.parametrize("stage", INSIDE)
def test_an_operators_intent_is_met_once_the_server_denies_the_prompt(stage: Stage) -> None:
    verdict = judge(task_record(stage=stage, requested="cancel"), ABSENT, settled=True)
    assert verdict.decision is Decision.AS_REQUESTED


@pytest.mark.parametrize("stage", [Stage.QUEUED, Stage.RUNNING])
def test_a_prompt_that_surely_had_arrived_needs_no_time_to_settle_once_it_is_gone(
    stage: Stage,
) -> None:
    gone = judge(task_record(stage=stage, requested="cancel"), ABSENT, settled=False)
    assert gone.decision is Decision.AS_REQUESTED
    twin = task_record(stage=stage, requested="cancel", possible_duplicate=True)
    assert judge(twin, ABSENT, settled=False).decision is Decision.LOOK_AGAIN


def test_a_submission_under_way_is_given_time_although_it_is_to_be_cancelled() -> None:
    task = task_record(stage=Stage.SUBMITTING, requested="cancel")
    assert judge(task, ABSENT, settled=False).decision is Decision.LOOK_AGAIN


def test_what_ended_before_it_was_cancelled_is_collected_and_the_reason_says_so() -> None:
    task = task_record(stage=Stage.RUNNING, requested="cancel")
    verdict = judge(task, Sighting(state=State.SUCCEEDED, outputs=(PREVIEW,)), settled=False)
    assert verdict.decision is Decision.COLLECT
    assert verdict.reason == "history: success; it ended before the cancel that was requested"


@pytest.mark.parametrize("stage", INSIDE)
def test_a_prompt_that_began_cannot_be_taken_back_any_more(stage: Stage) -> None:
    running = Sighting(state=State.RUNNING)
    void = judge(task_record(stage=stage, requested="take_back"), running, settled=False)
    assert void.decision is Decision.FOLLOW
    firm = judge(task_record(stage=Stage.RUNNING, requested="reset"), running, settled=False)
    assert firm.decision is Decision.KEEP
