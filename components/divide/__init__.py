from components.divide.component import divide

__all__ = ["divide"]
