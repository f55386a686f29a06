//! Promise: what is measured and logged says how the journal does, and nothing of what is stored (invariant 9).

use std::io;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use strongroom::simulation::SimDisk;
use strongroom::{Durability, Engine, PutOptions};

use crate::support::{config, secret_in, small_store};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A day of a store, without its thread: recorder and subscriber are this thread's.
fn day() {
    let disk = SimDisk::new();
    small_store(&disk, 20).unwrap();
    let engine = Engine::open(config(&disk, 2).background(false)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    let documents = acme.collection("documents").unwrap();
    documents.put(b"key-00001", b"acme record 1").unwrap();
    let buffered = PutOptions::new().durability(Durability::Buffered);
    documents.put_with(b"key-00002", b"acme record 2", buffered).unwrap();
    engine.tick().unwrap();
    acme.rewrite(&mut |_, _| {}).unwrap();
    engine.checkpoint().unwrap();
    engine.close().unwrap();
}

#[test]
fn metrics_and_logs_tell_how_the_journal_does_and_no_secret() {
    let (recorder, log) = (DebuggingRecorder::new(), Log::default());
    let snapshotter = recorder.snapshotter();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    metrics::with_local_recorder(&recorder, || tracing::subscriber::with_default(subscriber, day));

    let mut names = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let name = key.key().to_string();
        assert_eq!(secret_in(&name), None, "{name}");
        let is_told = match &value {
            DebugValue::Counter(count) => *count > 0,
            DebugValue::Gauge(_) => true,
            DebugValue::Histogram(values) => !values.is_empty(),
        };
        assert!(is_told, "{name} says nothing: {value:?}");
        names.push(key.key().name().to_owned());
    }
    for expected in [
        "strongroom_journal_batches_total",
        "strongroom_journal_changes_total",
        "strongroom_journal_written_bytes_total",
        "strongroom_journal_batch_changes",
        "strongroom_journal_sync_seconds",
        "strongroom_journal_pending_bytes",
        "strongroom_memtable_bytes",
        "strongroom_open_tenants",
        "strongroom_checkpoint_seconds",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not measured: {names:?}");
    }

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("checkpoint") && text.contains("rewrite") && text.contains("lane read"), "{text}");
    assert_eq!(secret_in(&text), None);
}
