"""Who may call the admin port, over a real socket; and where secrets do not appear."""

import json
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.admin import access as security
from infra.admin.access import Access, Role, load_access, make_token_file
from infra.settings import Settings, SettingsError, load_settings
from tests.infra.control.test_routes import OPERATOR, TOKENS, VIEWER, WHO, api, as_operator

ELSEWHERE = "0.0.0.0"
SECRET = "a-secret-of-the-tests-7Rk2"


def as_viewer() -> dict[str, str]:
    """Headers of a viewer."""
    return {"Authorization": f"Bearer {VIEWER}"}


async def status_of(client, method: str, path: str, **options) -> int:
    """The status of one call."""
    async with client.request(method, path, **options) as answer:
        return answer.status


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/api/v1/holds"])
async def test_looking_is_free_on_loopback_only(path):
    """Bound elsewhere everything needs a token."""
    async with api() as client:
        assert await status_of(client, "GET", path) == 200
    async with api(host=ELSEWHERE) as client:
        assert await status_of(client, "GET", path) == 401
        assert await status_of(client, "GET", path, headers=as_viewer()) == 200
        assert await status_of(client, "GET", path, headers=as_operator()) == 200


@pytest.mark.parametrize("host", ["127.0.0.1", ELSEWHERE])
@pytest.mark.parametrize("path", ["/api/v1/pause", "/api/v1/resume", "/livez", "/nowhere"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_changing_something_needs_an_operator_always(host, path, method):
    """On loopback too, and whatever the path is: it does not tell what there is."""
    async with api(host=host) as client:
        assert await status_of(client, method, path, json=WHO) == 401
        assert await status_of(client, method, path, json=WHO, headers=as_viewer()) == 403
        assert client.log.state.pauses == {}
        assert await status_of(client, method, path, json=WHO, headers=as_operator()) not in (
            *(401, 403),
        )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {OPERATOR}",
        f"Bearer {OPERATOR}x",
        f"Bearer {OPERATOR[:-1]}",
        f"Bearer {OPERATOR.upper()}",
        f"Bearer {OPERATOR} {OPERATOR}",
        "Bearer \x80\xff",
    ],
)
def test_only_the_whole_token_counts(header):
    """Nothing near it."""
    assert Access("127.0.0.1", TOKENS).role_of(header) == Role.NOBODY


def test_every_token_is_compared_in_constant_time(monkeypatch):
    """Also after a match: the time says nothing of which token, or how much of it, was right."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(security.hmac, "compare_digest", compare)
    access = Access("127.0.0.1", TOKENS)
    assert access.role_of(f"Bearer {VIEWER}") == Role.VIEWER
    assert access.role_of("Bearer nothing") == Role.NOBODY
    assert compared == [VIEWER.encode(), OPERATOR.encode()] * 2


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "::bad::", "0.0.0.0"]
)
async def test_page_that_rebinds_its_name_is_turned_away(host):
    """A browser that resolves a stranger's name to loopback sends that name as Host."""
    async with api() as client:
        assert await status_of(client, "GET", "/api/v1/holds", headers={"Host": host}) == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1:65535", "[::1]:80", "127.1.2.3"])
async def test_any_loopback_name_and_port_will_do(host):
    """Somebody may have forwarded the port."""
    async with api() as client:
        assert await status_of(client, "GET", "/api/v1/holds", headers={"Host": host}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_other_sites_page_cannot_change_anything(headers):
    """Not even with an operator's token in hand."""
    async with api() as client:
        headers = as_operator(**headers)
        assert await status_of(client, "POST", "/api/v1/pause", json=WHO, headers=headers) == 403
        assert client.log.state.pauses == {}


async def test_own_page_can():
    """Its origin is the address that it was loaded from."""
    async with api() as client:
        own = str(client._base_url).rstrip("/")
        headers = as_operator(**{"Origin": own, "Sec-Fetch-Site": "same-origin"})
        assert await status_of(client, "POST", "/api/v1/pause", json=WHO, headers=headers) == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x/y"])
async def test_body_that_a_form_could_send_is_refused(kind):
    """Only `application/json`, for which a browser asks first."""
    async with api() as client:
        headers = as_operator(**{"Content-Type": kind})
        data = json.dumps(WHO)
        assert await status_of(client, "POST", "/api/v1/pause", data=data, headers=headers) == 415


async def test_body_has_a_limit():
    """A large one is refused before it is read whole."""
    async with api() as client:
        body = {**WHO, "why": "x" * security.BODY_BYTES}
        status = await status_of(client, "POST", "/api/v1/pause", json=body, headers=as_operator())
        assert status == 413


async def test_every_answer_carries_the_headers():
    """Also a refusal."""
    async with api(host=ELSEWHERE) as client, client.get("/api/v1/holds") as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_page_that_asks_for_the_token_needs_none():
    """It holds no data; all that it asks for does. (Here it is not served: 404, not 401.)"""
    async with api(host=ELSEWHERE) as client:
        assert await status_of(client, "GET", "/") == 404
        assert await status_of(client, "GET", "/static/page.js") == 404
        assert await status_of(client, "POST", "/static/page.js") == 401
        assert await status_of(client, "GET", "/static/../metrics") == 401


async def test_open_probes_tell_the_status_and_nothing_else():
    """For Kubernetes, whose probes cannot carry a secret; only where it is set."""
    async with api(host=ELSEWHERE, open_probes=True) as client:
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        assert await status_of(client, "GET", "/livez") == 200
        assert await status_of(client, "GET", "/metrics") == 401
        assert await status_of(client, "POST", "/livez") == 401


PATHS = st.sampled_from(["/api/v1/holds", "/api/v1/pause", "/api/v1/resume", "/readyz", "/x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
BODIES = st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode())
BODIES |= st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["who", "why", "supplier", "sku", "warehouse", "hold_id"], JSON)
).map(lambda value: json.dumps(value).encode())


CALLS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    PATHS,
    BODIES,
    st.text("abc=&%12", max_size=10),
)


def drawn_calls() -> list[tuple[str, str, bytes, str]]:
    """Calls of which hypothesis thinks that they might hurt."""
    calls = []

    @settings(max_examples=300, deadline=None, database=None)
    @given(CALLS)
    def draw(call) -> None:
        calls.append(call)

    draw()
    return calls


@pytest.mark.slow
async def test_any_call_gets_an_answer_in_json_and_leaves_no_half_effect():
    """Fuzz: whatever is sent, the answer has a status below 500, and a pause is whole or not."""
    headers = as_operator(**{"Content-Type": "application/json"})
    async with api() as client:
        for method, path, body, query in drawn_calls():
            pauses = len(client.log.state.pauses)
            url = f"{path}?{query}"
            async with client.request(method, url, data=body, headers=headers) as answer:
                text = await answer.text()
            assert answer.status < 500, (method, url, body)
            if answer.status >= 400 and method != "HEAD":
                assert set(json.loads(text)["error"]) == {"field", "rule", "value"}
            assert len(client.log.state.pauses) == pauses + (answer.status == 201)


# -- tokens and secrets ----------------------------------------------------------------------------


def test_worker_refuses_to_stand_open():
    """Bound elsewhere without a token it does not start, and says what to set."""
    with pytest.raises(SettingsError, match=r"admin_host must be a loopback address.*token_file"):
        load_access(Settings(admin_host=ELSEWHERE))
    assert load_access(Settings(admin_host=ELSEWHERE, viewer_token=SECRET)).tokens


def test_short_token_is_refused_without_being_named():
    """It could be guessed."""
    with pytest.raises(SettingsError, match="at least 16 characters, got 5") as raised:
        load_access(Settings(operator_token="12345"))
    assert "12345" not in str(raised.value)


def test_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    """Not from both."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    monkeypatch.setenv("TIDEGATE_OPERATOR_TOKEN_FILE", str(path))
    assert load_access(load_settings()).role_of(f"Bearer {SECRET}") == Role.OPERATOR
    monkeypatch.setenv("TIDEGATE_OPERATOR_TOKEN", SECRET)
    with pytest.raises(SettingsError, match="must not both be given"):
        load_settings()
    monkeypatch.delenv("TIDEGATE_OPERATOR_TOKEN_FILE")
    assert load_access(load_settings()).role_of(f"Bearer {SECRET}") == Role.OPERATOR


def test_file_that_cannot_be_read_is_named(tmp_path):
    """By its setting and path."""
    with pytest.raises(SettingsError, match="operator_token_file must be a readable file"):
        load_access(Settings(operator_token_file=tmp_path / "none"))
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match="empty file"):
        load_access(Settings(operator_token_file=tmp_path / "empty"))


def test_made_token_is_for_this_user_alone(tmp_path):
    """`tidegate up` and `demo` make a new one at each start."""
    path = make_token_file(tmp_path)
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.strip()) >= 32
    assert make_token_file(tmp_path).read_text() != first


SECRETS = {
    "kafka_password": SECRET,
    "redis_password": SECRET,
    "viewer_token": SECRET,
    "operator_token": SECRET,
    "redis_url": f"redis://user:{SECRET}@127.0.0.1:6379/0",
}


@pytest.mark.parametrize("name", SECRETS)
def test_secret_is_shown_nowhere(name, capsys, monkeypatch):
    """Not by `settings`, not by what is stored, not in an error, not in any print of the object."""
    from infra.cli.app import run

    monkeypatch.setenv(f"TIDEGATE_{name.upper()}", SECRETS[name])
    chosen = load_settings()
    assert SECRET not in f"{chosen!r} {chosen} {chosen.public()} {load_access(chosen)!r}"
    for arguments in (["settings"], ["settings", "--json"], ["doctor", "--json"]):
        run(arguments)
        seen = capsys.readouterr()
        assert SECRET not in seen.out + seen.err
    monkeypatch.setenv("TIDEGATE_PARTITIONS", "none")
    run(["settings"])
    seen = capsys.readouterr()
    assert "partitions" in seen.err
    assert SECRET not in seen.out + seen.err


def test_worker_gets_its_secrets_through_the_environment():
    """A child of `tidegate up` has the same settings."""
    chosen = Settings(**SECRETS, approval_amount=10.0)
    given = {
        name.removeprefix("TIDEGATE_").lower(): value
        for name, value in chosen.environment().items()
    }
    assert Settings(**given) == chosen
