"""Protos of tests, compiled as `protos/generate` compiles the real ones."""

from pathlib import Path

import google.api  # type: ignore[import-untyped] # typed, but not marked so
import grpc_tools  # type: ignore[import-untyped] # has no types
from grpc_tools import protoc

EVERYTHING = Path(__file__).parents[1] / "unit" / "transcoding" / "everything.proto"  # every feature of messages


def compile_protos(out: Path, *paths: Path) -> bytes:
    """The descriptor set of these protos, which is also written to `out`."""
    includes = [
        *sorted({f"-I{path.parent}" for path in paths}),
        f"-I{Path(next(iter(google.api.__path__))).parents[1]}",
        f"-I{Path(next(iter(grpc_tools.__path__))) / '_proto'}",
    ]
    options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
    assert protoc.main(["protoc", *includes, *options, *(path.name for path in paths)]) == 0
    return out.read_bytes()
