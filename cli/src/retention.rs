//! `strongroom policy`, `sweep` and `clock`.

use std::time::Duration;

use serde_json::json;
use strongroom::{Policy, SweepReport};

use crate::args::{self, Clock, Global, PolicyArgs};
use crate::console;
use crate::failure::Outcome;
use crate::store::with_store;
use crate::text::counted;

/// The policy that the arguments describe.
pub(crate) fn policy_of(arguments: &PolicyArgs) -> Policy {
    let mut policy = Policy::new();
    if let Some(time) = arguments.retention {
        policy = policy.retention(time);
    }
    if let Some(time) = arguments.maximum {
        policy = policy.maximum(time);
    }
    if let Some(time) = arguments.removal_window {
        policy = policy.removal_window(time);
    }
    policy
}

/// Shows or sets a policy.
pub(crate) fn policy(global: &Global, command: &args::Policy) -> Outcome {
    with_store(global, |engine| match command {
        args::Policy::Show { tenant, collection } => {
            let tenant = engine.tenant(tenant)?;
            let policy = match collection {
                Some(name) => tenant.collection(name)?.policy()?,
                None => tenant.policy()?,
            };
            show(global, policy)
        }
        args::Policy::Set { tenant, collection, policy } => {
            let tenant = engine.tenant(tenant)?;
            let policy = policy_of(policy);
            match collection {
                Some(name) => tenant.collection(name)?.set_policy(policy)?,
                None => tenant.set_policy(policy)?,
            }
            show(global, policy)
        }
    })
}

fn show(global: &Global, policy: Policy) -> Outcome {
    let (retention, maximum, window) =
        (policy.retention_time(), policy.maximum_time(), policy.removal_window_time());
    let milliseconds = |time: Option<Duration>| time.map(|time| time.as_millis());
    let text = |time: Option<Duration>| {
        time.map_or("not set".to_owned(), |time| humantime::format_duration(time).to_string())
    };
    console::print(
        global.json,
        &json!({
            "retention_ms": milliseconds(retention),
            "maximum_ms": milliseconds(maximum),
            "removal_window_ms": milliseconds(window),
        }),
        format_args!(
            "retention       {}\nmaximum         {}\nremoval window  {}",
            text(retention),
            text(maximum),
            text(window)
        ),
    )
}

/// Removes what has expired from the files.
pub(crate) fn sweep(global: &Global, tenant: Option<&str>) -> Outcome {
    with_store(global, |engine| {
        let SweepReport { records, held } = match tenant {
            Some(name) => engine.sweep_tenant(name)?,
            None => engine.sweep()?,
        };
        let also =
            if held == 0 { String::new() } else { format!(" A hold keeps {}.", counted(held, "other")) };
        console::print(
            global.json,
            &json!({"swept": records, "held": held}),
            format_args!(
                "Erased {} that had expired, or were removed and their window was over.{also}",
                counted(records, "record")
            ),
        )
    })
}

/// Confirms the clock.
pub(crate) fn clock(global: &Global, command: &Clock) -> Outcome {
    let Clock::Confirm { yes } = command;
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    console::confirm(*yes, format_args!("The clock says {now}. Destroy what is due by it?"))?;
    with_store(global, |engine| {
        engine.confirm_clock()?;
        let now = now.to_string();
        console::print(global.json, &json!({"confirmed": now}), format_args!("Trusting the clock: {now}."))
    })
}
