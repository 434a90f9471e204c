"""Whole recordings that FFmpeg or their headers speak against, and silence that is loud in each channel."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from support import hostile_folder, sounds

from music_flamingo.audio.claims import FilePart, mp3_claim_s, sound_parts, wav_claim_s
from music_flamingo.audio.decode import (
    BadAudioError,
    DecodeLimits,
    QuarantineReason,
    decode_model_copy,
    decode_original,
)
from music_flamingo.core.memory import limited_memory
from music_flamingo.core.params import load_params
from music_flamingo.serving.uploads import FILE_LIMITS, UPLOAD_LIMITS

LIMITS = DecodeLimits.model_validate_json(json.dumps(load_params(Path("params.yaml"))["ingest"]["limits"]))
LENGTHS_S = {"joined vbr.mp3": 8.0, "from mid stream.opus": 6.5, "chained.ogg": 8.0}
TOLERANCE_S = 0.7


@pytest.mark.parametrize("name", hostile_folder.STRANGE)
def test_a_whole_recording_is_decoded_to_its_length(name):
    samples, rate_hz = decode_original(hostile_folder.STRANGE[name](7), LIMITS)
    assert len(samples) / rate_hz == pytest.approx(LENGTHS_S.get(name, hostile_folder.SECONDS), abs=TOLERANCE_S)


@pytest.mark.parametrize("claim", [0x7FFEFFFF, 400_000])
def test_a_wav_whose_header_claims_a_plausible_size_was_cut(claim):
    data = hostile_folder.piped_wav(sounds.tune(4.0, 1), claim)
    with pytest.raises(BadAudioError) as raised:
        decode_original(data, LIMITS)
    assert raised.value.reason in (QuarantineReason.TRUNCATED, QuarantineReason.TOO_LONG)


def test_a_cut_mp3_that_counts_its_frames_is_truncated_whatever_follows():
    data = hostile_folder.vbr_mp3(3)
    with pytest.raises(BadAudioError) as raised:
        decode_original(data[: len(data) // 2] + bytes(100_000), LIMITS)
    assert raised.value.reason == QuarantineReason.TRUNCATED


def test_pictures_are_never_decoded(monkeypatch):
    mp3 = hostile_folder.with_id3_pictures(hostile_folder.vbr_mp3(1), hostile_folder.png_bomb(), 3)
    with limited_memory(300 * 2**20):  # one of them decoded takes 800 MB
        samples, _ = decode_original(mp3, LIMITS)
    assert len(samples)


@pytest.mark.parametrize("limits", [LIMITS, UPLOAD_LIMITS])
@pytest.mark.parametrize("decode", [decode_original, decode_model_copy])
@pytest.mark.parametrize("name", ["zeros.wav", "cancelling.wav", "telephone.wav", "eight channels.wav"])
def test_ingest_and_the_endpoint_refuse_the_same_for_the_same_reason(name, decode, limits):
    make, reason = hostile_folder.BAD[name]
    with pytest.raises(BadAudioError) as raised:
        decode(make(), limits)
    assert raised.value.reason == reason


def test_what_takes_more_memory_than_allowed_raises_and_the_limit_is_gone_afterwards():
    # far more than earlier tests of this process can have freed: a heap that is there already is no new memory
    with pytest.raises(MemoryError), limited_memory(50 * 2**20):
        np.ones(8 * 2**30, np.uint8)
    assert np.ones(100 * 2**20, np.uint8).size


def test_a_part_of_a_file_reads_as_a_file_of_its_own():
    part = FilePart(io.BytesIO(b"0123456789"), range(2, 7))
    assert part.read() == b"23456" and part.read() == b""
    assert part.seek(-2, io.SEEK_END) == 3 and part.read(9) == b"56"
    assert part.seek(1) == 1 and part.tell() == 1 and part.read(2) == b"34"


def test_an_ogg_file_is_parted_where_it_begins_anew_and_others_are_not():
    one, both = sounds.encode(sounds.tune(2.0, 1), "ogg"), hostile_folder.chained_ogg(1)
    assert sound_parts(io.BytesIO(one), len(one)) == [range(len(one))]
    first, second = sound_parts(io.BytesIO(both), len(both))
    assert first.stop == second.start and second.stop == len(both)


def test_claims_are_read_from_headers_alone():
    assert (
        mp3_claim_s(io.BytesIO(b"\xff\xfb" + bytes(34) + b"Xing" + struct.pack(">II", 1, 100)), 44100)
        == 100 * 1152 / 44100
    )
    assert mp3_claim_s(io.BytesIO(b"\xff\xfb" + bytes(34) + b"Xing" + struct.pack(">II", 2, 100)), 44100) is None
    assert mp3_claim_s(io.BytesIO(bytes(100)), 44100) is None
    assert wav_claim_s(io.BytesIO(hostile_folder.wav(sounds.sine(2.0)))) == pytest.approx(2.0)


def test_ingest_facts_the_endpoint_and_ask_have_one_rule_but_for_the_size_of_a_request():
    ours = load_params(Path("params.yaml"))
    anywhere = {"max_bytes": 1}
    rules = [
        *(DecodeLimits.model_validate_json(json.dumps(ours[stage]["limits"])) for stage in ("ingest", "facts")),
        *(UPLOAD_LIMITS, FILE_LIMITS),
    ]
    assert len({rule.model_copy(update=anywhere) for rule in rules}) == 1
