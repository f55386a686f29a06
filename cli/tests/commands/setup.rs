//! What an installation needs: settings in a file, completions, a manual.

use std::fs;

use crate::program::Place;

#[test]
fn settings_come_from_a_file_and_are_printed_as_one() {
    let place = Place::empty();
    let printed = place.text(["config"]);
    assert!(printed.contains("default 48 MiB\nmemtable = \"48 MiB\""), "{printed}");
    assert!(place.files().is_empty(), "it opens nothing");
    let file = place
        .write("settings.toml", "memtable = \"1 MiB\"\nkeys = \"elsewhere\"\n[region.eu]\nroot = \"eu\"\n");
    let file = file.to_str().unwrap();
    let printed = place.text(["--config", file, "--freshness", "full", "config"]);
    for line in ["memtable = \"1 MiB\"", "keys = \"elsewhere\"", "[region.eu]", "freshness = \"full\""] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    let again = place.write("again.toml", &printed);
    assert_eq!(place.text(["--config", again.to_str().unwrap(), "config"]), printed);

    let made = place.text(["--config", file, "init"]);
    assert!(made.contains("elsewhere"), "{made}");
    assert!(
        place.path("elsewhere").is_dir() && place.path("eu").is_dir() && !place.path("data.keys").exists()
    );
    place.ok(["--config", file, "tenant", "create", "acme", "--region", "eu"]);
    place.fails(20, ["tenant", "list"]);
    for (wrong, told) in
        [("memtabel = 1", "memtabel"), ("memtable = true", "48 MiB"), ("memtable = 1", "65536")]
    {
        let file = place.write("wrong.toml", wrong);
        let failure = place.fails(11, ["--config", file.to_str().unwrap(), "tenant", "list"]);
        assert!(failure.contains(told), "{failure}");
    }
    place.fails(20, ["--config", "absent.toml", "config"]);
}

#[test]
fn completions_and_a_manual_name_every_command() {
    let place = Place::empty();
    let commands = ["init", "tenant", "put", "salvage", "verify"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.text(["completions", shell]);
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
    }
    place.ok(["man", "pages"]);
    let pages: Vec<_> = fs::read_dir(place.path("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for command in commands {
        assert!(pages.contains(&format!("strongroom-{command}.1")), "{command}: {pages:?}");
    }
    let page = fs::read_to_string(place.path("pages/strongroom-tenant-create.1")).unwrap();
    assert!(page.contains("dedicated"), "{page}");
}
