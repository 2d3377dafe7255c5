"""Every sentence of the command line, in Chinese and in English, with the same keys."""

from daemon.cli.catalogue import en, zh

CATALOGUE: dict[str, dict[str, str]] = {"zh": zh.SENTENCES, "en": en.SENTENCES}
