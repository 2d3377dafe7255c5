"""Where a door listens."""

import asyncio
import errno

from aiohttp import web

from config.errors import ConfigError, Problem
from config.faults import Fault, fault
from config.settings import Web
from daemon.web.address import try_to_listen
from daemon.words.retelling import SYSTEM, in_each_language, of_system


async def prove_usable(settings: Web) -> None:
    """Return when a door could be opened now; raises ConfigError, before anything has begun."""
    try:
        await asyncio.to_thread(try_to_listen, settings.host, settings.port)
    except OSError as error:
        raise _refusal(settings, error) from error


async def listen(runner: web.ServerRunner, settings: Web) -> str:
    """Begin to listen, and return under which address this machine's own clients find it.

    Raises ConfigError when the address cannot be used.
    """
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise _refusal(settings, error) from error
    return f"http://{_for_clients(settings.host)}:{runner.addresses[0][1]}"


def _refusal(settings: Web, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return unusable("web.port", str(settings.port), fault("port_taken"))
    why = fault("cannot_listen", said=in_each_language(of_system(error), SYSTEM))
    return unusable("web.host", settings.host, why)


def unusable(place: str, value: str, why: Fault) -> ConfigError:
    """Return the error for a setting that only the door itself finds wrong."""
    return ConfigError([Problem(place=place, value=value, faults=(why,))])


def _for_clients(host: str) -> str:
    """Return under which name this machine's own clients reach a door that listens at *host*."""
    plain = host.strip("[]")
    known = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - told from
    return known.get(plain, f"[{plain}]" if ":" in plain else plain)
