//! What an installation needs: settings in a file, completions, a manual.

use std::fs;

use crate::program::Place;

#[test]
fn settings_come_from_a_file_and_are_printed_as_one() {
    let place = Place::empty();
    let printed = place.text(["config"]);
    assert!(printed.contains("default 128 MiB\nmemtable = \"128 MiB\""), "{printed}");
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

/// Every command that `help` names, commands of commands included, each as its words.
fn commands(place: &Place, above: &[String]) -> Vec<Vec<String>> {
    let help = place.text(above.iter().map(String::as_str).chain(["--help"]));
    let Some(list) = help.split("\nCommands:\n").nth(1) else { return Vec::new() };
    let list = list.split("\n\n").next().unwrap();
    // A line that goes on is indented further.
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut found = Vec::new();
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let words: Vec<_> = above.iter().cloned().chain([name.to_owned()]).collect();
        found.extend(commands(place, &words));
        found.push(words);
    }
    found
}

#[test]
fn completions_and_a_manual_name_every_command_and_option() {
    let place = Place::empty();
    let commands = commands(&place, &[]);
    let has = |words: &str| commands.iter().any(|command| command.join(" ") == words);
    assert!(commands.len() > 50 && has("tenant accept-rollback") && has("key rekey"), "{commands:?}");
    let scripts =
        ["bash", "zsh", "fish", "elvish", "powershell"].map(|shell| place.text(["completions", shell]));
    place.ok(["man", "pages"]);
    for command in &commands {
        let name = command.last().unwrap();
        assert!(scripts.iter().all(|script| script.contains(name.as_str())), "{command:?}");
        let page = place.path(&format!("pages/strongroom-{}.1", command.join("-")));
        let page = fs::read_to_string(&page).unwrap_or_else(|_| panic!("{command:?} has no page"));
        let help = place.text(command.iter().map(String::as_str).chain(["--help"]));
        let options = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        for option in options {
            let option: String =
                option.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            let is_there = page.contains(&format!("\\-\\-{}", option.replace('-', "\\-")));
            assert!(is_there, "{command:?}: --{option} is not in its page");
        }
    }
}
