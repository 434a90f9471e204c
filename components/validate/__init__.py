from components.validate.check_shards import check_shards
from components.validate.component import validate

__all__ = ["check_shards", "validate"]
