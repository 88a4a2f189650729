"""The programs that the bridge is measured against."""

import sys
from collections.abc import Sequence

from bench.load import Script, Webhooks, Work
from bench.subjects.subject import Program


def handwritten(work: Work) -> Sequence[str]:
    """bench/handwritten.py on the default event loop."""
    assert isinstance(work.destination, Webhooks)
    return (
        *(sys.executable, "-m", "bench.handwritten", "--amqp", work.amqp_url, "--queue", work.source),
        *("--concurrency", str(work.concurrency), "--secret", work.destination.secret),
        *work.destination.urls,
    )


def handwritten_uvloop(work: Work) -> Sequence[str]:
    """bench/handwritten.py on uvloop."""
    return (*handwritten(work), "--uvloop")


def amqp_consume(work: Work) -> Sequence[str]:
    """Debian's amqp-tools: starts the program for one message after the other."""
    assert isinstance(work.destination, Script)
    return (
        *("amqp-consume", f"--url={work.bare_url}", f"--queue={work.source}", "--prefetch-count=500"),
        str(work.destination.path),
    )


HANDWRITTEN = Program(handwritten)
HANDWRITTEN_UVLOOP = Program(handwritten_uvloop)
AMQP_CONSUME = Program(amqp_consume)
