from components.outcome.component import outcome

__all__ = ["outcome"]
