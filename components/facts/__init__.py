from components.facts.collect import collect_facts
from components.facts.component import facts

__all__ = ["collect_facts", "facts"]
