//! Data subjects: who they are, what is stored about each, and erasing one.

use std::ffi::c_char;

use strongroom::SubjectRecord;

use crate::boxed::Boxed;
use crate::call::call;
use crate::collection::{STRONGROOM_NEVER, Version};
use crate::error::{Error, Status};
use crate::handle;
use crate::library::init;
use crate::list::{List, Row};
use crate::pointer::{self, Growing};
use crate::tenant::Tenant;

/// A subject's name, borrowed from the list, UTF-8, not NUL-terminated. Set up with strongroom_subject_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SubjectInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Its name.
    pub name: *const c_char,
    /// Length of its name in bytes.
    pub name_size: usize,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for SubjectInfo {
    const LEAST: usize = 3 * size_of::<usize>();
}

impl Row for SubjectInfo {
    type Known = String;
    fn of(name: &Self::Known) -> Self {
        Self { name: name.as_ptr().cast(), name_size: name.len(), ..Self::initial() }
    }
}

/// What is known of a record of a subject. What it points at is borrowed from the list, not NUL-terminated. Set up with
/// strongroom_subject_record_info_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SubjectRecordInfo {
    /// Size of this struct in bytes.
    pub size: usize,
    /// The name of its collection, UTF-8.
    pub collection: *const c_char,
    /// Length of that name in bytes.
    pub collection_size: usize,
    /// Its key.
    pub key: *const u8,
    /// Length of its key in bytes.
    pub key_size: usize,
    /// Its version.
    pub version: Version,
    /// When it was written, in milliseconds since the epoch.
    pub written_ms: u64,
    /// When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
    pub expires_ms: u64,
    /// Length of its value in bytes.
    pub value_size: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for SubjectRecordInfo {
    const LEAST: usize = 5 * size_of::<usize>() + 40;
}

impl Row for SubjectRecordInfo {
    type Known = SubjectRecord;
    fn of(record: &Self::Known) -> Self {
        Self {
            collection: record.collection.as_ptr().cast(),
            collection_size: record.collection.len(),
            key: record.key.as_ptr(),
            key_size: record.key.len(),
            version: record.info.version.into(),
            written_ms: record.info.written_ms,
            expires_ms: record.info.expires_ms.unwrap_or(STRONGROOM_NEVER),
            value_size: record.info.value_bytes,
            ..Self::initial()
        }
    }
}

/// Sets up what a list of subjects fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_subject_info_init(info: *mut SubjectInfo, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// Sets up what a list of a subject's records fills.
///
/// @param[out] info borrowed; not initialised yet.
/// @param[in]  size sizeof *info.
/// @return InvalidArgument where info is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_subject_record_info_init(
    info: *mut SubjectRecordInfo,
    size: usize,
) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(info, size) }
}

/// One of a list of subjects.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_subject(
    list: *const List,
    index: usize,
    info: *mut SubjectInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// One of a list of a subject's records.
///
/// @param[in]     list  borrowed.
/// @param[in]     index 0 to strongroom_list_count - 1.
/// @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
/// @param[out]    error owned, or NULL: why it failed.
/// @return InvalidArgument, for a list of something else too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_list_get_subject_record(
    list: *const List,
    index: usize,
    info: *mut SubjectRecordInfo,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (list, place, error) = unsafe {
        (Boxed::of(list, "list"), pointer::growing_out(info, "info"), pointer::optional_out(error))
    };
    call(error, || list?.read(index, place?))
}

/// The subjects that records were put with and that were not erased, ordered by name; all of them are in the list.
///
/// @param[in]  tenant borrowed.
/// @param[out] list   owned: freed with strongroom_list_free.
/// @param[out] error  owned, or NULL: why it failed.
/// @return those of reading: Unauthentic, Corrupted, Suspended, Io; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_subjects(
    tenant: *const Tenant,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, place, error) =
        unsafe { (handle::held(tenant, "tenant"), pointer::out(list, "list"), pointer::optional_out(error)) };
    call(error, || {
        let (tenant, place) = (tenant?, place?);
        let names =
            tenant.run(|open| Ok(open.tenant.subjects()?.collect::<strongroom::Result<Vec<_>>>()?))?;
        place.write(List::give::<SubjectInfo>(names));
        Ok(())
    })
}

/// The records that were put with a subject, over all collections, by collection and key, without their values: all of them are
/// in the list.
///
/// @param[in]  tenant       borrowed.
/// @param[in]  subject      borrowed; UTF-8 of 1 to 255 bytes.
/// @param[in]  subject_size its length in bytes.
/// @param[out] list         owned: freed with strongroom_list_free.
/// @param[out] error        owned, or NULL: why it failed.
/// @return as strongroom_tenant_subjects.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_subject_records(
    tenant: *const Tenant,
    subject: *const c_char,
    subject_size: usize,
    list: *mut *mut List,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, subject, place, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(subject.cast(), subject_size, "subject"),
            pointer::out(list, "list"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, subject, place) = (tenant?, subject?, place?);
        let records = tenant.run(|open| {
            Ok(open.tenant.subject_records(subject)?.collect::<strongroom::Result<Vec<_>>>()?)
        })?;
        place.write(List::give::<SubjectRecordInfo>(records));
        Ok(())
    })
}

/// Erases a subject: destroys its key, and with it the values of all records that were put with it, here and in every copy of the
/// data, for all who hold no older copy of the key store; then removes these records from all collections. Durable when this
/// returns. The key is gone first, in a time that does not depend on how many records there are; what a crash leaves of them is
/// removed when the tenant is opened again.
///
/// @param[in]  tenant       borrowed.
/// @param[in]  subject      borrowed; UTF-8 of 1 to 255 bytes.
/// @param[in]  subject_size its length in bytes.
/// @param[out] existed      whether there was such a key; NULL if it is not wanted.
/// @param[out] error        owned, or NULL: why it failed.
/// @return Held where a hold covers the subject, or any record of it, or a policy still keeps one, and nothing is erased; InvalidArgument; Io of the journal, and nothing is destroyed, or of the key store, and the key is destroyed later;
///         Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_tenant_erase_subject(
    tenant: *const Tenant,
    subject: *const c_char,
    subject_size: usize,
    existed: *mut bool,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (tenant, subject, existed, error) = unsafe {
        (
            handle::held(tenant, "tenant"),
            pointer::name(subject.cast(), subject_size, "subject"),
            pointer::optional_out(existed),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (tenant, subject) = (tenant?, subject?);
        let did = tenant.run(|open| Ok(open.tenant.erase_subject(subject)?))?;
        if let Some(existed) = existed {
            existed.write(did);
        }
        Ok(())
    })
}
