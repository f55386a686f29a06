//! `import` killed again and again, as a machine's operator or its kernel may do it. What was acknowledged is there
//! afterwards, and of the rest what came first. This says nothing of power losses: what a killed process wrote is with the
//! operating system.

use std::io::{BufRead, BufReader, Read};

use crate::program::Place;

const KILLS: usize = 50;
/// More records than are ever read from the pipe before the kill.
const RECORDS: usize = 20_000;

fn line(number: usize) -> String {
    // Some values of a few hundred bytes, a few of some thousands.
    let length = number * 37 % 300 + if number.is_multiple_of(50) { 5_000 } else { 0 };
    format!("{{\"number\":{number},\"filling\":\"{}\"}}", "x".repeat(length))
}

#[test]
fn every_acknowledged_record_is_there_after_each_of_50_kills() {
    let place = Place::with_tenant();
    place.ok(["tenant", "create", "alone", "--dedicated"]);
    let lines: Vec<_> = (1..=RECORDS).map(line).collect();
    place.write("big.jsonl", lines.join("\n"));
    let mut there = Vec::new();
    for kill in 0..KILLS {
        // A collection for each round: what an earlier one imported must not stand in for what this one lost.
        let collection = format!("round {kill}");
        let tenant = ["acme", "alone"][kill % 2];
        let arguments = ["import", tenant, &collection, "big.jsonl", "--acks"];
        let mut child = place.command(arguments).spawn().unwrap();
        let mut acks = BufReader::new(child.stdout.take().unwrap());
        // From the very first to some thousands.
        let wanted = [0, 1, 2, 3, 10, 100, 1_000][kill % 7] + kill * 13;
        let mut acknowledged = 0;
        let mut ack = String::new();
        for _ in 0..wanted {
            ack.clear();
            acks.read_line(&mut ack).unwrap();
            acknowledged += 1;
            assert_eq!(ack, format!("{acknowledged:012}\n"));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it had ended by itself");
        // What it printed before it died was acknowledged too; a line cut short was not.
        let mut rest = String::new();
        acks.read_to_string(&mut rest).unwrap();
        acknowledged += rest.matches('\n').count();

        let found = place.text(["scan", tenant, &collection]);
        for (number, (found, line)) in (1..).zip(found.lines().zip(&lines)) {
            let expected = serde_json::json!({"key": format!("{number:012}"), "value": line});
            assert_eq!(serde_json::from_str::<serde_json::Value>(found).unwrap(), expected, "kill {kill}");
        }
        let found = found.lines().count();
        assert!(found >= acknowledged, "kill {kill}: {acknowledged} acknowledged, {found} there");
        there.push(found);
        if kill % 10 == 9 {
            // From the journal into the tenant's file, between kills.
            place.ok(["checkpoint"]);
        }
    }
    let stats = place.json(["--json", "stats"]);
    for (index, tenant) in stats["tenants"].as_array().unwrap().iter().enumerate() {
        assert_eq!(tenant["records"], there.iter().skip(index).step_by(2).sum::<usize>());
    }
    place.ok(["verify"]);
}
