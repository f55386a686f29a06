//! Refuses a processor that lacks what this binary was compiled for, before an illegal instruction kills it.
//!
//! No Rust can do that, wherever it stands: the compiler may use the target features of `.cargo/config.toml` anywhere,
//! and it does so in the standard library's start before `main`, which link-time optimisation compiles anew. So:
//!
//! - what asks and refuses is assembler, to the last instruction, and calls nothing: it holds what is written here and
//!   none but integer instructions;
//! - it stands in `.preinit_array`, which runs before every constructor, those of the standard library and of shared
//!   libraries included (System V ABI, "Initialization and Termination Functions"). Before it only the dynamic
//!   loader runs, which the system brings.
//!
//! musl has no `.preinit_array`, and other systems none either: there the engine asks, which may be too late.
#![allow(unsafe_code, reason = "what runs before the standard library, and without the compiler's choices")]

use std::arch::naked_asm;

use strongroom::{ErrorKind, NEEDED_OF_CPUID_1_ECX};

const REFUSAL: &[u8] =
    b"strongroom: this processor lacks AES-NI, PCLMULQDQ, SSSE3 or AVX, which this binary was \
    compiled for: compile it without these target features\n";

/// The text itself, for the assembler: a slice would be a pointer to it.
static TEXT: [u8; REFUSAL.len()] = *REFUSAL.first_chunk().expect("is as long as itself");

// SAFETY: the loader calls what stands in this section, with C's calling convention and arguments that the function
// leaves alone. It needs nothing of what is not yet initialised.
#[used]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_EVERYTHING: extern "C" fn() = ensure_supported;

/// Returns on a processor that has what is needed; otherwise writes [`REFUSAL`] to standard error and ends the process
/// with the exit status of `Unavailable`.
// SAFETY: the body keeps to C's calling convention: `rbx`, which CPUID overwrites, is restored, the other registers
// it writes are the caller's to save, and the stack is as it was. The system calls are those of Linux on x86-64:
// `write` reads the static text and nothing else, `exit_group` does not return.
#[unsafe(naked)]
extern "C" fn ensure_supported() {
    naked_asm!(
        "push rbx",
        "mov eax, 1",
        "cpuid",
        "pop rbx",
        "not ecx",
        "test ecx, {needed}",
        "jnz 2f",
        "ret",
        "2:",
        "mov eax, 1", // write
        "mov edi, 2", // to standard error
        "lea rsi, [rip + {text}]",
        "mov edx, {len}",
        "syscall", // a failure is none that could be said anywhere
        "mov eax, 231", // exit_group
        "mov edi, {status}",
        "syscall",
        "ud2",
        needed = const NEEDED_OF_CPUID_1_ECX,
        text = sym TEXT,
        len = const REFUSAL.len(),
        status = const 10 + ErrorKind::Unavailable.code(),
    )
}
