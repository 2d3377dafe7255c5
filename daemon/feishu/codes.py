"""Every documented error code: what helps against it, what it means, how often it is tried.

One table for all calls; a code means the same wherever it comes from. Source: the error tables of
Feishu's server documentation (general, bitable v1, sheets v2 and v3, drive media, custom bot).
"""

from collections.abc import Iterator, Mapping

import msgspec

from daemon.feishu.errors import Reaction

#: How often a call is sent at most.
MOST_TRIES = 6
#: Codes that mean "internal" as well as "your parameters are wrong".
DOUBTFUL_TRIES = 3
#: Codes that nobody documented.
UNKNOWN_TRIES = 2


class Meaning(msgspec.Struct, frozen=True):
    """What a code says; *about* names its words in the catalogue."""

    reaction: Reaction
    about: str
    tries: int = 1


UNKNOWN = Meaning(Reaction.UNKNOWN, "unknown", UNKNOWN_TRIES)

_TOKEN_BAD: Mapping[str, tuple[int, ...]] = {
    "token": (99991661, 99991663, 99991664, 99991665),
}
_RATE: Mapping[str, tuple[int, ...]] = {
    "rate": (99991400, 1254290, 1254112, 90217, 1310217, 1061045),
    "hook_rate": (11232, 11233, 11247),
}
_TRANSIENT: Mapping[str, tuple[int, ...]] = {
    "internal": (2200, 5000, 55001, 1255040, 90203, 90235, 1310235, 1061001, 1061006, 1062012),
    "conflict": (1254291, 1315201, 1315203),
    "not_ready": (1254607, 1254036, 90228, 90242, 1310242),
}
_DOUBTFUL: Mapping[str, tuple[int, ...]] = {
    "internal": (1254002, *range(1255001, 1255006)),
    "transfer": (1062008, 1062009),
    "resent": (1254608, 1255006),
}
_CONFIG: Mapping[str, tuple[int, ...]] = {
    "user_token": (99991668, 99991677),
    "credentials": (10014, 10015, 20002, 99991543, 1061005),
    "app_stopped": (99991662, 99991673),
    "scope": (99991672, 1061073),
    "grant": (99991679, 99991676),
    "address": (99991401,),
    "no_document": (
        *(91402, 1254040, 90214, 1310214, 1310249),
        *(1061003, 1061007, 1061041, 1061044),
    ),
    "no_collaborator": (91403, 90213, 1310213, 1061004),
    "advanced": (1254301, 1254302, 1254304, 1069603),
    "no_table": (1254041,),
    "no_view": (1254042,),
    "no_field": (1254044, 1254045, 1254024),
    "no_sheet": (90206, 90211, 90215, 1310211, 1310215),
    "range": (90202, 90212, 90219, 1310202),
    "protected": (90218, 1310218),
    "too_large": (1254030, 1254104, 90221, 90226, 90227),
    "plan_limit": (1254103, 1254105, 1254106, 1254306),
    "image_count": (1310247,),
    "document_full": (1061042,),
    "storage_full": (1061061, 1061101),
    "request": (
        *(9499, 99992402, 99991671, 1254000, 1254001, 1254003, 1254004, 1254005, 1254006),
        *(1254007, 1254009, 1254010, 1254016, 1254018, 1254037, 1254107, 1254108),
        *(90201, 90204, 1310251, 1061002),
    ),
    "hook_sign": (19021,),
    "hook_address": (19022,),
    "hook_keyword": (19024,),
}
_ROW: Mapping[str, tuple[int, ...]] = {
    "row_gone": (1254043,),
    "value": (1254015, *range(1254060, 1254070), 1254072, 1254074),
    "cell_too_large": (1254130, 90222),
    "foreign_file": (1254027, 1254303, 1310245, 1062007),
    "no_change": (90216,),
    "file_too_large": (1061043,),
    "upload_expired": (1061021, 1062010, 1062011),
    "file_name": (1061008,),
    "content_check": (1061109, 1061113),
    "hook_body": (19002, 19036),
}
_QUOTA: Mapping[str, tuple[int, ...]] = {"quota": (99991403,)}

_GROUPS = (
    (Reaction.TOKEN_BAD, 2, _TOKEN_BAD),
    (Reaction.RATE, MOST_TRIES, _RATE),
    (Reaction.TRANSIENT, MOST_TRIES, _TRANSIENT),
    (Reaction.TRANSIENT, DOUBTFUL_TRIES, _DOUBTFUL),
    (Reaction.CONFIG, 1, _CONFIG),
    (Reaction.ROW, 1, _ROW),
    (Reaction.QUOTA, 1, _QUOTA),
)


def _rows() -> Iterator[tuple[int, Meaning]]:
    for reaction, tries, groups in _GROUPS:
        for about, codes in groups.items():
            for code in codes:
                yield code, Meaning(reaction, about, tries)


CODES: Mapping[int, Meaning] = dict(_rows())


def meaning_of(code: int) -> Meaning:
    """Return what *code* says; of a code nobody documented, that it is unknown."""
    return CODES.get(code, UNKNOWN)
