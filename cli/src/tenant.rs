//! `strongroom tenant`: what there is of tenants, and what becomes of them.

use serde_json::{Value, json};
use strongroom::{Engine, ErrorKind, MoveOptions, TenantId, TenantInfo, TenantOptions, TenantState};

use crate::args::{Global, Tenant};
use crate::console::{self, Counted, Output};
use crate::failure::{Failure, Outcome};
use crate::store::{config, with_engine, with_store};
use crate::{retention, text};

/// Makes, lists and shows tenants, changes how they stand, and accepts rollbacks.
pub(crate) fn run(global: &Global, command: &Tenant) -> Outcome {
    match command {
        Tenant::Create { name, region, dedicated, policy } => {
            let options = TenantOptions::new().region(region).policy(retention::policy_of(policy));
            let options = if *dedicated { options.dedicated() } else { options };
            with_store(global, |engine| create(engine, global.json, name, options))
        }
        Tenant::List => with_store(global, |engine| list(engine, global.json)),
        Tenant::Show { name } => with_store(global, |engine| show(engine, global.json, name)),
        Tenant::Suspend { name } => with_store(global, |engine| {
            engine.suspend_tenant(name)?;
            show_state(engine, global.json, name)
        }),
        Tenant::Resume { name } => with_store(global, |engine| {
            engine.resume_tenant(name)?;
            show_state(engine, global.json, name)
        }),
        Tenant::Rename { from, to } => with_store(global, |engine| {
            engine.rename_tenant(from, to)?;
            console::print(
                global.json,
                &to_json(&engine.tenant_info(to)?),
                format_args!("The tenant {from} is called {to} now."),
            )
        }),
        Tenant::Move { name, region, override_residency } => with_store(global, |engine| {
            let options = MoveOptions::new();
            let options = if *override_residency { options.override_residency() } else { options };
            let bar = console::progress("copying", engine.tenant_stats(name)?.file_bytes, Counted::Bytes);
            engine.move_tenant(name, region, options, &mut |bytes| bar.inc(bytes))?;
            bar.finish_and_clear();
            console::print(
                global.json,
                &to_json(&engine.tenant_info(name)?),
                format_args!("The tenant {name} is in {region} now, and nothing of it where it was."),
            )
        }),
        Tenant::Remove { name, window, yes } => {
            console::confirm(*yes, format_args!("Remove the tenant {name}?"))?;
            with_store(global, |engine| {
                engine.remove_tenant(name, *window)?;
                show_state(engine, global.json, name)
            })
        }
        Tenant::Restore { name } => with_store(global, |engine| {
            engine.restore_tenant(name)?;
            show_state(engine, global.json, name)
        }),
        Tenant::Erase { name, yes } => {
            console::confirm(*yes, format_args!("Erase the tenant {name} with all of its data for good?"))?;
            with_store(global, |engine| {
                let id = engine.tenant_info(name)?.id;
                engine.erase_tenant(name)?;
                console::print(
                    global.json,
                    &json!({"name": name, "id": id.to_string(), "state": "erased"}),
                    format_args!("Erased the tenant {name}, id {id}."),
                )
            })
        }
        Tenant::AcceptRollback { name: Some(name), .. } => accept(global, name),
        Tenant::AcceptRollback { name: None, .. } => accept_all(global),
    }
}

fn create(engine: &Engine, json: bool, name: &str, options: TenantOptions) -> Outcome {
    engine.create_tenant(name, options)?;
    let info = engine.tenant_info(name)?;
    let journal = if info.dedicated { ", with a journal of its own" } else { "" };
    console::print(
        json,
        &to_json(&info),
        format_args!("Made the tenant {name}, id {}, in {}{journal}.", info.id, info.region),
    )
}

fn list(engine: &Engine, json: bool) -> Outcome {
    let tenants = engine.tenants()?;
    let mut output = Output::new();
    if json {
        output.json(&tenants.iter().map(to_json).collect::<Vec<_>>())?;
    } else {
        let width = tenants.iter().map(|info| info.region.len()).max().unwrap_or(0);
        for info in &tenants {
            output.line(format_args!(
                "{}  {:<width$}  {:<9}  {:<9}  {}  {}",
                info.id,
                info.region,
                journal_of(info),
                state_of(info),
                text::time(info.created_ms),
                info.name
            ))?;
        }
    }
    output.flush()
}

/// Says how a tenant stands now.
fn show_state(engine: &Engine, json: bool, name: &str) -> Outcome {
    let info = engine.tenant_info(name)?;
    let more = match info.state {
        TenantState::Removed { purge_ms, .. } => format!(", to be erased on {}", text::time(purge_ms)),
        _ => String::new(),
    };
    console::print(json, &to_json(&info), format_args!("The tenant {name} is {}{more}.", state_of(&info)))
}

fn show(engine: &Engine, json: bool, name: &str) -> Outcome {
    let info = engine.tenant_info(name)?;
    if matches!(info.state, TenantState::Removed { .. }) {
        return show_state(engine, json, name);
    }
    let tenant = engine.tenant(name)?;
    let (collections, key_provider) = (tenant.collections()?, tenant.key_provider());
    let stats = engine.tenant_stats(name)?;
    let mut value = to_json(&info);
    value["records"] = stats.records.into();
    value["key_provider"] = key_provider.clone().into();
    value["collections"] = collections
        .iter()
        .map(|collection| json!({"name": collection.name, "id": collection.id.to_string(), "created_ms": collection.created_ms}))
        .collect();
    let mut lines = format!(
        "name         {}\nid           {}\nregion       {}\njournal      {}\nstate        {}\ncreated      {}\nkeys by      {}\nrecords      {}\ncollections  {}",
        info.name,
        info.id,
        info.region,
        journal_of(&info),
        state_of(&info),
        text::time(info.created_ms),
        key_provider,
        text::grouped(stats.records),
        collections.len()
    );
    for collection in &collections {
        lines.push_str("\n             ");
        lines.push_str(&collection.name);
    }
    console::print(json, &value, format_args!("{lines}"))
}

/// Whose journal a tenant writes to.
fn journal_of(info: &TenantInfo) -> &'static str {
    if info.dedicated { "dedicated" } else { "shared" }
}

/// Whether a tenant is used, in a word.
fn state_of(info: &TenantInfo) -> &'static str {
    match info.state {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
        TenantState::Removed { .. } => "removed",
        _ => "of a newer kind",
    }
}

fn to_json(info: &TenantInfo) -> Value {
    let purge_ms = match info.state {
        TenantState::Removed { purge_ms, .. } => Some(purge_ms),
        _ => None,
    };
    json!({
        "name": info.name,
        "id": info.id.to_string(),
        "region": info.region,
        "dedicated": info.dedicated,
        "created_ms": info.created_ms,
        "state": state_of(info),
        "purge_ms": purge_ms,
    })
}

/// Whether a tenant is refused because it, or the journal it is in, was rolled back.
fn is_rolled_back(engine: &Engine, name: &str) -> Outcome<bool> {
    match engine.tenant(name) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::RolledBack => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// What became of one tenant.
enum Accepted {
    Nothing,
    Rollback,
    /// Its journal was rolled back, and has to be accepted before anything of it can be opened.
    JournalOfItsOwn,
}

fn accept(global: &Global, name: &str) -> Outcome {
    let accepted = match with_store(global, |engine| accept_one(engine, name))? {
        Accepted::Nothing => false,
        Accepted::Rollback => true,
        Accepted::JournalOfItsOwn => {
            let engine = Engine::open(config(global)?.accept_rollback(true))?;
            with_engine(global, engine, |engine| Ok(engine.tenant(name).map(|_| true)?))?
        }
    };
    let text = if accepted {
        "Accepted: the tenant goes on from what there is, on a new timeline."
    } else {
        "The tenant was not rolled back: nothing was changed."
    };
    console::print(global.json, &json!({"name": name, "accepted": accepted}), format_args!("{text}"))
}

fn accept_one(engine: &Engine, name: &str) -> Outcome<Accepted> {
    if !is_rolled_back(engine, name)? {
        return Ok(Accepted::Nothing);
    }
    let info = engine.tenant_info(name)?;
    match engine.accept_rollback(name) {
        Ok(()) => Ok(Accepted::Rollback),
        Err(error) if error.kind() == ErrorKind::RolledBack && info.dedicated => {
            Ok(Accepted::JournalOfItsOwn)
        }
        Err(error) if error.kind() == ErrorKind::RolledBack => {
            let message = format!(
                "the journal that tenants of the region {} share was rolled back, which concerns all of them: put its \
                 newest files back, or accept it with --all",
                info.region
            );
            Err(Failure::new(ErrorKind::RolledBack, message))
        }
        Err(error) => Err(error.into()),
    }
}

fn accept_all(global: &Global) -> Outcome {
    let accepting = || -> Outcome<Engine> { Ok(Engine::open(config(global)?.accept_rollback(true))?) };
    let (engine, catalog) = match Engine::open(config(global)?) {
        Ok(engine) => (engine, false),
        Err(error) if error.kind() == ErrorKind::RolledBack => {
            // Only the catalog and its journal: which tenants were rolled back is to be found out and said.
            accepting()?.close()?;
            (Engine::open(config(global)?)?, true)
        }
        Err(error) => return Err(error.into()),
    };
    let mut failed: Vec<Failure> = Vec::new();
    let mut fail = |id: TenantId, failure: Failure| failed.push(failure.within(format_args!("tenant {id}")));
    let rolled_back = with_engine(global, engine, |engine| {
        let mut rolled_back = Vec::new();
        for info in engine.tenants()? {
            match is_rolled_back(engine, &info.name) {
                Ok(true) => rolled_back.push(info),
                Ok(false) => {}
                Err(failure) => fail(info.id, failure),
            }
        }
        Ok(rolled_back)
    })?;
    let mut accepted = Vec::new();
    if !rolled_back.is_empty() {
        with_engine(global, accepting()?, |engine| {
            for info in rolled_back {
                match engine.tenant(&info.name) {
                    Ok(_) => accepted.push(info.name),
                    Err(error) => fail(info.id, error.into()),
                }
            }
            Ok(())
        })?;
    }
    let about_catalog = if catalog {
        "The catalog or its journal was rolled back: what any tenant wrote later may be gone. "
    } else {
        ""
    };
    console::print(
        global.json,
        &json!({"catalog": catalog, "accepted": accepted}),
        format_args!(
            "{about_catalog}Accepted the rollback of {}.",
            text::counted(accepted.len() as u64, "tenant")
        ),
    )?;
    let first = failed.pop();
    for failure in &failed {
        failure.report(global.json);
    }
    first.map_or(Ok(()), Err)
}
