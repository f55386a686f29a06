//! Settings in a file: TOML, each with its unit; and the text of those that are in force.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use toml::{Table, Value};

use crate::disk::OpenMode;
use crate::engine::config::{Config, Freshness, RegionPaths};
use crate::error::{Error, Result, fail};
use crate::tenant::Durability;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How a setting is read from a configuration, and put into one.
enum Kind {
    /// Bytes: a number, or text like `"48 MiB"`.
    Bytes(fn(&Config) -> u64, fn(Config, u64) -> Config),
    /// A time, as text like `"10ms"` or `"5m"`.
    Time(fn(&Config) -> Duration, fn(Config, Duration) -> Config),
    /// A number.
    Count(fn(&Config) -> u64, fn(Config, u64) -> Config),
    /// `true` or `false`.
    Switch(fn(&Config) -> bool, fn(Config, bool) -> Config),
    /// One of some words: which of them.
    Word(&'static [&'static str], fn(&Config) -> usize, fn(Config, usize) -> Config),
}

struct Setting {
    name: &'static str,
    /// What it is, and its bounds.
    help: &'static str,
    kind: Kind,
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "freshness",
        help: "against old versions of single blocks: standard (verify finds them) or full (refused when they are read)",
        kind: Kind::Word(
            &["standard", "full"],
            |config| usize::from(config.freshness == Freshness::Full),
            |config, word| config.freshness(if word == 1 { Freshness::Full } else { Freshness::Standard }),
        ),
    },
    Setting {
        name: "durability",
        help: "what a write waits for: durable (the disk) or buffered (the operating system)",
        kind: Kind::Word(
            &["durable", "buffered"],
            |config| usize::from(config.durability == Durability::Buffered),
            |config, word| {
                config.durability(if word == 1 { Durability::Buffered } else { Durability::Durable })
            },
        ),
    },
    Setting {
        name: "buffered_within",
        help: "time within which buffered writes are synced; 1ms to 60s",
        kind: Kind::Time(|config| config.buffered_within, Config::buffered_within),
    },
    Setting {
        name: "cache",
        help: "memory for the pages of each open tenant; at least 256 KiB",
        kind: Kind::Bytes(
            |config| config.cache_bytes as u64,
            |config, bytes| config.cache_bytes(size(bytes)),
        ),
    },
    Setting {
        name: "total_cache",
        help: "memory for the pages of all open tenants",
        kind: Kind::Bytes(|config| config.total_cache_bytes, Config::total_cache_bytes),
    },
    Setting {
        name: "open_tenants",
        help: "number of tenants that stay open though nobody holds them",
        kind: Kind::Count(
            |config| config.open_tenants as u64,
            |config, count| config.open_tenants(size(count)),
        ),
    },
    Setting {
        name: "memtable",
        help: "what a tenant holds in memory before it goes into its file; at least 64 KiB",
        kind: Kind::Bytes(
            |config| config.memtable_bytes as u64,
            |config, bytes| config.memtable_bytes(size(bytes)),
        ),
    },
    Setting {
        name: "memory",
        help: "what all tenants together hold so; at least 64 KiB",
        kind: Kind::Bytes(
            |config| config.memory_bytes as u64,
            |config, bytes| config.memory_bytes(size(bytes)),
        ),
    },
    Setting {
        name: "segment",
        help: "length of a journal's segment; 64 KiB to 1 GiB",
        kind: Kind::Bytes(|config| config.segment_bytes, Config::segment_bytes),
    },
    Setting {
        name: "journal",
        help: "length of a journal beyond which its oldest segments are emptied; at least two segments",
        kind: Kind::Bytes(|config| config.journal_bytes, Config::journal_bytes),
    },
    Setting {
        name: "checkpoint_age",
        help: "how long changes of 64 KiB or more wait for a checkpoint at most",
        kind: Kind::Time(|config| config.checkpoint_age, Config::checkpoint_age),
    },
    Setting {
        name: "close_budget",
        help: "how long closing goes on making checkpoints",
        kind: Kind::Time(|config| config.close_budget, Config::close_budget),
    },
    Setting {
        name: "sweep_interval",
        help: "how often records that have expired are removed from the files; at least 1s",
        kind: Kind::Time(|config| config.sweep_interval, Config::sweep_interval),
    },
    Setting {
        name: "erasure_period",
        help: "periods of which each has a key for what expires in it, destroyed when it is over; at least 1s",
        kind: Kind::Time(|config| config.erasure_period, Config::erasure_period),
    },
    Setting {
        name: "clock_step",
        help: "how far the clock may jump before nothing is destroyed any more; at least 1s",
        kind: Kind::Time(|config| config.clock_step, Config::clock_step),
    },
    Setting {
        name: "scrub_within",
        help: "time within which the sealed bytes of what was erased leave every file; at least four sweep intervals",
        kind: Kind::Time(|config| config.scrub_within, Config::scrub_within),
    },
    Setting {
        name: "key_copies_kept",
        help: "how long copies of the key store are kept, for the horizon of what was erased; 0s where none are made",
        kind: Kind::Time(|config| config.key_copies_kept, Config::key_copies_kept),
    },
    Setting {
        name: "key_timeout",
        help: "how long a call of a key provider is waited for; 10ms to 10m",
        kind: Kind::Time(|config| config.providers.timeout, Config::key_timeout),
    },
    Setting {
        name: "keys_good_for",
        help: "how long keys that a provider gave are good before it was asked again; 1s to 30 days",
        kind: Kind::Time(|config| config.keys_good_for, Config::keys_good_for),
    },
    Setting {
        name: "keys_grace",
        help: "how much longer they are good while the provider can't be reached; at most 3650 days",
        kind: Kind::Time(|config| config.keys_grace, Config::keys_grace),
    },
    Setting {
        name: "rotate_after",
        help: "age of a data key at which a tenant that puts records gets a new one; 1h to 3650 days",
        kind: Kind::Time(|config| config.rotate_after, Config::rotate_after),
    },
    Setting {
        name: "rotate_after_records",
        help: "records sealed under a data key after which a tenant gets a new one; 1,000 to 2^40",
        kind: Kind::Count(|config| config.rotate_after_records, Config::rotate_after_records),
    },
    Setting {
        name: "background",
        help: "whether a thread of the store's does what is due; true or false",
        kind: Kind::Switch(|config| config.background, Config::background),
    },
];

impl Config {
    /// Takes settings from a file: TOML with the settings that [`Config::to_toml`] prints, any of them. Bytes are numbers or
    /// text like `"48 MiB"`, times are text like `"10ms"` or `"5m"`. What the file does not set stays as it is. Key providers
    /// and the store's directory are not in it: they are the caller's.
    ///
    /// ```toml
    /// durability = "buffered"
    /// cache = "16 MiB"
    /// [region.eu]
    /// root = "/srv/eu/data"
    /// keys = "/srv/eu/keys"
    /// ```
    ///
    /// # Errors
    /// `Unavailable` where there is no such file, `Io` where it can't be read; `InvalidArgument` where it is no TOML, longer than 1 MiB, or has a setting that does not
    /// exist or a value that is none. Bounds are checked when the store is opened.
    pub fn read(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |error| Error::io(format!("reading {}", path.display()), error);
        let file = self.disk.open(path, OpenMode::Read).map_err(failed)?;
        let length = file.len().map_err(failed)?;
        if length > FILE_BYTES_MAX {
            return Err(fail!(
                InvalidArgument,
                "{} has {length} bytes: a configuration has a few",
                path.display()
            ));
        }
        let mut bytes = vec![0; size(length)];
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| fail!(InvalidArgument, "{} is not UTF-8", path.display()))?;
        self.with_toml(&text).map_err(|error| error.within(path.display()))
    }

    fn with_toml(mut self, text: &str) -> Result<Self> {
        let table: Table =
            text.parse().map_err(|error| fail!(InvalidArgument, "it is no TOML: {}", first_line(&error)))?;
        for (name, value) in &table {
            self = match name.as_str() {
                "keys" => self.keys(path(name, value)?),
                "region" => self.with_regions(value)?,
                _ => self.with(name, value)?,
            };
        }
        Ok(self)
    }

    fn with(self, name: &str, value: &Value) -> Result<Self> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
            return Err(fail!(
                InvalidArgument,
                "there is no setting '{name}': there are keys, region, {}",
                names.join(", ")
            ));
        };
        let wrong =
            |what: &str| fail!(InvalidArgument, "the setting '{name}' wants {what}: {}", setting.help);
        let number = || value.as_integer().and_then(|number| u64::try_from(number).ok());
        Ok(match &setting.kind {
            Kind::Bytes(_, set) => {
                let text = || value.as_str()?.parse::<ByteSize>().ok();
                let bytes = number().or_else(|| text().map(|size| size.as_u64()));
                set(self, bytes.ok_or_else(|| wrong("bytes, like \"48 MiB\""))?)
            }
            Kind::Time(_, set) => {
                let time = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
                set(self, time.ok_or_else(|| wrong("a time, like \"10ms\" or \"5m\""))?)
            }
            Kind::Count(_, set) => set(self, number().ok_or_else(|| wrong("a number"))?),
            Kind::Switch(_, set) => set(self, value.as_bool().ok_or_else(|| wrong("true or false"))?),
            Kind::Word(words, _, set) => {
                let word = value.as_str().and_then(|text| words.iter().position(|word| *word == text));
                set(self, word.ok_or_else(|| wrong(&format!("one of {}", words.join(", "))))?)
            }
        })
    }

    fn with_regions(mut self, regions: &Value) -> Result<Self> {
        let wanted =
            || fail!(InvalidArgument, "a region stands in a table: [region.NAME], root = \"DIRECTORY\"");
        for (name, region) in regions.as_table().ok_or_else(wanted)? {
            let region = region.as_table().ok_or_else(wanted)?;
            if let Some(unknown) = region.keys().find(|key| !["root", "keys"].contains(&key.as_str())) {
                return Err(fail!(
                    InvalidArgument,
                    "the region '{name}' has a setting '{unknown}': there are root and keys"
                ));
            }
            let mut paths = RegionPaths::new(path("root", region.get("root").ok_or_else(wanted)?)?);
            if let Some(keys) = region.get("keys") {
                paths = paths.keys(path("keys", keys)?);
            }
            self = self.region(name, paths);
        }
        Ok(self)
    }

    /// The settings that are in force, as a file that [`Config::read`] takes, each with what it is, its bounds and its
    /// default. It holds no key and no secret.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let defaults = Self::new(&self.store.root);
        let mut text = String::from("# Where the keys of the default region are.\n");
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(format!("keys = {}", quoted(&self.store.keys)));
        for Setting { name, help, kind } in SETTINGS {
            let (default, value) = (kind.show(&defaults), kind.show(self));
            line(format!("\n# {help}; default {}\n{name} = {value}", default.trim_matches('"')));
        }
        for (name, paths) in &self.regions {
            let (root, keys) = (quoted(&paths.root), quoted(&paths.keys));
            line(format!("\n[region.{name}]\nroot = {root}\nkeys = {keys}"));
        }
        text
    }
}

impl Kind {
    /// The value, as it stands in a file.
    fn show(&self, config: &Config) -> String {
        match self {
            Self::Bytes(get, _) => Value::from(bytes(get(config))).to_string(),
            Self::Time(get, _) => {
                Value::from(humantime::format_duration(get(config)).to_string()).to_string()
            }
            Self::Count(get, _) => get(config).to_string(),
            Self::Switch(get, _) => get(config).to_string(),
            Self::Word(words, get, _) => {
                Value::from(words.get(get(config)).copied().unwrap_or_default()).to_string()
            }
        }
    }
}

/// Bytes in the greatest unit in which they are whole.
fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    let mut text = String::new();
    let written = match whole {
        Some((shift, unit)) => write!(text, "{} {unit}", bytes >> shift),
        None => write!(text, "{bytes} B"),
    };
    debug_assert!(written.is_ok(), "a string takes everything");
    text
}

fn quoted(path: &Path) -> String {
    Value::from(path.to_string_lossy().into_owned()).to_string()
}

fn path(name: &str, value: &Value) -> Result<PathBuf> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(PathBuf::from)
        .ok_or_else(|| fail!(InvalidArgument, "the setting '{name}' wants a directory, as text"))
}

/// Of a parser's message the part without the file's own text.
fn first_line(error: &toml::de::Error) -> String {
    error.message().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn read(text: &str) -> Result<Config> {
        Config::new("store").with_toml(text)
    }

    #[test]
    fn what_is_printed_is_read_back_and_prints_the_same() {
        let config = Config::new("store")
            .keys("elsewhere \"quoted\"")
            .freshness(Freshness::Full)
            .durability(Durability::Buffered)
            .buffered_within(Duration::from_micros(2_500))
            .cache_bytes(300_001)
            .total_cache_bytes(3 << 30)
            .open_tenants(7)
            .memtable_bytes(65 << 10)
            .memory_bytes(1 << 20)
            .segment_bytes(100_000)
            .journal_bytes(1 << 40)
            .checkpoint_age(Duration::from_mins(90))
            .close_budget(Duration::ZERO)
            .sweep_interval(Duration::from_mins(7))
            .erasure_period(Duration::from_mins(11))
            .clock_step(Duration::from_hours(3))
            .scrub_within(Duration::from_hours(40))
            .key_copies_kept(Duration::from_hours(50))
            .key_timeout(Duration::from_millis(900))
            .keys_good_for(Duration::from_mins(2))
            .keys_grace(Duration::from_hours(3))
            .rotate_after(Duration::from_hours(30))
            .rotate_after_records(5_000)
            .background(false)
            .region("eu", RegionPaths::new("/eu").keys("/eu-keys"));
        let printed = config.to_toml();
        let again = read(&printed).expect("is read").to_toml();
        assert_eq!(again, printed);
        let (_, defaults) = (printed, Config::new("store").to_toml());
        for setting in SETTINGS {
            let set =
                |text: &str| text.lines().find(|line| line.starts_with(setting.name)).map(str::to_owned);
            assert_ne!(set(&again), set(&defaults), "{} is not told apart", setting.name);
            assert_eq!(set(&read("").expect("is read").to_toml()), set(&defaults));
        }
    }

    #[test]
    fn each_setting_in_its_units_and_nothing_else() {
        for (text, bytes) in [("1 MiB", 1 << 20), ("1MiB", 1 << 20), ("2 MB", 2_000_000), ("700000", 700_000)]
        {
            assert_eq!(read(&format!("cache = \"{text}\"")).expect("is read").cache_bytes, bytes, "{text}");
        }
        assert_eq!(read("cache = 700000").expect("is read").cache_bytes, 700_000);
        let wrong = [
            "cache",
            "cache = -1",
            "cache = \"much\"",
            "cache = true",
            "cash = 1",
            "checkpoint_age = 5",
            "checkpoint_age = \"soon\"",
            "background = \"yes\"",
            "freshness = \"fresh\"",
            "open_tenants = \"many\"",
            "keys = 1",
            "keys = \"\"",
            "region = 1",
            "[region.eu]",
            "[region.eu]\nroot = 1",
            "[region.eu]\nroot = \"a\"\nroute = \"b\"",
        ];
        for text in wrong {
            let error = read(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}: {error}");
        }
    }
}
