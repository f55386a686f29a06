//! Every recipe of docs/MIGRATION.md, one after the other, as it stands.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::Place;

/// What `psql --csv` writes for the recipe's query.
const INVOICES: &str = "id,customer,person,email,expires,body\n\
                        2026-001,acme,user-1,a@example.org,2100-01-01T00:00:00Z,MTIuNTA=\n\
                        2026-002,globex,,b@example.org,,AP8K\n";

/// What `mongoexport` writes.
const ORDERS: &str = "{\"_id\":{\"$oid\":\"65a\"},\"number\":1,\"person\":\"user-1\"}\n{\"number\":2}\n";

/// The recipes of a kind that this program can run.
fn recipes() -> String {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MIGRATION.md")).unwrap();
    let blocks: Vec<_> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() == 8, "{blocks:?}");
    let is_run = |block: &&&str| cfg!(feature = "sqlite") || !block.contains("--table");
    blocks.iter().filter(is_run).copied().collect()
}

#[test]
fn the_recipes_of_the_documentation_work() {
    let place = Place::empty();
    place.write("psql.csv", INVOICES);
    place.write("mongo.jsonl", ORDERS);
    place.write("orders.jsonl", "{\"number\":3}\n{\"nubmer\":4}\n{\"number\":5}\n");
    place.write("scans/2026/a.tiff", [1, 2, 3]);
    #[cfg(feature = "sqlite")]
    rusqlite::Connection::open(place.path("app.db"))
        .unwrap()
        .execute_batch(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO users VALUES (1, 'a@b');",
        )
        .unwrap();
    let script = format!(
        "set -eu\n\
         strongroom() {{ \"$BINARY\" \"$@\"; }}\n\
         psql() {{ cat psql.csv; }}\n\
         mongoexport() {{ cat mongo.jsonl; }}\n\
         sqlite3() {{ printf '{{\"id\":1,\"email\":\"a@b\"}}\\n'; }}\n\
         {}",
        recipes()
    );
    let run = Command::new("sh")
        .args(["-c", &script])
        .env("BINARY", env!("CARGO_BIN_EXE_strongroom"))
        .env("STRONGROOM_STORE", "data")
        .current_dir(place.path("."))
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}{errors}");
    // The mistyped field, and nothing else.
    assert!(
        errors.lines().count() == 1 && errors.contains("orders.jsonl: line 2 has no such field"),
        "{errors}"
    );

    assert_eq!(place.text(["get", "acme", "invoices", "2026-001"]), "12.50");
    assert_eq!(place.ok(["get", "globex", "invoices", "2026-002"]), [0, 255, 10]);
    assert_eq!(place.text(["find", "acme", "invoices", "email", "a@example.org"]).lines().count(), 1);
    assert_eq!(place.text(["find", "acme", "people", "email", "a@b"]).lines().count(), 1);
    assert_eq!(place.text(["count", "acme", "orders"]), "5 records\n");
    assert_eq!(place.ok(["get", "globex", "scans", "2026/a.tiff"]), [1, 2, 3]);
    assert_eq!(
        place.text(["scan", "acme", "people"]),
        place.text(["--store", "elsewhere", "scan", "acme", "people"])
    );
    if cfg!(feature = "sqlite") {
        assert_eq!(place.text(["find", "acme", "users", "email", "a@b"]).lines().count(), 1);
    }
}
