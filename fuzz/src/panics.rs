//! Which panics are findings.

use std::panic;

/// Lets the engine catch the panics that it catches: those inside redb, over blocks that authenticate and do not
/// belong together.
///
/// libFuzzer aborts in its panic hook, before anything is caught. A damaged root slot makes the one before it count,
/// so such blocks come about without any older block being put back; redb answers some of them with a panic, and the
/// engine makes an error of kind `Corrupted` of it. A panic of redb that nobody catches still ends the process: it
/// leaves the fuzz target, or a second one meets it on the way.
///
/// Called after libFuzzer has set its hook.
pub fn let_redb_panic() {
    let findings = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let in_redb = info.location().is_some_and(|location| location.file().contains("/redb-"));
        if !in_redb {
            findings(info);
        }
    }));
}
