//! A root key in a file of its own (FORMAT.md section 4.7).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::crypto::aead::{NONCE_BYTES, TAG_BYTES, Xaes};
use crate::crypto::{Entropy, OsEntropy, kdf};
use crate::disk::{Disk, OpenMode, RealDisk};
use crate::error::Error;
use crate::id::hex_digit;
use crate::keys::provider::{KeyProvider, ProviderError, WrapContext};

const TITLE: &[u8] = b"strongroom-root-key-1\n";
const FILE_BYTES: usize = TITLE.len() + 64 + 1;
const LABEL: &[u8] = b"strongroom/1 key file";

/// A 256-bit root key in a file that only its owner may read.
///
/// The file is made by [`Engine::create`](crate::Engine::create), with mode 0600, and read once, when the first
/// key is unwrapped. A file that everybody may read is refused, and one that its group may read unless
/// [`KeyFile::allow_group_read`] was said.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    group_read: bool,
    disk: Arc<dyn Disk>,
    cipher: Mutex<Option<Arc<Xaes>>>,
}

impl KeyFile {
    /// The key file at `path`; touches nothing.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            group_read: false,
            disk: Arc::new(RealDisk::new()),
            cipher: Mutex::new(None),
        }
    }

    /// Accepts a file that its group may read (mode 0640): for secrets that an orchestrator mounts.
    #[must_use]
    pub fn allow_group_read(mut self) -> Self {
        self.group_read = true;
        self
    }

    /// Reads the file from another disk than the operating system's.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn on_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Where the key is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn cipher(&self) -> Result<Arc<Xaes>, ProviderError> {
        let mut cached = self.cipher.lock();
        if let Some(cipher) = &*cached {
            return Ok(Arc::clone(cipher));
        }
        let root = self.read()?;
        let cipher = Arc::new(Xaes::new(&*kdf::expand(&root, LABEL, b"").map_err(internal)?));
        *cached = Some(Arc::clone(&cipher));
        Ok(cipher)
    }

    fn read(&self) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        let file =
            self.disk.open(&self.path, OpenMode::Read).map_err(|error| self.failed("opened", &error))?;
        let info = self.disk.info(&self.path).map_err(|error| self.failed("examined", &error))?;
        self.check_mode(info.mode)?;
        let mut text = Zeroizing::new([0; FILE_BYTES]);
        let length = file.len().map_err(|error| self.failed("examined", &error))?;
        if length != FILE_BYTES as u64 {
            return Err(self.not_a_key_file());
        }
        file.read_exact_at(&mut *text, 0).map_err(|error| self.failed("read", &error))?;
        let digits = text.strip_prefix(TITLE).and_then(|rest| rest.strip_suffix(b"\n"));
        let mut root = Zeroizing::new([0; 32]);
        for (byte, pair) in root.iter_mut().zip(digits.ok_or_else(|| self.not_a_key_file())?.chunks_exact(2))
        {
            let (Some(high), Some(low)) = (hex_digit(pair[0]), hex_digit(pair[1])) else {
                return Err(self.not_a_key_file());
            };
            *byte = high << 4 | low;
        }
        Ok(root)
    }

    fn check_mode(&self, mode: Option<u32>) -> Result<(), ProviderError> {
        let Some(mode) = mode else { return Ok(()) };
        let allowed = if self.group_read { 0o740 } else { 0o700 };
        if mode & 0o777 & !allowed == 0 {
            return Ok(());
        }
        let advice = if mode.trailing_zeros() >= 3 && !self.group_read {
            "chmod 0600 it, or allow its group to read"
        } else {
            "chmod 0600 it"
        };
        Err(ProviderError::denied(format!(
            "the key file {} has mode {:04o}, so others than its owner have access: {advice}",
            self.path.display(),
            mode & 0o7777
        )))
    }

    fn failed(&self, what: &str, error: &io::Error) -> ProviderError {
        ProviderError::denied(format!("the key file {} can't be {what}: {error}", self.path.display()))
    }

    fn not_a_key_file(&self) -> ProviderError {
        ProviderError::denied(format!("{} is not a key file, or is damaged", self.path.display()))
    }
}

impl KeyProvider for KeyFile {
    fn create(&self) -> Result<(), ProviderError> {
        let mut text = Zeroizing::new(TITLE.to_vec());
        let mut root = Zeroizing::new([0; 32]);
        OsEntropy.fill(&mut *root).map_err(internal)?;
        text.reserve_exact(FILE_BYTES);
        for byte in root.iter() {
            text.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
        text.push(b'\n');
        let written = (|| {
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Some(parent) = parent {
                self.disk.create_dir_all(parent)?;
            }
            let file = self.disk.open(&self.path, OpenMode::CreateNew)?;
            file.write_all_at(&text, 0)?;
            file.sync_data()?;
            self.disk.sync_dir(parent.unwrap_or(Path::new(".")))
        })();
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ProviderError::already_exists(format!(
                "the key file {} is there already",
                self.path.display()
            )),
            _ => self.failed("created", &error),
        })
    }

    fn location(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>, ProviderError> {
        seal_key(&*self.cipher()?, key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        if wrapped.len() != WRAPPED_BYTES {
            return Err(ProviderError::denied("this key was not wrapped with a key file, or is damaged"));
        }
        open_key(&*self.cipher()?, wrapped, context)
            .ok_or_else(|| ProviderError::denied("the key file is not the one this key was wrapped with"))
    }
}

/// Takes anything for a key file, for fuzzing: one that is read is the text of its key.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_key_file(data: &[u8]) {
    let (disk, path) = (crate::disk::SimDisk::new(), Path::new("/root-key"));
    if disk.write_file(path, data).is_ok()
        && let Ok(root) = KeyFile::at(path).on_disk(Arc::new(disk)).read()
    {
        let digits = root.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = digits.map(|digit| b"0123456789abcdef"[usize::from(digit)]).collect::<Vec<_>>();
        assert_eq!(data, [TITLE, &digits, b"\n"].concat());
    }
}

/// What [`seal_key`] makes of a key of 32 bytes.
pub(super) const WRAPPED_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;

/// `nonce || XAES(cipher, nonce, context, key)`.
pub(super) fn seal_key(
    cipher: &Xaes,
    key: &[u8; 32],
    context: &WrapContext,
) -> Result<Vec<u8>, ProviderError> {
    let mut text = *key;
    let (nonce, tag) = cipher.seal(&OsEntropy, &context.to_bytes(), &mut text).map_err(internal)?;
    Ok([&nonce[..], &text[..], &tag[..]].concat())
}

/// Opens what [`seal_key`] gave.
pub(super) fn open_key(cipher: &Xaes, wrapped: &[u8], context: &WrapContext) -> Option<Zeroizing<[u8; 32]>> {
    let (nonce, rest) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
    let (text, rest) = rest.split_first_chunk::<32>()?;
    let tag: &[u8; TAG_BYTES] = rest.try_into().ok()?;
    let mut key = Zeroizing::new(*text);
    cipher.open(nonce, &context.to_bytes(), &mut *key, tag).ok()?;
    Some(key)
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function of errors")]
pub(super) fn internal(error: Error) -> ProviderError {
    ProviderError::retryable(error.to_string())
}
