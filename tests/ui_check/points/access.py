"""Point 6: who may what, and forms that no page of ours sent."""

import asyncio
import re
import time
from collections.abc import Mapping

from bridge.ui.pages import ACTIONS
from tests.ui_check.pages import paths
from tests.ui_check.seed import GOOD, PAUSED
from tests.ui_check.subject import PREFIX, Person, Subject

_RANK = {"viewer": 0, "operator": 1, "admin": 2}
_ROLES = re.compile(r'"operationId":"([\w.]+)".*?"x-role":"(\w+)"')
_FORM = re.compile(r'<form[^>]*method="post"[^>]*action="[^"]*/ui/([^"?#]*)|formaction="[^"]*/ui/([^"?#]*)')
_OWN = {"look", "logout", "login"}


async def check(subject: Subject) -> list[str]:
    """What was found."""
    needs = await _needed(subject)
    found = []
    for role in ("viewer", "operator"):
        found += await _forms_drawn(subject, role, needs)
        found += await _forms_sent(subject, role, needs)
    found += await _foreign_forms(subject)
    found += await _revoked(subject)
    return found


async def _needed(subject: Subject) -> Mapping[str, str]:
    """The least role for each action, by its path; actions that need several operations need all of them."""
    document = await subject.described()
    roles = {
        each["operationId"]: each.get("x-role", "viewer")
        for path in document["paths"].values()
        for each in path.values()
        if isinstance(each, dict) and "operationId" in each
    }
    return {
        action.path: max((roles[each] for each in action.operations if each in roles), key=_RANK.__getitem__)
        for action in ACTIONS
        if any(each in roles for each in action.operations)
    }


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{id\}", "[^/]+"))


async def _forms_drawn(subject: Subject, role: str, needs: Mapping[str, str]) -> list[str]:
    person = await subject.person(role)
    found = []
    for path in paths(subject):
        for match in _FORM.finditer((await person.get(path)).text):
            target = match[1] or match[2] or ""
            if target in _OWN:
                continue
            wanted = [need for each, need in needs.items() if _pattern(each).fullmatch(target)]
            if wanted and min(_RANK[each] for each in wanted) > _RANK[role]:
                found.append(f"/ui/{path} draws the form {target} for a {role}, who may not send it")
    return found


async def _forms_sent(subject: Subject, role: str, needs: Mapping[str, str]) -> list[str]:
    person = await subject.person(role)
    csrf = (await person.get("")).csrf
    before = await _state(subject)
    found = []
    for path, need in needs.items():
        if _RANK[need] <= _RANK[role]:
            continue
        section = path.partition("/")[0]
        known = {"hooks": subject.seeded["hooks"][GOOD]}.get(
            section, subject.seeded.get({"replays": "replay"}.get(section, section), "")
        )
        answer = await person.post(path.replace("{id}", str(known) or "x"), {"csrf": csrf, "name": PREFIX})
        if answer.status != 403:
            found.append(f"POST /ui/{path} of a {role}: {answer.status} in place of 403")
    if await _state(subject) != before:
        found.append(f"a refused form of a {role} changed a hook")
    return found


async def _foreign_forms(subject: Subject) -> list[str]:
    person = await subject.person()
    csrf = (await person.get("")).csrf
    stranger = Person(subject.http, subject.url)
    path = f"hooks/{subject.seeded['hooks'][PAUSED]}/resume"
    before = await _state(subject)
    found = []
    for name, who, form, origin in (
        ("of another origin", person, {"csrf": csrf}, "https://evil.test"),
        ("with the origin null", person, {"csrf": csrf}, "null"),
        ("without origin", person, {"csrf": csrf}, None),
        ("without its token", person, {}, ""),
        ("with another token", person, {"csrf": "A" * 44}, ""),
    ):
        answer = await who.post(path, form, origin=origin)
        if answer.status != 403:
            found.append(f"a form {name}: {answer.status} in place of 403")
    if (await stranger.post(path, {"csrf": csrf})).status not in {303, 401, 403}:
        found.append("a form without session was taken")
    if await _state(subject) != before:
        found.append("a foreign form changed a hook")
    return found


async def _state(subject: Subject) -> list[tuple[str, bool, bool]]:
    hooks = await subject.items("/hooks?sort=name&q=" + PREFIX)
    return [(each["name"], each["paused"], each["enabled"]) for each in hooks]


async def _revoked(subject: Subject) -> list[str]:
    name = f"{PREFIX}-revoked"
    _, made = await subject.api("POST", "/tokens", {"name": name, "role": "viewer"})
    person = Person(subject.http, subject.url)
    await person.log_in(made["token"])
    if (await person.get("deliveries")).status != 200:
        return ["a new token does not get in"]
    await subject.api("DELETE", f"/tokens/{name}")
    revoked = time.monotonic()
    while (await person.get("deliveries")).status == 200:
        if time.monotonic() > revoked + 1:
            return ["who holds a revoked token is still in after 1 s"]
        await asyncio.sleep(0.02)
    return []


async def guesses(subject: Subject) -> list[str]:
    """Wrong tokens are refused with 429 after some; the last check, as this address is then slowed down."""
    # One after the other they are only slowed down; many at once are refused.
    guessed = [Person(subject.http, subject.url).log_in(f"guess {number}") for number in range(60)]
    statuses = [each.status for each in await asyncio.gather(*guessed)]
    if 429 not in statuses or set(statuses) > {401, 429}:
        return [f"guessed logins are answered with {statuses}"]
    return []
