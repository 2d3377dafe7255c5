"""Follows the prompts inside one server until they end; carries out operators' intents."""

import asyncio
from collections import OrderedDict

import structlog

from config.settings import Server
from daemon import failpoint
from daemon.clock import Clock
from daemon.comfy.server import ENDED, AnswerLost, Unreachable, WorkflowServer
from daemon.follow.news import EARLY_NEWS, News
from daemon.logs import about
from daemon.settle.settlement import Settlement, ticket_of
from ledger.entry import Transaction
from ledger.errors import LedgerClosed
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Task

log = structlog.get_logger()

#: Longest pause before a server that does not answer is asked again.
LONGEST_BACKOFF_SECONDS = 30.0
#: Polls during which a running prompt of ours may be silent on the push channel.
SILENT_POLLS = 2


class Follower:
    """Asks one server about all its prompts together, on a timer and when there is news."""

    def __init__(
        self,
        server: WorkflowServer,
        settings: Server,
        ledger: Ledger,
        settlement: Settlement,
        clock: Clock,
    ) -> None:
        self.name = f"follow:{server.name}"
        self.news = News(server, ledger, clock, self._heard)
        self._server = server
        self._settings = settings
        self._ledger = ledger
        self._settlement = settlement
        self._clock = clock
        self._wake = asyncio.Event()
        self._early: OrderedDict[str, str] = OrderedDict()  # prompt -> its newest unread news
        self._polled_at = float("-inf")
        self._carried_out: set[tuple[str, str]] = set()  # prompts and what was asked for them

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until *stop*; what runs then runs on and is found again at the next start."""
        unsubscribe = self._ledger.subscribe(self._follow_ledger, Stage.QUEUED, Stage.RUNNING)
        backoff_seconds = self._settings.poll_seconds
        try:
            while not stop.is_set():
                pause_seconds = self._settings.poll_seconds
                self._wake.clear()
                try:
                    again_seconds = await self._look()
                except (Unreachable, AnswerLost) as error:
                    log.debug("follow.unreachable", server=self._server.name, error=str(error))
                    pause_seconds = backoff_seconds
                    backoff_seconds = min(2 * backoff_seconds, LONGEST_BACKOFF_SECONDS)
                    await self._clock.pause(pause_seconds, stop)
                    continue
                except LedgerClosed:
                    log.debug("follow.ledger_closed", server=self._server.name)
                else:
                    backoff_seconds = self._settings.poll_seconds
                    pause_seconds = min(pause_seconds, again_seconds)
                await self._clock.pause(pause_seconds, stop, self._wake)
        finally:
            unsubscribe()

    async def _look(self) -> float:
        """Look after the prompts that need it; returns how soon absent ones want another look."""
        found = self._ledger.in_stage(Stage.QUEUED, Stage.RUNNING, server=self._server.name)
        inside = [task for task in found if self._is_to_be_followed(task)]
        if not inside or not self._ledger.writable:
            return self._settings.poll_seconds
        if self._clock.monotonic() - self._polled_at >= self._settings.poll_seconds:
            await self._before_a_poll(inside)
            looked_after, ended = inside, set[str]()
        else:
            changed = await self._carry_out(inside)
            looked_after = [
                task
                for task in inside
                if task.comfyui_task_id in self._early or task.task_id in changed
            ]
            ended = self._ended_by_news(looked_after)
        if not looked_after:
            return self._settings.poll_seconds
        settled = await self._settlement.settle(
            self._server, self._settings, looked_after, ended=ended
        )
        again = settled.look_again_in_seconds
        return self._settings.poll_seconds if again is None else max(again, 0.05)

    def _is_to_be_followed(self, task: Task) -> bool:
        """Say whether the task is ours by now; an operator's intent does not wait for recovery."""
        return task.requested is not None or task.task_id not in self._settlement.left_to_recovery

    async def _before_a_poll(self, inside: list[Task]) -> None:
        """Do what is done once a poll; a poll needs no news, for it looks after all prompts."""
        now = self._polled_at = self._clock.monotonic()
        self._early.clear()
        self._carried_out.clear()  # a prompt that is still there is asked for once more
        self.news.keep_only({task.comfyui_task_id or "" for task in inside})
        await self._carry_out(inside)
        await self._reconnect_if_deaf(inside, now)

    def _ended_by_news(self, looked_after: list[Task]) -> set[str]:
        """Take the news of these tasks; returns the prompts that have ended by them."""
        return {
            task.comfyui_task_id or ""
            for task in looked_after
            if self._early.pop(task.comfyui_task_id or "", None) == ENDED
            and not task.possible_duplicate  # its twin may still wait or run
        }

    async def _carry_out(self, inside: list[Task]) -> set[str]:
        """Have the server do what operators committed; returns the ids of the tasks to look at.

        Once at once, and again at every poll until queue and history show the end: after a crash,
        a lost answer, or where the prompt just changed its place.
        """
        changed: set[str] = set()
        for task in inside:
            if task.requested is None:  # as nearly all
                continue
            intent = (task.comfyui_task_id or "", task.requested)
            if intent in self._carried_out:
                continue
            do = self._server.take_back if task.requested == "take_back" else self._server.cancel
            try:
                with structlog.contextvars.bound_contextvars(**about(task)):
                    await do(ticket_of(task))
            except (Unreachable, AnswerLost) as error:  # the look that follows decides
                log.warning("task.not_taken_out", **about(task), error=str(error))
            failpoint.reach("follow.carried_out")
            self._carried_out.add(intent)
            changed.add(task.task_id)
        return changed

    async def _reconnect_if_deaf(self, inside: list[Task], now: float) -> None:
        """Connect the push channel anew when nothing is heard of what runs.

        A channel that has brought news of it is not deaf: its node takes long.
        """
        heard_at = self.news.last_frame_at
        running = [task.comfyui_task_id or "" for task in inside if task.stage is Stage.RUNNING]
        if heard_at is None or not running:
            return
        if any(self.news.silence_seconds(prompt_id) is not None for prompt_id in running):
            return
        if now - heard_at > SILENT_POLLS * self._settings.poll_seconds:
            await self.news.connect_anew()

    def _heard(self, prompt_id: str, event: str) -> None:
        """Take news of a prompt: it began or ended, so look at it now."""
        self._early[prompt_id] = event
        while len(self._early) > EARLY_NEWS:
            self._early.popitem(last=False)
        self._wake.set()

    def _follow_ledger(self, transaction: Transaction) -> None:
        """Look at once at a prompt that became ours after its news, or that has an intent."""
        for record in transaction.records:
            if not isinstance(record, Task) or record.server != self._server.name:
                continue
            if record.stage in (Stage.QUEUED, Stage.RUNNING) and (
                record.comfyui_task_id in self._early or record.requested is not None
            ):
                self._wake.set()
