"""A running demo: receiver and bridge on a stage, the samples, and the deliveries on the screen."""

import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from devtools.demo import display, scene
from devtools.demo.programs import Program
from devtools.demo.stage import CONFIGURATION, QUICKSTART, Stage, hook_names
from devtools.demo.verdict import Evidence, Tally
from devtools.project import PROGRAMS, ROOT, SetupError, say

START_SECONDS = 30
DELIVER_SECONDS = 30
STOP_SECONDS = 45
"""More than the bridge's own bound on a stop."""
SETTLED = re.compile(r'^bridge_events_settled_total\{.*result="acked".*\} (\S+)$', re.MULTILINE)
# What is on this machine is not to be asked for by way of a proxy.
DIRECT = build_opener(ProxyHandler({}))
FAILING, FAILURES = "/shaky", 2
"""The receiver's path that fails so often before it recovers."""
NOT_YET = "does not answer in this version: it comes with a later one"


TO_TRY = (
    "hooks list",
    "deliveries list --hook shaky",
    "events list",
    "deliveries list --watch",
    "events publish --source splynx examples/quickstart/events/1-customer-created.json",
)


class Show:
    """Shows what happens while it is asked to."""

    def __init__(self, stage: Stage, receiver: Program, receiver_url: str, bridge: Program) -> None:
        self._stage = stage
        self._receiver = receiver
        self._receiver_url = receiver_url
        self._bridge = bridge
        self._receiver_lines: list[str] = []
        self._published: list[bytes] = []
        self.address = ""

    def await_start(self) -> None:
        """Returns once the bridge serves; raises SetupError, with what it said, if it does not."""
        started = False
        deadline = time.monotonic() + START_SECONDS
        while not started:
            self._check(deadline, f"the bridge did not start within {START_SECONDS} s")
            for fields in self._news():
                if fields.get("event") == "http.listening":
                    self.address = str(fields["address"])
                started |= fields.get("event") == "bridge.started"
            time.sleep(0.02)

    def publish(self, *files: Path) -> None:
        """Put sample events into the source, untouched."""
        bodies = [file.read_bytes() for file in files]
        self._stage.queues.publish(self._stage.source, bodies)
        self._published += bodies

    def set_scene(self, trouble: str) -> None:
        """Makes hooks that have trouble at this URL, publishes orders for them, and replays what failed."""
        api = scene.Api(self.address, self._stage.token)
        self._stage.made.extend(api.make_hooks(trouble))
        self._stage.queues.publish(self._stage.orders, scene.orders(), scene.TYPE)
        if api.await_failures():
            api.replay()

    def login_link(self) -> str:
        """The address at which a browser is logged in, once."""
        from bridge.http.auth import digest_of
        from bridge.ui.session import Sessions

        token = self._stage.token
        return f"{self.address}/ui/login?once={Sessions([token]).link(digest_of(token), time.time())}"

    def tell(self) -> None:
        """Says where everything is."""
        stage = self._stage
        say("receiver", f"{self._receiver_url} verifies signatures")
        say("bridge", f"runs {CONFIGURATION.relative_to(ROOT)}, its log is {self._bridge.log.path}")
        say("health", f"{self.address}/health/ready")
        say("metrics", f"{self.address}/metrics")
        for topic, path in (("api", "/api/v1/hooks"), ("ui", "/ui/")):
            url = self.address + path
            say(topic, url if answers(url, stage.token) else f"{url} ({NOT_YET})")
        say("login", f"{self.login_link()} (good once, for 10 minutes; afterwards with the token)")
        say("token", f"{stage.token} (header of API calls: Authorization: Bearer TOKEN)")
        say("retries", f"{FAILING} answers 503 {FAILURES} times: watch the hook shaky being tried again")
        say(
            "history",
            f"sqlite3 {stage.history} 'select hook, status, count(*) from deliveries group by 1, 2'",
        )
        say("source", f"queue {stage.source}, declared as Splynx does; copies go to queue {stage.copy}")
        url = "URL" if stage.given else stage.broker_url  # which has a password that is somebody's
        say("publish", f"./dev exec amqp-bridge publish --url {url} --queue {stage.source} FILE")
        say("try", "in another terminal:")
        # Lines of their own, whole, so that they can be copied.
        sys.stderr.write(
            f"\n  export BRIDGE_URL={self.address} BRIDGE_TOKEN={stage.token}\n"
            + "".join(f"  ./dev exec amqp-bridge {command}\n" for command in TO_TRY)
            + "\n"
        )

    def stay(self) -> None:
        """Shows deliveries until Ctrl-C; Enter on a terminal publishes one more sample."""
        more = cycle(samples())
        say("stop", "with Ctrl-C" + ("; Enter publishes another event" if sys.stdin.isatty() else ""))
        while True:
            self._news()
            self._bridge.check_running()
            self._receiver.check_running()
            if enter_pressed(0.05):
                self.publish(next(more))

    def await_settled(self) -> None:
        """Returns once every message is settled and no delivery waits, or time is up: the verdict tells which."""
        deadline = time.monotonic() + DELIVER_SECONDS
        while time.monotonic() < deadline:
            self._news()
            self._bridge.check_running()
            if self._settled() >= len(self._published) and not Tally.of(self._stage.history).waiting:
                return
            time.sleep(0.05)

    def evidence(self) -> Evidence:
        """What there is to judge by; stops the bridge, so that nothing is on its way any more."""
        stage = self._stage
        code = self._bridge.stop(STOP_SECONDS)
        self._receiver_lines += self._receiver.log.new_lines()
        return Evidence(
            tally=Tally.of(stage.history),
            hooks=hook_names(),
            published=self._published,
            copied=stage.queues.take(stage.copy) if stage.queues.depth(stage.copy) is not None else [],
            left_in_source=stage.queues.depth(stage.source),
            receiver_lines=self._receiver_lines,
            exit_code=code,
        )

    def last_words(self) -> str:
        """The end of the bridge's log."""
        return self._bridge.log.last_words()

    def _news(self) -> list[dict[str, object]]:
        """Shows what is new in the logs; gives what the bridge wrote, for a closer look."""
        for line in self._receiver.log.new_lines():
            self._receiver_lines.append(line)
            say("receiver", display.printable(line))
        fresh = [display.parse(line) for line in self._bridge.log.new_lines()]
        for fields in fresh:
            if text := display.shown(fields):
                print(display.on_terminal(text) if sys.stdout.isatty() else text, flush=True)
        return fresh

    def _check(self, deadline: float, complaint: str) -> None:
        self._bridge.check_running()
        if time.monotonic() > deadline:
            raise SetupError(f"{complaint}\n{self.last_words()}")

    def _settled(self) -> float:
        try:
            with DIRECT.open(f"{self.address}/metrics", timeout=5) as response:
                return sum(map(float, SETTLED.findall(response.read().decode())))
        except OSError:
            return 0  # it may have just ended, which is told by the next look at it


@contextmanager
def running(stage: Stage) -> Iterator[Show]:
    """Receiver and bridge up and connected; both are gone at the end."""
    python = str(PROGRAMS / "python")
    options = ["--port", "0", "--failing", FAILING, "--times", str(FAILURES)]
    argv = [python, str(QUICKSTART / "receiver.py"), *options, "CRM_SECRET", "PORTAL_SECRET"]
    with Program("receiver", argv, stage.receiver_environment(), stage.scratch) as receiver:
        receiver_url = receiver.await_line("listening on ", START_SECONDS).split()[-1]
        argv = [str(PROGRAMS / "amqp-bridge"), "run", "-c", str(CONFIGURATION)]
        bridge = Program("bridge", argv, stage.bridge_environment(receiver_url), stage.scratch)
        try:
            show = Show(stage, receiver, receiver_url, bridge)
            show.await_start()
            yield show
        finally:
            bridge.stop(STOP_SECONDS)


def samples() -> list[Path]:
    """The sample events, in order."""
    return sorted((QUICKSTART / "events").glob("*.json"))


def answers(url: str, token: str) -> bool:
    """Whether something other than "not found" stands there."""
    try:
        DIRECT.open(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=5).close()
    except HTTPError as error:
        error.close()
        return error.code != 404
    except OSError:
        return False
    return True


def enter_pressed(seconds: float) -> bool:
    """Whether a line was typed within the time, which is waited for in any case."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready and sys.stdin.readline())
