"""Combine the tools that hear voice and drums: the content detector's shares of singing and speech, the tagger's voices
and drums, and the drums of the sound analysis."""

from math import exp, log

from music_flamingo.mir import ContentDetector, Signal, Tags
from music_flamingo.records import Beats, Content, Facts, Instrument, Instruments, Sound, Vocals

BEFORE, BY_SHARE, ENOUGH = -4.0, 10.0, 0.6
"""Log odds that there is a voice where none is heard; what a share of 1 adds, up to a share of 0.6. No fit: few
recordings with a voice were at hand. A share of .1 says .05, of .3 .27, of .5 .73, of .6 .88."""
VOICE = "voice"
TAGGER_COUNTS = 0.5
"""The tagger's log odds are added by half: it hears the same sound."""

DRUMMER, LEAST_BEATS, CLEAR_BEATS = 0.98, 5, 0.5
"""The tagger's probability of drums, beats, and their mean activation, from which on they are a loop of drums. No fit:
the drum loops of 3 and 5 s that the detector missed have .987 and more, knocks, steps, clicks and typing up to .985,
and of these only typing is so regular, in which the analysis of the sound hears no drums."""

KNOWS_DRUMS = "musicnn"
"""The tagger whose silence about drums says that there are none."""
TAGGER_ON_DRUMS = 2.0
"""Log odds that the tagger's opinion on drums adds to those of the analysis, or takes. No fit: where both agree they
were right on all recordings of benchmarks/real.py's development half, 12 of 12."""


TALK_FROM = 0.2
"""Share of speech in music from which on it is asked whether somebody speaks beyond doubt."""
TALKS_FROM, TALKS = 0.25, 0.9
"""From this share of sure speech on somebody speaks over the music, and the confidence of that. No fit: of 574 rendered
performances the highest share is .17; of ten mixtures of a reader and music eight have .3 and more."""


def talk_share(detector: ContentDetector, content: Content | None, signal: Signal) -> float:
    """Share of the audible time in which somebody speaks over music beyond doubt; 0 where little is spoken."""
    is_asked = content is not None and content.kind == "music" and content.speech_share >= TALK_FROM
    return detector.sure_speech(signal) if is_asked else 0.0


def heard_voice(content: Content | None, tagged: Vocals | None, sure_speech: float = 0.0) -> Vocals | None:
    """Whether anybody sings or speaks; None where nobody looked. `sure_speech`: its share, measured in music alone.

    The confidence is the probability that the answer is right. Where both looked, times are those of content.
    """
    if content is None:
        return tagged
    if sure_speech >= TALKS_FROM:
        return _talk(content)
    share = max(content.singing_share, content.speech_share if content.kind == "speech" else 0.0)
    odds = BEFORE + BY_SHARE * min(share, ENOUGH)
    if tagged is not None:
        odds += TAGGER_COUNTS * _log_odds(tagged)
    probability = 1 / (1 + exp(-odds))
    present = probability >= 0.5
    voices = [s for s in content.heard if s.label in _kinds(content)] if present else []
    return Vocals(
        tool=content.tool,
        tool_version=content.tool_version,
        confidence=round(max(probability, 1 - probability), 4),
        present=present,
        heard=voices or (tagged.heard if tagged and present else []),
        register_heard=tagged.register_heard if tagged and present and content.kind == "music" else None,
    )


def _talk(content: Content) -> Vocals:
    """Somebody speaks over music: what sounds sung there is not said to be."""
    spoken = [segment for segment in content.heard if segment.label == "speech"]
    stamp = {"tool": content.tool, "tool_version": content.tool_version, "confidence": TALKS}
    return Vocals(**stamp, present=True, heard=spoken)


def speaks_over_music(facts: Facts) -> bool:
    """Whether the voice that is heard speaks, and music plays."""
    voice, content = facts.voice, facts.content
    return bool(content and content.kind == "music" and voice and voice.present and voice.heard and not voice.sings)


def sings_in(content: Content | None, voice: Vocals | None) -> bool | None:
    """Whether there are words to look for: in music the sung ones alone; None where nobody looked."""
    if voice is None or not voice.present or content is None or content.kind != "music":
        return voice.present if voice else None
    return voice.sings or not voice.heard


def with_voice(instruments: Instruments, voice: Vocals | None) -> Instruments:
    """The instruments with the voice among them where somebody sings, in the place of its probability."""
    if voice is None or not voice.sings or any(label.name == VOICE for label in instruments.labels):
        return instruments
    sung = [s for s in voice.heard if s.label == "singing"]
    label = Instrument(name=VOICE, probability=voice.confidence, heard=sung)
    labels = sorted([*instruments.labels, label], key=lambda one: -one.probability)
    confidence = round(sum(one.probability for one in labels) / len(labels), 4)
    return instruments.model_copy(update={"labels": labels, "confidence": confidence})


def hears_drums(instruments: Instruments | None) -> bool | None:
    """Whether the tagger hears drums; None where none was asked that knows them."""
    if instruments is None or instruments.tool != KNOWS_DRUMS:
        return None
    return any(label.name == "drums" for label in instruments.labels)


def with_tagged_drums(sound: Sound | None, tags: Tags | None) -> Sound | None:
    """The sound with a confidence of its drums that counts the tagger's opinion."""
    heard = hears_drums(tags.instruments if tags else None)
    if sound is None or sound.drums_confidence is None or heard is None:
        return sound
    sure = min(max(sound.drums_confidence, 0.01), 0.99)
    odds = log(sure / (1 - sure)) + (TAGGER_ON_DRUMS if heard is sound.has_drums else -TAGGER_ON_DRUMS)
    return sound.model_copy(update={"drums_confidence": round(1 / (1 + exp(-odds)), 4)})


def with_drums_alone(
    content: Content | None, instruments: Instruments | None, sound: Sound | None, beats: Beats | None
) -> Content | None:
    """The content, as music where it is neither and a drummer is heard beyond doubt: the detector knows few drum loops.

    Knocks and steps sound like drums to the tagger too, but less (`DRUMMER`), and irregular ones have few beats.
    """
    if content is None or content.kind != "neither" or sound is None or not sound.has_drums or beats is None:
        return content
    likely = _drums(instruments)
    is_drummed = likely >= DRUMMER and len(beats.beats_s) >= LEAST_BEATS and beats.confidence >= CLEAR_BEATS
    return content.model_copy(update={"kind": "music", "confidence": likely}) if is_drummed else content


def _drums(instruments: Instruments | None) -> float:
    named = (label.probability for label in instruments.labels if label.name == "drums") if instruments else ()
    return max(named, default=0.0)


def _kinds(content: Content) -> tuple[str, ...]:
    """In music a voice sings: talk is noise of the detector, or it is too little to be a voice of its own."""
    return ("singing",) if content.kind == "music" else ("speech",)


def _log_odds(voice: Vocals) -> float:
    """That there is a voice, by the tagger alone; positive for yes. Bounded to odds of 20 to 1."""
    confidence = min(max(voice.confidence, 0.05), 0.95)
    odds = log(confidence / (1 - confidence))
    return odds if voice.present else -odds
