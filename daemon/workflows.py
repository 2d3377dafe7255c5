"""The workflow types as the steps share them, and what becomes of them at a reload."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from config.settings import Settings, Workflow
from daemon.dispatch.workflow import Template, load_templates
from daemon.intake.columns import WorkflowNeeds
from daemon.settle.results import ResultNode
from ledger.task import Task

T = TypeVar("T")


class Workflows:
    """The workflow types of the settings with their templates; replaced whole by a reload."""

    def __init__(self, settings: Settings) -> None:
        """Load all templates; raises TemplateError with every problem of every one."""
        self.settings: dict[str, Workflow] = {}
        self.templates: dict[str, Template] = {}
        self.needs: dict[str, WorkflowNeeds] = {}
        self.replaced: Callable[[], None] = lambda: None  # called after a reload
        self.load(settings)

    def load(self, settings: Settings) -> None:
        """Take over *settings*; raises TemplateError and keeps what there was."""
        templates = load_templates(settings.workflows)
        _replace(self.settings, settings.workflows)
        _replace(self.templates, templates)
        _replace(
            self.needs,
            {
                name: WorkflowNeeds(
                    picture_columns=template.picture_columns, columns=template.columns
                )
                for name, template in templates.items()
            },
        )

    def results_of(self, task: Task) -> Sequence[ResultNode]:
        """Return the result nodes of the task's attempt; none when the template changed since."""
        template = self.templates.get(task.workflow_type)
        if template is None or template.sha256 != task.metadata.template_sha256:
            return ()
        return template.result_nodes


def _replace(target: dict[str, T], source: dict[str, T]) -> None:
    target.clear()
    target.update(source)
