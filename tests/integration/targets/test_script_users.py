"""Running programs as somebody else, and with other rights for the files they make."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.core.delivery import Answer, Fault
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.targets.factory import Targets
from tests.support.events import delivery

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
USER, GROUP = "bridge-test", "bridge-test-too"


def hook(*command: str, **settings: Any) -> Hook:
    target = {"type": "script", "command": list(command), "timeout": 20, **settings}
    return Hook.model_validate({"name": "crm", "target": target})


async def attempt(folder: Path, *command: str, **settings: Any) -> Answer:
    made = Targets({}, [], folder, lambda _: None).build(hook(*command, **settings))
    return await made.attempt(delivery(identity="webmaster"))


@pytest.fixture(scope="session")
def user() -> Iterator[str]:
    """A user of the system with a home folder and a second group, gone at the end."""
    if not shutil.which("useradd"):
        pytest.skip("no useradd")
    _system("groupadd", GROUP)
    _system("useradd", "--user-group", "--groups", GROUP, "--home-dir", "/var/lib/bridge-test", USER)
    yield USER
    _system("userdel", USER)
    _system("groupdel", GROUP)


def _system(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True, timeout=20)


@needs_root
@pytest.mark.parametrize("limits", [{}, {"cpu": 9}])
async def test_a_program_has_ids_groups_and_home_of_its_user(
    user: str, limits: dict[str, int], tmp_path: Path
) -> None:
    show = 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME $BRIDGE_USER"'
    answer = await attempt(tmp_path, "sh", "-c", show, user=user, cwd="/", limits=limits)
    entry = pwd.getpwnam(user)
    uid, gid, groups, names = answer.response.decode().splitlines()
    assert (int(uid), int(gid)) == (entry.pw_uid, entry.pw_gid)
    assert {int(number) for number in groups.split()} == {entry.pw_gid, grp.getgrnam(GROUP).gr_gid}
    assert names == f"/var/lib/bridge-test {user} {user} webmaster"


@needs_root
async def test_a_program_of_another_user_may_not_do_what_root_may(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    secret.chmod(0o600)
    answer = await attempt(tmp_path, "cat", str(secret), user="nobody", cwd="/")
    assert answer.fault is Fault.EXIT
    assert b"hunter2" not in answer.response


@needs_root
async def test_a_program_that_its_user_may_not_run_says_who_must_be_allowed_to(tmp_path: Path) -> None:
    file = tmp_path / "hook.sh"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o700)
    answer = await attempt(tmp_path, "./hook.sh", user="nobody")
    assert answer.fault is Fault.SPAWN
    assert answer.error.endswith("; nobody must be allowed to run it and to enter its folder")


async def test_without_root_nobody_else_can_be_run_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    with pytest.raises(
        SettingsError, match="only root can run a program as 'root'; run the bridge as that user"
    ):
        await attempt(tmp_path, "true", user="root")


async def test_a_user_who_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no user 'no-such-user' on this machine"):
        await attempt(tmp_path, "true", user="no-such-user")


@pytest.mark.parametrize(("umask", "mode"), [("077", 0o600), ("0022", 0o644), ("000", 0o666)])
async def test_files_are_made_with_the_rights_that_umask_leaves(
    umask: str, mode: int, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        answer = await attempt(tmp_path, "touch", "made", umask=umask)
        await attempt(tmp_path, "touch", "as the bridge has it")
    finally:
        os.umask(before)
    assert answer.fault is None
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "as the bridge has it").stat().st_mode) == 0o640


@pytest.mark.parametrize("umask", ["rw", "8", "099", "", 22])
def test_a_umask_that_is_none_is_an_error(umask: Any) -> None:
    with pytest.raises(ValidationError):
        hook("true", umask=umask)
