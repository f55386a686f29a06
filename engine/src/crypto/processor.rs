//! Says that a processor lacks what this binary was compiled for, where it has not yet died of an illegal instruction; and
//! that it has what this binary was not compiled for, and would be faster with.

use crate::error::Result;
#[cfg(target_arch = "x86_64")]
use crate::error::fail;

/// What this crate was compiled for: bits of CPUID leaf 1, register ECX (Intel SDM volume 2A, table 3-10). AVX wants
/// the operating system's consent as well (bit 27).
///
/// For programs that refuse an older processor before anything else, as the command line does.
/// [`Engine::open`](crate::Engine::open) and [`Engine::create`](crate::Engine::create) ask as well, but most often too
/// late: the compiler may use what it was allowed anywhere, in the standard library's start before `main` too.
#[cfg(target_arch = "x86_64")]
pub const NEEDED_OF_CPUID_1_ECX: u32 = (cfg!(target_feature = "pclmulqdq") as u32) << 1
    | (cfg!(target_feature = "ssse3") as u32) << 9
    | (cfg!(target_feature = "sse4.1") as u32) << 19
    | (cfg!(target_feature = "aes") as u32) << 25
    | (cfg!(target_feature = "avx") as u32) << 27
    | (cfg!(target_feature = "avx") as u32) << 28;

/// An error of kind `Unavailable` where this processor can't run this binary.
///
/// The standard library's detection answers "yes" for a feature that was enabled statically, so CPUID is asked
/// directly.
#[cfg(target_arch = "x86_64")]
pub(crate) fn check_processor() -> Result<()> {
    let ecx = core::arch::x86_64::__cpuid(1).ecx;
    check(ecx)?;
    if leaves_unused(NEEDED_OF_CPUID_1_ECX, ecx) {
        tracing::warn!(
            "compiled without AES-NI, PCLMULQDQ, SSSE3 or AVX, which this processor has: sealing and opening are slower than \
             with the target features that docs/PLATFORMS.md names"
        );
    }
    Ok(())
}

/// What the README says to compile for: PCLMULQDQ, SSSE3, AES-NI, AVX.
#[cfg(target_arch = "x86_64")]
const WORTHWHILE: u32 = 1 << 1 | 1 << 9 | 1 << 25 | 1 << 28;

/// Whether a processor has all that is worth compiling for, and the binary makes use of less.
#[cfg(target_arch = "x86_64")]
fn leaves_unused(compiled_for: u32, ecx: u32) -> bool {
    ecx & WORTHWHILE == WORTHWHILE && compiled_for & WORTHWHILE != WORTHWHILE
}

/// Other processors: the compiler's own defaults hold.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn check_processor() -> Result<()> {
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn check(ecx: u32) -> Result<()> {
    if ecx & NEEDED_OF_CPUID_1_ECX == NEEDED_OF_CPUID_1_ECX {
        return Ok(());
    }
    Err(fail!(
        Unavailable,
        "this processor lacks AES-NI, PCLMULQDQ, SSSE3 or AVX, which this binary was compiled for: compile it without \
         these target features"
    ))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn each_missing_feature_is_noticed() {
        assert!(check(u32::MAX).is_ok());
        for bit in (0..32).filter(|bit| NEEDED_OF_CPUID_1_ECX >> bit & 1 == 1) {
            assert!(check(!(1 << bit)).is_err(), "bit {bit}");
        }
        assert!(check_processor().is_ok());
    }

    #[test]
    fn what_the_processor_has_and_the_binary_does_not_use_is_noticed() {
        assert!(leaves_unused(0, u32::MAX) && !leaves_unused(u32::MAX, u32::MAX));
        for bit in (0..32).filter(|bit| WORTHWHILE >> bit & 1 == 1) {
            assert!(leaves_unused(!(1 << bit), u32::MAX), "bit {bit}");
            assert!(!leaves_unused(0, !(1 << bit)), "bit {bit}");
        }
    }
}
