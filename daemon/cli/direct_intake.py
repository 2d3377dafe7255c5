"""The intake of a command without a daemon, made from the settings as the daemon's own is."""

from config.output_name import columns_in
from config.settings import Settings
from daemon.cli.run import config_error
from daemon.dispatch.templates import TemplateError
from daemon.intake.columns import known_columns
from daemon.intake.completeness import Completeness
from daemon.intake.direct import DirectIntake
from daemon.intake.picture_store import PictureStore
from daemon.timepiece import MachineTime
from daemon.words import words_of_tables
from daemon.workflows import Workflows


def direct_intake(settings: Settings) -> DirectIntake:
    """Return the intake; raises ConfigError when a template cannot be used."""
    try:
        needs = Workflows(settings).needs
    except TemplateError as error:
        raise config_error(error) from error
    inputs = settings.inputs
    return DirectIntake(
        settings.inbox.path,
        PictureStore(inputs.path, max_picture_megapixels=inputs.max_picture_megapixels),
        Completeness(settings.inbox, inputs.allow, MachineTime()),
        needs,
        known_columns(needs) | columns_in(settings.outputs.name),
        allow=inputs.allow,
        words=words_of_tables(settings.language),
    )
