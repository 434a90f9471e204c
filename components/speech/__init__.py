from components.speech.component import speech

__all__ = ["speech"]
