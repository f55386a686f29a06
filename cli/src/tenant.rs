//! `strongroom tenant`.

use serde_json::{Value, json};
use strongroom::{Engine, ErrorKind, TenantInfo, TenantOptions};

use crate::args::{Global, Tenant};
use crate::console::{self, Output};
use crate::failure::{Failure, Outcome};
use crate::store::{config, with_engine, with_store};
use crate::text;

/// Makes, lists and shows tenants, and accepts rollbacks.
pub(crate) fn run(global: &Global, command: &Tenant) -> Outcome {
    match command {
        Tenant::Create { name, region } => {
            with_store(global, |engine| create(engine, global.json, name, region))
        }
        Tenant::List => with_store(global, |engine| list(engine, global.json)),
        Tenant::Show { name } => with_store(global, |engine| show(engine, global.json, name)),
        Tenant::AcceptRollback { name: Some(name), .. } => {
            with_store(global, |engine| accept(engine, global.json, name))
        }
        Tenant::AcceptRollback { name: None, .. } => accept_all(global),
    }
}

fn create(engine: &Engine, json: bool, name: &str, region: &str) -> Outcome {
    engine.create_tenant(name, TenantOptions::new().region(region))?;
    let info = engine.tenant_info(name)?;
    console::print(
        json,
        &to_json(&info),
        format_args!("Made the tenant {name}, id {}, in {region}.", info.id),
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
                "{}  {:<width$}  {}  {}",
                info.id,
                info.region,
                text::time(info.created_ms),
                info.name
            ))?;
        }
    }
    output.flush()
}

fn show(engine: &Engine, json: bool, name: &str) -> Outcome {
    let info = engine.tenant_info(name)?;
    let collections = engine.tenant(name)?.collections()?;
    let stats = engine.tenant_stats(name)?;
    let mut value = to_json(&info);
    value["records"] = stats.records.into();
    value["collections"] = collections
        .iter()
        .map(|collection| json!({"name": collection.name, "id": collection.id.to_string(), "created_ms": collection.created_ms}))
        .collect();
    let mut lines = format!(
        "name         {}\nid           {}\nregion       {}\ncreated      {}\nrecords      {}\ncollections  {}",
        info.name,
        info.id,
        info.region,
        text::time(info.created_ms),
        text::grouped(stats.records),
        collections.len()
    );
    for collection in &collections {
        lines.push_str("\n             ");
        lines.push_str(&collection.name);
    }
    console::print(json, &value, format_args!("{lines}"))
}

fn to_json(info: &TenantInfo) -> Value {
    json!({
        "name": info.name,
        "id": info.id.to_string(),
        "region": info.region,
        "created_ms": info.created_ms,
    })
}

/// Whether a tenant had been rolled back; it is not any more.
fn accept_one(engine: &Engine, name: &str) -> Outcome<bool> {
    match engine.tenant(name) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::RolledBack => {
            engine.accept_rollback(name)?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

fn accept(engine: &Engine, json: bool, name: &str) -> Outcome {
    let accepted = accept_one(engine, name)?;
    let text = if accepted {
        "Accepted: the tenant goes on from what there is, on a new timeline."
    } else {
        "The tenant was not rolled back: nothing was changed."
    };
    console::print(json, &json!({"name": name, "accepted": accepted}), format_args!("{text}"))
}

fn accept_all(global: &Global) -> Outcome {
    let (engine, catalog) = match Engine::open(config(global)?) {
        Ok(engine) => (engine, false),
        Err(error) if error.kind() == ErrorKind::RolledBack => {
            // Only the catalog: opened so, the engine would accept anything of every tenant.
            Engine::open(config(global)?.accept_rollback(true))?.close()?;
            (Engine::open(config(global)?)?, true)
        }
        Err(error) => return Err(error.into()),
    };
    with_engine(global, engine, |engine| {
        let mut accepted = Vec::new();
        let mut failed: Vec<Failure> = Vec::new();
        for info in engine.tenants()? {
            match accept_one(engine, &info.name) {
                Ok(true) => accepted.push(info.name),
                Ok(false) => {}
                Err(failure) => failed.push(failure.within(format_args!("tenant {}", info.id))),
            }
        }
        let about_catalog = if catalog { "The catalog was rolled back. " } else { "" };
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
    })
}
