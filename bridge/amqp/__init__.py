"""The AMQP adapter: supervised connections, consumers, confirmed publishing, and the bridge's queues."""

import re

from pamqp import constants, decode

# pamqp 4 holds names to a pattern of the AMQP specification that RabbitMQ does not apply: there a name is any
# UTF-8 text of up to 255 bytes, and publishers do use spaces and unicode.
_ANY_NAME = re.compile(r".*", re.DOTALL)
constants.DOMAIN_REGEX["queue-name"] = _ANY_NAME
constants.DOMAIN_REGEX["exchange-name"] = _ANY_NAME


def _read_short_text(octets: bytes) -> tuple[int, str]:
    """Decodes a short string without failing. The broker cuts names in its error texts to 255 bytes, if need be within a
    character (3.10.8): pamqp 4 would end the connection over that.
    """
    end = 1 + octets[0]
    return end, octets[1:end].decode("utf-8", "replace")


decode.METHODS["shortstr"] = _read_short_text
