//! How a store does, with and without somebody who holds it.

use std::process::Stdio;

use crate::program::Place;

#[test]
fn health_is_told_by_whoever_has_the_store() {
    let place = Place::with_tenant();
    assert_eq!(place.text(["health"]), "Nothing is wrong.\n");
    assert_eq!(place.json(["--json", "health"])["good"], true);

    let hold = || place.command(["import", "acme", "notes", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut holder = hold();
    // It publishes a second after it opened the store; before, the store is busy, or not even opened.
    let published = loop {
        if holder.try_wait().unwrap().is_some() {
            // It found the store busy: somebody asked for its health.
            holder = hold();
        }
        let run = place.run(["--json", "health"]);
        let health: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap_or_default();
        if health["process"] == holder.id() {
            break health;
        }
        assert!([0, 15].contains(&run.status), "{}", run.stderr);
    };
    assert_eq!(published["good"], true);
    assert!(!published.to_string().contains("acme"));
    // Without any key.
    let keyless = ["--root-key", "absent", "health"];
    assert_eq!(place.text(keyless), "Nothing is wrong.\n");
    holder.kill().unwrap();
    holder.wait().unwrap();
    place.ok(["verify"]);

    std::fs::write(place.tenant_file("acme", ".keyring"), "").unwrap();
    assert_eq!(place.text(["health"]), "Nothing is wrong.\n", "nobody asked for the tenant yet");
}
