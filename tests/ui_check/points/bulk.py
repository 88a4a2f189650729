"""Point 10: an action on all that match takes what was counted, not what came since."""

from tests.support.waiting import until
from tests.ui_check.seed import PAUSED
from tests.ui_check.subject import Subject


async def check(subject: Subject) -> list[str]:
    """What was found: the deliveries of a paused hook are cancelled in bulk while another one comes."""
    assert subject.scene
    path = f"/deliveries?limit=200&hook={PAUSED}&status=PENDING"
    await subject.api("POST", f"/hooks/{PAUSED}/pause", {"reason": "for a check"})
    events = [b'{"early":%d}' % number for number in range(3)]
    await subject.scene.queues.publish(subject.source, events, message_type="ui.early")

    async def waits() -> bool:
        return len(await subject.items(path)) >= len(events)

    await until(waits, 15, what="the paused hook has nothing that waits")
    async with subject.page(java_script_enabled=False) as seen:
        await seen.page.goto(subject.at(f"deliveries/many?do=cancel&hook={PAUSED}"))
        counted = int(await seen.page.locator("main input[name=count]").get_attribute("value") or 0)
        before = {each["id"] for each in await subject.items(path)}
        await subject.scene.queues.publish(subject.source, [b'{"late":1}'], message_type="ui.late")

        async def come() -> set[str]:
            return {each["id"] for each in await subject.items(path)} - before

        late = await until(come, 15, what="the late event has no delivery")
        await seen.page.click("main .act button.p")
        await seen.page.wait_for_url("**/ui/deliveries?**")
    left = {each["id"] for each in await subject.items(path)}
    found = [] if counted == len(before) else [f"{counted} were counted, {len(before)} waited"]
    if late - left:
        found.append("a delivery that came after the count was cancelled")
    if before & left:
        found.append(f"{len(before & left)} of {counted} counted deliveries were not cancelled")
    return found
