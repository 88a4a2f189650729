"""Point 11: the command line with curl that a page shows, run by sh, sends the very body."""

import asyncio
import shutil

from tests.ui_check.seed import GOOD
from tests.ui_check.subject import Subject

_BODIES = 30


async def check(subject: Subject) -> list[str]:
    """What was found."""
    assert subject.scene
    if shutil.which("curl") is None:
        return ["there is no curl on the path"]
    path = f"/{GOOD}"
    endpoint = subject.scene.endpoint
    first = {each.headers.get("webhook-id", ""): each.body for each in endpoint.received(path)}
    found = []
    async with subject.page() as seen:
        for each in (await subject.items(f"/deliveries?hook={GOOD}&limit=200"))[:_BODIES]:
            event = await subject.get(f"/events/{each['event_id']}")
            await seen.page.goto(subject.at(f"deliveries/{each['id']}?request=1"))
            text = await seen.page.locator("[data-curl]").text_content() or ""
            before = len(endpoint.received(path))
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", text, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            _, told = await asyncio.wait_for(process.communicate(), 20)
            if process.returncode or len(endpoint.received(path)) != before + 1:
                found.append(
                    f"/ui/deliveries/{each['id']}: the command ends with {process.returncode}: {told[-200:]!r}"
                )
                continue
            if endpoint.received(path)[-1].body != first.get(event["webhook_id"]):
                found.append(f"/ui/deliveries/{each['id']}: another body arrives than the bridge sent")
    return found
