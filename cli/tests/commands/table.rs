//! `import --table`: tables of `SQLite` databases, and of those that SQLCipher encrypted.

use rusqlite::Connection;
use serde_json::json;

use crate::program::Place;

const TABLES: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, photo BLOB, until INTEGER);
    CREATE TABLE words (word TEXT PRIMARY KEY, meaning TEXT) WITHOUT ROWID;
    CREATE VIEW emails AS SELECT email FROM users;
    INSERT INTO words VALUES ('b', 'two'), ('a', 'one');
    INSERT INTO users VALUES (1, 'a@example.org', x'00ff0a', 4102444800000), (7, NULL, NULL, NULL);";

fn fill(connection: &Connection) {
    connection.execute_batch(TABLES).unwrap();
}

#[test]
fn a_tables_rows_are_records() {
    let place = Place::with_tenant();
    fill(&Connection::open(place.path("app.db")).unwrap());
    place.ok(["index", "declare", "acme", "users", "email"].iter().chain(&["--unique"]));
    let arguments = ["import", "acme", "users", "app.db", "--table", "users", "--key-field", "id"];
    let fields = ["--expires-field", "until", "--index", "email=email", "--progress", "progress"];
    place.ok(arguments.iter().chain(&fields));
    let one =
        json!({"id": 1, "email": "a@example.org", "photo_base64": "AP8K", "until": 4_102_444_800_000_u64});
    let found: serde_json::Value = serde_json::from_slice(&place.ok(["get", "acme", "users", "1"])).unwrap();
    assert_eq!(found, one);
    assert_eq!(place.text(["find", "acme", "users", "email", "a@example.org"]).lines().count(), 1);
    assert_eq!(place.text(["count", "acme", "users"]), "2 records\n");
    place.ok([
        "import",
        "acme",
        "words",
        "app.db",
        "--table",
        "words",
        "--key-field",
        "word",
        "--value-field",
        "meaning",
    ]);
    assert_eq!(place.text(["get", "acme", "words", "b"]), "two");
    place.ok(["import", "acme", "emails", "app.db", "--table", "emails"].iter().chain(&["--batch", "1"]));

    let photos = [
        "import",
        "acme",
        "photos",
        "app.db",
        "--table",
        "users",
        "--key-field",
        "id",
        "--value-field",
        "photo",
    ];
    let told = place.fails(11, photos);
    assert!(told.contains("app.db: row 2 has no such field as --value-field names"), "{told}");
    assert_eq!(place.ok(["get", "acme", "photos", "1"]), [0, 255, 10]);
    for (arguments, said) in [
        (&["app.db", "--table", "nothing"][..], "no such table"),
        (&["app.db", "--table", "users", "--key-field", "name"], "its fields are id, email, photo, until"),
        (&["app.db", "--table", "emails", "--progress", "view"], "rows of a view have no order"),
        (&["progress", "--table", "users"], "is no SQLite database"),
    ] {
        let told = place.fails(11, ["import", "acme", "x"].iter().chain(arguments));
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn a_table_that_grew_goes_on_and_one_that_changed_before_does_not() {
    let place = Place::with_tenant();
    let connection = Connection::open(place.path("app.db")).unwrap();
    fill(&connection);
    let arguments = [
        "import",
        "acme",
        "users",
        "app.db",
        "--table",
        "users",
        "--key-field",
        "id",
        "--progress",
        "progress",
    ];
    place.ok(arguments);
    connection.execute_batch("INSERT INTO users (id) VALUES (8)").unwrap();
    let told = place.text(arguments);
    assert!(
        told.starts_with("Imported 1 record,") && told.ends_with("An earlier run did 2 rows.\n"),
        "{told}"
    );
    connection.execute_batch("DELETE FROM users WHERE id = 1; INSERT INTO users (id) VALUES (9)").unwrap();
    assert!(place.fails(11, arguments).contains("is another than the one"));
}

#[cfg(feature = "sqlcipher")]
#[test]
fn a_database_that_sqlcipher_encrypted_opens_with_its_key_alone() {
    let place = Place::with_tenant();
    let connection = Connection::open(place.path("app.db")).unwrap();
    connection.pragma_update(None, "key", "correct horse").unwrap();
    fill(&connection);
    drop(connection);
    let bytes = std::fs::read(place.path("app.db")).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"example"), "it is not encrypted");
    place.write("key", "correct horse\n");
    place.write("wrong", "wrong\n");
    let arguments = ["import", "acme", "users", "app.db", "--table", "users", "--key-field", "id"];
    for key in [&[][..], &["--table-key-file", "wrong"]] {
        assert!(place.fails(11, arguments.iter().chain(key)).contains("encrypted with another key"));
    }
    place.ok(arguments.iter().chain(&["--table-key-file", "key"]));
    assert_eq!(place.text(["count", "acme", "users"]), "2 records\n");
}
