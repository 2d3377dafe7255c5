"""The client against the simulator, over real HTTP, in both generations."""

import asyncio
import io
import uuid
from contextlib import asynccontextmanager

import pytest
from PIL import Image

from daemon.comfy.server import AnswerLost, FileRef, Refused, State, Ticket, Unreachable
from daemon.comfy.simulator import Simulator

CLIENT_ID = "our-client"


@pytest.fixture(params=["0.3.64", "0.33.0"])
def version(request):
    return request.param


@pytest.fixture
async def simulator(tmp_path, version):
    async with Simulator(tmp_path / "server", version=version) as running:
        yield running


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 48), (200, 10, 10)).save(path)
    return path


def ticket(task_id="img_20261121_000001", attempt=1):
    return Ticket(prompt_id=str(uuid.uuid4()), task_id=task_id, attempt=attempt)


def graph(name, prefix="rowkeeper/img_20261121_000001-1/image"):
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}, "_meta": {"title": "product"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


class Feed:
    """News collected in the background."""

    def __init__(self):
        self.heard = []
        self.more = asyncio.Condition()
        self.collecting = None

    async def collect(self, client):
        async for each in client.progress(CLIENT_ID):
            async with self.more:
                self.heard.append(each)
                self.more.notify_all()

    def of(self, mine):
        return [each for each in self.heard if each.prompt_id == mine.prompt_id]

    async def ended(self, mine):
        """Wait for the end of a prompt and return all that was told about it."""
        async with asyncio.timeout(20), self.more:
            await self.more.wait_for(lambda: "ended" in [each.event for each in self.of(mine)])
        return self.of(mine)


@asynccontextmanager
async def open_feed(client, name):
    """Open a feed and run prompts until the first news shows that it is open."""
    feed = Feed()
    feed.collecting = asyncio.create_task(feed.collect(client))
    try:
        while not feed.heard:
            first = ticket("first")
            await client.submit(graph(name, f"first/{first.prompt_id}"), first, CLIENT_ID)
            await look(client, first, until={State.SUCCEEDED})
        yield feed
    finally:
        feed.collecting.cancel()
        await asyncio.gather(feed.collecting, return_exceptions=True)


async def look(client, mine, *, until):
    """Look until the prompt is in one of the states *until*, and return what was seen."""
    async with asyncio.timeout(20):
        while True:
            seen = (await client.look_up([mine]))[mine.prompt_id]
            if seen.state in until:
                return seen


async def whole(client, ref):
    async with client.open_file(ref) as download:
        return b"".join([chunk async for chunk in download.chunks()])


async def test_a_picture_goes_in_and_its_copy_comes_out(simulator, client_of, picture):
    client, mine = client_of(simulator), ticket()
    assert (await client.health()).usable
    assert {"LoadImage", "SaveImage"} <= set(await client.node_classes())
    name = await client.upload(picture, "abc.png")
    assert name == await client.upload(picture, "abc.png")
    async with open_feed(client, name) as feed:
        assert await client.submit(graph(name), mine, CLIENT_ID) == mine.prompt_id
        heard = await feed.ended(mine)
    seen = (await client.look_up([mine]))[mine.prompt_id]  # it ended, so the history knows it
    assert seen.state is State.SUCCEEDED
    assert seen.started_at <= seen.ended_at
    assert [each.event for each in heard if each.event != "node"] == ["started", "ended"]
    assert (heard[0].event, heard[-1].event) == ("started", "ended")
    (ref,) = seen.outputs
    assert (ref.node, ref.subfolder) == ("2", "rowkeeper/img_20261121_000001-1")
    head, made = await client.find_file(ref), await whole(client, ref)
    assert head.size_bytes == len(made)
    assert Image.open(io.BytesIO(made)).getpixel((5, 5)) == (200, 10, 10)
    unmade = FileRef(node="2", filename="image_00002_.png", subfolder=ref.subfolder, type="output")
    assert await client.find_file(unmade) is None


async def test_other_bytes_under_a_taken_name_get_their_own(simulator, client_of, picture):
    client = client_of(simulator)
    first = await client.upload(picture, "abc.png")
    Image.new("RGB", (64, 48), "blue").save(picture)
    assert first != await client.upload(picture, "abc.png")


async def test_an_accepted_submission_whose_answer_was_lost_is_found(simulator, client_of, picture):
    client = client_of(simulator)
    name = await client.upload(picture, "abc.png")
    for fault in ("lost_answer", "error_after_accept"):
        mine = ticket()
        simulator.faults.next(fault)
        with pytest.raises(AnswerLost):
            await client.submit(graph(name, f"x/{fault}"), mine, CLIENT_ID)
        assert (await look(client, mine, until={State.SUCCEEDED})).outputs
    assert len(simulator.executions.all()) == 2


async def test_a_submission_that_failed_before_acceptance_is_absent(simulator, client_of, picture):
    client, mine = client_of(simulator), ticket()
    simulator.faults.next("error_before_accept")
    with pytest.raises(AnswerLost):
        await client.submit(graph(await client.upload(picture, "a.png")), mine, CLIENT_ID)
    assert (await client.look_up([mine]))[mine.prompt_id].state is State.ABSENT


async def test_a_missing_picture_and_a_missing_node_are_told_apart(simulator, client_of, picture):
    client = client_of(simulator)
    with pytest.raises(Refused, match=r'node "product" \(LoadImage\): image') as refusal:
        await client.submit(graph("nowhere.png"), ticket(), CLIENT_ID)
    assert refusal.value.kind == "missing_input"
    simulator.faults.set("missing_class", target="SaveImage")
    name = await client.upload(picture, "a.png")
    with pytest.raises(Refused, match=r"node 2 \(SaveImage\)") as refusal:
        await client.submit(graph(name), ticket(), CLIENT_ID)
    assert refusal.value.kind == "missing_node"


async def test_a_prompt_of_which_a_part_was_dropped_is_refused_and_does_not_run_on(
    tmp_path, version, client_of, picture
):
    async with Simulator(tmp_path / "slow", version=version, seconds_per_job=30) as simulator:
        client, mine = client_of(simulator), ticket()
        name = await client.upload(picture, "a.png")
        two_outputs = graph(name) | {"3": graph(name, "x/kept")["2"]}
        simulator.faults.next("node_errors_in_200")
        with pytest.raises(Refused):
            await client.submit(two_outputs, mine, CLIENT_ID)
        await look(client, mine, until={State.ABSENT, State.INTERRUPTED})


async def test_cancel_takes_out_what_waits_and_interrupts_only_what_it_names(
    tmp_path, version, client_of, picture
):
    async with Simulator(tmp_path / "slow", version=version, seconds_per_job=30) as simulator:
        client = client_of(simulator)
        name = await client.upload(picture, "a.png")
        runs, waits, stays = ticket("a"), ticket("b"), ticket("c")
        for n, each in enumerate((runs, waits, stays)):
            await client.submit(graph(name, f"x/{n}"), each, CLIENT_ID)
        await look(client, runs, until={State.RUNNING})
        await client.cancel(waits)
        seen = await client.look_up([runs, waits, stays])
        assert [seen[each.prompt_id].state for each in (runs, waits, stays)] == [
            State.RUNNING,
            State.ABSENT,
            State.PENDING,
        ]
        await client.cancel(ticket("unknown"))
        assert (await client.look_up([runs]))[runs.prompt_id].state is State.RUNNING
        await client.cancel(runs)
        await look(client, runs, until={State.INTERRUPTED})
        await look(client, stays, until={State.RUNNING})


async def test_a_prompt_that_waits_twice_loses_one_of_its_copies(
    tmp_path, version, client_of, picture
):
    async with Simulator(tmp_path / "slow", version=version, seconds_per_job=30) as simulator:
        client, mine = client_of(simulator), ticket()
        name = await client.upload(picture, "a.png")
        await client.submit(graph(name, "x/other"), ticket("other"), CLIENT_ID)
        for _ in range(2):
            await client.submit(graph(name), mine, CLIENT_ID)
        assert (await client.look_up([mine]))[mine.prompt_id].copies == 2
        for _ in range(2):  # the second time nothing is too many
            await client.delete_pending_copy(mine)
            seen = (await client.look_up([mine]))[mine.prompt_id]
            assert (seen.state, seen.copies) == (State.PENDING, 1)


async def test_a_card_out_of_memory_is_told_apart_and_can_be_freed(simulator, client_of, picture):
    client = client_of(simulator)
    name = await client.upload(picture, "a.png")
    for fault, memory in (("out_of_memory", True), ("execution_error", False)):
        mine = ticket()
        simulator.faults.next(fault)
        await client.submit(graph(name, f"x/{fault}"), mine, CLIENT_ID)
        seen = await look(client, mine, until={State.FAILED})
        assert seen.error.out_of_memory is memory
        assert seen.error.message
    await client.free_memory()


async def test_a_download_cut_in_the_middle_goes_on_from_there(simulator, client_of, picture):
    client, mine = client_of(simulator), ticket()
    await client.submit(graph(await client.upload(picture, "a.png")), mine, CLIENT_ID)
    (ref,) = (await look(client, mine, until={State.SUCCEEDED})).outputs
    simulator.faults.next("truncated_view")
    got = []

    async def read_on(offset):
        async with client.open_file(ref, offset) as download:
            assert download.offset == offset
            async for chunk in download.chunks():
                got.append(chunk)

    with pytest.raises(AnswerLost):
        await read_on(0)
    await read_on(len(b"".join(got)))
    assert b"".join(got) == await whole(client, ref)


async def test_a_restarted_server_has_the_files_but_not_the_history(simulator, client_of, picture):
    client, mine = client_of(simulator), ticket()
    name = await client.upload(picture, "a.png")
    await client.submit(graph(name), mine, CLIENT_ID)
    (ref,) = (await look(client, mine, until={State.SUCCEEDED})).outputs
    async with open_feed(client, name) as feed:
        await simulator.stop()
        async with asyncio.timeout(20):
            await feed.collecting  # it ends without an error
    with pytest.raises(Unreachable):
        await client.look_up([mine])
    with pytest.raises(Unreachable):
        await client.submit(graph(name), mine, CLIENT_ID)
    with pytest.raises(Unreachable):
        await anext(client.progress(CLIENT_ID))
    await simulator.start()
    assert (await client.look_up([mine]))[mine.prompt_id].state is State.ABSENT
    assert await client.find_file(ref) is not None
