//! Says that a processor lacks what this binary was compiled for, before it dies of an illegal instruction.

use crate::error::{Result, fail};

/// The bits of CPUID leaf 1, register ECX, of the target features this crate was compiled with (Intel SDM volume 2A,
/// table 3-10). AVX wants the operating system's consent as well (bit 27).
#[cfg(target_arch = "x86_64")]
const NEEDED: u32 = (cfg!(target_feature = "pclmulqdq") as u32) << 1
    | (cfg!(target_feature = "ssse3") as u32) << 9
    | (cfg!(target_feature = "sse4.1") as u32) << 19
    | (cfg!(target_feature = "aes") as u32) << 25
    | (cfg!(target_feature = "avx") as u32) << 27
    | (cfg!(target_feature = "avx") as u32) << 28;

/// Why this processor can't run this binary; `None` where it can.
///
/// A program that is compiled with the target features of this repository's `.cargo/config.toml` calls this first in its
/// `main`: the compiler may use any of them anywhere afterwards. [`Engine::open`](crate::Engine::open) and
/// [`Engine::create`](crate::Engine::create) ask as well.
///
/// The standard library's detection answers "yes" for a feature that was enabled statically, so CPUID is asked
/// directly. The function itself is integers only.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[must_use]
pub fn unsupported_processor() -> Option<&'static str> {
    lacks(core::arch::x86_64::__cpuid(1).ecx)
}

/// Other processors: the compiler's own defaults hold.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub fn unsupported_processor() -> Option<&'static str> {
    None
}

#[cfg(target_arch = "x86_64")]
const fn lacks(ecx: u32) -> Option<&'static str> {
    if ecx & NEEDED == NEEDED {
        return None;
    }
    Some(
        "this processor lacks AES-NI, PCLMULQDQ, SSSE3 or AVX, which this binary was compiled for: compile it without \
         these target features",
    )
}

/// The same as an error of kind `Unavailable`.
pub(crate) fn check_processor() -> Result<()> {
    unsupported_processor().map_or(Ok(()), |text| Err(fail!(Unavailable, "{text}")))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn each_missing_feature_is_noticed() {
        assert_eq!(lacks(u32::MAX), None);
        for bit in (0..32).filter(|bit| NEEDED >> bit & 1 == 1) {
            assert!(lacks(!(1 << bit)).is_some(), "bit {bit}");
        }
        assert_eq!(unsupported_processor(), None);
    }
}
