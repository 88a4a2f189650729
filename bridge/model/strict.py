"""The manner of everything that people write: known keys only, and nothing changes once it is read."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
