"""The hash that is computed beside the writing."""

import hashlib
import weakref

from daemon.collect.digest import HELD_GATHERINGS, Digest

LARGE_BYTES = 8 << 20


class Piece(bytearray):
    """Bytes of which can be told whether somebody holds them."""

    __hash__ = object.__hash__


def test_all_that_was_given_is_hashed_in_its_order_and_forgotten_when_asked():
    digest = Digest()
    gatherings = [[bytes([n]) * (n * 5_000), b"and", bytes([n])] for n in range(30)]
    digest.update([b"of another file"])
    digest.forget()
    for gathering in gatherings:
        digest.update(gathering)
    assert digest.hexdigest() == hashlib.sha256(b"".join(map(b"".join, gatherings))).hexdigest()
    digest.close()


def test_a_giver_that_is_faster_than_the_hash_is_held_up_before_memory_fills():
    digest, held, most = Digest(), weakref.WeakSet(), 0
    for _ in range(5 * HELD_GATHERINGS):
        piece = Piece(LARGE_BYTES)
        held.add(piece)
        digest.update([piece])
        del piece
        most = max(most, len(held))
    digest.close()
    assert 1 < most <= HELD_GATHERINGS + 1  # the last one hashed may be just let go of
