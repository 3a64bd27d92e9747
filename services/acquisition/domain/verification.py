"""What must be true of downloaded files before they may enter the library.

The facts come from decoding every file to its end; the rules here are pure. A file fails by its first broken rule:

SIZE_MISMATCH      not the bytes that the search hit and the transfer announced
NOT_DECODABLE      no audio, or damaged audio
TRUNCATED          ends before its own header says
WRONG_CONTAINER    something else than its extension says
FALSE_QUALITY      lossy though its name says loss-less, or less than was advertised
LOW_BITRATE        below the lowest bit rate that is taken
WRONG_DURATION     another length than expected or advertised
WRONG_TAGS         tags of another recording; or none, where nothing but tags can tell
MISSING_TRACK      a track of the album is not among the files
DUPLICATE_CONTENT  the same content under two names
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from services.acquisition.domain import listings
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.matching import Pick, duration_tolerance
from services.acquisition.domain.words import ENOUGH, bare, essential, same_name, share_found, words

SIZE_MISMATCH = "SIZE_MISMATCH"
NOT_DECODABLE = "NOT_DECODABLE"
TRUNCATED = "TRUNCATED"
WRONG_CONTAINER = "WRONG_CONTAINER"
FALSE_QUALITY = "FALSE_QUALITY"
LOW_BITRATE = "LOW_BITRATE"
WRONG_DURATION = "WRONG_DURATION"
WRONG_TAGS = "WRONG_TAGS"
MISSING_TRACK = "MISSING_TRACK"
DUPLICATE_CONTENT = "DUPLICATE_CONTENT"

_CONTAINERS = {
    "flac": "flac",
    "mp3": "mp3",
    "m4a": "mp4",
    "ogg": "ogg",
    "opus": "ogg",
    "wav": "wav",
    "aiff": "aiff",
    "aif": "aiff",
}
_ADVICE = "It was not imported; another candidate is needed."
_SHORTFALL = timedelta(seconds=1)
_LOSSLESS_FORMATS = frozenset({"flac", "wav", "aiff", "aif"})
_LOSSY_PCM = frozenset({"pcm_alaw", "pcm_mulaw"})
_BITRATE_TOLERANCE, _MINIMUM_TOLERANCE = 0.8, 0.95  # what peers tell is rounded; so is what encoders make
_VARIOUS = frozenset({"various artists", "various", "va"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a file says about itself; None where it says nothing."""

    artist: str | None = None
    album_artist: str | None = None
    album: str | None = None
    title: str | None = None
    track: int | None = None
    disc: int | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFacts:
    """What decoding found. `declared_duration` is what a reliable header claims; `error` is the decoder's text.

    `sample_rate` is Hz, `bit_depth` bits of a loss-less sample, `bitrate` kbit/s of the sound alone; 0 is unknown.
    """

    path: Path
    size: int
    sha256: str
    container: str = ""
    codec: str = ""
    decoded: bool = False
    duration: timedelta | None = None
    declared_duration: timedelta | None = None
    sample_rate: int = 0
    bit_depth: int = 0
    bitrate: int = 0
    tags: Tags = Tags()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A file that arrived: what it is to be, how many bytes the transfer announced, what decoding found."""

    pick: Pick
    transferred: int
    facts: AudioFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken rule: the reason for programs, whose it is (file or track), the sentence for people, and the track."""

    reason: str
    file: str
    message: str
    position: listings.Position


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAlbum:
    """The tracks as they may be named, in the order of the deliveries, and the year where it is known."""

    year: int | None
    tracks: tuple[Track, ...]


def named(album: Album, deliveries: Sequence[Delivery]) -> VerifiedAlbum:
    """The album as its verified files name it."""
    return VerifiedAlbum(
        year=album.year or _tagged_year(deliveries),
        tracks=tuple(_named(delivery) for delivery in deliveries),
    )


def findings(album: Album, deliveries: Sequence[Delivery], *, minimum_bitrate: int = 0) -> list[Finding]:
    """Every broken rule: those of files first, one per file, then those of the album."""
    broken = [finding for delivery in deliveries if (finding := _of_file(album, delivery, minimum_bitrate))]
    return [*broken, *_missing(album, deliveries), *_doubles(deliveries)]


def failure_of(found: Sequence[Finding]) -> Failure | None:
    """Why an attempt failed that delivered this: the first finding, and how many more there are."""
    if not found:
        return None
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return Failure(reason=found[0].reason, message=found[0].message + more)


def _of_file(album: Album, delivery: Delivery, minimum_bitrate: int) -> Finding | None:
    rules = (_size, _decoding, _container, _quality, _duration)
    kept = (rule(delivery) for rule in rules)
    for broken in (*kept, _bitrate(delivery, minimum_bitrate), _tags(album, delivery)):
        if broken is not None:
            reason, what = broken
            name = _name(delivery)
            message = f"{name}: {what}. {_ADVICE}"
            return Finding(reason=reason, file=name, message=message, position=_position(delivery.pick.track))
    return None


def _size(delivery: Delivery) -> tuple[str, str] | None:
    size, expected = delivery.facts.size, delivery.pick.file.size
    if size == expected == delivery.transferred:
        return None
    return SIZE_MISMATCH, f"{size} bytes, but {expected} were advertised and {delivery.transferred} announced"


def _decoding(delivery: Delivery) -> tuple[str, str] | None:
    facts = delivery.facts
    if facts.duration and facts.declared_duration and facts.duration < facts.declared_duration - _SHORTFALL:
        return TRUNCATED, f"ends after {facts.duration} of {facts.declared_duration}"
    if not facts.decoded or not facts.duration:
        return NOT_DECODABLE, f"cannot be decoded to its end ({facts.error or 'no audio'})"
    return None


def _container(delivery: Delivery) -> tuple[str, str] | None:
    form = listings.extension(delivery.pick.file.path)
    if _CONTAINERS.get(form) == delivery.facts.container:
        return None
    return WRONG_CONTAINER, f"its content is {delivery.facts.container or 'unknown'}, its name says {form or 'nothing'}"


def _quality(delivery: Delivery) -> tuple[str, str] | None:
    """What was advertised: loss-less sound of that rate and depth, or about that bit rate."""
    file, facts = delivery.pick.file, delivery.facts
    if not _is_lossless(facts):
        if facts.codec and listings.extension(file.path) in _LOSSLESS_FORMATS:
            return FALSE_QUALITY, f"its name says loss-less, its content is {facts.codec}"
        if file.bitrate and facts.bitrate and facts.bitrate < file.bitrate * _BITRATE_TOLERANCE:
            return FALSE_QUALITY, f"has {facts.bitrate} kbit/s, {file.bitrate} were advertised"
        return None
    if file.sample_rate and facts.sample_rate and facts.sample_rate < file.sample_rate:
        return FALSE_QUALITY, f"has {facts.sample_rate} Hz, {file.sample_rate} were advertised"
    if file.bit_depth and facts.bit_depth and facts.bit_depth < file.bit_depth:
        return FALSE_QUALITY, f"has {facts.bit_depth} bits a sample, {file.bit_depth} were advertised"
    return None


def _bitrate(delivery: Delivery, minimum: int) -> tuple[str, str] | None:
    facts = delivery.facts
    if _is_lossless(facts) or not facts.bitrate or facts.bitrate >= minimum * _MINIMUM_TOLERANCE:
        return None
    return LOW_BITRATE, f"has {facts.bitrate} kbit/s, at least {minimum} are wanted (acquisition.minimumBitrate)"


def _is_lossless(facts: AudioFacts) -> bool:
    return facts.codec in ("flac", "alac") or (facts.codec.startswith("pcm_") and facts.codec not in _LOSSY_PCM)


def _duration(delivery: Delivery) -> tuple[str, str] | None:
    expected = delivery.pick.track.duration or delivery.pick.file.duration
    actual = delivery.facts.duration
    if not expected or not actual or abs(actual - expected) <= duration_tolerance(expected):
        return None
    return WRONG_DURATION, f"lasts {actual}, expected {expected}"


def _tags(album: Album, delivery: Delivery) -> tuple[str, str] | None:
    tags, track = delivery.facts.tags, delivery.pick.track
    if not album.tracks and (lacking := _lacking(tags)):
        return WRONG_TAGS, f"has no {lacking} tag, and without a track list only tags can tell what it is"
    checks = (
        ("artist", album.artist, tags.artist or tags.album_artist, _artist_agrees(album, tags)),
        ("album", album.title, tags.album, tags.album is None or same_name(album.title, tags.album)),
        ("title", track.title or _name(delivery), tags.title, _title_agrees(album, delivery)),
        ("track", track.number, tags.track, _number_agrees(album, track, tags)),
    )
    for tag, expected, actual, agrees in checks:
        if not agrees:
            return WRONG_TAGS, f'its {tag} tag is "{actual}", expected "{expected}"'
    return None


def _lacking(tags: Tags) -> str:
    present = {
        "artist": tags.artist or tags.album_artist,
        "album": tags.album,
        "title": tags.title,
        "track number": tags.track,
    }
    return next((name for name, value in present.items() if not value), "")


def _artist_agrees(album: Album, tags: Tags) -> bool:
    """Either artist tag names the artist, whoever else it names; on a compilation anybody may play."""
    named = [name for name in (tags.album_artist, tags.artist) if name]
    if not named or album.artist.casefold() in _VARIOUS:
        return True
    wanted = essential(words(album.artist))
    return any(share_found(wanted, words(name)) >= ENOUGH for name in named)


def _title_agrees(album: Album, delivery: Delivery) -> bool:
    """The title tag names the expected track, or what the file name says where nothing is expected."""
    tagged, expected = delivery.facts.tags.title, delivery.pick.track.title
    if tagged is None:
        return True
    if expected:
        return same_name(expected, tagged)
    named = listings.title_words(delivery.pick.file, known=words(f"{album.artist} {album.title}"))
    tag_words = essential(words(bare(tagged)))
    says_nothing = all(word == "track" for word in named)
    return says_nothing or share_found(tag_words, words(listings.stem(delivery.pick.file.path))) >= ENOUGH


def _number_agrees(album: Album, track: Track, tags: Tags) -> bool:
    """The number on its disc, or the place in the album for those who count on through later discs."""
    if tags.disc is not None and tags.disc != track.disc:
        return False
    place = next((at for at, one in enumerate(album.tracks, start=1) if one == track), None)
    return tags.track in (None, track.number) or (track.disc > 1 and tags.track == place)


def _missing(album: Album, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    delivered = [(delivery.pick.track.disc, delivery.pick.track.number) for delivery in deliveries]
    for track in album.tracks:
        if (track.disc, track.number) not in delivered:
            name = f"{track.disc}-{track.number:02} {track.title}"
            message = f"{name}: did not arrive. {_ADVICE}"
            yield Finding(reason=MISSING_TRACK, file=name, message=message, position=_position(track))
    if not deliveries and not album.tracks:
        message = f"{album.title}: no file arrived. {_ADVICE}"
        yield Finding(reason=MISSING_TRACK, file=album.title, message=message, position=(1, 1))


def _doubles(deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for delivery in deliveries:
        name = _name(delivery)
        if (other := first.setdefault(delivery.facts.sha256, name)) != name:
            message = f"{name}: the same content as {other}. {_ADVICE}"
            position = _position(delivery.pick.track)
            yield Finding(reason=DUPLICATE_CONTENT, file=name, message=message, position=position)


def _named(delivery: Delivery) -> Track:
    """The track with a title that we may print: the expected one, else the tag's."""
    track = delivery.pick.track
    title = track.title or delivery.facts.tags.title or ""
    return Track(disc=track.disc, number=track.number, title=title, duration=delivery.facts.duration)


def _tagged_year(deliveries: Sequence[Delivery]) -> int | None:
    """The year that all tagged files agree on."""
    years = {delivery.facts.tags.year for delivery in deliveries} - {None}
    return years.pop() if len(years) == 1 else None


def _position(track: Track) -> listings.Position:
    return track.disc, track.number


def _name(delivery: Delivery) -> str:
    return listings.file_name(delivery.pick.file.path)
