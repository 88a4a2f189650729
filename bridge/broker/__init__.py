"""The broker's side: supervised connections, consuming, confirmed publishing, our queues."""

import re

from pamqp import constants

# pamqp 4 holds names to a pattern of the AMQP specification that RabbitMQ does not apply: there a name is any
# UTF-8 text of up to 255 bytes, and publishers do use spaces and unicode.
_ANY_NAME = re.compile(r".*", re.DOTALL)
constants.DOMAIN_REGEX["queue-name"] = _ANY_NAME
constants.DOMAIN_REGEX["exchange-name"] = _ANY_NAME
