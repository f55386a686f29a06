//! Promise: a key provider that hangs, denies or can't be reached stops its own tenants and no other, in the bounds of the
//! configuration; and the keys of a tenant can be moved from one provider to another.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use strongroom::simulation::{Disk, Fault, FaultKind, ManualClock, PowerLoss, SimDisk};
use strongroom::{
    Config, Engine, ErrorKind, KeyFile, KeyProvider, ProviderError, Section, TenantId, TenantOptions,
    WrapContext,
};
use zeroize::Zeroizing;

use crate::support::{ROOT_KEY, config, refusal};

const START_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;

/// What a provider does about a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Denies,
    IsUnreachable,
    Hangs,
    Panics,
    /// Unwraps another key than it wrapped.
    Errs,
}

/// A key file behind moods.
#[derive(Debug)]
struct Vault {
    keys: KeyFile,
    moods: Mutex<HashMap<TenantId, Mood>>,
    changed: Condvar,
    unwrapped: Mutex<Vec<(TenantId, Section)>>,
}

impl Vault {
    fn at(disk: &SimDisk, path: &str) -> Arc<Self> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let keys = KeyFile::at(path).on_disk(disk);
        Arc::new(Self { keys, moods: Mutex::default(), changed: Condvar::new(), unwrapped: Mutex::default() })
    }

    fn set(&self, tenant: TenantId, mood: Option<Mood>) {
        let mut moods = self.moods.lock().unwrap();
        match mood {
            Some(mood) => drop(moods.insert(tenant, mood)),
            None => drop(moods.remove(&tenant)),
        }
        drop(moods);
        self.changed.notify_all();
    }

    fn unwraps(&self) -> usize {
        self.unwrapped.lock().unwrap().len()
    }
}

/// The provider, as it is registered.
#[derive(Clone, Debug)]
struct Handle(Arc<Vault>);

impl KeyProvider for Handle {
    fn create(&self) -> Result<(), ProviderError> {
        self.0.keys.create()
    }

    fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>, ProviderError> {
        self.0.keys.wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        self.0.unwrapped.lock().unwrap().push((context.tenant, context.section));
        let mut moods = self.0.moods.lock().unwrap();
        while moods.get(&context.tenant) == Some(&Mood::Hangs) {
            moods = self.0.changed.wait(moods).unwrap();
        }
        let mood = moods.get(&context.tenant).copied();
        drop(moods);
        match mood {
            Some(Mood::Denies) => Err(ProviderError::denied("no permission")),
            Some(Mood::IsUnreachable) => Err(ProviderError::retryable("no route")),
            Some(Mood::Panics) => panic!("the provider's own defect"),
            Some(Mood::Errs) => Ok(Zeroizing::new([7; 32])),
            Some(Mood::Hangs) | None => self.0.keys.unwrap(wrapped, context),
        }
    }
}

fn config_of(disk: &SimDisk, seed: u64, clock: &Arc<ManualClock>, vault: &Arc<Vault>) -> Config {
    config(disk, seed)
        .background(false)
        .clock(Arc::clone(clock) as Arc<_>)
        .key_provider("default", Handle(Arc::clone(vault)))
        .keys_good_for(Duration::from_mins(10))
        .keys_grace(Duration::from_mins(100))
}

/// A store of two tenants with a record each, open.
fn two_tenants(disk: &SimDisk, clock: &Arc<ManualClock>, vault: &Arc<Vault>) -> Engine {
    let engine = Engine::create(config_of(disk, 1, clock, vault)).unwrap();
    for name in ["acme", "globex"] {
        let tenant = engine.create_tenant(name, TenantOptions::new()).unwrap();
        tenant.collection("c").unwrap().put("k", name).unwrap();
    }
    engine
}

fn at(minutes: u64) -> u64 {
    START_MS + minutes * MINUTE_MS
}

#[test]
fn a_provider_that_denies_closes_its_tenant_in_time_and_no_other() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let vault = Vault::at(&disk, ROOT_KEY);
    let engine = two_tenants(&disk, &clock, &vault);
    let (acme, globex) = (engine.tenant("acme").unwrap(), engine.tenant("globex").unwrap());
    let (ours, theirs) = (acme.collection("c").unwrap(), globex.collection("c").unwrap());
    let before = vault.unwraps();
    clock.set(at(4));
    engine.tick().unwrap();
    assert_eq!(vault.unwraps(), before, "the keys are good");
    vault.set(acme.id(), Some(Mood::Denies));
    assert!(ours.get("k").unwrap().is_some());
    clock.set(at(9));
    engine.tick().unwrap();
    for refused in [
        refusal(ours.get("k")),
        refusal(ours.put("k", "new")),
        refusal(acme.submit(acme.batch()).and_then(|_| ours.info("k"))),
        refusal(ours.scan::<&[u8]>(..)),
        refusal(acme.checkpoint()),
        refusal(engine.tenant("acme")),
    ] {
        assert_eq!(refused, ErrorKind::KeyUnavailable);
    }
    assert_eq!(engine.health().unwrap().tenants_refused, [(acme.id(), ErrorKind::KeyUnavailable)]);
    assert_eq!(theirs.get("k").unwrap().as_deref(), Some(&b"globex"[..]));
    theirs.put("k2", "goes on").unwrap();
    engine.checkpoint().unwrap_err();
    vault.set(acme.id(), None);
    assert_eq!(refusal(ours.get("k")), ErrorKind::KeyUnavailable, "the handle is done with");
    let again = engine.tenant("acme").unwrap().collection("c").unwrap();
    assert_eq!(again.get("k").unwrap().as_deref(), Some(&b"acme"[..]));
    again.put("k", "new").unwrap();
    assert!(engine.health().unwrap().is_good());
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
}

/// Tenants that are open have keys of their own; whoever needs the catalog is refused.
#[test]
fn a_denied_catalog_opens_no_tenant_and_leaves_the_open_ones_alone() {
    for mood in [Mood::Denies, Mood::IsUnreachable] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let vault = Vault::at(&disk, ROOT_KEY);
        let engine = two_tenants(&disk, &clock, &vault);
        let acme = engine.tenant("acme").unwrap().collection("c").unwrap();
        let catalog = engine.store_id().system_tenant();
        vault.set(catalog, Some(mood));
        for minutes in (6..=122).step_by(4) {
            clock.set(at(minutes));
            let _ = engine.tick();
        }
        assert_eq!(refusal(engine.tenant("acme")), ErrorKind::KeyUnavailable, "{mood:?}");
        assert_eq!(refusal(engine.tenants()), ErrorKind::KeyUnavailable);
        assert_eq!(refusal(engine.create_tenant("new", TenantOptions::new())), ErrorKind::KeyUnavailable);
        assert_eq!(engine.health().unwrap().tenants_refused, [(catalog, ErrorKind::KeyUnavailable)]);
        acme.put("k", "goes on").unwrap();
        assert_eq!(acme.get("k").unwrap().as_deref(), Some(&b"goes on"[..]));
        vault.set(catalog, None);
        if mood == Mood::IsUnreachable {
            clock.set(at(130));
            let _ = engine.tick();
            assert!(engine.tenant("globex").is_ok(), "it is reached again");
        }
        drop((acme, engine));
        let engine = Engine::open(config_of(&disk, 9, &clock, &vault)).unwrap();
        let acme = engine.tenant("acme").unwrap().collection("c").unwrap();
        assert_eq!(acme.get("k").unwrap().as_deref(), Some(&b"goes on"[..]));
        assert!(engine.health().unwrap().is_good(), "{:?}", engine.health().unwrap().problems());
    }
}

#[test]
fn a_provider_that_cannot_be_reached_leaves_its_tenant_open_for_the_grace() {
    for mood in [Mood::IsUnreachable, Mood::Panics] {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
        let vault = Vault::at(&disk, ROOT_KEY);
        let engine = two_tenants(&disk, &clock, &vault);
        let acme = engine.tenant("acme").unwrap();
        let ours = acme.collection("c").unwrap();
        vault.set(acme.id(), Some(mood));
        clock.set(at(6));
        engine.tick().unwrap();
        let health = engine.health().unwrap();
        assert_eq!((health.is_good(), health.providers_unreachable), (false, vec![(acme.id(), at(6))]));
        vault.set(acme.id(), None);
        engine.tick().unwrap();
        assert!(engine.health().unwrap().is_good(), "it was reached again");
        vault.set(acme.id(), Some(mood));
        for minutes in (10..116).step_by(5) {
            clock.set(at(minutes));
            engine.tick().unwrap();
            ours.put("k", "goes on").unwrap();
        }
        clock.set(at(116));
        engine.tick().unwrap();
        assert_eq!(refusal(ours.get("k")), ErrorKind::KeyUnavailable);
        let theirs = engine.tenant("globex").unwrap().collection("c").unwrap();
        assert_eq!(theirs.get("k").unwrap().as_deref(), Some(&b"globex"[..]));
        vault.set(acme.id(), None);
        let again = engine.tenant("acme").unwrap().collection("c").unwrap();
        assert_eq!(again.get("k").unwrap().as_deref(), Some(&b"goes on"[..]));
    }
}

#[test]
fn a_provider_that_hangs_is_waited_for_in_bounds_and_delays_nobody_else() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let vault = Vault::at(&disk, ROOT_KEY);
    let ids = {
        let engine = two_tenants(&disk, &clock, &vault);
        let ids = ["acme", "globex"].map(|name| engine.tenant_info(name).unwrap().id);
        engine.close().unwrap();
        ids
    };
    let short = config_of(&disk, 2, &clock, &vault).key_timeout(Duration::from_millis(40));
    let engine = Engine::open(short).unwrap();
    vault.set(ids[0], Some(Mood::Hangs));
    let error = engine.tenant("acme").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::KeyUnavailable, true));
    let before = vault.unwraps();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| engine.tenant("acme").unwrap_err().kind());
        // The other tenant is opened, and used, while that one waits.
        let theirs = engine.tenant("globex").unwrap().collection("c").unwrap();
        assert_eq!(theirs.get("k").unwrap().as_deref(), Some(&b"globex"[..]));
        engine.tick().unwrap();
        assert_eq!(waits.join().unwrap(), ErrorKind::KeyUnavailable);
    });
    assert!(vault.unwraps() > before);
    vault.set(ids[0], None);
    engine.close().unwrap();

    // Many who ask at once have the provider asked once.
    let engine = Engine::open(config_of(&disk, 3, &clock, &vault)).unwrap();
    vault.unwrapped.lock().unwrap().clear();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let ours = engine.tenant("acme").unwrap().collection("c").unwrap();
                assert_eq!(ours.get("k").unwrap().as_deref(), Some(&b"acme"[..]));
            });
        }
    });
    let asked = vault.unwrapped.lock().unwrap().clone();
    assert_eq!(asked, [(ids[0], Section::Structure), (ids[0], Section::Content)]);
}

/// The bytes of the wrapped keys in a keyring's header (FORMAT.md section 4.1).
fn wrapped(disk: &SimDisk, tenant: TenantId) -> Vec<u8> {
    disk.read_file(format!("/store.keys/{tenant}.keyring")).unwrap()[136..136 + 72].to_vec()
}

fn is_in_key_store(disk: &SimDisk, bytes: &[u8]) -> bool {
    let keys = disk.paths().into_iter().filter(|path| path.starts_with("/store.keys"));
    keys.into_iter()
        .any(|path| disk.read_file(path).unwrap().windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn a_tenant_is_moved_to_a_provider_of_its_own_and_needs_the_older_one_no_more() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::at(START_MS)));
    let (vault, own) = (Vault::at(&disk, ROOT_KEY), Vault::at(&disk, "/own-key"));
    own.keys.create().unwrap();
    let engine = two_tenants(&disk, &clock, &vault);
    engine.close().unwrap();
    let both =
        |seed| config_of(&disk, seed, &clock, &vault).key_provider("customer", Handle(Arc::clone(&own)));
    let engine = Engine::open(both(2)).unwrap();
    let acme = engine.tenant("acme").unwrap();
    let before = wrapped(&disk, acme.id());
    assert!(is_in_key_store(&disk, &before));
    assert_eq!(refusal(acme.rewrap(Some("nobody"))), ErrorKind::KeyUnavailable);
    for mood in [Mood::Denies, Mood::Errs] {
        own.set(acme.id(), Some(mood));
        assert_eq!(refusal(acme.rewrap(Some("customer"))), ErrorKind::KeyUnavailable);
        assert_eq!(wrapped(&disk, acme.id()), before, "nothing was changed");
    }
    own.set(acme.id(), None);
    acme.rewrap(Some("customer")).unwrap();
    assert_eq!(acme.key_provider(), "customer");
    assert!(!is_in_key_store(&disk, &before));
    acme.collection("c").unwrap().put("k2", "goes on").unwrap();
    // The same provider again: other bytes.
    let second = wrapped(&disk, acme.id());
    acme.rewrap(None).unwrap();
    assert!(!is_in_key_store(&disk, &second));
    let id = acme.id();
    drop(acme);
    engine.close().unwrap();
    // Without the customer's key the tenant does not open, and the other one does.
    let engine = Engine::open(config_of(&disk, 3, &clock, &vault)).unwrap();
    assert_eq!(refusal(engine.tenant("acme")), ErrorKind::KeyUnavailable);
    engine.tenant("globex").unwrap();
    engine.close().unwrap();
    vault.set(id, Some(Mood::Denies));
    let engine = Engine::open(both(4)).unwrap();
    let ours = engine.tenant("acme").unwrap().collection("c").unwrap();
    assert_eq!(ours.get("k").unwrap().as_deref(), Some(&b"acme"[..]));
    assert_eq!(ours.get("k2").unwrap().as_deref(), Some(&b"goes on"[..]));
    assert!(engine.verify(&mut |_| {}).unwrap().is_good());
    drop(ours);
    // Everything that is left of the older provider moves too, the catalog included.
    assert_eq!(engine.rewrap("default", "customer").unwrap(), 2);
    assert_eq!(engine.rewrap("default", "customer").unwrap(), 0);
    engine.close().unwrap();
    let moved = |name: &str| config(&disk, 5).background(false).key_provider(name, Handle(Arc::clone(&own)));
    vault.moods.lock().unwrap().insert(id, Mood::Denies);
    let engine = Engine::open(moved("customer")).unwrap();
    assert!(engine.tenants().unwrap().len() == 2 && engine.tenant("globex").is_ok());
}

#[test]
fn power_loss_at_any_operation_of_a_rewrap_leaves_the_keys_with_one_of_the_providers() {
    let clock = Arc::new(ManualClock::at(START_MS));
    let before = SimDisk::new();
    let vault = Vault::at(&before, ROOT_KEY);
    Vault::at(&before, "/own-key").keys.create().unwrap();
    two_tenants(&before, &clock, &vault).close().unwrap();
    let open = |disk: &SimDisk, seed| {
        let (vault, own) = (Vault::at(disk, ROOT_KEY), Vault::at(disk, "/own-key"));
        Engine::open(config_of(disk, seed, &clock, &vault).key_provider("customer", Handle(own)))
    };
    let script = |disk: &SimDisk| {
        let engine = open(disk, 2)?;
        engine.tenant("acme")?.rewrap(Some("customer"))
    };
    let whole = before.snapshot();
    let first = whole.operations();
    script(&whole).unwrap();
    let last = whole.operations();
    let mut providers = HashSet::new();
    for operation in first..=last {
        for policy in [PowerLoss::Random, PowerLoss::DropAll, PowerLoss::KeepAll] {
            let disk = before.snapshot();
            disk.inject(Fault { at_operation: operation, kind: FaultKind::PowerOff });
            let ended = script(&disk).is_ok();
            let engine = open(&disk.power_loss(operation, policy), 3).unwrap();
            let acme = engine.tenant("acme").unwrap();
            assert!(!ended || acme.key_provider() == "customer", "operation {operation}");
            let value = acme.collection("c").unwrap().get("k").unwrap();
            assert_eq!(value.as_deref(), Some(&b"acme"[..]), "operation {operation}");
            providers.insert(acme.key_provider());
        }
    }
    assert_eq!(providers.len(), 2, "{providers:?}");
}
