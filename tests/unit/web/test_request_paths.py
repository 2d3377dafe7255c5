"""A path leads to the endpoint of the list that has its form, with the ids that stand in it."""

import pytest

from daemon.web.paths import Paths
from daemon.web.refusal import Refusal
from daemon.web.routes import ENDPOINTS

PATHS = Paths(ENDPOINTS)


def test_every_endpoint_is_found_under_its_own_path():
    for endpoint in ENDPOINTS:
        found, ids = PATHS.find(endpoint.method, endpoint.path)
        assert found is endpoint
        assert all(value == f"{{{name}}}" for name, value in ids.items())


def test_a_quoted_slash_belongs_to_the_id_and_a_plain_one_ends_it():
    _, ids = PATHS.find("POST", "/api/servers/a%2Fb%25 c/drain")
    assert ids == {"server": "a/b% c"}
    with pytest.raises(Refusal, match="unknown_path"):
        PATHS.find("POST", "/api/servers/a/b/drain")


@pytest.mark.parametrize(
    "path", ["", "*", "api", "/api", "/api/", "/healthz/", "/api/tasks/x/cancel/y", "//healthz"]
)
def test_what_only_begins_or_ends_like_a_path_is_unknown(path):
    with pytest.raises(Refusal) as refused:
        PATHS.find("GET", path)
    assert (refused.value.code, refused.value.status) == ("unknown_path", 404)


def test_another_method_is_told_which_ones_there_are():
    with pytest.raises(Refusal) as refused:
        PATHS.find("PUT", "/api/tasks/img_20261121_000001/cancel")
    assert refused.value.status == 405
    assert refused.value.headers == {"Allow": "POST"}
