"""Odd numbers, files and addresses at the endpoint: each is the client's or the operator's own error, and says so."""

import asyncio
import io
import ipaddress
import json
import struct

import numpy as np
import pytest

from music_flamingo.audio.decode import BadAudioError, QuarantineReason, decode_model_copy, decode_original
from music_flamingo.core.errors import UserError
from music_flamingo.serving.access import Access
from music_flamingo.serving.chat import Head, chunks, parse_chat
from music_flamingo.serving.detokenizer import TextDelta
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fairness import network_of
from music_flamingo.serving.fetching import is_public
from music_flamingo.serving.server import Options, _require_named_proxies
from music_flamingo.serving.tensors import parse_tensors
from music_flamingo.serving.uploads import UPLOAD_LIMITS

KEY = "k" * 20


def float_wav(samples: np.ndarray) -> bytes:
    """As programs write it that do not scale their samples. `samples`: float32 (n, C)."""
    data, channels = samples.astype("<f4").tobytes(), samples.shape[1]
    form = struct.pack("<HHIIHH", 3, channels, 16_000, 16_000 * 4 * channels, 4 * channels, 32)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


# --- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("peak", [3e38, 1e20, 1e7])
@pytest.mark.parametrize("decoded", [decode_model_copy, decode_original])
def test_samples_too_large_for_any_computation_are_refused_before_the_model_hears_them(decoded, peak, num_channels):
    noise = np.random.default_rng(0).uniform(-1, 1, (48_000, num_channels)).astype(np.float32) * np.float32(peak)
    with np.errstate(over="ignore"), pytest.raises(BadAudioError, match="full scale") as refused:
        decoded(float_wav(noise), UPLOAD_LIMITS)
    assert refused.value.reason is QuarantineReason.NOT_A_NUMBER


def test_samples_that_a_program_left_at_sixteen_bits_scale_are_heard():
    noise = np.random.default_rng(0).uniform(-32_768, 32_767, (48_000, 1)).astype(np.float32)
    assert len(decode_model_copy(float_wav(noise), UPLOAD_LIMITS)) == 48_000


def aac(seconds: float) -> bytes:
    """Noise, in ADTS frames."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1, int(seconds * 44_100))).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
        frame.sample_rate = 44_100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def damaged_frame(whole: bytes) -> bytes:
    """A frame with the header of others and nothing sound in it, 16 bytes long."""
    head = bytearray(whole[:7])
    head[3], head[4], head[5] = head[3] & 0xFC, 16 >> 3, head[5] & 0x1F | (16 & 7) << 5
    return bytes(head) + b"\xff" * 9


def test_a_file_of_nothing_but_damage_is_left_long_before_its_end():
    good = aac(3.0)
    with pytest.raises(BadAudioError, match=r"2001 of 2\d\d\d packets are damaged") as refused:
        decode_model_copy(good + damaged_frame(good) * 400_000, UPLOAD_LIMITS)
    assert refused.value.reason is QuarantineReason.UNREADABLE


# --- bodies ----------------------------------------------------------------------------------------------------------


def chat(**changes: object) -> bytes:
    message = {"role": "user", "content": [{"type": "text", "text": "Are drums heard?"}]}
    return json.dumps({"model": "m", "messages": [message], **changes}).encode()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_json_has_not_is_refused_in_a_schema(number):
    schema = {"type": "number", "maximum": "MARK"}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    with pytest.raises(ApiError, match=r"response_format.*numbers that JSON has") as refused:
        parse_chat(chat(response_format=form).replace(b'"MARK"', number.encode()))
    assert refused.value.status == 400


@pytest.mark.parametrize("shape", [[-1, -1], [0], [2**70], [1, 17], []])
def test_a_tensors_shape_is_of_whole_numbers_from_one_up(shape):
    def tensor(name: str) -> dict:
        return {"name": name, "shape": shape, "datatype": "BYTES", "data": ["x"]}

    body = json.dumps({"inputs": [tensor("question"), tensor("audio")]}).encode()
    with pytest.raises(ApiError, match="shape") as refused:
        parse_tensors(body, binary=False)
    assert refused.value.status == 400 and len(refused.value.message) < 400


@pytest.mark.parametrize(
    ("error", "code"),
    [(ApiError(400, "the schema cannot be used: too many states", "bad_schema"), "bad_schema"),
     (RuntimeError("our insides"), "internal_error")],
)  # fmt: skip
def test_what_goes_wrong_in_the_middle_of_a_stream_is_its_last_event(error, code):
    async def told():
        yield TextDelta("content", "yes")
        raise error

    async def events() -> list[str]:
        return [event async for event in chunks(Head("i", 0, "m"), told(), None, include_usage=False)]

    said = asyncio.run(events())
    assert json.loads(said[-1].removeprefix("data: "))["error"]["code"] == code
    assert "our insides" not in "".join(said) and "[DONE]" not in "".join(said)


# --- who a client is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:fffe", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
     ("::ffff:192.0.2.7", "192.0.2.7", True), ("192.0.2.7", "192.0.2.8", False), ("fe80::1%eth0", "fe80::2%lo", True),
     ("", "unix", False)],
)  # fmt: skip
def test_a_client_cannot_be_many_by_the_addresses_of_its_own_network(first, second, same):
    assert (network_of(first) == network_of(second)) is same


def test_a_proxy_that_is_anybody_is_refused_where_addresses_are_what_clients_are_known_by(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    with pytest.raises(UserError, match="Name the addresses"):
        _require_named_proxies(Access())
    _require_named_proxies(Access(digests=(b"x",)))
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8")
    _require_named_proxies(Access())


@pytest.mark.parametrize(
    ("content", "words"),
    [(f"{KEY}\n".encode("utf-16"), "UTF-8"), (f"{KEY} # the shop\n".encode(), "line 1"),
     (f"# keys\n{KEY}\u200b\n".encode(), "line 2"), (f"\n\n{KEY}\0\n".encode(), "line 3"),
     (f"schlüssel-{KEY}".encode(), "ASCII")],
)  # fmt: skip
def test_a_key_file_that_would_make_keys_nobody_can_send_is_refused_without_the_key(tmp_path, content, words):
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as refused:
        Access.of(path, None)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("port", 0), ("port", -1), ("port", 65_536), ("requests_per_minute", 0), ("requests_per_minute", -5),
     ("cache_mib", -1), ("cache_mib", 2**40)],
)  # fmt: skip
def test_an_option_out_of_its_range_is_refused_with_the_range(option, value):
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')} is {value}: give a whole number from"):
        Options(**{option: value})


@pytest.mark.parametrize(
    "address", ["192.88.99.1", "3fff::1", "2001:470::5efe:7f00:1", "2001:470::200:5efe:a00:1", "2002:a00:1::"]
)
def test_what_hands_on_to_private_networks_is_not_public(address):
    assert not is_public(ipaddress.ip_address(address))
