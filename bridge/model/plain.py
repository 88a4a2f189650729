"""Settings as the plain values that somebody wrote, secrets in the clear: for what stays inside."""

from typing import Any

from pydantic import BaseModel, SecretStr


def plain(value: Any) -> Any:
    """Values as JSON has them; what nobody wrote stays out, so that it goes on following its default."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
