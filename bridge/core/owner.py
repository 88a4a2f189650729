"""Whose history it is: that of one prefix on one broker."""

from typing import NamedTuple


class Owner(NamedTuple):
    """A bridge, by its prefix, the name that its broker's cluster tells, and its virtual host."""

    prefix: str
    broker: str
    vhost: str

    def __str__(self) -> str:
        return f"{self.prefix} on {self.broker or 'a broker without a name'}, vhost {self.vhost}"

    def is_another(self, than: "Owner") -> bool:
        """A broker that tells no name may be any."""
        named = bool(self.broker and than.broker)
        return (self.prefix, self.vhost) != (than.prefix, than.vhost) or (
            named and self.broker != than.broker
        )


def refusal(found: Owner, bridge: str) -> str:
    """Why `bridge` cannot have the history of `found`, and what to do."""
    return (
        f"this history belongs to `{found}`, and this bridge is `{bridge}`: give this one a storage.url of its own. If "
        "it is the same bridge, because its prefix changed, the broker was renamed or replaced, or this is a restored "
        f"backup, and no other bridge uses this history: start it with BRIDGE_STORAGE__TAKE_OVER='{found}'"
    )
