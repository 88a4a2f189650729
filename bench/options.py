"""The options of `./dev bench`: without what is imported to run it, for its help."""

import argparse

NAMES = ("cost", "latency", "fanout", "queue", "scripts", "hang", "retention")
EPILOG = """\
scenarios:
  cost      30,000 events wait in a queue, for one endpoint: CPU, memory, connections, SQL for each
            delivery, against a hand-written consumer (bench/handwritten.py)
  latency   200 events per second: milliseconds from publish to receipt, p50 and p99
  fanout    each event goes to five hooks
  queue     queue to queue, against RabbitMQ's own shovel
  scripts   a shell script for each event, against amqp-consume
  retention half of a million deliveries in the history are removed meanwhile: how much slower is it?
  hang      16 attempts of 6,000 hang for 3 seconds: how much longer does it take?

beside them, each with a --help of its own:
  backlog   a million messages wait: memory and rate of each tenth, from the first to the last
  history   pages of a history with a million deliveries, in milliseconds
  replay    20,000 failed deliveries replayed at a rate, with a kill -9 half-way: what arrives how often
  rules     what counting, logging and hostile input cost the rules of the hot path, in microseconds

Everything runs on this machine, on 127.0.0.1 only: a private broker, one endpoint, and whoever is
measured, each in its own process. The order is reversed from round to round. Keep the machine idle
meanwhile: CPU per delivery grows by half when somebody else uses the same cores.

examples:
  ./dev bench cost                   the figure that matters most, in about three minutes
  ./dev bench cost hang --rounds 5   more rounds, steadier medians
  ./dev bench all --json >bench.json every scenario, every single run, for programs
  ./dev bench all --quick            a tenth of it, to see that it works; bounds are told, not judged

exit codes: 0 all bounds hold, 1 one does not or a run failed, 2 something is missing or a wrong command
"""


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(
        prog="./dev bench",
        description="Measure what the bridge costs, side by side with what people would use instead.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("scenarios", nargs="+", choices=(*NAMES, "all"), metavar="SCENARIO", help="see below")
    made.add_argument("--rounds", type=positive, help="how often each case is measured (default 3)")
    made.add_argument("--quick", action="store_true", help="a tenth of the events, one round")
    made.add_argument("--backlog", action="store_true", help="cost: also with 200,000 messages waiting")
    made.add_argument("--install", action="store_true", help="scripts: install amqp-tools if it is missing")
    made.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return made


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
