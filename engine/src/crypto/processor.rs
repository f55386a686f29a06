//! Says that a processor lacks what this binary was compiled for, before it dies of an illegal instruction.

use crate::error::Result;

/// Checks the processor against the target features the crate was compiled with.
///
/// The standard library's run-time detection answers "yes" for a feature that was enabled statically, so
/// CPUID is asked directly.
///
/// # Errors
/// `Unavailable`, naming the missing features.
#[cfg(target_arch = "x86_64")]
pub(crate) fn check_processor() -> Result<()> {
    let info = raw_cpuid::CpuId::new().get_feature_info();
    let has = |test: fn(&raw_cpuid::FeatureInfo) -> bool| info.as_ref().is_some_and(test);
    let needed = [
        (cfg!(target_feature = "aes"), has(raw_cpuid::FeatureInfo::has_aesni), "aes"),
        (cfg!(target_feature = "pclmulqdq"), has(raw_cpuid::FeatureInfo::has_pclmulqdq), "pclmulqdq"),
        (cfg!(target_feature = "ssse3"), has(raw_cpuid::FeatureInfo::has_ssse3), "ssse3"),
        (cfg!(target_feature = "sse4.1"), has(raw_cpuid::FeatureInfo::has_sse41), "sse4.1"),
        (cfg!(target_feature = "avx"), has(raw_cpuid::FeatureInfo::has_avx), "avx"),
    ];
    missing(needed.iter().filter(|(compiled, present, _)| *compiled && !*present).map(|(_, _, name)| *name))
}

/// Other processors: the compiler's own defaults hold.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn check_processor() -> Result<()> {
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn missing<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(crate::error::fail!(
        Unavailable,
        "this processor has no {}, which this binary was compiled for: build it without these target features",
        names.join(", ")
    ))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn a_missing_feature_is_named() {
        let refused = super::missing(["aes", "avx"].into_iter());
        assert!(refused.is_err_and(|error| error.to_string().contains("no aes, avx")));
        assert!(super::missing([].into_iter()).is_ok());
    }
}
