import base64
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from bridge.core.delivery import Status
from bridge.core.target import WebhookTarget
from bridge.retry.policy import PRESETS
from devtools.project import ROOT
from tests.support.command import amqp_bridge
from tests.support.reader import adjusted, environment
from tests.support.walkthrough import Shell, blocks, section, shell, stand_ins

pytestmark = pytest.mark.timeout(180)

README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "examples" / "quickstart" / "README.md").read_text(encoding="utf-8")
FIRST_HOOK = blocks(section(README, "## A first hook in five minutes"))
BY_HAND = blocks(section(QUICKSTART, "## By hand"))
INSTALL, *STEPS = FIRST_HOOK
INSTALLED = ("pyproject.toml", "README.md", "LICENSE", "bridge")
DOCUMENTS = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def test_the_stand_ins_do_what_the_readme_asks_of_the_programs(tmp_path: Path) -> None:
    bare = {"PATH": str(stand_ins(tmp_path))}

    def ask(*argv: str) -> str:
        return subprocess.run(
            [shutil.which(argv[0], path=bare["PATH"]) or "", *argv[1:]],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout

    assert (
        ask("sqlite3", str(tmp_path / "a.db"), "SELECT 1, 'b', NULL UNION SELECT 2, 'c', 1.5")
        == "1|b|\n2|c|1.5\n"
    )
    assert len(base64.b64decode(ask("openssl", "rand", "-base64", "32"))) == 32
    assert len(bytes.fromhex(ask("openssl", "rand", "-hex", "16"))) == 16
    assert ask("curl", "-s", (tmp_path / "bin" / "curl").as_uri()) == (tmp_path / "bin" / "curl").read_text()


def test_the_first_hook_works_as_the_readme_says(reader: Shell, adjust: dict[str, str]) -> None:
    assert [step.language for step in STEPS] == ["sh", "yaml", *["sh"] * 7]
    broker, file, check, start, publish, look, live, reload, stop = (adjusted(step, adjust) for step in STEPS)
    assert file.file == "bridge.yaml"
    reader.follow(broker)
    reader.follow(file)
    assert "bridge.yaml: OK (1 source, 1 hook)" in reader.follow(check)
    reader.follow(start)
    reader.await_text("bridge.started")
    reader.follow(publish)
    reader.await_text("verified  standard    /shop")
    await_history(reader)
    said = reader.follow(look)
    assert '"ready":true' in said
    assert re.search(r'bridge_deliveries_total\{.*hook="shop".*status="SUCCESS".*\} 1\.0', said)
    assert re.search(r"order\.created.*shop.*SUCCESS", said)
    assert "delivered" in reader.follow(live)
    reader.follow(reload)
    reader.await_text("config.reloaded")
    reader.follow(stop)
    reader.run("wait $BRIDGE $RECEIVER")
    assert "bridge.stopped" in reader.said


def await_history(reader: Shell) -> None:
    """The receiver answers a moment before the history is committed."""
    count = "sqlite3 bridge.db 'SELECT count(*) FROM deliveries'"
    reader.run(f'until [ "$({count})" -gt 0 ]; do sleep 0.05; done')


def test_the_quickstart_works_by_hand(reader: Shell, adjust: dict[str, str]) -> None:
    check, start, publish, look, stop = (adjusted(step, adjust) for step in BY_HAND)
    reader.run("cd examples/quickstart")
    assert "bridge.yaml: OK (1 source, 5 hooks)" in reader.follow(check)
    reader.follow(start)
    reader.follow(publish)
    reader.await_text("listening on ")
    waiting = "SELECT count(*) < 20 OR total(status <> 'SUCCESS') > 0 FROM deliveries"
    reader.await_text("bridge.started")
    reader.run(f'until [ "$(sqlite3 bridge.db "{waiting}")" = 0 ]; do sleep 0.1; done')
    said = reader.follow(look)
    assert "customers.customer.create: Vlnka & Syn s.r.o." in said
    assert said.count("|delivered|") == 20
    reader.follow(stop)
    reader.run("wait $BRIDGE $RECEIVER")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is installed, beside an environment that has all dependencies but not us."""
    for name in INSTALLED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    prepare(tmp_path / "env")
    return tmp_path


def prepare(env: Path) -> None:
    """The dependencies come from the environment of the tests; only the build backend is fetched."""
    venv.create(env, with_pip=True)
    fetched = subprocess.run(
        [env / "bin" / "pip", "install", "-q", "--retries", "0", "hatchling"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if fetched.returncode:
        pytest.skip(f"no package index to fetch the build backend from: {fetched.stderr[-300:]}")
    (library,) = env.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    # appended by hand and not as a plain line, so that this environment's .pth files (our own) do not count
    (library / "dependencies.pth").write_text(f"import sys; sys.path.append({ours!r})\n")


def test_what_the_readme_installs_is_whole(checkout: Path, tmp_path: Path) -> None:
    variables = environment(PIP_NO_BUILD_ISOLATION="0")
    del variables["PYTHONPATH"]
    variables["PATH"] = os.environ["PATH"]
    with shell(checkout, variables, tmp_path / "said") as reader:
        reader.follow(INSTALL)
        reader.run("cd env")  # where the sources of the checkout are not found
        said = reader.run("command -v amqp-bridge; amqp-bridge version")
        assert f"{checkout}/env/bin/amqp-bridge" in said
        assert "amqp-bridge 0.1.0" in said
    (installed,) = checkout.glob("env/lib/python*/site-packages/bridge")
    assert files(installed) == files(ROOT / "bridge")


def files(package: Path) -> set[str]:
    return {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    walked = {step.text for step in FIRST_HOOK}
    others = [
        found.text.strip() for found in blocks(README) if found.language == "sh" and found.text not in walked
    ]
    # `./dev run` is run by test_quickstart.py, `./dev test` is what runs this
    assert others == ["./dev run", "./dev test"]
    for command in others:
        name = command.removeprefix("./dev ")
        argv = [sys.executable, "-m", "devtools", name, "--help"]
        assert subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=30, check=False).returncode == 0


@pytest.mark.parametrize(
    "path",
    ["README.md", "examples/quickstart/README.md", "docs/webhooks.md", "docs/inlets.md", "docs/notify.md"],
)
def test_all_other_blocks_are_configurations_that_check_accepts(path: str, tmp_path: Path) -> None:
    for found in blocks((ROOT / path).read_text(encoding="utf-8")):
        assert found.language in {"sh", "yaml"}
        if found.language == "yaml":
            (tmp_path / "bridge.yaml").write_text(found.text)
            named = re.findall(r"\$\{(\w+)\}", found.text)
            checked = amqp_bridge("check", cwd=tmp_path, env={name: stand_in_for(name) for name in named})
            assert checked.code == 0, checked.err


def stand_in_for(variable: str) -> str:
    return "ntfys://a-topic" if variable.endswith("_URL") else "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


@pytest.mark.parametrize(
    "path",
    ["README.md", "CHANGELOG.md", *sorted(str(file.relative_to(ROOT)) for file in DOCUMENTS)],
)
def test_every_link_to_a_file_leads_to_one(path: str) -> None:
    document = ROOT / path
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    broken = [
        target
        for target in targets
        if not target.startswith("https://") and not (document.parent / target).exists()
    ]
    assert broken == []


def test_what_the_readme_lists_is_all_there_is() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \(default\))? \|", README, re.MULTILINE)
    profiles = WebhookTarget.model_json_schema()["properties"]["profile"]["enum"]
    assert set(rows) == {*profiles, *PRESETS, *Status}


def test_the_readme_has_the_waits_of_every_preset() -> None:
    rows = re.findall(
        r"^\| `(\w+)`(?: \(default\))? \| ([\dsmh ]+)", section(README, "## Hooks"), re.MULTILINE
    )
    units = {"s": 1, "m": 60, "h": 3600, "0": 0}
    told = {
        name: tuple(float(wait[:-1] or 0) * units[wait[-1]] for wait in waits.split()) for name, waits in rows
    }
    assert told == {name: schedule.waits for name, schedule in PRESETS.items() if schedule.waits}


def test_the_example_asks_for_what_its_readme_gives() -> None:
    text = (ROOT / "examples" / "quickstart" / "bridge.yaml").read_text(encoding="utf-8")
    hooks = [hook["name"] for hook in yaml.safe_load(text)["hooks"]]
    assert re.findall(r"^\| `(\w+)` \|", QUICKSTART, re.MULTILINE) == hooks
    assert all(f"{name}=" in BY_HAND[0].text for name in re.findall(r"\$\{(\w+)\}", text))
