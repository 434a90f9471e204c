from components.reason.component import reason

__all__ = ["reason"]
