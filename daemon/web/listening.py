"""Where a door listens."""

import errno

from aiohttp import web

from config.errors import ConfigError, Problem
from config.faults import Fault, fault
from config.settings import Web


async def listen(runner: web.ServerRunner, settings: Web) -> str:
    """Begin to listen, and return under which address this machine's own clients find it.

    Raises ConfigError when the address cannot be used.
    """
    host, port = settings.host, settings.port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise unusable("web.port", str(port), fault("port_taken")) from error
        why = fault("cannot_listen", said=error.strerror or str(error))
        raise unusable("web.host", host, why) from error
    return f"http://{_for_clients(host)}:{runner.addresses[0][1]}"


def unusable(place: str, value: str, why: Fault) -> ConfigError:
    """Return the error for a setting that only the door itself finds wrong."""
    return ConfigError([Problem(place=place, value=value, faults=(why,))])


def _for_clients(host: str) -> str:
    """Return under which name this machine's own clients reach a door that listens at *host*."""
    plain = host.strip("[]")
    known = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - told from
    return known.get(plain, f"[{plain}]" if ":" in plain else plain)
