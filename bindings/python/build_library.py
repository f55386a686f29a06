"""The extension module: the C API of the header, with the library linked in statically, so that a wheel is complete."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parents[2]

# What the preprocessor of a C99 compiler says to the conditions of the header.
CONDITIONS = {
    "ifndef STRONGROOM_H": True,
    "ifndef __cplusplus": True,
    "ifdef __cplusplus": False,
    "if defined(__cplusplus) || __STDC_VERSION__ >= 202311L": False,
    "if __STDC_VERSION__ >= 202311L": False,
}


def declarations(header: str) -> str:
    """The header without comments, conditions and what only a preprocessor understands."""
    header = re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL)
    kept, taken = [], [True]
    for line in header.splitlines():
        directive = line.strip()[1:].strip() if line.strip().startswith("#") else None
        if directive is None:
            if all(taken):
                kept.append(line)
        elif directive in CONDITIONS:
            taken.append(CONDITIONS[directive])
        elif directive == "else":
            taken[-1] = not taken[-1]
        elif directive == "endif":
            taken.pop()
        elif re.fullmatch(r"define STRONGROOM_\w+ (\d+|UINT64_MAX|SIZE_MAX)", directive):
            # The compiler finds the value.
            kept.append(f"#define {directive.split()[1]} ...")
        elif not re.match(r"include |define STRONGROOM_H$", directive):
            raise ValueError(f"the header has a directive that is not understood: {directive}")
    return "\n".join(kept)


def cargo_target() -> Path:
    """Where cargo puts what it builds."""
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


subprocess.run(["cargo", "build", "--release", "--package", "strongroom-ffi"], cwd=ROOT, check=True)

ffibuilder = FFI()
ffibuilder.cdef(declarations((ROOT / "ffi/include/strongroom.h").read_text(encoding="utf-8")))
ffibuilder.cdef(
    """
    extern "Python" void completed(void *, int32_t, const strongroom_version *, strongroom_error *);
    extern "Python" void progressed(void *, uint64_t);
    extern "Python" void progressed_of_total(void *, uint64_t, uint64_t);
    extern "Python" bool source_read(void *, uint8_t *, size_t, size_t *);
    extern "Python" void logged(void *, uint32_t, const char *, size_t, const char *, size_t);
    extern "Python" bool index_keys(void *, const strongroom_entry *, strongroom_key_sink *);
    extern "Python" uint32_t provider_create(void *, char *, size_t);
    extern "Python" uint32_t provider_wrap(void *, const strongroom_wrap_context *, const uint8_t *, uint8_t *, size_t,
                                           size_t *, char *, size_t);
    extern "Python" uint32_t provider_unwrap(void *, const strongroom_wrap_context *, const uint8_t *, size_t, uint8_t *,
                                             char *, size_t);
    extern "Python" void provider_destroy(void *);
    """
)
ffibuilder.set_source(
    "strongroom._strongroom",
    '#include "strongroom.h"',
    include_dirs=[str(ROOT / "ffi/include")],
    extra_objects=[str(cargo_target() / "release/libstrongroom.a")],
    libraries=["gcc_s", "m", "dl", "pthread"],
    extra_link_args=["-Wl,--gc-sections", "-Wl,--exclude-libs,ALL"],
    py_limited_api=True,
)
