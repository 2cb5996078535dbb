"""Settings: one table, four ways in, an order of precedence, and a sentence for what is wrong."""

import dataclasses
from pathlib import Path

import pytest

from mcp_weir.config import FIELDS, Settings, documentation, environment, load, variable
from mcp_weir.errors import UsageError


def test_every_setting_is_documented() -> None:
    written = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    assert written == documentation(), "run: mcp-weir settings > docs/settings.md"
    for name in FIELDS:
        assert f"`{variable(name)}`" in written


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    file = tmp_path / "weir.toml"
    file.write_text('idle-window = "10m"\nworkers = 2\nservice = "file"\nredact = ["pin"]\n')
    env = {"WEIR_WORKERS": "3", "WEIR_SERVICE": "env"}
    found = load({"service": "flag", "listen": None, "redact": ()}, file, env)
    assert (found.service, found.workers, found.idle_window, found.redact) == ("flag", 3, 600.0, ("pin",))
    assert found.listen == "127.0.0.1:8052"


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"WEIR_IDLE_WINDOW": "soon"}, "is no duration; write 30s"),
        ({"WEIR_SPOOL_MAX": "lots"}, "is no size; write 64KiB"),
        ({"WEIR_WORKERS": "0"}, "is no count"),
        ({"WEIR_CAPTURE": "all"}, "is none of off, keys"),
        ({"WEIR_ADD_FORWARDED": "perhaps"}, "is no flag"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(env: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load({}, None, env)


def test_an_unknown_key_of_the_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    file = tmp_path / "weir.toml"
    file.write_text("idle_windw = 3\n")
    with pytest.raises(UsageError, match="did you mean 'idle_window'"):
        load({}, file, {})
    file.write_text("not toml")
    with pytest.raises(UsageError, match="is no TOML"):
        load({}, file, {})


def test_a_child_gets_the_same_settings_by_environment() -> None:
    given = {
        "upstream": "http://127.0.0.1:1/mcp", "mcp_path": ("/a", "/b"), "keep_session_ids": True, "spool_max": 1 << 30,
        "idle_window": 12.5, "admin_token": "t", "data_dir": Path("x"), "redact": ("a, b", " c", '["d'),
        "allowed_host": ("[::1]:8052",),
    }
    settings = Settings(**given)  # type: ignore[arg-type]
    assert load({}, None, environment(settings)) == settings
    assert dataclasses.asdict(load({}, None, environment(Settings()))) == dataclasses.asdict(Settings())


def test_lists_in_a_variable() -> None:
    said = {"WEIR_REDACT": "a, b ,", "WEIR_MCP_PATH": '["/x,y", "/z"]', "WEIR_ALLOWED_HOST": "[::1]:8052"}
    found = load({}, None, said)
    assert (found.redact, found.mcp_path, found.allowed_host) == (("a", "b"), ("/x,y", "/z"), ("[::1]:8052",))
    for broken in ('["a"', '["a", 1]'):
        with pytest.raises(UsageError, match="WEIR_REDACT"):
            load({}, None, {"WEIR_REDACT": broken})


def test_sizes_and_durations() -> None:
    found = load({}, None, {"WEIR_SPOOL_MAX": "512MiB", "WEIR_RETENTION": "7d", "WEIR_CONNECT_TIMEOUT": "500ms"})
    assert (found.spool_max, found.retention, found.connect_timeout) == (512 << 20, 7 * 86400, 0.5)


@pytest.mark.parametrize("said", ["hooks.example/hunter2", "ftp://h/hunter2", "http://", "http://h:x/hunter2", "http://[::1/hunter2"])
def test_a_webhook_that_is_no_url_is_a_usage_error_that_keeps_its_secret(said: str) -> None:
    with pytest.raises(UsageError, match="WEIR_ALERT_WEBHOOK") as refused:
        load({}, None, {"WEIR_ALERT_WEBHOOK": said})
    assert "hunter2" not in str(refused.value)


def test_a_webhook_may_be_any_http_url_or_none() -> None:
    for said in ("https://hooks.example/T0/x?y=1", "http://127.0.0.1:9/", "http://[::1]:9/a"):
        assert load({}, None, {"WEIR_ALERT_WEBHOOK": said}).alert_webhook == said
    assert load({}, None, {"WEIR_ALERT_WEBHOOK": ""}).alert_webhook is None
