"""Plinqx: the ten events of its documentation."""

from bridge.rules.catalogue.known import Catalogue, Known

CATALOGUE = Catalogue(
    system="plinqx",
    title="Plinqx",
    complete=True,
    note="The type is `event`, which the header `X-Plinqx-Event` repeats.",
    events=(
        Known("approval.requested", "somebody has to approve something"),
        Known("approval.completed", "an approval was decided"),
        Known("approval.expired", "nobody decided in time"),
        Known("tool.called", "a tool was called"),
        Known("tool.error", "a tool failed"),
        Known("invocation.started", "an invocation began"),
        Known("invocation.completed", "an invocation ended well, with its result"),
        Known("invocation.failed", "an invocation failed"),
        Known("connection.health_changed", "a connection became well or unwell"),
        Known("connection.credential_expiring", "the credential of a connection expires soon"),
    ),
)
