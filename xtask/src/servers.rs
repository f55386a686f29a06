//! The stage that builds the example services, of each language one, and asks them by real requests.

use std::fs;

use crate::command::{Outcome, cargo, program, root, run, target};
use crate::{node, python};

/// What the service in Python is made with.
const PACKAGES: [&str; 2] = ["flask==3.1.3", "waitress==3.0.2"];

/// Installs each service with the binding it uses, starts it, and asks it what its README promises.
pub(crate) fn run_tests() -> Outcome {
    if !cfg!(target_os = "linux") {
        println!("left out: this is not Linux");
        return Ok(());
    }
    run(cargo().args(["build", "--release", "--package", "strongroom-server-example"]))?;
    let python = python::install("python-servers", &PACKAGES)?;
    node::install()?;
    node::install_locked("bindings/servers/node")?;
    let services = root().join("bindings/servers");
    let in_rust = target().join("release/strongroom-server-example");
    let (in_python, in_node) = (services.join("python/server.py"), services.join("node/server.js"));
    let commands = [
        ("rust", vec![in_rust]),
        ("python", vec![python.clone(), in_python]),
        ("node", vec!["node".into(), in_node]),
    ];
    for (name, command) in commands {
        let folder = target().join("servers").join(name);
        // There is none the first time.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut ask = program(&python);
        ask.env("PYTHONDONTWRITEBYTECODE", "1").arg(services.join("requests.py"));
        run(ask.arg(folder).args(command))?;
    }
    Ok(())
}
