from components.facts.component import facts

__all__ = ["facts"]
