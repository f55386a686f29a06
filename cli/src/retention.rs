//! `strongroom policy`, `sweep` and `clock`.

use serde_json::{Value, json};
use strongroom::{Erasure, Overwrite, Policy, PolicyReport, RekeyOptions, SweepReport, Tenant};

use crate::args::{self, Clock, Global, PolicyArgs};
use crate::console::{self, Counted};
use crate::failure::Outcome;
use crate::store::with_store;
use crate::text::{counted, grouped};

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
    if let Some(time) = arguments.minimum {
        policy = policy.minimum(time);
    }
    if let Some(time) = arguments.erased_within {
        policy = policy.erased_within(time);
    }
    if let Some(overwrite) = arguments.overwrite {
        policy = policy.overwrite(match overwrite {
            args::Overwrite::Erase => Overwrite::Erase,
            args::Overwrite::Keep => Overwrite::Keep,
        });
    }
    if let Some(is_secret) = arguments.secret {
        policy = policy.secret(is_secret);
    }
    if let Some(is_zero) = arguments.zero_retention {
        policy = policy.zero_retention(is_zero);
    }
    if let Some(erasure) = arguments.erasure {
        policy = policy.erasure(erasure_of(erasure));
    }
    policy
}

/// What `--erasure` says.
pub(crate) fn erasure_of(erasure: args::Erasure) -> Erasure {
    match erasure {
        args::Erasure::Shared => Erasure::Shared,
        args::Erasure::Record => Erasure::Record,
    }
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
            show(global, policy, None)
        }
        args::Policy::Set { tenant, collection, policy } => {
            let tenant = engine.tenant(tenant)?;
            let policy = policy_of(policy);
            match collection {
                Some(name) => tenant.collection(name)?.set_policy(policy)?,
                None => tenant.set_policy(policy)?,
            }
            let report = apply(&tenant, RekeyOptions::new())?;
            show(global, policy, Some(&report))
        }
        args::Policy::Apply { tenant, rate, records } => {
            let mut options = RekeyOptions::new();
            if let Some(rate) = rate {
                options = options.records_per_second(*rate);
            }
            if let Some(records) = records {
                options = options.records(*records);
            }
            let report = apply(&engine.tenant(tenant)?, options)?;
            console::print(global.json, &members_of(&report), format_args!("{}", told(&report)))
        }
    })
}

fn apply(tenant: &Tenant, options: RekeyOptions) -> Outcome<PolicyReport> {
    let bar = console::progress("applying policies", tenant.stats()?.records, Counted::Records);
    let report = tenant.apply_policies(options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(report)
}

/// What became of the records that were there.
fn told(report: &PolicyReport) -> String {
    let mut told = vec![format!("{} that were there got other times.", counted(report.changed, "record"))];
    if report.large > 0 {
        told.push(format!(
            "{} over 1 MiB can't stay longer than they were to.",
            counted(report.large, "value")
        ));
    }
    if report.unreadable > 0 {
        told.push(format!("{} do not open and were left: see verify.", grouped(report.unreadable)));
    }
    if !report.is_complete {
        told.push("There is more to do: call it again.".to_owned());
    }
    told.join(" ")
}

fn members_of(report: &PolicyReport) -> Value {
    json!({
        "records": report.records,
        "changed": report.changed,
        "large": report.large,
        "unreadable": report.unreadable,
        "complete": report.is_complete,
    })
}

/// Shows a policy, and what became of the records that were there when it was set.
fn show(global: &Global, policy: Policy, report: Option<&PolicyReport>) -> Outcome {
    let times = [
        ("retention", policy.retention_time()),
        ("maximum", policy.maximum_time()),
        ("removal_window", policy.removal_window_time()),
        ("minimum", policy.minimum_time()),
        ("erased_within", policy.erased_within_time()),
    ];
    let overwrite = policy.overwrite_mode().map(|overwrite| match overwrite {
        Overwrite::Erase => "erase",
        Overwrite::Keep => "keep",
    });
    let erasure = policy.erasure_mode().map(|erasure| match erasure {
        Erasure::Shared => "shared",
        Erasure::Record => "record",
    });
    let mut members = serde_json::Map::new();
    let mut lines = Vec::new();
    for (name, time) in times {
        members.insert(format!("{name}_ms"), json!(time.map(|time| time.as_millis())));
        let text = time.map(|time| humantime::format_duration(time).to_string());
        lines.push((name.replace('_', " "), text));
    }
    members.insert("overwrite".to_owned(), json!(overwrite));
    members.insert("secret".to_owned(), json!(policy.is_secret()));
    members.insert("erasure".to_owned(), json!(erasure));
    members.insert("zero_retention".to_owned(), json!(policy.is_zero_retention()));
    lines.push(("overwrite".to_owned(), overwrite.map(str::to_owned)));
    lines.push(("secret".to_owned(), policy.is_secret().map(|is_secret| is_secret.to_string())));
    lines.push(("erasure".to_owned(), erasure.map(str::to_owned)));
    lines.push(("zero retention".to_owned(), policy.is_zero_retention().map(|is_zero| is_zero.to_string())));
    let line = |(name, text): &(String, Option<String>)| {
        format!("{name:<14}  {}", text.as_deref().unwrap_or("not set"))
    };
    let mut lines: Vec<_> = lines.iter().map(line).collect();
    if let Some(report) = report {
        members.insert("applied".to_owned(), members_of(report));
        lines.push(told(report));
    }
    let text = lines.join("\n");
    console::print(global.json, &members, format_args!("{text}"))
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
