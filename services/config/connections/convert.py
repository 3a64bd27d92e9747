"""Connections between the domain and the protos."""

from collections.abc import Mapping

from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import connections_pb2 as pb

from services.config import convert
from services.config.domain.catalogue import Catalogue
from services.config.domain.connections import Check, ConnectionTest, LidarrChoices, Profile, RootFolder


def candidate_from_pb(catalogue: Catalogue, settings: config.Settings) -> Mapping[str, str]:
    """The values that a caller wants to try, by path."""
    return convert.wish_from_pb(catalogue, config.UpdateSettingsRequest(settings=settings)).texts


def test_to_pb(test: ConnectionTest) -> pb.ConnectionTest:
    """What came of a test."""
    verdict = test.verdict
    shown = pb.ConnectionTest(
        connection=test.connection,
        ok=test.ok,
        diagnosis=pb.Diagnosis.Value(verdict.diagnosis),
        message=verdict.message,
        advice=verdict.advice,
        version=test.version,
        checks=map(_check_to_pb, test.checks),
    )
    shown.test_time.FromDatetime(test.tested)
    if test.latency is not None:
        shown.latency.FromTimedelta(test.latency)
    return shown


def choices_to_pb(choices: LidarrChoices) -> pb.LidarrChoices:
    """What there is to choose from."""
    return pb.LidarrChoices(
        quality_profiles=map(_profile_to_pb, choices.quality_profiles),
        metadata_profiles=map(_profile_to_pb, choices.metadata_profiles),
        root_folders=map(_root_folder_to_pb, choices.root_folders),
    )


def _check_to_pb(check: Check) -> pb.ConnectionTest.Check:
    diagnosis = pb.Diagnosis.Value(check.diagnosis)
    return pb.ConnectionTest.Check(
        subject=check.subject, diagnosis=diagnosis, message=check.message, advice=check.advice
    )


def _profile_to_pb(profile: Profile) -> pb.LidarrChoices.Profile:
    return pb.LidarrChoices.Profile(id=profile.id, title=profile.title)


def _root_folder_to_pb(folder: RootFolder) -> pb.LidarrChoices.RootFolder:
    return pb.LidarrChoices.RootFolder(
        path=folder.path,
        title=folder.title,
        accessible=folder.accessible,
        free_bytes=folder.free_bytes,
        quality_profile_id=folder.quality_profile_id,
        metadata_profile_id=folder.metadata_profile_id,
    )
