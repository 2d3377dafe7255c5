"""What every answer bears, so that a browser takes it for nothing but what it is."""

from types import MappingProxyType

from multidict import CIMultiDict, CIMultiDictProxy

ALWAYS = MappingProxyType(
    {
        "Server": "rowkeeper",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
#: All that a JSON answer begins with; copying them is cheaper than setting each.
OF_JSON = CIMultiDictProxy(
    CIMultiDict({"Content-Type": "application/json; charset=utf-8", **ALWAYS})
)
