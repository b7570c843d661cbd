"""Turn what was measured into plain values, which JSON can hold."""

from __future__ import annotations

import math
from typing import Any


def plain_values(value: Any) -> Any:
    """Turn dictionaries, lists and numbers into plain ones: numbers that do not exist become null, infinite ones "inf" and "-inf"."""
    if isinstance(value, dict):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
