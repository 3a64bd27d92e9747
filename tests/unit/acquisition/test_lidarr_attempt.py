from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.acquisition.domain.attempt import Progress
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.lidarr import (
    CommandState,
    HistoryEvent,
    HistoryRow,
    LidarrTracks,
    Look,
    QueueRow,
)
from services.acquisition.domain.lidarr_attempt import WAIT, LidarrPlan, Verdict, client_of, judge, progress_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
IDLE = timedelta(hours=24)
POLL = timedelta(seconds=60)
NOTHING = Look(command=CommandState.FINISHED, history=(), queue=(), tracks=LidarrTracks(total=2, present=0, files=()))
PLAN = LidarrPlan(album_id=7, command_id=5, sign_time=NOW)


def row(event: HistoryEvent, number: int = 1, *, message: str = "", search: bool = False) -> HistoryRow:
    return HistoryRow(id=number, event=event, download_id="D1", message=message, search=search)


def queued(state: str, *messages: str, left: int = 40) -> QueueRow:
    return QueueRow(
        download_id="D1", state=state, status="ok", messages=messages, size=100, size_left=left, download_client="sab"
    )


def judged(look: Look, plan: LidarrPlan = PLAN, *, after: timedelta = timedelta()) -> Verdict:
    return judge(look, plan.seen(look, NOW) if not after else plan, now=NOW + after, poll=POLL, idle_timeout=IDLE)


def test_only_tracks_with_files_make_it_complete() -> None:
    files = (LibraryFile(path="/music/1.flac", size=1), LibraryFile(path="/music/2.flac", size=1))

    assert judged(replace(NOTHING, tracks=LidarrTracks(total=2, present=2, files=files))) == Verdict(complete=True)


def test_an_album_without_known_tracks_is_not_complete() -> None:
    assert not judged(replace(NOTHING, tracks=LidarrTracks(total=0, present=0, files=()))).complete


def test_a_search_that_found_nothing_is_told_as_such_and_not_repeated() -> None:
    verdict = judged(NOTHING, after=timedelta(seconds=10))

    assert verdict.failure is not None
    assert (verdict.failure.reason, verdict.again) == ("NO_RELEASE_FOUND", False)


def test_a_search_that_has_just_ended_may_show_its_grab_a_moment_later() -> None:
    assert judged(NOTHING, after=timedelta(seconds=9)) == WAIT


def test_a_webhook_that_told_of_a_grab_outweighs_a_history_that_does_not() -> None:
    assert judged(NOTHING, PLAN.bound("D1"), after=timedelta(hours=1)) == WAIT


def test_a_look_without_the_queue_decides_nothing_but_that_the_album_is_complete() -> None:
    partial = replace(NOTHING, whole=False)
    files = (LibraryFile(path="/music/1.flac", size=1), LibraryFile(path="/music/2.flac", size=1))

    assert judged(partial, after=timedelta(hours=1)) == WAIT
    assert judged(replace(partial, tracks=LidarrTracks(total=2, present=2, files=files))).complete


def test_a_look_without_the_queue_is_no_sign_of_life() -> None:
    assert PLAN.seen(replace(NOTHING, whole=False), NOW + timedelta(hours=1)) == PLAN


def test_a_search_that_still_runs_is_waited_for() -> None:
    assert judged(replace(NOTHING, command=CommandState.RUNNING)) == WAIT


def test_a_search_that_broke_off_may_be_repeated() -> None:
    verdict = judged(replace(NOTHING, command=CommandState.BROKEN))

    assert verdict.failure is not None
    assert (verdict.failure.reason, verdict.again) == ("SEARCH_FAILED", True)


def test_without_a_search_of_ours_an_empty_queue_proves_nothing() -> None:
    assert judged(replace(NOTHING, command=CommandState.GONE), replace(PLAN, command_id=0)) == WAIT


def test_a_grabbed_download_that_is_not_in_the_queue_is_waited_for() -> None:
    assert judged(replace(NOTHING, history=(row(HistoryEvent.GRABBED),))) == WAIT


def test_a_failed_download_may_be_searched_again_and_says_why() -> None:
    grabbed, failed = row(HistoryEvent.GRABBED), row(HistoryEvent.DOWNLOAD_FAILED, 2, message="password protected")

    verdict = judged(replace(NOTHING, history=(grabbed, failed)))

    assert verdict.failure is not None
    assert (verdict.failure.reason, verdict.again) == ("DOWNLOAD_FAILED", True)
    assert "password protected" in verdict.failure.message


def test_a_failed_download_that_lidarr_replaced_by_itself_is_waited_for() -> None:
    failed, again = row(HistoryEvent.DOWNLOAD_FAILED), row(HistoryEvent.GRABBED, 2)

    assert judged(replace(NOTHING, history=(failed, again))) == WAIT


def test_a_blocked_import_fails_with_the_messages_of_the_queue() -> None:
    verdict = judged(replace(NOTHING, queue=(queued("importBlocked", "Has missing tracks"),)))

    assert verdict.failure is not None
    assert (verdict.failure.reason, verdict.again) == ("IMPORT_FAILED", False)
    assert "Has missing tracks" in verdict.failure.message


def test_an_import_that_stays_pending_with_a_warning_has_failed() -> None:
    pending = replace(queued("importPending", "No files found are eligible for import"), status="warning")
    look = replace(NOTHING, queue=(pending,))
    plan = PLAN.seen(look, NOW)

    early = judge(look, plan, now=NOW + timedelta(minutes=1), poll=POLL, idle_timeout=IDLE)
    late = judge(look, plan, now=NOW + timedelta(minutes=6), poll=POLL, idle_timeout=IDLE)

    assert early == WAIT
    assert late.failure is not None
    assert (late.failure.reason, "eligible" in late.failure.message) == ("IMPORT_FAILED", True)


def test_a_download_without_an_id_can_be_blocked_too() -> None:
    blocked = replace(queued("importBlocked", "Which album is this?"), download_id="")

    assert judged(replace(NOTHING, queue=(blocked,))).failure is not None


def test_an_incomplete_import_fails_with_the_words_of_the_history() -> None:
    history = (row(HistoryEvent.GRABBED), row(HistoryEvent.IMPORT_INCOMPLETE, 2, message="Album match is not close"))

    verdict = judged(replace(NOTHING, history=history))

    assert verdict.failure is not None
    assert verdict.failure.reason == "IMPORT_FAILED"
    assert "Album match is not close" in verdict.failure.message


def test_a_download_that_brought_half_of_the_album_has_failed() -> None:
    half = LidarrTracks(total=2, present=1, files=(LibraryFile(path="/music/1.flac", size=1),))
    history = (row(HistoryEvent.GRABBED), row(HistoryEvent.IMPORTED, 2))

    verdict = judged(replace(NOTHING, history=history, tracks=half))

    assert verdict.failure is not None
    assert verdict.failure.reason == "IMPORT_FAILED"


def test_single_files_that_come_in_are_not_the_end() -> None:
    history = (row(HistoryEvent.GRABBED), row(HistoryEvent.FILE_IMPORTED, 2))

    assert judged(replace(NOTHING, history=history)) == WAIT


def test_without_any_change_for_too_long_the_attempt_fails() -> None:
    look = replace(NOTHING, history=(row(HistoryEvent.GRABBED),))

    verdict = judged(look, PLAN.seen(look, NOW), after=IDLE)

    assert verdict.failure is not None
    assert verdict.failure.reason == "IDLE_TIMEOUT"


def test_a_byte_more_is_a_change() -> None:
    before = PLAN.seen(replace(NOTHING, queue=(queued("downloading", left=40),)), NOW)
    later = before.seen(replace(NOTHING, queue=(queued("downloading", left=39),)), NOW + IDLE)

    assert (before.sign_time, later.sign_time) == (NOW, NOW + IDLE)


def test_a_plan_survives_storage() -> None:
    plan = PLAN.seen(replace(NOTHING, queue=(queued("downloading"),)), NOW).bound("D2")

    assert LidarrPlan.from_json(plan.to_json()) == plan
    assert plan.download_ids == ("D1", "D2")


def test_progress_and_client_come_from_the_queue() -> None:
    look = replace(NOTHING, queue=(queued("downloading", left=40),))

    progress = progress_of(look, Progress())

    assert (progress.received_bytes, progress.total_bytes, progress.total_count) == (60, 100, 2)
    assert client_of(look) == "sab"


def test_progress_stays_when_the_download_leaves_the_queue() -> None:
    before = Progress(received_bytes=60, total_bytes=100)

    progress = progress_of(NOTHING, before)

    assert (progress.received_bytes, progress.total_bytes) == (60, 100)


GRABBED = replace(NOTHING, history=(row(HistoryEvent.GRABBED),))


def looked(look: Look, *minutes: int) -> tuple[LidarrPlan, datetime]:
    """The plan after looks at these minutes, and the time of the last."""
    plan, now = PLAN, NOW
    for minute in minutes:
        now = NOW + timedelta(minutes=minute)
        plan = plan.seen(look, now)
    return plan, now


def verdict_after(look: Look, *minutes: int) -> Verdict:
    plan, now = looked(look, *minutes)
    return judge(look, plan, now=now, poll=POLL, idle_timeout=IDLE)


def test_a_download_that_stays_away_from_the_queue_has_vanished() -> None:
    verdict = verdict_after(GRABBED, 0, 5)

    assert verdict.failure is not None
    assert (verdict.failure.reason, verdict.again) == ("DOWNLOAD_VANISHED", True)


def test_one_look_proves_no_absence_however_late_it_is() -> None:
    assert verdict_after(GRABBED, 60) == WAIT


def test_while_a_client_does_not_answer_nothing_is_absent() -> None:
    assert verdict_after(replace(GRABBED, clients_up=False), 0, 5, 60) == WAIT


def test_a_queue_that_cannot_be_read_shows_no_absence() -> None:
    assert verdict_after(replace(GRABBED, whole=False), 0, 5, 60) == WAIT


def test_a_download_that_is_seen_again_was_never_absent() -> None:
    plan, _ = looked(GRABBED, 0, 4)

    assert plan.seen(replace(GRABBED, queue=(queued("downloading"),)), NOW).absent_looks == 0


def test_an_import_that_failed_is_thrown_away_only_where_a_search_had_brought_it() -> None:
    failed = queued("importFailed", "Has missing tracks")
    searched = replace(NOTHING, history=(row(HistoryEvent.GRABBED, search=True),), queue=(failed,))
    fed = replace(NOTHING, history=(row(HistoryEvent.GRABBED),), queue=(failed,))

    assert (judged(searched).discard, judged(searched).again) == (("D1",), True)
    assert (judged(fed).discard, judged(fed).again) == ((), False)


def test_what_somebody_elses_search_had_brought_is_never_thrown_away() -> None:
    failed = queued("importFailed", "Has missing tracks")
    look = replace(NOTHING, history=(row(HistoryEvent.GRABBED, search=True),), queue=(failed,))
    plan = replace(PLAN, command_id=0).seen(look, NOW)

    verdict = judge(look, plan, now=NOW, poll=POLL, idle_timeout=IDLE)

    assert (verdict.discard, verdict.again) == ((), False)


def test_another_order_of_the_queue_is_no_sign_of_life() -> None:
    rows = (queued("downloading"), replace(queued("downloading"), download_id="D2"))
    plan = PLAN.seen(replace(NOTHING, queue=rows), NOW)

    assert plan.seen(replace(NOTHING, queue=rows[::-1]), NOW + IDLE).sign_time == NOW


def test_what_a_person_has_to_assign_is_never_thrown_away() -> None:
    blocked = queued("importBlocked", "Unable to parse the artist")
    look = replace(NOTHING, history=(row(HistoryEvent.GRABBED, search=True),), queue=(blocked,))

    assert judged(look).discard == ()


def test_a_plan_survives_its_way_through_the_database() -> None:
    plan, _ = looked(replace(GRABBED, history=(row(HistoryEvent.GRABBED, search=True),)), 0, 5)
    plan = plan.awake(NOW, longest=POLL)

    assert LidarrPlan.from_json(plan.to_json()) == plan


def test_a_pause_longer_than_the_idle_timeout_is_no_idleness() -> None:
    look = replace(NOTHING, queue=(queued("downloading"),))
    plan = PLAN.awake(NOW, longest=POLL).seen(look, NOW)
    resumed = NOW + 3 * IDLE

    plan = plan.awake(resumed, longest=POLL).seen(look, resumed)

    assert judge(look, plan, now=resumed, poll=POLL, idle_timeout=IDLE) == WAIT
    assert judge(look, plan, now=resumed + IDLE, poll=POLL, idle_timeout=IDLE).failure is not None


def test_looks_in_their_interval_count_in_full() -> None:
    look = replace(NOTHING, queue=(queued("downloading"),))
    plan, now = PLAN.awake(NOW, longest=POLL).seen(look, NOW), NOW
    while now < NOW + IDLE:
        now += POLL
        plan = plan.awake(now, longest=POLL).seen(look, now)

    assert judge(look, plan, now=now, poll=POLL, idle_timeout=IDLE).failure is not None
