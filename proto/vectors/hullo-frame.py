"""Known answers for the `hullo` frame layout, made without any of our Rust code.

Needs PyNaCl. Writes hullo-frame.json beside itself:  python3 hullo-frame.py
"""

import hashlib
import json
import pathlib

from nacl.bindings import crypto_secretbox


def repeat(text, length):
    """Bytes that look random and are the same on every run."""
    return hashlib.shake_256(text.encode()).digest(length)


SECRET = repeat("secret", 32)
CALL_ID = repeat("call id", 16)
SENDER = repeat("sender", 32)
RECEIVER = repeat("receiver", 32)


def key(mid):
    message = b"\x01" + CALL_ID + SENDER + RECEIVER + bytes([len(mid)]) + mid.encode()
    return hashlib.blake2b(message, digest_size=32, key=SECRET, person=b"hullo-frame").digest()


def blob(mid, counter, plain, counter_length=None):
    box = crypto_secretbox(plain, counter.to_bytes(8, "little") + bytes(16), key(mid))
    length = counter_length or max(1, (counter.bit_length() + 7) // 8)
    return box[16:] + box[:16] + counter.to_bytes(length, "little") + bytes([length])


def units(frame):
    """The NAL units of an Annex B stream, without the zero bytes that end them."""
    pieces = frame.split(b"\x00\x00\x01")
    assert not pieces[0].strip(b"\x00")
    return [piece.rstrip(b"\x00") for piece in pieces[1:]]


def cut(frame):
    """Canonical clear prefix and the rest."""
    prefix = b""
    at = 0
    for unit in units(frame):
        at = frame.index(b"\x00\x00\x01", at) + 3
        kind = unit[0] & 31
        if kind in (1, 5):
            return prefix + b"\x00\x00\x00\x01" + frame[at : at + 2], frame[at + 2 :]
        if kind != 9:
            prefix += b"\x00\x00\x00\x01" + unit
    raise ValueError("no slice")


def escape(before, data):
    out = bytearray()
    tail = bytes([before])
    for byte in data:
        if tail[-2:] == b"\x00\x00" and byte <= 3:
            out.append(3)
            tail += b"\x03"
        out.append(byte)
        tail = (tail + bytes([byte]))[-2:]
    return bytes(out)


def prefix_hash(prefix):
    return hashlib.blake2b(prefix, digest_size=16, person=b"hullo-prefix").digest()


def audio(mid, counter, frame):
    return blob(mid, counter, b"\x01\x00" + frame)


def video(mid, counter, kind, frame):
    prefix, rest = cut(frame)
    sealed = blob(mid, counter, bytes([1, kind]) + prefix_hash(prefix) + rest)
    return prefix + escape(prefix[-1], sealed), prefix + rest


def sound_like_a_picture(mid):
    """An Opus packet whose ciphertext begins with a start code and a slice header."""
    for counter in range(1 << 20):
        stream = crypto_secretbox(bytes(36), counter.to_bytes(8, "little") + bytes(16), key(mid))[16:]
        if stream[0] == 1 and stream[1] == 0:
            return counter, bytes([stream[2] ^ 1, stream[3] ^ 0x65]) + repeat("sound like a picture", 20)
    raise ValueError("none found")


def emulating(mid, kind, frame_of):
    """The first counter and frame whose blob needs escaping right behind the prefix."""
    for counter in range(1 << 22):
        frame = frame_of(counter)
        prefix, rest = cut(frame)
        sealed = blob(mid, counter, bytes([1, kind]) + prefix_hash(prefix) + rest)
        if len(escape(prefix[-1], sealed[:2])) > 2:
            return counter, frame
    raise ValueError("none found")


SPS = bytes.fromhex("6742c01f8c8d4050179fcb00f08846a0")
PPS = bytes.fromhex("68ce3c80")
SEI = bytes.fromhex("0605ffff10") + repeat("sei", 16) + b"\x80"
S3, S4 = b"\x00\x00\x01", b"\x00\x00\x00\x01"

good = []


def add_audio(name, mid, counter, frame):
    good.append(("audio", name, mid, counter, frame, audio(mid, counter, frame), frame))


def add_video(name, mid, counter, kind, frame):
    wire, opened = video(mid, counter, kind, frame)
    good.append((("audio", "delta", "key")[kind], name, mid, counter, frame, wire, opened))


add_audio("opus, first frame", "0", 0, b"\x78" + repeat("opus", 79))
add_audio("opus, one byte", "0", 255, b"\x78")
add_audio("opus, two counter bytes", "0", 256, b"\x78" + repeat("opus 2", 79))
add_audio("screen sound, other mid, same counter", "2", 0, b"\x78" + repeat("opus", 79))
add_audio("opus, eight counter bytes", "0", (1 << 64) - 2, b"\x78" + repeat("opus 3", 79))
counter, frame = sound_like_a_picture("0")
add_audio("ciphertext begins like a picture", "0", counter, frame)
add_video("key frame, four-byte codes", "1", 0, 2, S4 + SPS + S4 + PPS + S4 + b"\x65\xb8" + repeat("slice", 300))
add_video(
    "key frame, delimiter, SEI, three-byte codes, two slices", "1", 1, 2,
    S4 + b"\x09\x10" + S3 + SPS + b"\x00" + S3 + PPS + S3 + SEI + S3 + b"\x65\x88" + repeat("slice 2", 100)
    + S3 + b"\x65\x08" + repeat("slice 3", 100),
)
add_video("delta frame", "1", 2, 1, S4 + b"\x41\x9a" + repeat("slice 4", 120))
add_video("delta frame, nothing after the second byte", "3", 70_000, 1, S4 + b"\x41\x9a")
counter, frame = emulating("1", 1, lambda _: S4 + b"\x41\x00" + repeat("slice 5", 40))
add_video("zero byte before the blob, which begins with zeros", "1", counter, 1, frame)
add_video("zero bytes at the end", "1", 3, 1, S4 + b"\x41\x9a" + repeat("slice 6", 10) + bytes(9))

bad = []


def refuse(name, mid, wire, error):
    bad.append((name, mid, wire, error))


key_frame = S4 + SPS + S4 + PPS + S4 + b"\x65\xb8" + repeat("slice", 300)
prefix, rest = cut(key_frame)
wire, _ = video("1", 0, 2, key_frame)
sound = b"\x78" + repeat("opus", 79)
refuse("later version", "0", blob("0", 0, b"\x02\x00" + sound), "WrongVersion(2)")
refuse("unknown kind", "0", blob("0", 0, b"\x01\x03" + sound), "WrongKind(3)")
refuse("video kind in the audio form", "0", blob("0", 0, b"\x01\x01" + sound), "WrongKind(1)")
refuse("audio kind in the video form", "1",
       prefix + escape(prefix[-1], blob("1", 0, b"\x01\x00" + prefix_hash(prefix) + rest)), "WrongKind(0)")
refuse("empty sound", "0", blob("0", 0, b"\x01\x00"), "TooShort")
refuse("nothing sealed", "0", blob("0", 0, b""), "TooShort")
refuse("version alone", "0", blob("0", 0, b"\x01"), "TooShort")
refuse("no room for the prefix hash", "1", prefix + escape(prefix[-1], blob("1", 0, b"\x01\x02" + bytes(15))), "TooShort")
refuse("counter with a leading zero", "0", blob("0", 7, b"\x01\x00" + sound, 2), "Counter")
refuse("counter of no bytes", "0", audio("0", 0, sound)[:-2] + b"\x00", "Counter")
refuse("counter of nine bytes", "0", audio("0", 0, sound)[:-1] + b"\x09", "Counter")
refuse("last counter of all", "0", blob("0", (1 << 64) - 1, b"\x01\x00" + sound), "Counter")
refuse("other mid", "2", audio("0", 0, sound), "NotAuthentic")
refuse("altered parameter set", "1", wire.replace(PPS, PPS[:-1] + b"\x81"), "PrefixAltered")
refuse("parameter sets taken away", "1", wire[len(S4 + SPS + S4 + PPS) :], "PrefixAltered")
refuse("delimiter of a data partition", "1", S4 + b"\x42\x80" + wire, "Prefix(UnexpectedUnit(2))")
refuse("no slice", "1", S4 + SPS + S4 + PPS, "Prefix(NoSlice)")
refuse("slice header alone", "1", S4 + b"\x65", "Prefix(NoSlice)")
refuse("start code within the blob", "1", S4 + b"\x65\xb8" + b"\x11\x00\x00\x01" + bytes(range(1, 60)), "Prefix(Escaping)")
refuse("needless escape", "1", S4 + b"\x65\xb8" + b"\x11\x00\x00\x03\x04" + bytes(range(1, 60)), "Prefix(Escaping)")

out = {
    "description": "hullo frame layout, see proto/src/frame/hullo.rs. All byte strings are hex. `frame` seals to `wire` at `counter`, "
    "`wire` opens to `opened`; `refused` are judged by a fresh opener.",
    "generator": "hullo-frame.py (libsodium through PyNaCl, hashlib)",
    "secret": SECRET.hex(),
    "call_id": CALL_ID.hex(),
    "sender_public": SENDER.hex(),
    "receiver_public": RECEIVER.hex(),
    "frames": [
        dict(name=n, kind=k, mid=m, counter=str(c), frame=f.hex(), wire=w.hex(), opened=o.hex())
        for k, n, m, c, f, w, o in good
    ],
    "refused": [dict(name=n, mid=m, wire=w.hex(), error=e) for n, m, w, e in bad],
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(out, indent=1) + "\n")
