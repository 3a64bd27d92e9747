"""The proto with every feature, compiled as `protos/generate` compiles the real ones."""

from collections.abc import Callable
from pathlib import Path

import google.api  # type: ignore[import-untyped] # typed, but not marked so
import grpc_tools  # type: ignore[import-untyped] # has no types
import pytest
from google.protobuf.descriptor import Descriptor
from grpc_tools import protoc

from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.encoder import Encoder

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def compile_protos(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    def compile_protos(*paths: Path) -> bytes:
        out = tmp_path_factory.mktemp("protos") / "set.binpb"
        includes = [
            *sorted({f"-I{path.parent}" for path in paths}),
            f"-I{Path(next(iter(google.api.__path__))).parents[1]}",
            f"-I{Path(next(iter(grpc_tools.__path__))) / '_proto'}",
        ]
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
        assert protoc.main(["protoc", *includes, *options, *(path.name for path in paths)]) == 0
        return out.read_bytes()

    return compile_protos


@pytest.fixture(scope="session")
def everything(compile_protos: Callable[..., bytes]) -> DescriptorSet:
    return DescriptorSet(compile_protos(HERE / "everything.proto"))


@pytest.fixture(scope="session")
def thing(everything: DescriptorSet) -> Descriptor:
    return everything.pool.FindMessageTypeByName("everything.v1.Thing")


@pytest.fixture(scope="session")
def decoder(everything: DescriptorSet) -> Decoder:
    return Decoder(everything)


@pytest.fixture(scope="session")
def encoder(everything: DescriptorSet) -> Encoder:
    return Encoder(everything)
