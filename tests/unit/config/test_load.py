"""The settings are read from file, environment and defaults, and every problem is told at once."""

import os
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.faults import told
from config.load import Loaded, load
from tests.fakes.chinese import english_in


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "rowkeeper.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems_of(path: Path | None, env: dict[str, str] | None = None, cwd: Path | None = None):
    with pytest.raises(ConfigError) as caught:
        load(path, env or {}, cwd)
    for problem in caught.value.problems:
        assert english_in(told(problem.faults, "zh")) == ""
    return [str(problem) for problem in caught.value.problems]


def only_problem(path: Path, env: dict[str, str] | None = None) -> str:
    (problem,) = problems_of(path, env)
    return problem


def test_without_a_file_the_defaults_lie_below_var_in_the_working_folder(tmp_path):
    loaded = load(None, {}, tmp_path)
    settings = loaded.settings
    assert loaded.file is None
    assert settings.state_dir == tmp_path / "var"
    assert settings.inbox.path == tmp_path / "var" / "inbox"
    assert settings.ledger.path == tmp_path / "var" / "ledger"
    assert settings.outputs.path == tmp_path / "var" / "outputs"
    assert settings.inputs.path == tmp_path / "var" / "inputs"
    assert settings.web.admin_token_file == tmp_path / "var" / "admin-token"
    assert [server.url for server in settings.servers] == ["http://127.0.0.1:8188"]


def test_the_two_built_in_workflows_have_the_mappings_of_the_contract(tmp_path):
    workflows = load(None, {}, tmp_path).settings.workflows
    assert list(workflows) == ["图片合成", "图生视频"]
    assert workflows["图片合成"].inputs == {
        "product_image": "product.image",
        "model_image": "model.image",
        "seed": "sampler.seed",
    }
    assert workflows["图片合成"].outputs == {"image": "output"}
    assert workflows["图片合成"].on_uncertain == "rerun"
    assert workflows["图生视频"].inputs == {"image": "image.image"}
    assert workflows["图生视频"].outputs == {}
    assert workflows["图生视频"].on_uncertain == "ask"
    for workflow in workflows.values():
        assert workflow.template.is_absolute()
        assert workflow.template.parts[-3:-1] == ("examples", "workflows")


def test_paths_in_a_file_are_relative_to_that_file(tmp_path, write):
    path = write(
        'state_dir = "state"\n[inbox]\npath = "../in"\n[inputs]\nallow = ["pictures", "/data"]\n'
    )
    settings = load(path, {}, Path("/")).settings
    assert settings.state_dir == tmp_path / "state"
    assert settings.inbox.path == tmp_path.parent / "in"
    assert settings.ledger.path == tmp_path / "state" / "ledger"
    assert settings.inputs.allow == (tmp_path / "pictures", Path("/data"))


def test_every_path_of_the_settings_is_absolute_even_for_a_relative_file(write, monkeypatch):
    path = write('[[tables]]\nname = "a"\nkind = "csv"\npath = "t.csv"\n')
    monkeypatch.chdir(path.parent)
    settings = load(Path(path.name), {}).settings
    assert settings.tables[0].path == path.parent / "t.csv"
    assert settings.inbox.path == path.parent / "var" / "inbox"


def test_a_leading_tilde_means_the_home_folder(write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load(write('state_dir = "~/rows"'), {}).settings.state_dir == Path("/home/somebody/rows")


def test_the_file_is_looked_for_in_the_environment_and_then_in_the_working_folder(tmp_path, write):
    write("[web]\nport = 1\n")
    named = write("[web]\nport = 2\n", "other.toml")
    given = write("[web]\nport = 3\n", "given.toml")
    assert load(None, {}, tmp_path).settings.web.port == 1
    assert load(None, {"ROWKEEPER_CONFIG": str(named)}, tmp_path).settings.web.port == 2
    assert load(given, {"ROWKEEPER_CONFIG": str(named)}, tmp_path).settings.web.port == 3


def test_a_named_file_that_is_not_there_is_a_problem(tmp_path):
    assert only_problem(tmp_path / "none.toml").endswith(
        "cannot be read: No such file or directory"
    )
    assert "none.toml" in problems_of(None, {"ROWKEEPER_CONFIG": "none.toml"}, tmp_path)[0]


def test_systemds_state_directory_counts_unless_file_or_environment_say_otherwise(tmp_path, write):
    systemd = {"STATE_DIRECTORY": "/var/lib/rowkeeper:/var/lib/other"}
    assert load(None, systemd, tmp_path).settings.inbox.path == Path("/var/lib/rowkeeper/inbox")
    env = systemd | {"ROWKEEPER_STATE_DIR": "mine"}
    assert load(None, env, tmp_path).settings.state_dir == tmp_path / "mine"
    file = write('state_dir = "here"')
    assert load(file, systemd, tmp_path).settings.state_dir == tmp_path / "here"


def test_a_syntax_error_is_told_with_its_line(write):
    assert "is not TOML" in only_problem(write("[web]\nport = \n"))
    assert "line 2" in only_problem(write("[web]\nport = \n"))


def test_a_file_in_another_encoding_is_told_with_the_line(tmp_path):
    path = tmp_path / "gbk.toml"
    path.write_bytes("# fine\nlanguage = '中文'\n".encode("gbk"))
    assert only_problem(path).endswith("must be UTF-8 text; line 2 is not")


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf[web]\nport = 5\n")
    assert load(path, {}).settings.web.port == 5


def test_all_problems_are_told_at_once(write):
    path = write(
        """
        nonsense = 1
        [web]
        prot = 1
        port = 70000
        [inbox]
        settle_seconds = true
        [[servers]]
        name = "a"
        url = "ftp://x"
        [dispatch]
        order = "rows"
        [log]
        level = 3
        """
    )
    told = problems_of(path, {"ROWKEEPER_SWEEPS__AUTO_RECOVER": "perhaps"})
    starts = {line.split(":")[0] for line in told}
    assert starts == {
        "nonsense",
        "web.prot",
        "web.port = 70000",
        "inbox.settle_seconds = true",
        'servers[0].url = "ftp',
        'dispatch.order = "rows"',
        "log.level = 3",
        'sweeps.auto_recover = "perhaps"',
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[web]\nport = 70000", "web.port = 70000: must be a whole number from 0 to 65535"),
        ("[web]\nport = -1", "web.port = -1: must be a whole number from 0 to 65535"),
        ("[web]\nport = 1.5", "web.port = 1.5: must be a whole number from 0 to 65535"),
        ("[web]\nport = true", "web.port = true: must be a whole number from 0 to 65535"),
        ('[web]\nhost = ""', 'web.host = "": must not be empty'),
        ("[web]\nprot = 1", "web.prot: unknown key; did you mean port?"),
        ("web = 1", "web = 1: must be a table, written as [web]"),
        ("[wbe]\nport = 1", "wbe: unknown key; did you mean web?"),
        ("[inbox]\nrescan_seconds = 0", "inbox.rescan_seconds = 0: must be a number above 0"),
        ("[inbox]\nrescan_seconds = inf", "inbox.rescan_seconds = inf: must be a number above 0"),
        ("[inbox]\nrescan_seconds = nan", "inbox.rescan_seconds = nan: must be a number above 0"),
        ('[inbox]\npath = ""', 'inbox.path = "": must be a path in quotes'),
        ("[inbox]\npath = 3", "inbox.path = 3: must be a path in quotes"),
        ('[inbox]\npath = "a\\u0000b"', 'inbox.path = "a\\u0000b": must be a path in quotes'),
        ("[inputs]\nallow = 'a'", 'inputs.allow = "a": must be a list, as in ["a"]'),
        ("[inputs]\nallow = [1]", "inputs.allow[0] = 1: must be a path in quotes"),
        (
            '[dispatch]\norder = "rows"',
            'dispatch.order = "rows": must be one of "row", "stage"; did you mean row?',
        ),
        ('[dispatch]\norder = ["row"]', 'dispatch.order = ["row"]: must be one of "row", "stage"'),
        ("[dispatch]\naffinity = 1", "dispatch.affinity = 1: must be true or false"),
        (
            "[dispatch]\nmax_consecutive_failures = 0",
            "dispatch.max_consecutive_failures = 0: must be a whole number, 1 or more",
        ),
        ("servers = []", "servers = []: must name one server at least"),
        ('servers = "x"', 'servers = "***": must be written as [[servers]]'),
        ("[workflows]", "workflows: must name one workflow type at least"),
        ("[workflows.x]\n", "workflows.x.template: is missing"),
        (
            '[workflows."图片合成+"]\ntemplate = "a"',
            'workflows."图片合成+": must not be empty, and + joins two types in a row',
        ),
        (
            '[workflows.x]\ntemplate = "a"\ninputs = {seed = "sampler"}',
            'workflows.x.inputs.seed = "sampler": must be "node title or id.input name"',
        ),
        (
            '[workflows.x]\ntemplate = "a"\noutputs = {a = {node = "o", count = 0}}',
            "workflows.x.outputs.a.count = 0: must be a whole number, 1 or more",
        ),
        (
            '[workflows.x]\ntemplate = "a"\noutputs = {a = {count = 2}}',
            "workflows.x.outputs.a.node: is missing",
        ),
        (
            '[[tables]]\nname = "a"\nkind = "csv"',
            'tables[0].path: is missing; a table of kind "csv" is a file',
        ),
        ('[[tables]]\nname = "a/b"\nkind = "xlsx"\npath = "x"', 'tables[0].name = "a/b": must be'),
        ("[outputs]\npath = 'var/inbox/o'", "outputs.path = "),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_what_is_allowed(write, text, told):
    assert only_problem(write(text)).startswith(told)


@pytest.mark.parametrize(
    ("url", "works"),
    [
        ("http://127.0.0.1:8188", True),
        ("https://gpu.example.com/comfy/", True),
        ("http://[::1]:8188", True),
        ("127.0.0.1:8188", False),
        ("ws://127.0.0.1:8188", False),
        ("http://", False),
        ("http://host:99999", False),
        ("http://host:8188/prompt", False),
        ("http://host/?x=1", False),
        ("http://host/#x", False),
        ("http://ho st", False),
        ("http://[::1", False),
    ],
)
def test_a_servers_address_is_http_without_anything_that_is_not_its_address(write, url, works):
    path = write(f'[[servers]]\nname = "a"\nurl = "{url}"\n')
    if works:
        assert load(path, {}).settings.servers[0].url == url.rstrip("/")
    else:
        assert only_problem(path).startswith(f'servers[0].url = "{url}": must be')


def test_a_password_in_a_servers_address_is_refused_and_not_repeated(write):
    told = only_problem(write('[[servers]]\nname = "a"\nurl = "http://me:hunter2@host"\n'))
    assert "Authorization into headers" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("{row_id}/{index}{ext}", None),
        ("{颜色}_{width:04d}_{row_id}_{index}{ext}", None),
        ("{{x}}{row_number:04d}_{index}{ext}", None),
        ("{row_id}_{index}{ext", "its braces do not fit"),
        ("{row_id}_{index}{}{ext}", "{} has no name"),
        ("{row_id}_{index}{0}{ext}", "{0} has no name"),
        ("{row_id.__class__}_{task_id}{index}{ext}", "{row_id.__class__} is no plain name"),
        ("{row_id!r}_{index}{ext}", "its braces do not fit: !r"),
        ("{row_id:>9999}_{index}{ext}", "{row_id:>9999}: only a width"),
        ("{row_id:{index}}_{index}{ext}", "{row_id:{index}}: only a width"),
        ("{product_name:04d}_{row_id}{index}{ext}", "{product_name:04d}: product_name is text"),
        ("{row_id}_{index}{produt_name}{ext}", "{produt_name} is unknown: did you mean {pr"),
        ("{row_id}{ext}", "it needs {index}"),
        ("{row_id}_{index}", "it must end with {ext}"),
        ("{product_name}_{index}{ext}", "it needs {row_number}, {row_id} or {task_id}"),
        ("/tmp/{row_id}_{index}{ext}", "it must not begin with /"),
        ("a/../{row_id}_{index}{ext}", "it must not contain . or .. as a folder"),
        (
            "../x/{nope}",
            (
                "it needs {index}: a task may have several files; it must end with {ext}, the kind "
                "of file that the server made; it needs {row_number}, {row_id} or {task_id}: rows "
                "would share a name; it must not contain . or .. as a folder"
            ),
        ),
    ],
)
def test_the_name_of_results_is_checked(write, name, told):
    path = write(f'[outputs]\nname = "{name}"')
    if told is None:
        assert load(path, {}).settings.outputs.name == name
    else:
        assert f'outputs.name = "{name}": {told}' in only_problem(path)


def test_what_contradicts_is_told_beside_what_is_wrong_by_itself(write):
    told = problems_of(
        write(
            """
            servers = [{name = "a", url = "http://x"}, {url = "http://y"}, {name = "a", url = 3}]
            tables = [{name = "t", kind = "csv", create_columns = 3}, {name = "t", kind = "no"}]
            [web]
            port = 99999
            """
        )
    )
    assert [each.split(":")[0] for each in told] == [
        "servers[1].name",
        "servers[2].url = 3",
        "web.port = 99999",
        "tables[0].create_columns = 3",
        'tables[1].kind = "no"',
        'servers[2].name = "a"',
        'tables[1].name = "t"',
        "tables[0].path",
    ]


def test_names_and_addresses_are_used_once(write):
    told = problems_of(
        write(
            """
            servers = [{name = "a", url = "http://x"}, {name = "a", url = "http://x/"}]
            [[tables]]
            name = "t"
            kind = "csv"
            path = "a"
            [[tables]]
            name = "t"
            kind = "csv"
            path = "b"
            """
        )
    )
    assert told == [
        'servers[1].name = "a": is that of servers[0] already',
        'servers[1].url = "http://x": is that of servers[0] already',
        'tables[1].name = "t": is that of tables[0] already',
    ]


def test_our_own_files_must_not_lie_in_the_inbox(write):
    told = problems_of(write('[inbox]\npath = "var"'))
    assert [line.split(" = ")[0] for line in told] == [
        "ledger.path",
        "outputs.path",
        "inputs.path",
        "web.admin_token_file",
    ]


def test_a_file_that_names_workflows_names_all_there_are(write):
    path = write('[workflows."图生视频"]\nmax_runtime_minutes = 60')
    workflows = load(path, {}).settings.workflows
    assert list(workflows) == ["图生视频"]
    video = workflows["图生视频"]
    assert video.max_runtime_minutes == 60
    assert video.template.name == "image_to_video.json"
    assert video.inputs == {"image": "image.image"}
    assert video.on_uncertain == "ask"


def test_a_template_of_ones_own_gets_nothing_from_the_built_in_one(tmp_path, write):
    path = write('[workflows."图片合成"]\ntemplate = "mine.json"\noutputs = {a = {node = "9"}}')
    mine = load(path, {}).settings.workflows["图片合成"]
    assert mine.template == tmp_path / "mine.json"
    assert mine.inputs == {}
    assert mine.outputs["a"].count == 1


def test_plain_keys_of_plain_sections_come_from_the_environment_with_their_type(write):
    path = write('[web]\nport = 1\n[dispatch]\naffinity = true\n[outputs]\npath = "o"')
    env = {
        "ROWKEEPER_WEB__PORT": "9000",
        "ROWKEEPER_DISPATCH__AFFINITY": "false",
        "ROWKEEPER_INBOX__SETTLE_SECONDS": "0.5",
        "ROWKEEPER_OUTPUTS__PATH": "from-env",
        "ROWKEEPER_WEB__ALLOWED_HOSTS": "a.example, b.example",
        "ROWKEEPER_STATE_DIR": "state",
        "ROWKEEPER_LANGUAGE": "zh",
        "ROWKEEPER_LOG__LEVEL": "",
    }
    settings = load(path, env, Path("/work-here")).settings
    assert settings.web.port == 9000
    assert settings.web.allowed_hosts == ("a.example", "b.example")
    assert settings.dispatch.affinity is False
    assert settings.inbox.settle_seconds == 0.5
    assert settings.outputs.path == Path("/work-here/from-env")
    assert settings.ledger.path == Path("/work-here/state/ledger")
    assert settings.language == "zh"
    assert settings.log.level == "info"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ROWKEEPER_WEB__PORT", "x", 'web.port = "x": must be a whole number from 0 to 65535'),
        ("ROWKEEPER_WEB__PROT", "1", "did you mean ROWKEEPER_WEB__PORT?"),
        ("ROWKEEPER_SERVERS__URL", "http://x", "ROWKEEPER_SERVERS__URL: unknown setting"),
        ("ROWKEEPER_STATEDIR", "x", "did you mean ROWKEEPER_STATE_DIR?"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told_with_the_variable(
    tmp_path, variable, value, told
):
    (problem,) = problems_of(None, {variable: value}, tmp_path)
    assert told in problem
    assert variable in problem


def test_variables_that_are_not_settings_are_left_alone(tmp_path):
    env = {
        "ROWKEEPER_FAILPOINT": "journal.append@3",
        "ROWKEEPER_FAILPOINT_RECORD": "/dev/null",
        "ROWKEEPER_SERVICE_HOST": "10.0.0.1",
        "ROWKEEPER_PORT_8787_TCP": "tcp://10.0.0.1:8787",
    }
    assert isinstance(load(None, env, tmp_path), Loaded)


def test_secrets_may_stand_in_files(tmp_path, write):
    (tmp_path / "hook").write_text("https://hook.example/abc\n")
    (tmp_path / "auth").write_text(" Bearer xyz \n")
    path = write(
        """
        [alerts]
        feishu_webhook_file = "hook"
        [[servers]]
        name = "a"
        url = "http://x"
        headers = {Authorization_file = "auth", X-Plain = "1"}
        """
    )
    settings = load(path, {}).settings
    assert settings.alerts.feishu_webhook == "https://hook.example/abc"
    assert settings.servers[0].headers == {"Authorization": "Bearer xyz", "X-Plain": "1"}


def test_a_secret_may_be_a_credential_that_systemd_hands_over(tmp_path, write):
    handed = tmp_path / "credentials"
    handed.mkdir()
    (handed / "hook").write_text("https://hook.example/abc")
    path = write('[alerts]\nfeishu_webhook_file = "$CREDENTIALS_DIRECTORY/hook"')
    loaded = load(path, {"CREDENTIALS_DIRECTORY": str(handed)})
    assert loaded.settings.alerts.feishu_webhook == "https://hook.example/abc"
    assert "systemd sets it for the service alone" in only_problem(path)


def test_a_secret_given_both_ways_is_a_problem(tmp_path, write):
    (tmp_path / "s").write_text("x")
    path = write('[alerts]\nfeishu_webhook_secret = "x"\nfeishu_webhook_secret_file = "s"')
    told = "give either feishu_webhook_secret or feishu_webhook_secret_file, not both"
    assert told in only_problem(path)


def test_a_secret_of_the_environment_wins_over_the_files_other_way_to_give_it(tmp_path, write):
    (tmp_path / "s").write_text("from file")
    path = write('[alerts]\nfeishu_webhook_secret_file = "s"')
    env = {"ROWKEEPER_ALERTS__FEISHU_WEBHOOK_SECRET": "from env"}
    assert load(path, env).settings.alerts.feishu_webhook_secret == "from env"
    plain = write('[alerts]\nfeishu_webhook_secret = "plain"', "plain.toml")
    env = {"ROWKEEPER_ALERTS__FEISHU_WEBHOOK_SECRET_FILE": "s"}
    assert load(plain, env, tmp_path).settings.alerts.feishu_webhook_secret == "from file"


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file"), (b"", "the file is empty"), (b"\xff\xfe\xff", "UTF-8 text")],
)
def test_a_secrets_file_that_cannot_be_used_is_a_problem(tmp_path, write, content, told):
    if content is not None:
        (tmp_path / "s").write_bytes(content)
    assert told in only_problem(write('[alerts]\nfeishu_webhook_secret_file = "s"'))


def test_a_secret_that_cannot_be_used_is_not_repeated(write):
    told = only_problem(write('[alerts]\nfeishu_webhook = "hunter2"'))
    assert told.startswith('alerts.feishu_webhook = "***"')
    assert "hunter2" not in told


def test_loading_does_not_look_at_the_environment_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "ROWKEEPER_WEB__PORT", "1")
    assert load(None, {}, tmp_path).settings.web.port == 8787


@pytest.mark.parametrize(
    "text",
    [
        '[[servers]]\nname = "a"\nurl = "http://u:s3cret@h:99999"',
        '[[servers]]\nname = "a"\nurl = "u:s3cret@h:8188"',
        '[[servers]]\nname = "http://u:s3cret@h"\nurl = "http://h"',
        'servers = "http://u:s3cret@h"',
        'servers = ["http://u:s3cret@h"]',
        '[servers]\nname = "a"\nurl = "http://h"\nheaders = {Authorization = "s3cret"}',
        '[[servers]]\nname = "a"\nurl = "http://h"\nheaders = "s3cret"',
        '[[feishu]]\napp_secret = "s3cret"',
        'alerts = "https://open.feishu.cn/s3cret"',
        '[feishu]\nbase_url = "ftp://u:s3cret@h"',
        '[web]\nport = "http://u:s3cret@h"',
    ],
)
def test_no_problem_shows_a_secret(write, text):
    problems = problems_of(write(text))
    assert not [problem for problem in problems if "s3cret" in problem]
    assert any(' = "***"' in problem for problem in problems)
