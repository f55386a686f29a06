//! The arguments, and the help that people read.

#![allow(clippy::doc_markdown, reason = "these comments are printed as help, backticks and all")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum, error};
use clap_complete::Shell;
use strongroom::limits::BATCH_OPERATIONS_MAX;
use strongroom::{Cursor, Version};

const EXIT_STATUS: &str = "\
Exit status: 0 done; 2 wrong usage; else 10 plus the number of the error's kind:
  11 InvalidArgument   12 NotFound       13 AlreadyExists      14 Conflict      15 Busy
  16 Held              17 LimitExceeded  18 KeyUnavailable     19 KeyMissing    20 Unavailable
  21 Suspended         22 Unauthentic    23 Corrupted          24 RolledBack    25 UnsupportedFormat
  26 SnapshotExpired   27 ClockJump      28 Cancelled          29 Forked        30 Io
  31 Poisoned          32 Internal

Example:
  strongroom --store data init
  strongroom --store data tenant create acme
  echo 12.50 | strongroom --store data put acme invoices 2026-001
  strongroom --store data get acme invoices 2026-001";

/// An embedded, encrypted, multi-tenant storage engine, from the command line.
///
/// Each tenant has keys of its own, kept apart from the data. `strongroom tour` shows what that means on your own
/// files, in a temporary store.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, after_help = EXIT_STATUS, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which store, and how its keys are reached.
#[derive(Args, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct Global {
    /// The store's directory; needed by every command but `tour`, `completions` and `man`
    #[arg(long, global = true, value_name = "DIR", env = "STRONGROOM_STORE", hide_env_values = true)]
    store: Option<PathBuf>,

    /// The key store's directory, never inside the store [default: <store>.keys]
    #[arg(long, global = true, value_name = "DIR", env = "STRONGROOM_KEYS", hide_env_values = true)]
    pub(crate) keys: Option<PathBuf>,

    /// The root key's file, which `init` makes with mode 0600 [default: <store>.root-key]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "STRONGROOM_ROOT_KEY",
        hide_env_values = true,
        conflicts_with = "passphrase_file"
    )]
    pub(crate) root_key: Option<PathBuf>,

    /// Use a passphrase instead of a root key: the file's bytes (1 to 4,096), without one line ending at their end. Others than
    /// its owner and group must not be able to read the file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "STRONGROOM_PASSPHRASE_FILE",
        hide_env_values = true
    )]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// A further root key, by the name under which keyrings know it: of tenants that `key rewrap` moved to it. May be given
    /// several times
    #[arg(long = "key-file", global = true, value_name = "NAME=FILE", value_parser = parse_key_file)]
    pub(crate) key_files: Vec<(String, PathBuf)>,

    /// A region whose directories have moved since `init`: its data is now in DIR, its keys in DIR.keys. May be given
    /// several times
    #[arg(long = "moved-region", global = true, value_name = "NAME=DIR", value_parser = parse_region)]
    pub(crate) moved_regions: Vec<(String, PathBuf)>,

    /// A file of settings: TOML, as `strongroom config` prints it. Options given besides go before it
    #[arg(long, global = true, value_name = "FILE", env = "STRONGROOM_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,

    /// What is done against old versions of single blocks put back on the disk [default: standard]
    #[arg(long, global = true, value_name = "HOW", value_enum)]
    pub(crate) freshness: Option<Freshness>,

    /// Open the store for maintenance: no key of values is asked for, and names are shown as digests
    #[arg(long, global = true)]
    pub(crate) maintenance: bool,

    /// With `--maintenance`: show names
    #[arg(long, global = true)]
    pub(crate) names: bool,

    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Global {
    /// The store's directory. Ends the process with the status for wrong usage where none was given: clap can't
    /// demand an option that one command does without.
    pub(crate) fn store(&self) -> &Path {
        self.store.as_deref().unwrap_or_else(|| {
            let message = "no store was named: give --store DIR, or set STRONGROOM_STORE";
            Arguments::command().error(error::ErrorKind::MissingRequiredArgument, message).exit()
        })
    }
}

/// `--freshness`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Freshness {
    /// `verify` finds them, and a file that is older as a whole is refused
    Standard,
    /// Each tenant's file is verified when it is opened, and an old block is refused when it is read
    Full,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new store, its key store and its root key; nothing is made over anything
    Init(Init),
    /// Make, list, show, suspend, rename, remove and erase tenants
    #[command(subcommand)]
    Tenant(Tenant),
    /// Make, list, rename and drop collections
    #[command(subcommand)]
    Collection(Collection),
    /// Put a record, over what is there; durable when this returns
    Put(Put),
    /// Write a record's value to standard output, and nothing else
    Get(Get),
    /// List, rotate and destroy the keys of a tenant, and seal its records anew
    #[command(subcommand)]
    Key(Key),
    /// Print a collection's records in the order of their keys, as JSON Lines
    ///
    /// A line is {"key":..,"value":..}; what is not UTF-8 stands in base64 as "key_base64" or "value_base64". A record that
    /// does not open is said on standard error, the others are printed, and the exit status tells.
    Scan(Scan),
    /// Remove a record, or all whose keys begin with a prefix, so that they can be restored; durable when this returns
    ///
    /// A removed record is gone for readers. Until its removal window is over, 30 days unless a policy says otherwise, it is
    /// listed by `scan --removed` and can be restored; then the sweep erases it. Prints how many records it was.
    Remove(Remove),
    /// Restore a record that was removed, or of all keys that begin with a prefix the one that was removed last
    ///
    /// It is back as it was, its times and version included. Exit status 14 (Conflict) where there is a record of this key by
    /// now, or another one has one of its unique keys; with --prefix such a record stays removed. Prints how many it was.
    Restore(Restore),
    /// Erase a record, or all whose keys begin with a prefix, for good; durable when this returns
    ///
    /// What was removed of the same keys is erased too. There is no undoing it. Asks first, unless --yes is given. Prints how
    /// many records it was.
    Erase(Erase),
    /// Find records by their key in an index, or by a range of keys; prints them as `scan` does, "index_key" added
    Find(Find),
    /// Declare, build, list and drop indexes of a collection
    #[command(subcommand)]
    Index(Index),
    /// Set and show how much tenants and collections may hold
    #[command(subcommand)]
    Quota(Quota),
    /// Count a collection's records; none is decrypted
    Count(Count),
    /// How long records are kept, in a tenant or one of its collections
    #[command(subcommand)]
    Policy(Policy),
    /// Remove records that have expired from the files now; prints how many
    ///
    /// A record is gone for everybody from the millisecond on at which it expires. The sweep removes its sealed bytes too; a
    /// program that has the store open does that every hour by itself.
    Sweep {
        /// Only this tenant
        tenant: Option<String>,
    },
    /// Print a tenant's erasure ledger: which keys were destroyed and when, and the receipts for what was erased
    ///
    /// Each receipt has a state: `erased`, and `scrubbed` once the sealed bytes are in no file and no journal. At the end stands
    /// from when on what is erased now can't be read in older copies. With --json it can be kept: each entry has a MAC that
    /// covers all entries before it.
    Ledger {
        /// The tenant
        tenant: String,
    },
    /// Remove the sealed bytes of everything that was erased from a tenant's file and its journal now
    ///
    /// A program that has the store open does it by itself, within 30 days unless configured otherwise.
    Scrub {
        /// The tenant
        tenant: String,
    },
    /// The clock that expiry goes by
    #[command(subcommand)]
    Clock(Clock),
    /// List, export and erase what is stored about a subject, over all collections of a tenant
    #[command(subcommand)]
    Subject(Subject),
    /// Place, list and release legal holds: nothing that one covers can be erased
    #[command(subcommand)]
    Hold(Hold),
    /// Put many records: a directory's files, the lines of a file, or an export
    ///
    /// PATH is one of: a directory (each regular file is a record, its key the path below PATH with '/' between the parts;
    /// symbolic links are not followed); a file ending in .jsonl or .ndjson, or '-' for standard input (each line is a
    /// record, its value the line's bytes without the line ending; empty lines are passed over); a file made by
    /// `strongroom export`, known by its first line whatever its name.
    ///
    /// An export's records keep the times they were written at. COLLECTION '-' puts them into the collections they came
    /// from; a name puts an export of one collection there. An export that was cut short is refused before anything is put.
    Import(Import),
    /// Write a tenant's records, times included, to a file that `import` reads
    ///
    /// The file is not encrypted. It is made with mode 0600 and appears only when it is whole and synced.
    Export(Export),
    /// Check every block, table and record of the store or of one tenant
    ///
    /// Exit status 23 (Corrupted) when anything is wrong that was not mended.
    Verify {
        /// Only this tenant
        tenant: Option<String>,
    },
    /// Sizes and counts of all tenants or of one; without TENANT, of the journals too
    ///
    /// What counts batches, changes, bytes written and syncs of a journal begins when this command opens the store.
    Stats {
        /// Only this tenant
        tenant: Option<String>,
    },
    /// Tell how the store does: its disks' room, its journals, tenants that are refused, work that is overdue
    ///
    /// Where another process has the store open, this is what that one published within the last seconds, and no key is
    /// needed. Exit status 20 (Unavailable) when anything is wrong. No tenant's name is told, only ids.
    Health,
    /// Put what only the journals have into the tenants' files
    ///
    /// Nothing needs it: a record is as durable in the journal as in its tenant's file. It shortens the next open, and the
    /// files alone hold everything afterwards.
    Checkpoint {
        /// Only this tenant
        tenant: Option<String>,
    },
    /// Rewrite a tenant's file, or those of all tenants: compacted, without what was left of older records, under a new structure
    /// key; the old one is destroyed
    Rewrite {
        /// Only this tenant
        tenant: Option<String>,
    },
    /// Go on with what can be read of a tenant whose journal is damaged; the rest is lost for good
    ///
    /// For use when a tenant is refused for its journal and there is no copy of the journal's files: with a copy, put that
    /// back instead, and nothing is lost. Whatever can be read is kept, in order, and nothing is invented. Of a batch that
    /// can't be read, everything is lost; a record that it had overwritten has its older value again. A tenant that is whole
    /// is left as it is.
    Salvage {
        /// The tenant
        tenant: String,
    },
    /// Show what the store does on your own files, in a temporary directory
    ///
    /// Loads every file below DIR for two tenants in two regions, reads it back, looks for its lines in what lies on the
    /// disk, attacks the files in several ways, and prints what was seen. target, .git and node_modules are passed over, and
    /// files over 1 MiB. The directory is removed at the end: it holds an unsealed control copy.
    Tour(Tour),
    /// Print the settings in force, each with what it is, its bounds and its default; a file for --config
    ///
    /// Opens nothing: it tells what --config and the options come to.
    Config,
    /// Print a script that completes this program's arguments in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual's pages into a directory, one for each command
    Man {
        /// The directory, made where it is missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// `init`.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// A region besides `default`, its data in DIR and its keys in DIR.keys. May be given several times
    #[arg(long = "region", value_name = "NAME=DIR", value_parser = parse_region)]
    pub(crate) regions: Vec<(String, PathBuf)>,
}

/// `tenant`.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant, with keys of its own
    Create {
        /// 1 to 255 bytes of any UTF-8, without control characters and without white space at the ends; never a path
        name: String,
        /// The region that holds its data and keys
        #[arg(long, value_name = "REGION", default_value = "default")]
        region: String,
        /// Give it a journal of its own: what others write does not delay it, and it shares no file with them
        #[arg(long)]
        dedicated: bool,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// List the tenants by name
    List,
    /// Show what is known of a tenant
    Show {
        /// The tenant
        name: String,
    },
    /// Refuse every read and write of a tenant's records until it is resumed; expiry and everything that looks after it go on
    Suspend {
        /// The tenant
        name: String,
    },
    /// End a tenant's suspension
    Resume {
        /// The tenant
        name: String,
    },
    /// Give a tenant another name; its id, data and keys stay as they are
    Rename {
        /// The name it has
        from: String,
        /// The name it gets
        to: String,
    },
    /// Move a tenant, with its keys, to another region of the store
    ///
    /// Copied and verified there, then switched, then erased where it was. Whole in one of the two regions whenever it is
    /// interrupted.
    Move {
        /// The tenant
        name: String,
        /// The region it goes to
        region: String,
        /// The tenant's data may leave the region that it was put into; without, nothing is moved
        #[arg(long)]
        override_residency: bool,
    },
    /// Remove a tenant: gone at once, restorable while its window lasts, then erased by a sweep
    ///
    /// Asks first, unless --yes is given. Its name stays taken until it is erased.
    Remove {
        /// The tenant
        name: String,
        /// How long it can be restored
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30d")]
        window: Duration,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Bring a removed tenant back as it was
    Restore {
        /// The tenant
        name: String,
    },
    /// Erase a tenant for good, removed before or not: its keys are destroyed, then its files
    ///
    /// There is no undoing it. Asks first, unless --yes is given. No copy of the tenant's data can be read from then on by
    /// who has no older copy of the key store.
    Erase {
        /// The tenant
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Go on from data that is older than the key store says: what was acknowledged later is gone
    ///
    /// For use after a restore from a copy, when the newest copy is lost. A tenant that was not rolled back is left as it is.
    /// Where the journal that tenants share was rolled back, only all of them can be accepted.
    AcceptRollback {
        /// The tenant
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        name: Option<String>,
        /// The catalog of tenants, every journal, and every tenant
        #[arg(long)]
        all: bool,
    },
}

/// `collection`.
#[derive(Debug, Subcommand)]
pub(crate) enum Collection {
    /// Make an empty collection; a put makes one too
    Create {
        /// The tenant
        tenant: String,
        /// 1 to 255 bytes of any UTF-8, without control characters and without white space at the ends
        name: String,
    },
    /// List a tenant's collections by name, with the number of their records and the bytes of keys and values
    List {
        /// The tenant
        tenant: String,
    },
    /// Give a collection another name
    Rename {
        /// The tenant
        tenant: String,
        /// The name it has
        from: String,
        /// The name it gets
        to: String,
    },
    /// Drop a collection: all of its records are gone at once, and can't be had back
    Drop {
        /// The tenant
        tenant: String,
        /// The collection
        name: String,
    },
}

/// `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Show what a tenant's policy says, or what a collection overrides
    Show {
        /// The tenant
        tenant: String,
        /// The collection
        collection: Option<String>,
    },
    /// Set the policy, as a whole; what is not given is not limited
    ///
    /// It is applied to the records that are there, too, before this returns. Interrupted, `policy apply` or the next sweeps go on.
    Set {
        /// The tenant
        tenant: String,
        /// The collection; made where there is none
        collection: Option<String>,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Go on with applying policies that were changed to the records that are there
    Apply {
        /// The tenant
        tenant: String,
        /// At most so many records a second get other times
        #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// End after so many records
        #[arg(long, value_name = "RECORDS")]
        records: Option<u64>,
    },
}

/// A policy.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// How long a record is kept that is put without a time of its own, such as 90d, 12h or "1y 6months"
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) retention: Option<Duration>,
    /// The longest that any record is kept
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) maximum: Option<Duration>,
    /// How long a record that was removed can be restored [default: 30d]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) removal_window: Option<Duration>,
    /// The least that a record is kept: before, nobody erases, removes or puts it over (exit status 16, Held)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) minimum: Option<Duration>,
    /// Within how long what is removed was promised to be gone for good; a policy that does not keep that is refused
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) erased_within: Option<Duration>,
    /// What becomes of a record that another is put over [default: erase]
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) overwrite: Option<Overwrite>,
    /// Whether the records are secret: `export` leaves them out [default: false]
    #[arg(long, value_name = "BOOL")]
    pub(crate) secret: Option<bool>,
    /// Whether each record that is put gets a key of its own, so that its erasure reaches every copy [default: shared]
    #[arg(long, value_name = "KEY", value_enum)]
    pub(crate) erasure: Option<Erasure>,
    /// Whether nothing is retained: whatever is put is refused, and what is there has expired [default: false]
    #[arg(long, value_name = "BOOL")]
    pub(crate) zero_retention: Option<bool>,
}

/// `--erasure`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Erasure {
    /// It shares its keys with other records
    Shared,
    /// It has a key of its own besides, which is destroyed when it is erased, put over or swept
    Record,
}

/// `--overwrite`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Overwrite {
    /// It is erased
    Erase,
    /// It is removed, and can be restored
    Keep,
}

/// `clock`.
#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    /// Trust the system's clock, after nothing was swept because it had jumped (exit status 27, ClockJump)
    ///
    /// What is due by the clock is destroyed from then on: look at the clock first. A store that nobody opened for 7 days
    /// needs this too.
    Confirm {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `subject`.
#[derive(Debug, Subcommand)]
pub(crate) enum Subject {
    /// List a tenant's subjects by name, or the records of one as JSON Lines
    List {
        /// The tenant
        tenant: String,
        /// The subject whose records are listed
        subject: Option<String>,
    },
    /// Write a subject's records, times included, to a file that `import` reads
    ///
    /// What is in secret collections is left out.
    /// The file is not encrypted. It is made with mode 0600 and appears only when it is whole and synced.
    Export {
        /// The tenant
        tenant: String,
        /// The subject
        subject: String,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Put it in the place of a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Erase a subject, and all records that were put with it, for good; durable when this returns
    ///
    /// Its key is destroyed: its records are unreadable in every copy of the data, for all who hold no older copy of the key
    /// store. Asks first, unless --yes is given. Where a hold covers any of it nothing is erased, and the exit status is 16.
    Erase {
        /// The tenant
        tenant: String,
        /// The subject
        subject: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `hold`.
#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Place a hold, on all of a tenant unless told less; durable when this returns
    ///
    /// Nothing it covers is erased, by anybody: erasing it, putting over it and erasing its subject have exit status 16
    /// (Held), and what expires is gone from every answer but stays on the disk.
    Place {
        /// The tenant
        tenant: String,
        /// What the hold is called: 1 to 255 bytes of UTF-8, its own among the tenant's
        name: String,
        /// Only this collection
        #[arg(long, value_name = "COLLECTION")]
        collection: Option<String>,
        /// Only records whose keys begin so
        #[arg(long, value_name = "P", requires = "collection", conflicts_with = "key")]
        prefix: Option<String>,
        /// The prefix is base64
        #[arg(long, requires = "prefix")]
        prefix_base64: bool,
        /// Only the record with this key, whether it is there or not
        #[arg(long, value_name = "KEY", requires = "collection")]
        key: Option<String>,
        /// The key is base64
        #[arg(long, requires = "key")]
        key_base64: bool,
        /// Only records of this subject, in all collections
        #[arg(long, value_name = "SUBJECT", conflicts_with = "collection")]
        subject: Option<String>,
    },
    /// List a tenant's holds by name
    List {
        /// The tenant
        tenant: String,
    },
    /// Release a hold: what is overdue and no other hold covers goes with the next sweep
    ///
    /// Asks first, unless --yes is given.
    Release {
        /// The tenant
        tenant: String,
        /// The hold
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Names a record.
#[derive(Args, Debug)]
pub(crate) struct RecordArgs {
    /// The tenant
    pub(crate) tenant: String,
    /// The collection; the first put makes it
    pub(crate) collection: String,
    /// The record's key, 1 to 4,096 bytes
    pub(crate) key: String,
    /// KEY is base64: for keys that are not UTF-8
    #[arg(long)]
    pub(crate) key_base64: bool,
}

/// `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the data keys of a tenant: generation, state, age, records sealed under each
    List {
        /// The tenant
        tenant: String,
    },
    /// Make a new data key, which new records are sealed under
    Rotate {
        /// The tenant
        tenant: String,
    },
    /// Have a tenant's keys wrapped anew: by the root key that wraps them, or by another one; records stay as they are
    ///
    /// Copies of the key store keep the older wrapping.
    Rewrap {
        /// The tenant
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        tenant: Option<String>,
        /// The catalog, and every tenant whose keys are wrapped by the root key named `--from`
        #[arg(long)]
        all: bool,
        /// With --all: the name of the root key that wraps them now
        #[arg(long, value_name = "NAME", default_value = "default", requires = "all")]
        from: String,
        /// The name of the root key that is to wrap them, as --key-file gives it [default: the one that does]
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        /// Make new section keys, and seal all of the tenant's keys anew under them: who has the old ones opens nothing
        #[arg(long, conflicts_with_all = ["all", "to"])]
        new_sections: bool,
    },
    /// Make a file with a new root key, mode 0600, for --key-file
    NewFile {
        /// The file; nothing is made over anything
        path: PathBuf,
    },
    /// Seal the records that are under older data keys anew, under the current one
    ///
    /// Interrupted, it goes on where it was when it is called again.
    Rekey {
        /// The tenant
        tenant: String,
        /// At most so many records a second
        #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// At most so many bytes of values a second
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
        byte_rate: Option<u64>,
        /// End after so many records
        #[arg(long, value_name = "RECORDS")]
        records: Option<u64>,
        /// End after so many bytes of values, within a value over 1 MiB too
        #[arg(long, value_name = "BYTES")]
        bytes: Option<u64>,
    },
    /// Say by when nothing is to be under a data key, or an older one, any more; the store sees to it
    ///
    /// A holder of the store does it in the background, as do `sweep` and `tick`; `key list` and `health` tell where it is
    /// overdue. Keys are not destroyed: that is `key retire`.
    Deadline {
        /// The tenant
        tenant: String,
        /// The key's generation, as `key list` gives it; not the current one
        #[arg(long, required_unless_present = "clear", requires = "by")]
        generation: Option<u32>,
        /// The time, such as 2026-06-01 or 2026-06-01T12:00:00Z
        #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "generation")]
        by: Option<std::time::SystemTime>,
        /// Take the deadline back
        #[arg(long, conflicts_with_all = ["generation", "by"])]
        clear: bool,
    },
    /// Destroy a data key that no record is under any more; exit status 14 (Conflict) where one is
    Retire {
        /// The tenant
        tenant: String,
        /// The key's generation, as `key list` gives it
        generation: u32,
    },
}

/// `put`.
#[derive(Args, Debug)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    /// The value, 0 to 1,048,576 bytes, as text [default: standard input]
    #[arg(long, value_name = "TEXT", conflicts_with = "file", allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// The value is this file's bytes [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Give the record the key TEXT in an index of its collection. May be given several times. A put gives all of a record's
    /// secondary keys: without, it has none
    #[arg(long, value_name = "NAME=TEXT", value_parser = parse_index)]
    pub(crate) index: Vec<(String, String)>,
    /// How long the record is kept, such as 7d or 12h [default: as the policy says]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Option<Duration>,
    /// Only where there is no such record; else the exit status is 14 (Conflict)
    #[arg(long, conflicts_with = "if_version")]
    pub(crate) if_absent: bool,
    /// Only where the record has this version, as `put --json` and `scan --versions` give it; else the exit status is 14
    /// (Conflict)
    #[arg(long, value_name = "T.S")]
    pub(crate) if_version: Option<Version>,
    /// The person, or whatever else, that the record is about: its value can be read only as long as the key of SUBJECT is
    /// there
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// Whether the record gets a key of its own, so that its erasure reaches every copy [default: as the policy says]
    #[arg(long, value_name = "KEY", value_enum)]
    pub(crate) erasure: Option<Erasure>,
}

/// `get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    /// Write to this file, mode 0600, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace FILE where it is there
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// `scan`.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Scan {
    /// The tenant
    pub(crate) tenant: String,
    /// The collection
    pub(crate) collection: String,
    /// Only keys that begin so
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// The prefix is base64
    #[arg(long)]
    pub(crate) prefix_base64: bool,
    /// At most N records [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// From the greatest key down
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Without values; none is decrypted
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Give each record's version too: {"key":..,"value":..,"version":"T.S"}
    #[arg(long)]
    pub(crate) versions: bool,
    /// Where there is more than was printed, end with a line {"cursor":".."}
    #[arg(long)]
    pub(crate) cursor: bool,
    /// Go on behind a cursor, which `scan --cursor` gave for the same collection and direction
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<Cursor>,
    /// What was removed and can be restored instead: {"key":..,"version":..,"value_bytes":..,"removed":..,"erased_from":..},
    /// by key and version, the last two times in UTC. None is decrypted
    #[arg(long, conflicts_with_all = ["keys_only", "versions"])]
    pub(crate) removed: bool,
}

/// `count`.
#[derive(Args, Debug)]
pub(crate) struct Count {
    /// The tenant
    pub(crate) tenant: String,
    /// The collection
    pub(crate) collection: String,
    /// Only keys that begin so
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// The prefix is base64
    #[arg(long)]
    pub(crate) prefix_base64: bool,
}

/// Names a record, or all whose keys begin alike.
#[derive(Args, Debug)]
pub(crate) struct KeyOrPrefix {
    /// The tenant
    pub(crate) tenant: String,
    /// The collection
    pub(crate) collection: String,
    /// The record's key
    #[arg(required_unless_present = "prefix", conflicts_with = "prefix")]
    pub(crate) key: Option<String>,
    /// KEY is base64: for keys that are not UTF-8
    #[arg(long, requires = "key")]
    pub(crate) key_base64: bool,
    /// All records whose keys begin so; all of the collection where P is empty
    #[arg(long, value_name = "P")]
    pub(crate) prefix: Option<String>,
    /// The prefix is base64
    #[arg(long, requires = "prefix")]
    pub(crate) prefix_base64: bool,
}

/// `remove`.
#[derive(Args, Debug)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) named: KeyOrPrefix,
    /// Only where the record has this version, as `scan --versions` gives it; else the exit status is 14 (Conflict)
    #[arg(long, value_name = "T.S", requires = "key")]
    pub(crate) if_version: Option<Version>,
}

/// `restore`.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) named: KeyOrPrefix,
    /// The one that had this version, as `scan --removed` gives it [default: the one that was removed last]
    #[arg(long, value_name = "T.S", requires = "key")]
    pub(crate) version: Option<Version>,
}

/// `erase`.
#[derive(Args, Debug)]
pub(crate) struct Erase {
    #[command(flatten)]
    pub(crate) named: KeyOrPrefix,
    /// Only where the record has this version, as `scan --versions` gives it; else the exit status is 14 (Conflict)
    #[arg(long, value_name = "T.S", requires = "key")]
    pub(crate) if_version: Option<Version>,
    /// Write a receipt into the tenant's erasure ledger, for this and all that was erased before, and print it
    #[arg(long)]
    pub(crate) receipt: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `import`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The tenant, or '-' for those that --tenant-field names; they have to be there
    pub(crate) tenant: String,
    /// The collection, or '-' for those of an export
    pub(crate) collection: String,
    /// A directory, a .jsonl, .ndjson or .csv file, an export, a database (--table), or '-' for lines on standard input
    pub(crate) path: PathBuf,
    /// The table of an SQLite database that is imported (needs a program compiled with the feature `sqlite`)
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// The file of the passphrase of a database that SQLCipher encrypted, or of its key as x'..' (feature `sqlcipher`)
    #[arg(long, value_name = "FILE", requires = "table")]
    pub(crate) table_key_file: Option<PathBuf>,
    /// The field of each row that is its key, a string or a number as it is written [default: the line's number in
    /// 12 digits, from 000000000001; of .csv and tables the row's]
    #[arg(long, value_name = "FIELD")]
    pub(crate) key_field: Option<String>,
    /// The field that is the value [default: the whole line; of .csv and tables an object of JSON with every field]
    #[arg(long, value_name = "FIELD")]
    pub(crate) value_field: Option<String>,
    /// The field of --value-field is base64 with padding
    #[arg(long, requires = "value_field")]
    pub(crate) value_base64: bool,
    /// The field that names the tenant
    #[arg(long, value_name = "FIELD")]
    pub(crate) tenant_field: Option<String>,
    /// The field that names the record's subject; a row without it has none
    #[arg(long, value_name = "FIELD")]
    pub(crate) subject_field: Option<String>,
    /// The field that says when the record expires, in milliseconds since 1970 or as 2027-01-31T00:00:00Z; a row without it
    /// is kept as the policy says
    #[arg(long, value_name = "FIELD")]
    pub(crate) expires_field: Option<String>,
    /// The field that is the record's key in an index of its collection. May be given several times
    #[arg(long, value_name = "INDEX=FIELD", value_parser = parse_index)]
    pub(crate) index: Vec<(String, String)>,
    /// Keep in FILE how far the import is; where FILE is there, go on from there. The rows before are checked to be the same; after
    /// a kill up to some thousand are put once more
    #[arg(long, value_name = "FILE")]
    pub(crate) progress: Option<PathBuf>,
    /// Print each key on a line of its own once its record is durable, in the order of the input; many are under way at a
    /// time. A key that is not plain text is printed as JSON: "text" in quotes, or {"key_base64":..}
    #[arg(long)]
    pub(crate) acks: bool,
    /// Go on after a line or file that can't be imported; the exit status is 11 all the same
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Records that are made durable all or none, 1 to 100,000; a batch of 8 MiB is full as well [default: 1000, or 1 with --acks]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=BATCH_OPERATIONS_MAX as u64))]
    pub(crate) batch: Option<u64>,
}

/// `export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The tenant
    pub(crate) tenant: String,
    /// Only this collection
    #[arg(long, value_name = "C")]
    pub(crate) collection: Option<String>,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace FILE where it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// `tour`.
#[derive(Args, Debug)]
pub(crate) struct Tour {
    /// The files to load [default: the repository around the current directory, else that directory]
    pub(crate) dir: Option<PathBuf>,
    /// Keep the temporary directory, the unsealed control copy included, and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `index`.
#[derive(Debug, Subcommand)]
pub(crate) enum Index {
    /// Declare an index: `put --index` may give records keys in it from then on
    ///
    /// Over a collection that has records already it has to be built before it can be searched.
    #[command(group = ArgGroup::new("kind").required(true).args(["unique", "ordered"]))]
    Declare {
        /// The tenant
        tenant: String,
        /// The collection; it is made if need be
        collection: String,
        /// 1 to 255 bytes of any UTF-8, without control characters and without white space at the ends
        name: String,
        /// At most one record has a key; a second put of it is refused with exit status 14 (Conflict)
        #[arg(long)]
        unique: bool,
        /// Any number of records have a key
        #[arg(long)]
        ordered: bool,
    },
    /// Give records that were there before an index their keys in it, from a field of their values
    ///
    /// Values that are not JSON objects, or have no such field of text, get none. Others may read and write meanwhile.
    Build {
        /// The tenant
        tenant: String,
        /// The collection
        collection: String,
        /// The index
        name: String,
        /// The field of each value's JSON object that is its key
        #[arg(long, value_name = "FIELD")]
        field: String,
    },
    /// List a collection's indexes by name
    List {
        /// The tenant
        tenant: String,
        /// The collection
        collection: String,
    },
    /// Drop an index; records stay as they are
    Drop {
        /// The tenant
        tenant: String,
        /// The collection
        collection: String,
        /// The index
        name: String,
    },
}

/// `quota`.
#[derive(Debug, Subcommand)]
pub(crate) enum Quota {
    /// Set how much a tenant or a collection may hold; a bound that is not given is taken away
    ///
    /// What is over it already stays, but puts that add to it are refused with exit status 17 (LimitExceeded).
    #[command(group = ArgGroup::new("bounds").required(true).multiple(true).args(["records", "bytes", "none"]))]
    Set {
        /// The tenant
        tenant: String,
        /// Of this collection alone; it is made if need be
        #[arg(long, value_name = "C")]
        collection: Option<String>,
        /// At most N records
        #[arg(long, value_name = "N")]
        records: Option<u64>,
        /// At most N bytes of keys and values
        #[arg(long, value_name = "N")]
        bytes: Option<u64>,
        /// No bound at all
        #[arg(long, conflicts_with_all = ["records", "bytes"])]
        none: bool,
    },
    /// Show a quota, and how much of it is used
    Show {
        /// The tenant
        tenant: String,
        /// Of this collection alone
        #[arg(long, value_name = "C")]
        collection: Option<String>,
    },
}

/// `find`.
#[derive(Args, Debug)]
pub(crate) struct Find {
    /// The tenant
    pub(crate) tenant: String,
    /// The collection
    pub(crate) collection: String,
    /// The index
    pub(crate) index: String,
    /// The key in the index
    #[arg(required_unless_present_any = ["from", "to", "prefix"], conflicts_with_all = ["from", "to", "prefix"])]
    pub(crate) key: Option<String>,
    /// Only keys in the index from TEXT on
    #[arg(long, value_name = "TEXT")]
    pub(crate) from: Option<String>,
    /// Only keys in the index before TEXT
    #[arg(long, value_name = "TEXT")]
    pub(crate) to: Option<String>,
    /// Only keys in the index that begin so
    #[arg(long, value_name = "P")]
    pub(crate) prefix: Option<String>,
    /// At most N records [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// From the greatest key down
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Without values; none is decrypted
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Where there is more than was printed, end with a line {"cursor":".."}
    #[arg(long)]
    pub(crate) cursor: bool,
    /// Go on behind a cursor, which `find --cursor` gave for the same index and direction
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<Cursor>,
}

/// A time as RFC 3339 has it, or a day.
fn parse_time(text: &str) -> Result<std::time::SystemTime, humantime::TimestampError> {
    let is_day = text.len() == "2026-06-01".len();
    if is_day {
        humantime::parse_rfc3339(&format!("{text}T00:00:00Z"))
    } else {
        humantime::parse_rfc3339(text)
    }
}

fn parse_index(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok((name.to_owned(), key.to_owned())),
        _ => Err("give a secondary key as NAME=TEXT".to_owned()),
    }
}

fn parse_key_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if name != "default" && !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err("give a further root key as NAME=FILE, with another name than 'default'".to_owned()),
    }
}

fn parse_region(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, directory)) if !name.is_empty() && !directory.is_empty() => {
            Ok((name.to_owned(), directory.into()))
        }
        _ => Err("give a region as NAME=DIR".to_owned()),
    }
}
