"""Hooks that are deleted: what still comes for one of them ends as FAILED, with the reason."""

import time
from collections.abc import Mapping

from bridge.model.delivery import Record, Status
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settle import Work

HOOK_DELETED = "hook_deleted"


class Deleted:
    """Those known here, their lanes deleted or about to be."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._targets: Mapping[str, str] = {}

    def are(self, targets: Mapping[str, str]) -> None:
        """These hooks and no others, with the types of their targets as far as these are known."""
        self._targets = targets

    def __contains__(self, hook: str) -> bool:
        return hook in self._targets

    def end(self, work: Work) -> None:
        """Nobody will deliver it: record that, and settle its message after the commit."""
        work.settlement.started = True
        delivery = work.delivery
        record = Record(
            delivery=delivery,
            target=self._targets.get(delivery.hook, ""),
            status=Status.FAILED,
            reason=HOOK_DELETED,
            at=time.time(),
            waited=work.from_lane,
        )
        self._recorder.add(record, work.settlement)
