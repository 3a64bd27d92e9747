"""The proto with every feature."""

from collections.abc import Callable

import pytest
from google.protobuf.descriptor import Descriptor

from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.encoder import Encoder
from tests.support import protos


@pytest.fixture(scope="session")
def compile_protos(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    return lambda *paths: protos.compile_protos(tmp_path_factory.mktemp("protos") / "set.binpb", *paths)


@pytest.fixture(scope="session")
def everything(compile_protos: Callable[..., bytes]) -> DescriptorSet:
    return DescriptorSet(compile_protos(protos.EVERYTHING))


@pytest.fixture(scope="session")
def thing(everything: DescriptorSet) -> Descriptor:
    return everything.pool.FindMessageTypeByName("everything.v1.Thing")


@pytest.fixture(scope="session")
def decoder(everything: DescriptorSet) -> Decoder:
    return Decoder(everything)


@pytest.fixture(scope="session")
def encoder(everything: DescriptorSet) -> Encoder:
    return Encoder(everything)
