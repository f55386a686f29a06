// Strongroom for C++17: RAII over the C API, exceptions with kinds, ranges for scans, views without copies.
//
// Objects are moved, not copied; each may be used from any thread, as far as its C type may. Keys, values and names are
// std::string_view, which may hold any bytes. A view that an object gives is good until the object is changed or gone.
#ifndef STRONGROOM_HPP
#define STRONGROOM_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <ios>
#include <istream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "strongroom.h"

namespace strongroom {

using milliseconds = std::chrono::milliseconds;

// What a caller does next.
enum class Kind : std::int32_t {
    invalid_argument = STRONGROOM_STATUS_INVALID_ARGUMENT,
    not_found = STRONGROOM_STATUS_NOT_FOUND,
    already_exists = STRONGROOM_STATUS_ALREADY_EXISTS,
    conflict = STRONGROOM_STATUS_CONFLICT,
    busy = STRONGROOM_STATUS_BUSY,
    held = STRONGROOM_STATUS_HELD,
    limit_exceeded = STRONGROOM_STATUS_LIMIT_EXCEEDED,
    key_unavailable = STRONGROOM_STATUS_KEY_UNAVAILABLE,
    key_missing = STRONGROOM_STATUS_KEY_MISSING,
    unavailable = STRONGROOM_STATUS_UNAVAILABLE,
    suspended = STRONGROOM_STATUS_SUSPENDED,
    unauthentic = STRONGROOM_STATUS_UNAUTHENTIC,
    corrupted = STRONGROOM_STATUS_CORRUPTED,
    rolled_back = STRONGROOM_STATUS_ROLLED_BACK,
    unsupported_format = STRONGROOM_STATUS_UNSUPPORTED_FORMAT,
    snapshot_expired = STRONGROOM_STATUS_SNAPSHOT_EXPIRED,
    clock_jump = STRONGROOM_STATUS_CLOCK_JUMP,
    cancelled = STRONGROOM_STATUS_CANCELLED,
    forked = STRONGROOM_STATUS_FORKED,
    io = STRONGROOM_STATUS_IO,
    poisoned = STRONGROOM_STATUS_POISONED,
    internal = STRONGROOM_STATUS_INTERNAL,
};

// A call failed. what() is a sentence that says what to do.
class Error : public std::runtime_error {
public:
    // Takes an error of the C API and frees it.
    explicit Error(strongroom_error *error)
        : std::runtime_error(strongroom_error_message(error)), kind_(static_cast<Kind>(strongroom_error_status(error))),
          retryable_(strongroom_error_is_retryable(error)), os_code_(strongroom_error_os_code(error)) {
        strongroom_error_free(error);
    }

    Kind kind() const noexcept { return kind_; }
    // As the documents write it: "KeyMissing".
    const char *name() const noexcept { return strongroom_status_name(static_cast<std::int32_t>(kind_)); }
    // Whether the same call may succeed later without a person mending anything.
    bool retryable() const noexcept { return retryable_; }
    // errno, or 0.
    int os_code() const noexcept { return os_code_; }

private:
    Kind kind_;
    bool retryable_;
    int os_code_;
};

// When a record was written, in the order of its tenant's batches; greater is later.
struct Version {
    std::uint32_t timeline = 0;
    std::uint64_t sequence = 0;

    friend bool operator==(Version a, Version b) { return a.key() == b.key(); }
    friend bool operator!=(Version a, Version b) { return a.key() != b.key(); }
    friend bool operator<(Version a, Version b) { return a.key() < b.key(); }

private:
    std::tuple<std::uint32_t, std::uint64_t> key() const { return {timeline, sequence}; }
};

namespace detail {

// Makes a call, whose last argument is a place for its error.
template <typename Function, typename... Arguments> void call(Function function, Arguments... arguments) {
    strongroom_error *error = nullptr;
    if (function(arguments..., &error) != STRONGROOM_STATUS_OK) {
        throw Error(error);
    }
}

template <auto Free> struct Freer {
    template <typename T> void operator()(T *pointer) const noexcept { Free(pointer); }
};

template <typename T, auto Free> using Owned = std::unique_ptr<T, Freer<Free>>;

// An empty view may have no data; to the C API that would be none at all. One that has none and is not empty stays that.
inline const char *text(std::string_view view) noexcept { return view.empty() ? "" : view.data(); }

inline const std::uint8_t *bytes(std::string_view view) noexcept {
    return reinterpret_cast<const std::uint8_t *>(text(view));
}

template <typename T, typename Init> T initial(Init init) {
    T options;
    if (init(&options, sizeof options) != STRONGROOM_STATUS_OK) {
        throw std::logic_error("strongroom: the library is another one than the header's");
    }
    return options;
}

inline Version version_of(const strongroom_version &version) { return {version.timeline, version.sequence}; }

inline strongroom_version c_version(Version version) { return {version.sequence, version.timeline, 0}; }

inline std::string hex(const std::array<std::uint8_t, 16> &id) {
    std::string digits;
    for (std::uint8_t byte : id) {
        digits += "0123456789abcdef"[byte >> 4];
        digits += "0123456789abcdef"[byte & 15];
    }
    return digits;
}

// A callback of the application's for the time of one call: what it throws is thrown on by the call.
template <typename... Arguments> struct Guarded {
    std::function<void(Arguments...)> function;
    std::exception_ptr thrown;

    static void call(void *context, Arguments... arguments) noexcept {
        auto *self = static_cast<Guarded *>(context);
        if (self->thrown || !self->function) {
            return;
        }
        try {
            self->function(arguments...);
        } catch (...) {
            self->thrown = std::current_exception();
        }
    }

    void check() const {
        if (thrown) {
            std::rethrow_exception(thrown);
        }
    }
};

} // namespace detail

enum class Durability : std::uint32_t {
    standard = STRONGROOM_DURABILITY_DEFAULT,
    durable = STRONGROOM_DURABILITY_DURABLE,
    buffered = STRONGROOM_DURABILITY_BUFFERED,
};

// Whether a record has a key of its own, so that its erasure reaches every copy of the data.
enum class Erasure : std::uint32_t {
    standard = STRONGROOM_ERASURE_DEFAULT,
    shared = STRONGROOM_ERASURE_SHARED,
    record = STRONGROOM_ERASURE_RECORD,
};

// A value, decrypted; wiped when it goes.
class Value {
public:
    explicit Value(strongroom_buffer *buffer) : buffer_(buffer) {}

    std::string_view view() const noexcept {
        return {reinterpret_cast<const char *>(strongroom_buffer_data(buffer_.get())),
                strongroom_buffer_size(buffer_.get())};
    }
    operator std::string_view() const noexcept { return view(); }
    std::size_t size() const noexcept { return strongroom_buffer_size(buffer_.get()); }

private:
    detail::Owned<strongroom_buffer, strongroom_buffer_free> buffer_;
};

// What a put says besides key and value. Its views are needed for the time of the call only.
struct PutOptions {
    bool if_absent = false;
    std::optional<Version> if_version;
    Durability durability = Durability::standard;
    std::uint64_t written_ms = 0;
    milliseconds ttl{0};
    std::uint64_t expires_ms = 0;
    std::string_view subject;
    // Names of indexes and the record's keys in them.
    std::vector<std::pair<std::string_view, std::string_view>> index;
    // Whatever the policy says.
    Erasure erasure = Erasure::standard;
};

namespace detail {

struct CPutOptions {
    strongroom_put_options options = initial<strongroom_put_options>(strongroom_put_options_init);
    std::vector<strongroom_index_key> keys;

    explicit CPutOptions(const PutOptions &from) {
        options.durability = static_cast<std::uint32_t>(from.durability);
        options.erasure = static_cast<std::uint32_t>(from.erasure);
        options.written_ms = from.written_ms;
        options.ttl_ms = static_cast<std::uint64_t>(from.ttl.count());
        options.expires_ms = from.expires_ms;
        if (from.if_version) {
            options.condition = STRONGROOM_CONDITION_VERSION;
            options.version = c_version(*from.if_version);
        }
        if (from.if_absent) {
            options.condition = STRONGROOM_CONDITION_ABSENT;
        }
        if (!from.subject.empty()) {
            options.subject = from.subject.data();
            options.subject_size = from.subject.size();
        }
        for (const auto &[name, key] : from.index) {
            keys.push_back({text(name), name.size(), bytes(key), key.size()});
        }
        options.index_keys = keys.data();
        options.index_key_count = keys.size();
    }
};

} // namespace detail

struct RecordInfo {
    Version version;
    std::uint64_t written_ms;
    std::optional<std::uint64_t> expires_ms;
    std::uint64_t value_size;
};

// A record of a scan; its views are good until the scan goes on to its next page.
struct Record {
    std::string_view key;
    // None where the scan is for keys only.
    std::optional<std::string_view> value;
    Version version;
    std::uint64_t written_ms;
    std::optional<std::uint64_t> expires_ms;
    std::size_t value_size;
};

struct ScanOptions {
    std::optional<std::string_view> from, to, prefix;
    bool from_excluded = false, to_included = false, reverse = false, keys_only = false;
    // 0: all.
    std::uint64_t limit = 0;
    // A cursor, behind which the scan goes on; empty: from the beginning.
    std::string_view after;
    // Values of so many records are opened before they are asked for, in a thread of the scan's own.
    std::uint64_t open_ahead = 0;
};

namespace detail {

inline strongroom_scan_options c_scan_options(const ScanOptions &from) {
    auto options = initial<strongroom_scan_options>(strongroom_scan_options_init);
    const auto put = [](const std::optional<std::string_view> &key, const std::uint8_t *&data, std::size_t &size) {
        if (key) {
            data = bytes(*key);
            size = key->size();
        }
    };
    put(from.from, options.from, options.from_size);
    put(from.to, options.to, options.to_size);
    put(from.prefix, options.prefix, options.prefix_size);
    if (!from.after.empty()) {
        options.after = bytes(from.after);
        options.after_size = from.after.size();
    }
    options.from_excluded = from.from_excluded;
    options.to_included = from.to_included;
    options.reverse = from.reverse;
    options.keys_only = from.keys_only;
    options.limit = from.limit;
    options.open_ahead = from.open_ahead;
    return options;
}

inline std::optional<std::uint64_t> time_of(std::uint64_t milliseconds) {
    return milliseconds == STRONGROOM_NEVER ? std::nullopt : std::optional(milliseconds);
}

inline Record record_of(const strongroom_entry &entry) {
    const auto view = [](const std::uint8_t *data, std::size_t size) {
        return std::string_view(reinterpret_cast<const char *>(data), size);
    };
    return {view(entry.key, entry.key_size),
            entry.value == nullptr ? std::nullopt : std::optional(view(entry.value, entry.value_size)),
            version_of(entry.version),
            entry.written_ms,
            time_of(entry.expires_ms),
            entry.value_size};
}

} // namespace detail

// Records in order, as they were when the scan began: a range that can be gone through once.
class Scan {
public:
    explicit Scan(strongroom_scan *scan) : scan_(scan) {}

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Record;
        using difference_type = std::ptrdiff_t;
        using pointer = const Record *;
        using reference = const Record &;

        iterator() = default;
        explicit iterator(Scan *scan) : scan_(scan) { ++*this; }

        reference operator*() const { return *scan_->record_; }
        pointer operator->() const { return &*scan_->record_; }
        iterator &operator++() {
            if (!scan_->next()) {
                scan_ = nullptr;
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator &a, const iterator &b) { return a.scan_ == b.scan_; }
        friend bool operator!=(const iterator &a, const iterator &b) { return a.scan_ != b.scan_; }

    private:
        Scan *scan_ = nullptr;
    };

    iterator begin() { return iterator(this); }
    iterator end() { return {}; }

    // Where another scan goes on behind what this one gave; none where nothing comes behind it.
    std::optional<Value> cursor() {
        strongroom_buffer *cursor = nullptr;
        detail::call(strongroom_scan_cursor, scan_.get(), &cursor);
        return cursor == nullptr ? std::nullopt : std::optional<Value>(std::in_place, cursor);
    }

private:
    bool next() {
        if (index_ == strongroom_page_count(page_.get())) {
            strongroom_page *page = nullptr;
            page_.reset();
            detail::call(strongroom_scan_next, scan_.get(), std::size_t{0}, std::size_t{0}, &page);
            page_.reset(page);
            index_ = 0;
            if (page == nullptr) {
                record_.reset();
                return false;
            }
        }
        record_ = detail::record_of(strongroom_page_entries(page_.get())[index_++]);
        return true;
    }

    detail::Owned<strongroom_scan, strongroom_scan_free> scan_;
    detail::Owned<strongroom_page, strongroom_page_free> page_;
    std::size_t index_ = 0;
    std::optional<Record> record_;
};

// What becomes of a record that another is put over: erased, or removed, to be restored once its key is free.
enum class Overwrite : std::uint32_t {
    standard = STRONGROOM_OVERWRITE_DEFAULT,
    erase = STRONGROOM_OVERWRITE_ERASE,
    keep = STRONGROOM_OVERWRITE_KEEP,
};

// How long records are kept; zero is not limited.
struct Policy {
    milliseconds retention{0}, maximum{0};
    // How long what was removed can be restored; zero is 30 days, or as the tenant's says.
    milliseconds removal_window{0};
    // Before, a record can be neither erased, removed nor put over.
    milliseconds minimum{0};
    // As it was promised of what is removed; what does not leave the time for that is refused.
    milliseconds erased_within{0};
    Overwrite overwrite = Overwrite::standard;
    // Whether nothing exports the records; none is as the tenant's says.
    std::optional<bool> secret{};
    // Of records that are put from then on.
    Erasure erasure = Erasure::standard;
    // Whether whatever is put is refused, but into a session; none is as the tenant's says.
    std::optional<bool> zero_retention{};
};

// What was erased of a range, and how many records stay, because a hold covers them or the policy's minimum keeps them.
struct EraseReport {
    std::uint64_t records, held;
};

// How many records that had expired were removed, and how many stay, because a hold covers them.
struct SweepReport {
    std::uint64_t records, held;
};

// What a hold covers: what is there when it is placed, and what is put later.
class Selector {
public:
    static Selector tenant() { return Selector(STRONGROOM_HOLD_TENANT, {}, {}); }
    static Selector collection(std::string_view name) { return Selector(STRONGROOM_HOLD_COLLECTION, name, {}); }
    static Selector prefix(std::string_view collection, std::string_view prefix) {
        return Selector(STRONGROOM_HOLD_PREFIX, collection, prefix);
    }
    static Selector record(std::string_view collection, std::string_view key) {
        return Selector(STRONGROOM_HOLD_RECORD, collection, key);
    }
    static Selector subject(std::string_view subject) { return Selector(STRONGROOM_HOLD_SUBJECT, subject, {}); }
    explicit Selector(const strongroom_hold_info &row)
        : Selector(row.kind, {row.of, row.of_size}, {reinterpret_cast<const char *>(row.key), row.key_size}) {}

    // A STRONGROOM_HOLD.
    std::uint32_t kind() const noexcept { return kind_; }
    // The collection's name, or the subject.
    const std::string &of() const noexcept { return of_; }
    // The record's key, or how keys begin.
    const std::string &key() const noexcept { return key_; }

    strongroom_selector get_c() const;

    friend bool operator==(const Selector &a, const Selector &b) {
        return a.kind_ == b.kind_ && a.of_ == b.of_ && a.key_ == b.key_;
    }

private:
    Selector(std::uint32_t kind, std::string_view of, std::string_view key) : kind_(kind), of_(of), key_(key) {}

    std::uint32_t kind_;
    std::string of_, key_;
};

struct Hold {
    std::string name;
    Selector selector;
    std::uint64_t placed_ms;
};

// Sizes in bytes, and counts.
struct TenantStats {
    std::uint64_t records, collections, file_bytes, journal_bytes, key_store_bytes;
    Version version;
};

// A record that was put with a subject.
struct SubjectRecord {
    std::string collection, key;
    RecordInfo info;
};

// An entry of a tenant's erasure ledger.
struct LedgerEntry {
    enum class Event : std::uint32_t {
        unknown = 0,
        structure_key = STRONGROOM_LEDGER_STRUCTURE_KEY,
        data_key = STRONGROOM_LEDGER_DATA_KEY,
        period_key = STRONGROOM_LEDGER_PERIOD_KEY,
        subject_key = STRONGROOM_LEDGER_SUBJECT_KEY,
        tenant = STRONGROOM_LEDGER_TENANT,
        receipt = STRONGROOM_LEDGER_RECEIPT,
        scrubbed = STRONGROOM_LEDGER_SCRUBBED,
    };
    std::uint64_t number, at_ms;
    Event event;
    // Of the key that was destroyed.
    std::uint64_t slot;
    // Of a receipt and a scrub: the last change that is covered.
    Version through;
    std::array<std::uint8_t, 24> mac;
};

// A receipt for what was erased; of a time that has come only once the sealed bytes are in no file.
struct Receipt {
    std::uint64_t number, erased_ms;
    Version through;
    std::uint64_t deadline_ms;
    std::optional<std::uint64_t> scrubbed_ms;
};

// By when what is erased now can't be read any more in copies of the data, and in copies of the data with the key store.
struct Horizon {
    std::uint64_t data_copies_ms, key_copies_ms;
};

// A record that was removed and can be restored.
struct Removed {
    std::string key;
    RecordInfo info;
    std::uint64_t removed_ms;
    // From then on it can't be restored.
    std::uint64_t erased_from_ms;
};

// How much a tenant or a collection may hold; none is not limited.
struct Quota {
    std::optional<std::uint64_t> records, bytes;
};

// Records, and bytes of their keys and values.
struct Usage {
    std::uint64_t records, bytes;
};

namespace detail {

inline strongroom_policy c_policy(const Policy &policy) {
    auto c = initial<strongroom_policy>(strongroom_policy_init);
    c.retention_ms = static_cast<std::uint64_t>(policy.retention.count());
    c.maximum_ms = static_cast<std::uint64_t>(policy.maximum.count());
    c.removal_window_ms = static_cast<std::uint64_t>(policy.removal_window.count());
    c.minimum_ms = static_cast<std::uint64_t>(policy.minimum.count());
    c.erased_within_ms = static_cast<std::uint64_t>(policy.erased_within.count());
    c.overwrite = static_cast<std::uint32_t>(policy.overwrite);
    c.erasure = static_cast<std::uint32_t>(policy.erasure);
    if (policy.secret) {
        c.secret = *policy.secret ? STRONGROOM_SECRET_YES : STRONGROOM_SECRET_NO;
    }
    if (policy.zero_retention) {
        c.zero_retention =
            *policy.zero_retention ? STRONGROOM_ZERO_RETENTION_YES : STRONGROOM_ZERO_RETENTION_NO;
    }
    return c;
}

inline Policy policy_of(const strongroom_policy &c) {
    const auto secret =
        c.secret == STRONGROOM_SECRET_DEFAULT ? std::nullopt : std::optional(c.secret == STRONGROOM_SECRET_YES);
    const auto zero_retention = c.zero_retention == STRONGROOM_ZERO_RETENTION_DEFAULT
                                    ? std::nullopt
                                    : std::optional(c.zero_retention == STRONGROOM_ZERO_RETENTION_YES);
    return {milliseconds(c.retention_ms),     milliseconds(c.maximum_ms),
            milliseconds(c.removal_window_ms), milliseconds(c.minimum_ms),
            milliseconds(c.erased_within_ms),  static_cast<Overwrite>(c.overwrite),
            secret,
            static_cast<Erasure>(c.erasure),
            zero_retention};
}

inline strongroom_quota c_quota(const Quota &quota) {
    auto c = initial<strongroom_quota>(strongroom_quota_init);
    c.records = quota.records.value_or(STRONGROOM_UNLIMITED);
    c.bytes = quota.bytes.value_or(STRONGROOM_UNLIMITED);
    return c;
}

inline Quota quota_of(const strongroom_quota &c) {
    const auto bound = [](std::uint64_t value) {
        return value == STRONGROOM_UNLIMITED ? std::nullopt : std::optional(value);
    };
    return {bound(c.records), bound(c.bytes)};
}

// Fills a struct of the C API by a call on a handle.
template <typename T, typename Init, typename Function, typename Handle>
T filled(Init init, Function function, Handle *handle) {
    T value = initial<T>(init);
    call(function, handle, &value);
    return value;
}

inline RecordInfo info_of(const strongroom_record_info &info) {
    return {version_of(info.version), info.written_ms, time_of(info.expires_ms), info.value_size};
}

inline TenantStats stats_of(const strongroom_tenant_stats &c) {
    return {c.records, c.collections, c.file_bytes, c.journal_bytes, c.key_store_bytes, version_of(c.version)};
}

inline Receipt receipt_of(const strongroom_receipt_info &c) {
    return {c.number, c.erased_ms, version_of(c.through), c.deadline_ms, time_of(c.scrubbed_ms)};
}

// The rows of a list, which is freed.
template <typename Row, typename Init, typename At, typename Make>
auto rows(strongroom_list *list, Init init, At at, Make make) {
    const Owned<strongroom_list, strongroom_list_free> owned(list);
    std::vector<decltype(make(std::declval<const Row &>()))> rows;
    for (std::size_t index = 0; index < strongroom_list_count(list); index++) {
        Row row = initial<Row>(init);
        call(at, static_cast<const strongroom_list *>(list), index, &row);
        rows.push_back(make(row));
    }
    return rows;
}

} // namespace detail

inline strongroom_selector Selector::get_c() const {
    auto c = detail::initial<strongroom_selector>(strongroom_selector_init);
    c.kind = kind_;
    if (kind_ != STRONGROOM_HOLD_TENANT) {
        c.name = of_.data();
        c.name_size = of_.size();
    }
    if (kind_ == STRONGROOM_HOLD_PREFIX || kind_ == STRONGROOM_HOLD_RECORD) {
        c.key = detail::bytes(key_);
        c.key_size = key_.size();
    }
    return c;
}

// A value as a stream, as it was when the reader was made, in constant memory. For std::istream, see Stream below.
class Reader {
public:
    explicit Reader(strongroom_reader *reader)
        : reader_(reader), info_(detail::info_of(detail::filled<strongroom_record_info>(
                               strongroom_record_info_init, strongroom_reader_get_info, reader))) {}

    const RecordInfo &info() const noexcept { return info_; }
    std::uint64_t size() const noexcept { return info_.value_size; }

    // How many bytes there were from there on; fewer than there is room for only at the value's end.
    std::size_t read_at(std::uint64_t offset, void *buffer, std::size_t capacity) const {
        std::size_t read = 0;
        detail::call(strongroom_reader_read_at, reader_.get(), offset, static_cast<std::uint8_t *>(buffer), capacity,
                     &read);
        return read;
    }

private:
    detail::Owned<strongroom_reader, strongroom_reader_free> reader_;
    RecordInfo info_;
};

namespace detail {

class ReaderBuffer : public std::streambuf {
public:
    explicit ReaderBuffer(Reader reader) : reader_(std::move(reader)), room_(65'536) {}

private:
    int_type underflow() override {
        if (gptr() == egptr()) {
            begins_ += static_cast<std::uint64_t>(egptr() - eback());
            setg(room_.data(), room_.data(), room_.data());
            const std::size_t read = reader_.read_at(begins_, room_.data(), room_.size());
            setg(room_.data(), room_.data(), room_.data() + read);
        }
        return gptr() == egptr() ? traits_type::eof() : traits_type::to_int_type(*gptr());
    }

    pos_type seekoff(off_type offset, std::ios::seekdir from, std::ios::openmode) override {
        const auto here = static_cast<off_type>(begins_) + (gptr() - eback());
        const auto end = static_cast<off_type>(reader_.size());
        return seekpos((from == std::ios::beg ? 0 : from == std::ios::cur ? here : end) + offset, std::ios::in);
    }

    pos_type seekpos(pos_type position, std::ios::openmode) override {
        if (off_type(position) < 0) {
            return off_type(-1);
        }
        begins_ = static_cast<std::uint64_t>(off_type(position));
        setg(room_.data(), room_.data(), room_.data());
        return position;
    }

    Reader reader_;
    std::vector<char> room_;
    // Where in the value the room begins.
    std::uint64_t begins_ = 0;
};

// A base, so that it is there before the stream over it.
struct HasReaderBuffer {
    ReaderBuffer buffer;
};

} // namespace detail

// A reader as a std::istream, to be read and sought in. A part that does not open sets badbit, and throws Error where
// exceptions(std::ios::badbit) says so.
class Stream : private detail::HasReaderBuffer, public std::istream {
public:
    explicit Stream(Reader reader)
        : detail::HasReaderBuffer{detail::ReaderBuffer(std::move(reader))}, std::istream(&buffer) {}
};

using UploadId = std::array<std::uint8_t, 16>;

// A large value on its way into the store, in any number of sessions; what was made durable stays for 24 hours.
class Upload {
public:
    explicit Upload(strongroom_upload *upload) : upload_(upload) {}

    // With it the upload goes on after a restart: Collection::resume_upload.
    UploadId id() const {
        UploadId id;
        detail::call(strongroom_upload_id, upload_.get(), id.data());
        return id;
    }

    std::uint64_t durable_bytes() const {
        std::uint64_t bytes = 0;
        detail::call(strongroom_upload_durable_bytes, upload_.get(), &bytes);
        return bytes;
    }

    Upload &write(std::string_view bytes) {
        detail::call(strongroom_upload_write, upload_.get(), detail::bytes(bytes), bytes.size());
        return *this;
    }

    void flush() { detail::call(strongroom_upload_flush, upload_.get()); }

    // Makes the value the record's, all of it or nothing. The upload is over.
    Version publish() {
        strongroom_version version;
        detail::call(strongroom_upload_publish, upload_.get(), &version);
        return detail::version_of(version);
    }

    void discard() { detail::call(strongroom_upload_discard, upload_.get()); }

private:
    detail::Owned<strongroom_upload, strongroom_upload_free> upload_;
};

struct IndexInfo {
    std::string name;
    bool is_unique, is_ready;
};

namespace detail {

// A function that gives a value, and what it threw.
struct Source {
    std::function<std::size_t(char *, std::size_t)> read;
    std::exception_ptr thrown;

    static bool call(void *context, std::uint8_t *room, std::size_t capacity, std::size_t *read) noexcept {
        auto *self = static_cast<Source *>(context);
        try {
            *read = self->read(reinterpret_cast<char *>(room), capacity);
            return true;
        } catch (...) {
            self->thrown = std::current_exception();
            return false;
        }
    }
};

// A function that gives the keys of records, and what it threw.
struct Building {
    std::function<std::vector<std::string>(const Record &)> keys;
    std::function<void(std::uint64_t)> progress;
    std::exception_ptr thrown;

    static bool keys_of(void *context, const strongroom_entry *entry, strongroom_key_sink *sink) noexcept {
        auto *self = static_cast<Building *>(context);
        try {
            for (const std::string &key : self->keys(record_of(*entry))) {
                detail::call(strongroom_key_sink_add, sink, bytes(key), key.size());
            }
            return !self->thrown;
        } catch (...) {
            self->thrown = std::current_exception();
            return false;
        }
    }

    static void tell(void *context, std::uint64_t more) noexcept {
        auto *self = static_cast<Building *>(context);
        try {
            if (self->progress) {
                self->progress(more);
            }
        } catch (...) {
            self->thrown = std::current_exception();
        }
    }
};

// Makes a call; what the application's function threw meanwhile is thrown instead of what came of it.
template <typename Callback, typename Function, typename... Arguments>
void call_guarded(const Callback &callback, Function function, Arguments... arguments) {
    strongroom_error *error = nullptr;
    const strongroom_status status = function(arguments..., &error);
    if (callback.thrown) {
        strongroom_error_free(error);
        std::rethrow_exception(callback.thrown);
    }
    if (status != STRONGROOM_STATUS_OK) {
        throw Error(error);
    }
}

} // namespace detail

class Collection {
public:
    explicit Collection(strongroom_collection *collection) : collection_(collection) {}

    std::string_view name() const {
        const char *name = nullptr;
        std::size_t size = 0;
        detail::call(strongroom_collection_name, get_c(), &name, &size);
        return {name, size};
    }

    // Durable when it returns, unless the store or the options say otherwise.
    Version put(std::string_view key, std::string_view value, const PutOptions &options = {}) {
        const detail::CPutOptions c(options);
        strongroom_version version;
        detail::call(strongroom_collection_put, get_c(), detail::bytes(key), key.size(), detail::bytes(value),
                     value.size(), &c.options, &version);
        return detail::version_of(version);
    }

    // Copies a value into memory of the caller's, unless it is longer; its length, and none where there is no such record.
    std::optional<std::size_t> get_into(std::string_view key, void *buffer, std::size_t capacity) const {
        std::size_t size = 0;
        detail::call(strongroom_collection_get_into, get_c(), detail::bytes(key), key.size(),
                     static_cast<std::uint8_t *>(buffer), capacity, &size);
        return size == STRONGROOM_ABSENT ? std::nullopt : std::optional(size);
    }

    std::optional<Value> get(std::string_view key) const {
        strongroom_buffer *value = nullptr;
        detail::call(strongroom_collection_get, get_c(), detail::bytes(key), key.size(), &value);
        return value == nullptr ? std::nullopt : std::optional<Value>(std::in_place, value);
    }

    std::optional<RecordInfo> info(std::string_view key) const {
        auto info = detail::initial<strongroom_record_info>(strongroom_record_info_init);
        detail::call(strongroom_collection_get_info, get_c(), detail::bytes(key), key.size(), &info);
        return info.exists ? std::optional(detail::info_of(info)) : std::nullopt;
    }

    // At most 64 MiB of a value.
    std::optional<Value> get_range(std::string_view key, std::uint64_t offset, std::uint64_t size) const {
        strongroom_buffer *value = nullptr;
        detail::call(strongroom_collection_get_range, get_c(), detail::bytes(key), key.size(), offset, size, &value);
        return value == nullptr ? std::nullopt : std::optional<Value>(std::in_place, value);
    }

    std::optional<Reader> get_reader(std::string_view key) const {
        strongroom_reader *reader = nullptr;
        detail::call(strongroom_collection_get_reader, get_c(), detail::bytes(key), key.size(), &reader);
        return reader == nullptr ? std::nullopt : std::optional<Reader>(std::in_place, reader);
    }

    // A value of up to 1 TiB: what the stream gives until it ends. A stream that goes bad puts nothing.
    Version put_stream(std::string_view key, std::istream &stream, const PutOptions &options = {}) {
        return put_reader(
            key,
            [&stream](char *room, std::size_t capacity) {
                stream.read(room, static_cast<std::streamsize>(capacity));
                if (stream.bad()) {
                    throw std::ios_base::failure("the stream of a value went bad");
                }
                return static_cast<std::size_t>(stream.gcount());
            },
            options);
    }

    // The same from a function, which gives how many bytes it put there; 0 is the end. What it throws is thrown on.
    Version put_reader(std::string_view key, std::function<std::size_t(char *room, std::size_t capacity)> read,
                       const PutOptions &options = {}) {
        const detail::CPutOptions c(options);
        detail::Source source{std::move(read), nullptr};
        strongroom_version version;
        detail::call_guarded(source, strongroom_collection_put_reader, get_c(), detail::bytes(key), key.size(),
                             detail::Source::call, static_cast<void *>(&source), &c.options, &version);
        return detail::version_of(version);
    }

    Upload begin_upload(std::string_view key, const PutOptions &options = {}) {
        const detail::CPutOptions c(options);
        strongroom_upload *upload = nullptr;
        detail::call(strongroom_collection_begin_upload, get_c(), detail::bytes(key), key.size(), &c.options, &upload);
        return Upload(upload);
    }

    Upload resume_upload(const UploadId &id) {
        strongroom_upload *upload = nullptr;
        detail::call(strongroom_collection_resume_upload, get_c(), id.data(), &upload);
        return Upload(upload);
    }

    bool erase(std::string_view key) {
        bool existed = false;
        detail::call(strongroom_collection_erase, get_c(), detail::bytes(key), key.size(), &existed);
        return existed;
    }

    void erase(std::string_view key, Version only) {
        const strongroom_version version = detail::c_version(only);
        detail::call(strongroom_collection_erase_if_version, get_c(), detail::bytes(key), key.size(), &version);
    }

    // Readers do not find it any more, and it can be restored until its window is over. Whether there was one.
    bool remove(std::string_view key, std::optional<Version> only = std::nullopt) {
        return moved(strongroom_collection_remove, key, only);
    }

    // From one key on and before another; none is without a bound.
    std::uint64_t remove_range(std::optional<std::string_view> from, std::optional<std::string_view> to) {
        return over_range(strongroom_collection_remove_range, from, to);
    }

    std::uint64_t remove_prefix(std::string_view prefix) {
        std::uint64_t removed = 0;
        detail::call(strongroom_collection_remove_prefix, get_c(), detail::bytes(prefix), prefix.size(), &removed);
        return removed;
    }

    // The one that was removed last, or that had a version. Whether there was one.
    bool restore(std::string_view key, std::optional<Version> version = std::nullopt) {
        return moved(strongroom_collection_restore, key, version);
    }

    // From one key on and before another; none is without a bound.
    std::uint64_t restore_range(std::optional<std::string_view> from, std::optional<std::string_view> to) {
        return over_range(strongroom_collection_restore_range, from, to);
    }

    std::uint64_t restore_prefix(std::string_view prefix) {
        std::uint64_t restored = 0;
        detail::call(strongroom_collection_restore_prefix, get_c(), detail::bytes(prefix), prefix.size(), &restored);
        return restored;
    }

    // What was removed and can be restored, and the cursor of the next page, if there is one.
    std::pair<std::vector<Removed>, std::optional<Value>> removed(const ScanOptions &options = {}) const {
        const auto c = detail::c_scan_options(options);
        strongroom_list *list = nullptr;
        strongroom_buffer *cursor = nullptr;
        detail::call(strongroom_collection_removed, get_c(), &c, &list, &cursor);
        auto next = cursor == nullptr ? std::nullopt : std::optional<Value>(std::in_place, cursor);
        auto rows = detail::rows<strongroom_removed_info>(
            list, strongroom_removed_info_init, strongroom_list_get_removed, [](const strongroom_removed_info &row) {
                return Removed{std::string(reinterpret_cast<const char *>(row.key), row.key_size),
                               {detail::version_of(row.version), row.written_ms, detail::time_of(row.expires_ms),
                                row.value_size},
                               row.removed_ms,
                               row.erased_from_ms};
            });
        return {std::move(rows), std::move(next)};
    }

    // From one key on and before another; none is without a bound.
    EraseReport erase_range(std::optional<std::string_view> from, std::optional<std::string_view> to) {
        EraseReport erased{};
        detail::call(strongroom_collection_erase_range, get_c(), from ? detail::bytes(*from) : nullptr,
                     from ? from->size() : std::size_t{0}, to ? detail::bytes(*to) : nullptr,
                     to ? to->size() : std::size_t{0}, &erased.records, &erased.held);
        return erased;
    }

    EraseReport erase_prefix(std::string_view prefix) {
        EraseReport erased{};
        detail::call(strongroom_collection_erase_prefix, get_c(), detail::bytes(prefix), prefix.size(), &erased.records,
                     &erased.held);
        return erased;
    }

    Scan scan(const ScanOptions &options = {}) const {
        const auto c = detail::c_scan_options(options);
        strongroom_scan *scan = nullptr;
        detail::call(strongroom_collection_scan, get_c(), &c, &scan);
        return Scan(scan);
    }

    std::uint64_t count(const ScanOptions &options = {}) const {
        const auto c = detail::c_scan_options(options);
        std::uint64_t count = 0;
        detail::call(strongroom_collection_count, get_c(), &c, &count);
        return count;
    }

    void declare_index(std::string_view name, bool is_unique = false) {
        const std::uint32_t kind = is_unique ? STRONGROOM_INDEX_UNIQUE : STRONGROOM_INDEX_ORDERED;
        detail::call(strongroom_collection_declare_index, get_c(), detail::text(name), name.size(), kind);
    }

    void drop_index(std::string_view name) {
        detail::call(strongroom_collection_drop_index, get_c(), detail::text(name), name.size());
    }

    // Gives records that were there before the index their keys in it; how many got some.
    std::uint64_t build_index(std::string_view name,
                              std::function<std::vector<std::string>(const Record &record)> keys,
                              std::function<void(std::uint64_t more)> progress = {}) {
        detail::Building building{std::move(keys), std::move(progress), nullptr};
        std::uint64_t built = 0;
        detail::call_guarded(building, strongroom_collection_build_index, get_c(), detail::text(name), name.size(),
                             detail::Building::keys_of, detail::Building::tell, static_cast<void *>(&building), &built);
        return built;
    }

    std::vector<IndexInfo> indexes() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_collection_indexes, get_c(), &list);
        return detail::rows<strongroom_index_info>(
            list, strongroom_index_info_init, strongroom_list_get_index, [](const strongroom_index_info &row) {
                return IndexInfo{std::string(row.name, row.name_size), row.kind == STRONGROOM_INDEX_UNIQUE,
                                 row.is_ready != 0};
            });
    }

    // The records whose keys in an index lie in the options' range.
    Scan find_range(std::string_view index, const ScanOptions &options = {}) const {
        const auto c = detail::c_scan_options(options);
        strongroom_scan *scan = nullptr;
        detail::call(strongroom_collection_find_range, get_c(), detail::text(index), index.size(), &c, &scan);
        return Scan(scan);
    }

    Scan find(std::string_view index, std::string_view key) const {
        strongroom_scan *scan = nullptr;
        detail::call(strongroom_collection_find, get_c(), detail::text(index), index.size(), detail::bytes(key),
                     key.size(), &scan);
        return Scan(scan);
    }

    void set_policy(const Policy &policy) {
        const auto c = detail::c_policy(policy);
        detail::call(strongroom_collection_set_policy, get_c(), &c);
    }

    // What it overrides of its tenant's.
    Policy policy() const {
        return detail::policy_of(
            detail::filled<strongroom_policy>(strongroom_policy_init, strongroom_collection_get_policy, get_c()));
    }

    void set_quota(const Quota &quota) {
        const auto c = detail::c_quota(quota);
        detail::call(strongroom_collection_set_quota, get_c(), &c);
    }

    Quota quota() const {
        return detail::quota_of(
            detail::filled<strongroom_quota>(strongroom_quota_init, strongroom_collection_get_quota, get_c()));
    }

    Usage usage() const {
        const auto c =
            detail::filled<strongroom_usage>(strongroom_usage_init, strongroom_collection_get_usage, get_c());
        return {c.records, c.bytes};
    }

    // The C handle, still this object's.
    strongroom_collection *get_c() const noexcept { return collection_.get(); }

private:
    template <typename Function>
    bool moved(Function function, std::string_view key, std::optional<Version> version) {
        const strongroom_version c = detail::c_version(version.value_or(Version()));
        bool existed = false;
        detail::call(function, get_c(), detail::bytes(key), key.size(), version ? &c : nullptr, &existed);
        return existed;
    }

    template <typename Function>
    std::uint64_t over_range(Function function, std::optional<std::string_view> from,
                             std::optional<std::string_view> to) {
        std::uint64_t count = 0;
        detail::call(function, get_c(), from ? detail::bytes(*from) : nullptr, from ? from->size() : std::size_t{0},
                     to ? detail::bytes(*to) : nullptr, to ? to->size() : std::size_t{0}, &count);
        return count;
    }

    detail::Owned<strongroom_collection, strongroom_collection_free> collection_;
};

// Changes of one tenant that are made together or not at all. Empty after it was written or submitted.
class Batch {
public:
    explicit Batch(strongroom_batch *batch) : batch_(batch) {}

    Batch &put(const Collection &collection, std::string_view key, std::string_view value,
               const PutOptions &options = {}) {
        const detail::CPutOptions c(options);
        detail::call(strongroom_batch_put, batch_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     detail::bytes(value), value.size(), &c.options);
        return *this;
    }

    Batch &erase(const Collection &collection, std::string_view key, std::optional<Version> only = std::nullopt) {
        return with_key(strongroom_batch_erase, collection, key, only);
    }

    Batch &remove(const Collection &collection, std::string_view key, std::optional<Version> only = std::nullopt) {
        return moved(strongroom_batch_remove, collection, key, only);
    }

    Batch &restore(const Collection &collection, std::string_view key,
                   std::optional<Version> version = std::nullopt) {
        return moved(strongroom_batch_restore, collection, key, version);
    }

    // Makes it depend on a record's version, or on its absence; else Kind::conflict.
    Batch &require(const Collection &collection, std::string_view key, std::optional<Version> version) {
        return with_key(strongroom_batch_require, collection, key, version);
    }

    std::size_t size() const {
        std::size_t count = 0;
        detail::call(strongroom_batch_count, batch_.get(), &count);
        return count;
    }

    Version write() {
        strongroom_version version;
        detail::call(strongroom_batch_write, batch_.get(), &version);
        return detail::version_of(version);
    }

    // Hands it in and does not wait.
    std::future<Version> submit() {
        auto promise = std::make_unique<std::promise<Version>>();
        auto future = promise->get_future();
        detail::call(strongroom_batch_submit, batch_.get(), completed, static_cast<void *>(promise.get()));
        // From here on it is the completion's.
        (void)promise.release();
        return future;
    }

private:
    static void completed(void *context, strongroom_status status, const strongroom_version *version,
                          strongroom_error *error) noexcept {
        const std::unique_ptr<std::promise<Version>> promise(static_cast<std::promise<Version> *>(context));
        if (status == STRONGROOM_STATUS_OK) {
            promise->set_value(detail::version_of(*version));
        } else {
            promise->set_exception(std::make_exception_ptr(Error(error)));
        }
    }

    template <typename Function>
    Batch &moved(Function function, const Collection &collection, std::string_view key,
                 std::optional<Version> version) {
        const strongroom_version c = detail::c_version(version.value_or(Version()));
        bool *const existed = nullptr;
        detail::call(function, batch_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     version ? &c : nullptr, existed);
        return *this;
    }

    template <typename Function>
    Batch &with_key(Function function, const Collection &collection, std::string_view key,
                    std::optional<Version> version) {
        const strongroom_version c = detail::c_version(version.value_or(Version()));
        detail::call(function, batch_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     version ? &c : nullptr);
        return *this;
    }

    detail::Owned<strongroom_batch, strongroom_batch_free> batch_;
};

// A tenant at one moment, over all of its collections.
class Snapshot {
public:
    explicit Snapshot(strongroom_snapshot *snapshot) : snapshot_(snapshot) {}

    std::optional<Value> get(const Collection &collection, std::string_view key) const {
        strongroom_buffer *value = nullptr;
        detail::call(strongroom_snapshot_get, snapshot_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     &value);
        return value == nullptr ? std::nullopt : std::optional<Value>(std::in_place, value);
    }

    std::optional<Reader> get_reader(const Collection &collection, std::string_view key) const {
        strongroom_reader *reader = nullptr;
        detail::call(strongroom_snapshot_get_reader, snapshot_.get(), collection.get_c(), detail::bytes(key),
                     key.size(), &reader);
        return reader == nullptr ? std::nullopt : std::optional<Reader>(std::in_place, reader);
    }

    std::optional<RecordInfo> info(const Collection &collection, std::string_view key) const {
        auto info = detail::initial<strongroom_record_info>(strongroom_record_info_init);
        detail::call(strongroom_snapshot_get_info, snapshot_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     &info);
        return info.exists ? std::optional(detail::info_of(info)) : std::nullopt;
    }

    Scan scan(const Collection &collection, const ScanOptions &options = {}) const {
        const auto c = detail::c_scan_options(options);
        strongroom_scan *scan = nullptr;
        detail::call(strongroom_snapshot_scan, snapshot_.get(), collection.get_c(), &c, &scan);
        return Scan(scan);
    }

    std::uint64_t count(const Collection &collection, const ScanOptions &options = {}) const {
        const auto c = detail::c_scan_options(options);
        std::uint64_t count = 0;
        detail::call(strongroom_snapshot_count, snapshot_.get(), collection.get_c(), &c, &count);
        return count;
    }

    Version version() const {
        strongroom_version version{};
        detail::call(strongroom_snapshot_version, snapshot_.get(), &version);
        return detail::version_of(version);
    }

    std::vector<std::string> collections() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_snapshot_collections, snapshot_.get(), &list);
        return detail::rows<strongroom_collection_info>(
            list, strongroom_collection_info_init, strongroom_list_get_collection,
            [](const strongroom_collection_info &row) { return std::string(row.name, row.name_size); });
    }

private:
    detail::Owned<strongroom_snapshot, strongroom_snapshot_free> snapshot_;
};

// Records that nothing retains: in memory alone, wiped when the session goes.
class Session {
public:
    explicit Session(strongroom_session *session) : session_(session) {}

    void put(const Collection &collection, std::string_view key, std::string_view value) {
        detail::call(strongroom_session_put, session_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     detail::bytes(value), value.size());
    }

    std::optional<Value> get(const Collection &collection, std::string_view key) const {
        strongroom_buffer *value = nullptr;
        detail::call(strongroom_session_get, session_.get(), collection.get_c(), detail::bytes(key), key.size(), &value);
        return value == nullptr ? std::nullopt : std::optional<Value>(std::in_place, value);
    }

    bool erase(const Collection &collection, std::string_view key) {
        bool existed = false;
        detail::call(strongroom_session_erase, session_.get(), collection.get_c(), detail::bytes(key), key.size(),
                     &existed);
        return existed;
    }

    // Calls with each record of a collection, in order, whose key is not before one key and before another; its views are good
    // for the call.
    void scan(const Collection &collection, const std::function<void(std::string_view key, std::string_view value)> &each,
              std::optional<std::string_view> from = std::nullopt,
              std::optional<std::string_view> to = std::nullopt) const {
        strongroom_page *page = nullptr;
        detail::call(strongroom_session_scan, session_.get(), collection.get_c(),
                     from ? detail::bytes(*from) : nullptr, from ? from->size() : std::size_t{0},
                     to ? detail::bytes(*to) : nullptr, to ? to->size() : std::size_t{0}, &page);
        const detail::Owned<strongroom_page, strongroom_page_free> owned(page);
        for (std::size_t index = 0; index < strongroom_page_count(page); index++) {
            const Record record = detail::record_of(strongroom_page_entries(page)[index]);
            each(record.key, *record.value);
        }
    }

    std::uint64_t count() const {
        std::uint64_t count = 0;
        detail::call(strongroom_session_count, session_.get(), &count);
        return count;
    }

private:
    detail::Owned<strongroom_session, strongroom_session_free> session_;
};

// By when nothing is to be under a data key, or an older one; met_ms: since when that is so, or 0.
struct RekeyDeadline {
    std::uint32_t generation;
    std::uint64_t by_ms, met_ms;
};

struct DataKey {
    enum class State : std::uint32_t {
        current = STRONGROOM_DATA_KEY_CURRENT,
        older = STRONGROOM_DATA_KEY_OLDER,
        destroyed = STRONGROOM_DATA_KEY_DESTROYED,
    };
    std::uint32_t generation;
    State state;
    std::uint64_t created_ms;
    // At least.
    std::uint64_t records_sealed;
};

class Tenant {
public:
    explicit Tenant(strongroom_tenant *tenant) : tenant_(tenant) {}

    std::string id() const {
        std::array<std::uint8_t, 16> id;
        detail::call(strongroom_tenant_id, tenant_.get(), id.data());
        return detail::hex(id);
    }

    Collection collection(std::string_view name) const {
        strongroom_collection *collection = nullptr;
        detail::call(strongroom_tenant_collection, tenant_.get(), detail::text(name), name.size(), &collection);
        return Collection(collection);
    }

    std::vector<std::string> collections() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_collections, tenant_.get(), &list);
        return detail::rows<strongroom_collection_info>(
            list, strongroom_collection_info_init, strongroom_list_get_collection,
            [](const strongroom_collection_info &row) { return std::string(row.name, row.name_size); });
    }

    void create_collection(std::string_view name) {
        detail::call(strongroom_tenant_create_collection, tenant_.get(), detail::text(name), name.size());
    }

    void rename_collection(std::string_view from, std::string_view to) {
        detail::call(strongroom_tenant_rename_collection, tenant_.get(), detail::text(from), from.size(),
                     detail::text(to), to.size());
    }

    void drop_collection(std::string_view name) {
        detail::call(strongroom_tenant_drop_collection, tenant_.get(), detail::text(name), name.size());
    }

    Batch batch() const {
        strongroom_batch *batch = nullptr;
        detail::call(strongroom_tenant_batch, tenant_.get(), &batch);
        return Batch(batch);
    }

    Snapshot snapshot() const {
        strongroom_snapshot *snapshot = nullptr;
        detail::call(strongroom_tenant_snapshot, tenant_.get(), &snapshot);
        return Snapshot(snapshot);
    }

    // Ordered by name.
    std::vector<std::string> subjects() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_subjects, tenant_.get(), &list);
        return detail::rows<strongroom_subject_info>(
            list, strongroom_subject_info_init, strongroom_list_get_subject,
            [](const strongroom_subject_info &row) { return std::string(row.name, row.name_size); });
    }

    // Over all collections, by collection and key.
    std::vector<SubjectRecord> subject_records(std::string_view subject) const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_subject_records, tenant_.get(), detail::text(subject), subject.size(), &list);
        return detail::rows<strongroom_subject_record_info>(
            list, strongroom_subject_record_info_init, strongroom_list_get_subject_record,
            [](const strongroom_subject_record_info &row) {
                return SubjectRecord{std::string(row.collection, row.collection_size),
                                     std::string(reinterpret_cast<const char *>(row.key), row.key_size),
                                     {detail::version_of(row.version), row.written_ms,
                                      detail::time_of(row.expires_ms), row.value_size}};
            });
    }

    // Its key first, and then its records. Whether there was one.
    bool erase_subject(std::string_view subject) {
        bool existed = false;
        detail::call(strongroom_tenant_erase_subject, tenant_.get(), detail::text(subject), subject.size(), &existed);
        return existed;
    }

    void set_policy(const Policy &policy) {
        const auto c = detail::c_policy(policy);
        detail::call(strongroom_tenant_set_policy, tenant_.get(), &c);
    }

    Policy policy() const {
        return detail::policy_of(
            detail::filled<strongroom_policy>(strongroom_policy_init, strongroom_tenant_get_policy, tenant_.get()));
    }

    void set_quota(const Quota &quota) {
        const auto c = detail::c_quota(quota);
        detail::call(strongroom_tenant_set_quota, tenant_.get(), &c);
    }

    Quota quota() const {
        return detail::quota_of(
            detail::filled<strongroom_quota>(strongroom_quota_init, strongroom_tenant_get_quota, tenant_.get()));
    }

    Usage usage() const {
        const auto c =
            detail::filled<strongroom_usage>(strongroom_usage_init, strongroom_tenant_get_usage, tenant_.get());
        return {c.records, c.bytes};
    }

    std::vector<DataKey> data_keys() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_data_keys, tenant_.get(), &list);
        return detail::rows<strongroom_data_key_info>(
            list, strongroom_data_key_info_init, strongroom_list_get_data_key, [](const strongroom_data_key_info &row) {
                return DataKey{row.generation, static_cast<DataKey::State>(row.state), row.created_ms,
                               row.records_sealed};
            });
    }

    // The new key's generation.
    std::uint32_t rotate_data_key() {
        std::uint32_t generation = 0;
        detail::call(strongroom_tenant_rotate_data_key, tenant_.get(), &generation);
        return generation;
    }

    // Seals records anew that are under an older key, at most so many and so many a second; 0 is all, and as fast as it goes.
    // Whether none is left under one.
    bool rekey(std::uint64_t records = 0, std::uint32_t records_per_second = 0,
               std::function<void(std::uint64_t done, std::uint64_t total)> progress = {}) {
        auto options = detail::initial<strongroom_rekey_options>(strongroom_rekey_options_init);
        options.records = records;
        options.records_per_second = records_per_second;
        auto done = detail::initial<strongroom_rekey>(strongroom_rekey_init);
        detail::Guarded<std::uint64_t, std::uint64_t> guarded{std::move(progress), nullptr};
        detail::call(strongroom_tenant_rekey, tenant_.get(), &options, guarded.call, static_cast<void *>(&guarded),
                     &done);
        guarded.check();
        return done.is_complete != 0;
    }

    // Has maintenance rekey by and by, so that nothing is under a generation, or an older one, by then.
    void set_rekey_deadline(std::uint32_t generation, std::uint64_t by_ms) {
        detail::call(strongroom_tenant_set_rekey_deadline, tenant_.get(), generation, by_ms);
    }

    void clear_rekey_deadline() { detail::call(strongroom_tenant_clear_rekey_deadline, tenant_.get()); }

    std::optional<RekeyDeadline> rekey_deadline() const {
        bool is_set = false;
        RekeyDeadline deadline{};
        detail::call(strongroom_tenant_rekey_deadline, tenant_.get(), &is_set, &deadline.generation, &deadline.by_ms,
                     &deadline.met_ms);
        return is_set ? std::optional(deadline) : std::nullopt;
    }

    // Applies policies that were changed to the records that are there, at most so many and so many a second; the sweep does so by
    // and by. How many got other times, and whether it came to the end.
    std::pair<std::uint64_t, bool> apply_policies(std::uint64_t records = 0, std::uint32_t records_per_second = 0) {
        auto options = detail::initial<strongroom_rekey_options>(strongroom_rekey_options_init);
        options.records = records;
        options.records_per_second = records_per_second;
        auto done = detail::initial<strongroom_policy_report>(strongroom_policy_report_init);
        const strongroom_total_progress progress = nullptr;
        void *const context = nullptr;
        detail::call(strongroom_tenant_apply_policies, tenant_.get(), &options, progress, context, &done);
        return {done.changed, done.is_complete != 0};
    }

    // In milliseconds since the epoch; 0 where all policies are applied.
    std::uint64_t policies_pending_since_ms() const {
        std::uint64_t since_ms = 0;
        detail::call(strongroom_tenant_policies_pending_since, tenant_.get(), &since_ms);
        return since_ms;
    }

    void retire_data_key(std::uint32_t generation) {
        detail::call(strongroom_tenant_retire_data_key, tenant_.get(), generation);
    }

    std::string name() const {
        const char *name = nullptr;
        std::size_t size = 0;
        detail::call(strongroom_tenant_name, tenant_.get(), &name, &size);
        return {name, size};
    }

    TenantStats stats() const {
        return detail::stats_of(detail::filled<strongroom_tenant_stats>(strongroom_tenant_stats_init,
                                                                        strongroom_tenant_get_stats, tenant_.get()));
    }

    // From when it returns on nothing is erased that it covers; that is Kind::held.
    void hold(std::string_view name, const Selector &selector = Selector::tenant()) {
        const auto c = selector.get_c();
        detail::call(strongroom_tenant_hold, tenant_.get(), detail::text(name), name.size(), &c);
    }

    void release_hold(std::string_view name) {
        detail::call(strongroom_tenant_release_hold, tenant_.get(), detail::text(name), name.size());
    }

    // Ordered by name.
    std::vector<Hold> holds() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_holds, tenant_.get(), &list);
        return detail::rows<strongroom_hold_info>(
            list, strongroom_hold_info_init, strongroom_list_get_hold, [](const strongroom_hold_info &row) {
                return Hold{std::string(row.name, row.name_size), Selector(row), row.placed_ms};
            });
    }

    // The oldest first, each authenticated.
    std::vector<LedgerEntry> ledger() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_ledger, tenant_.get(), &list);
        return detail::rows<strongroom_ledger_info>(
            list, strongroom_ledger_info_init, strongroom_list_get_ledger, [](const strongroom_ledger_info &row) {
                LedgerEntry entry{row.number, row.at_ms, static_cast<LedgerEntry::Event>(row.event), row.slot,
                                  detail::version_of(row.through), {}};
                std::memcpy(entry.mac.data(), row.mac, entry.mac.size());
                return entry;
            });
    }

    // For everything that was erased until now.
    Receipt receipt() {
        return detail::receipt_of(detail::filled<strongroom_receipt_info>(strongroom_receipt_info_init,
                                                                          strongroom_tenant_receipt, tenant_.get()));
    }

    std::vector<Receipt> receipts() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_tenant_receipts, tenant_.get(), &list);
        return detail::rows<strongroom_receipt_info>(list, strongroom_receipt_info_init, strongroom_list_get_receipt,
                                                     detail::receipt_of);
    }

    // Removes the sealed bytes of what was erased; the last change that was covered. The sweep does it by the deadline.
    Version scrub(std::function<void(std::uint64_t done, std::uint64_t total)> progress = {}) {
        strongroom_version through{};
        detail::Guarded<std::uint64_t, std::uint64_t> guarded{std::move(progress), nullptr};
        detail::call(strongroom_tenant_scrub, tenant_.get(), guarded.call, static_cast<void *>(&guarded), &through);
        guarded.check();
        return detail::version_of(through);
    }

    Horizon horizon() const {
        const auto c =
            detail::filled<strongroom_horizon>(strongroom_horizon_init, strongroom_tenant_get_horizon, tenant_.get());
        return {c.data_copies_ms, c.key_copies_ms};
    }

    // The name of the key provider that wraps the tenant's keys.
    std::string key_provider() const {
        strongroom_buffer *name = nullptr;
        detail::call(strongroom_tenant_key_provider, tenant_.get(), &name);
        return std::string(Value(name).view());
    }

    // Has the tenant's keys wrapped anew, by the provider that wraps them, or by another one.
    void rewrap(std::optional<std::string_view> provider = std::nullopt) {
        detail::call(strongroom_tenant_rewrap, tenant_.get(), provider ? detail::text(*provider) : nullptr,
                     provider ? provider->size() : std::size_t{0});
    }

    // Records that nothing retains.
    Session session() const {
        strongroom_session *session = nullptr;
        detail::call(strongroom_tenant_session, tenant_.get(), &session);
        return Session(session);
    }

    // Whether it had a file.
    bool rewrite(std::function<void(std::uint64_t done, std::uint64_t total)> progress = {}) {
        auto done = detail::initial<strongroom_rewrite>(strongroom_rewrite_init);
        detail::Guarded<std::uint64_t, std::uint64_t> guarded{std::move(progress), nullptr};
        detail::call(strongroom_tenant_rewrite, tenant_.get(), guarded.call, static_cast<void *>(&guarded), &done);
        guarded.check();
        return done.has_file != 0;
    }

    void checkpoint() { detail::call(strongroom_tenant_checkpoint, tenant_.get()); }
    void flush() { detail::call(strongroom_tenant_flush, tenant_.get()); }

private:
    detail::Owned<strongroom_tenant, strongroom_tenant_free> tenant_;
};

enum class LogLevel : std::uint32_t {
    error = STRONGROOM_LOG_ERROR,
    warn = STRONGROOM_LOG_WARN,
    info = STRONGROOM_LOG_INFO,
    debug = STRONGROOM_LOG_DEBUG,
    trace = STRONGROOM_LOG_TRACE,
};

// Takes one line of the log: it shows no key, value or name of a tenant. Called from any thread, several at a time, with locks
// of the store held: it must return soon and not call this library.
using Log = std::function<void(LogLevel level, std::string_view target, std::string_view text)>;

namespace detail {

// Where the log goes; never gone, since a line may be under way whenever another function is set.
class LogSink {
public:
    static LogSink &get() {
        static auto *const sink = new LogSink;
        return *sink;
    }

    void set(std::shared_ptr<const Log> log) {
        const std::lock_guard<std::mutex> guard(lock_);
        log_.swap(log);
    }

    static void line(void *, std::uint32_t level, const char *target, std::size_t target_size, const char *text,
                     std::size_t text_size) noexcept {
        try {
            if (const auto log = get().current()) {
                (*log)(static_cast<LogLevel>(level), {target, target_size}, {text, text_size});
            }
        } catch (...) {
            // There is nobody to tell.
        }
    }

private:
    std::shared_ptr<const Log> current() {
        const std::lock_guard<std::mutex> guard(lock_);
        return log_;
    }

    std::mutex lock_;
    std::shared_ptr<const Log> log_;
};

} // namespace detail

// Has the log of all stores of the process given to a function, or to none; instead of the one before.
inline void set_log(Log log, LogLevel level = LogLevel::info) {
    const bool is_wanted = static_cast<bool>(log);
    detail::LogSink::get().set(is_wanted ? std::make_shared<const Log>(std::move(log)) : nullptr);
    detail::call(strongroom_log_set, static_cast<std::uint32_t>(level), is_wanted ? detail::LogSink::line : nullptr,
                 static_cast<void *>(nullptr));
}

// What a provider throws to say why it gives no key; anything else that it throws counts as denied.
class ProviderFailure : public std::runtime_error {
public:
    enum class Why : std::uint32_t {
        denied = STRONGROOM_PROVIDER_DENIED,
        retryable = STRONGROOM_PROVIDER_RETRYABLE,
        already_exists = STRONGROOM_PROVIDER_ALREADY_EXISTS,
    };
    // The text must hold no secret.
    ProviderFailure(Why why, const std::string &message) : std::runtime_error(message), why(why) {}
    Why why;
};

// A KMS or an HSM. Called from any thread, several at a time.
class KeyProvider {
public:
    virtual ~KeyProvider() = default;
    // Makes what the provider keeps, when a store is created.
    virtual void create() {}
    // Wraps a key of 32 bytes, bound to what it belongs to.
    virtual std::string wrap(std::string_view key, std::string_view belongs_to) = 0;
    // Unwraps what wrap gave for the same, and nothing else.
    virtual std::string unwrap(std::string_view wrapped, std::string_view belongs_to) = 0;
};

namespace detail {

struct Provider {
    std::shared_ptr<KeyProvider> provider;

    // Exceptions end here.
    template <typename Body> static std::uint32_t guard(char *message, std::size_t capacity, Body body) noexcept {
        const auto say = [&](const char *text) {
            std::strncpy(message, text, capacity - 1);
            message[capacity - 1] = '\0';
        };
        try {
            body();
            return STRONGROOM_PROVIDER_OK;
        } catch (const ProviderFailure &failure) {
            say(failure.what());
            return static_cast<std::uint32_t>(failure.why);
        } catch (const std::exception &error) {
            say(error.what());
        } catch (...) {
            say("it threw something that is no std::exception");
        }
        return STRONGROOM_PROVIDER_DENIED;
    }

    static std::string_view view(const std::uint8_t *data, std::size_t size) {
        return {reinterpret_cast<const char *>(data), size};
    }

    static KeyProvider &of(void *context) { return *static_cast<Provider *>(context)->provider; }

    static std::uint32_t create(void *context, char *message, std::size_t capacity) noexcept {
        return guard(message, capacity, [&] { of(context).create(); });
    }

    static std::uint32_t wrap(void *context, const strongroom_wrap_context *belongs_to, const std::uint8_t *key,
                              std::uint8_t *wrapped, std::size_t room, std::size_t *size, char *message,
                              std::size_t capacity) noexcept {
        return guard(message, capacity, [&] {
            const std::string result = of(context).wrap(view(key, 32), view(belongs_to->bytes, belongs_to->bytes_size));
            if (result.size() > room) {
                throw std::length_error("a wrapped key is too long");
            }
            std::memcpy(wrapped, result.data(), result.size());
            *size = result.size();
        });
    }

    static std::uint32_t unwrap(void *context, const strongroom_wrap_context *belongs_to, const std::uint8_t *wrapped,
                                std::size_t size, std::uint8_t *key, char *message, std::size_t capacity) noexcept {
        return guard(message, capacity, [&] {
            const std::string result =
                of(context).unwrap(view(wrapped, size), view(belongs_to->bytes, belongs_to->bytes_size));
            if (result.size() != 32) {
                throw std::length_error("a key has 32 bytes");
            }
            std::memcpy(key, result.data(), 32);
        });
    }

    static void destroy(void *context) noexcept { delete static_cast<Provider *>(context); }
};

} // namespace detail

// What a store is opened with. Building one touches nothing.
// What a store that is open for maintenance shows of names.
enum class Names : std::uint32_t { digests = STRONGROOM_MAINTENANCE_DIGESTS, shown = STRONGROOM_MAINTENANCE_NAMES };

class Config {
public:
    explicit Config(std::string_view store) {
        strongroom_config *config = nullptr;
        detail::call(strongroom_config_new, detail::text(store), store.size(), &config);
        config_.reset(config);
    }

    Config &key_file(std::string_view path, std::string_view name = "default") {
        detail::call(strongroom_config_key_file, config_.get(), detail::text(name), name.size(), detail::text(path),
                     path.size(), std::uint32_t{0});
        return *this;
    }

    Config &passphrase(std::string_view phrase, std::string_view name = "default") {
        const strongroom_passphrase_options *options = nullptr;
        detail::call(strongroom_config_passphrase, config_.get(), detail::text(name), name.size(),
                     detail::bytes(phrase), phrase.size(), options);
        return *this;
    }

    Config &key_provider(std::shared_ptr<KeyProvider> provider, std::string_view name = "default") {
        auto functions = detail::initial<strongroom_key_provider>(strongroom_key_provider_init);
        auto context = std::make_unique<detail::Provider>(detail::Provider{std::move(provider)});
        functions.context = context.get();
        functions.create = detail::Provider::create;
        functions.wrap = detail::Provider::wrap;
        functions.unwrap = detail::Provider::unwrap;
        functions.destroy = detail::Provider::destroy;
        detail::call(strongroom_config_key_provider, config_.get(), detail::text(name), name.size(), &functions);
        // From here on it is the library's.
        (void)context.release();
        return *this;
    }

    // Figures: see strongroom_config_options.
    Config &set(const std::function<void(strongroom_config_options &)> &change) {
        auto options = detail::initial<strongroom_config_options>(strongroom_config_options_init);
        change(options);
        detail::call(strongroom_config_set, config_.get(), &options);
        return *this;
    }

    // Opens the store for maintenance: no provider is asked for a key of values, records are neither read nor written
    // (Kind::key_unavailable); it is verified, but for values, checkpointed, rewritten, moved and swept. Digests are taken in place
    // of tenants' names.
    Config &maintenance(Names names = Names::digests) {
        return set([names](strongroom_config_options &options) { options.maintenance = static_cast<std::uint32_t>(names); });
    }

    Config &key_store(std::string_view directory) {
        detail::call(strongroom_config_key_store, config_.get(), detail::text(directory), directory.size());
        return *this;
    }

    // Beside "default"; its keys are in "<root>.keys".
    Config &region(std::string_view name, std::string_view root) {
        const char *keys = nullptr;
        detail::call(strongroom_config_region, config_.get(), detail::text(name), name.size(), detail::text(root),
                     root.size(), keys, std::size_t{0});
        return *this;
    }

    // Takes settings from a file (TOML), as to_toml shows them.
    Config &read(std::string_view path) {
        detail::call(strongroom_config_read, config_.get(), detail::text(path), path.size());
        return *this;
    }

    std::string to_toml() const {
        strongroom_buffer *toml = nullptr;
        detail::call(strongroom_config_to_toml, config_.get(), &toml);
        return std::string(Value(toml).view());
    }

    // What the process that has the store open published of its health, as JSON, and how old that is.
    std::pair<std::string, milliseconds> published_health() const {
        strongroom_buffer *json = nullptr;
        std::uint64_t age_ms = 0;
        bool *const is_good = nullptr;
        detail::call(strongroom_config_published_health, config_.get(), is_good, &age_ms, &json);
        return {std::string(Value(json).view()), milliseconds(age_ms)};
    }

    strongroom_config *get_c() const noexcept { return config_.get(); }

private:
    detail::Owned<strongroom_config, strongroom_config_free> config_;
};

struct Report {
    bool is_good;
    std::uint64_t tenants, records;
    std::vector<std::string> problems;
    // Whose value was not opened, because the store is open for maintenance.
    std::uint64_t records_unopened;
};

// What a new tenant is created with.
struct TenantOptions {
    // Empty: "default".
    std::string_view region;
    // With a journal of its own.
    bool dedicated = false;
    Policy policy;
};

struct TenantInfo {
    enum class State : std::uint32_t {
        active = STRONGROOM_TENANT_ACTIVE,
        suspended = STRONGROOM_TENANT_SUSPENDED,
        removed = STRONGROOM_TENANT_REMOVED,
    };
    std::string name, id, region;
    bool dedicated;
    std::uint64_t created_ms;
    State state;
    // From when on a sweep erases it, where it was removed.
    std::optional<std::uint64_t> purge_ms;
};

struct RegionInfo {
    std::string name, root, keys;
    // Why its tenants can't be reached now.
    std::optional<std::string> problem;
};

// A journal: what it holds.
struct LaneInfo {
    std::string region;
    std::uint64_t segments, segment_bytes, pending_bytes, pending_tenants, damaged;
};

namespace detail {

inline std::vector<TenantInfo> tenant_infos(strongroom_list *list) {
    return rows<strongroom_tenant_info>(
        list, strongroom_tenant_info_init, strongroom_list_get_tenant, [](const strongroom_tenant_info &row) {
            std::array<std::uint8_t, 16> id;
            std::memcpy(id.data(), row.id, id.size());
            return TenantInfo{std::string(row.name, row.name_size),
                              hex(id),
                              std::string(row.region, row.region_size),
                              row.dedicated != 0,
                              row.created_ms,
                              static_cast<TenantInfo::State>(row.state),
                              row.purge_ms == 0 ? std::nullopt : std::optional(row.purge_ms)};
        });
}

} // namespace detail

// The library's release, as "0.1.0".
inline std::string_view release() noexcept { return strongroom_release(); }

// An open store; close it to see whether that went well.
class Store {
public:
    static Store create(const Config &config) { return start(strongroom_engine_create, config); }
    static Store open(const Config &config) { return start(strongroom_engine_open, config); }

    Tenant create_tenant(std::string_view name, const TenantOptions &options = {}) {
        auto c = detail::initial<strongroom_tenant_options>(strongroom_tenant_options_init);
        const auto policy = detail::c_policy(options.policy);
        c.policy = &policy;
        c.dedicated = options.dedicated;
        if (!options.region.empty()) {
            c.region = options.region.data();
            c.region_size = options.region.size();
        }
        strongroom_tenant *tenant = nullptr;
        detail::call(strongroom_engine_create_tenant, engine_.get(), detail::text(name), name.size(), &c, &tenant);
        return Tenant(tenant);
    }

    // Ordered by name; none is opened.
    std::vector<TenantInfo> tenants() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_engine_tenants, engine_.get(), &list);
        return detail::tenant_infos(list);
    }

    Tenant tenant(std::string_view name) {
        strongroom_tenant *tenant = nullptr;
        detail::call(strongroom_engine_tenant, engine_.get(), detail::text(name), name.size(), &tenant);
        return Tenant(tenant);
    }

    // 32 hexadecimal digits.
    std::string id() const {
        std::array<std::uint8_t, 16> id;
        detail::call(strongroom_engine_store_id, engine_.get(), id.data());
        return detail::hex(id);
    }

    TenantInfo tenant_info(std::string_view name) const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_engine_tenant_info, engine_.get(), detail::text(name), name.size(), &list);
        return detail::tenant_infos(list).at(0);
    }

    TenantStats tenant_stats(std::string_view name) const {
        auto c = detail::initial<strongroom_tenant_stats>(strongroom_tenant_stats_init);
        detail::call(strongroom_engine_get_tenant_stats, engine_.get(), detail::text(name), name.size(), &c);
        return detail::stats_of(c);
    }

    std::vector<RegionInfo> regions() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_engine_regions, engine_.get(), &list);
        return detail::rows<strongroom_region_info>(
            list, strongroom_region_info_init, strongroom_list_get_region, [](const strongroom_region_info &row) {
                return RegionInfo{std::string(row.name, row.name_size), std::string(row.root, row.root_size),
                                  std::string(row.keys, row.keys_size),
                                  row.problem == nullptr
                                      ? std::nullopt
                                      : std::optional(std::string(row.problem, row.problem_size))};
            });
    }

    // The journals that are open, as the C API has them but for their texts.
    std::vector<LaneInfo> lanes() const {
        strongroom_list *list = nullptr;
        detail::call(strongroom_engine_lanes, engine_.get(), &list);
        return detail::rows<strongroom_lane_info>(
            list, strongroom_lane_info_init, strongroom_list_get_lane, [](const strongroom_lane_info &row) {
                return LaneInfo{std::string(row.region, row.region_size), row.segments, row.segment_bytes,
                                row.pending_bytes, row.pending_tenants, row.damaged};
            });
    }

    // Every read and write of its records is Kind::suspended from then on.
    void suspend_tenant(std::string_view name) {
        detail::call(strongroom_engine_suspend_tenant, engine_.get(), detail::text(name), name.size());
    }

    void resume_tenant(std::string_view name) {
        detail::call(strongroom_engine_resume_tenant, engine_.get(), detail::text(name), name.size());
    }

    void rename_tenant(std::string_view from, std::string_view to) {
        detail::call(strongroom_engine_rename_tenant, engine_.get(), detail::text(from), from.size(), detail::text(to),
                     to.size());
    }

    // Gone at once, restorable within its window; gives when a sweep erases it, in milliseconds since the epoch.
    std::uint64_t remove_tenant(std::string_view name, milliseconds window) {
        std::uint64_t purge_ms = 0;
        detail::call(strongroom_engine_remove_tenant, engine_.get(), detail::text(name), name.size(),
                     static_cast<std::uint64_t>(window.count()), &purge_ms);
        return purge_ms;
    }

    void restore_tenant(std::string_view name) {
        detail::call(strongroom_engine_restore_tenant, engine_.get(), detail::text(name), name.size());
    }

    // For good: its keys, then its files.
    void erase_tenant(std::string_view name) {
        detail::call(strongroom_engine_erase_tenant, engine_.get(), detail::text(name), name.size());
    }

    // To another region; whoever lets its data leave the one it was put into has asked whose data it is.
    void move_tenant(std::string_view name, std::string_view region, bool override_residency,
                     std::function<void(std::uint64_t more)> progress = {}) {
        detail::Guarded<std::uint64_t> guarded{std::move(progress), nullptr};
        const std::uint32_t flags = override_residency ? STRONGROOM_MOVE_OVERRIDE_RESIDENCY : 0;
        detail::call(strongroom_engine_move_tenant, engine_.get(), detail::text(name), name.size(),
                     detail::text(region), region.size(), flags, guarded.call, static_cast<void *>(&guarded));
        guarded.check();
    }

    // Seals a tenant's keyring under new section keys, so that leaked ones open nothing. Its objects end: open it again.
    void renew_section_keys(std::string_view tenant) {
        detail::call(strongroom_engine_renew_section_keys, engine_.get(), detail::text(tenant), tenant.size());
    }

    // Has every tenant's keys wrapped by one provider that another wraps; how many.
    std::uint64_t rewrap(std::string_view from, std::string_view to) {
        std::uint64_t count = 0;
        detail::call(strongroom_engine_rewrap, engine_.get(), detail::text(from), from.size(), detail::text(to),
                     to.size(), &count);
        return count;
    }

    // Of all tenants, or of one.
    Report verify(std::function<void(std::uint64_t more)> progress = {}, std::string_view tenant = {}) {
        strongroom_report *report = nullptr;
        detail::Guarded<std::uint64_t> guarded{std::move(progress), nullptr};
        if (tenant.empty()) {
            detail::call(strongroom_engine_verify, engine_.get(), guarded.call, static_cast<void *>(&guarded),
                         &report);
        } else {
            detail::call(strongroom_engine_verify_tenant, engine_.get(), tenant.data(), tenant.size(), guarded.call,
                         static_cast<void *>(&guarded), &report);
        }
        const detail::Owned<strongroom_report, strongroom_report_free> owned(report);
        guarded.check();
        auto summary = detail::initial<strongroom_report_summary>(strongroom_report_summary_init);
        detail::call(strongroom_report_get_summary, report, &summary);
        Report result{summary.is_good != 0, summary.tenants, summary.records, {}, summary.records_unopened};
        for (std::size_t index = 0; index < strongroom_report_problem_count(report); index++) {
            const char *text = nullptr;
            std::size_t size = 0;
            detail::call(strongroom_report_problem, report, index, &text, &size);
            result.problems.emplace_back(text, size);
        }
        return result;
    }

    // Removes what has expired from the files, of all tenants or one.
    SweepReport sweep(std::string_view tenant = {}) {
        SweepReport swept{};
        detail::call(strongroom_engine_sweep, engine_.get(), tenant.empty() ? nullptr : tenant.data(), tenant.size(),
                     &swept.records, &swept.held);
        return swept;
    }

    // Trusts what the clock says now, after it jumped.
    void confirm_clock() { detail::call(strongroom_engine_confirm_clock, engine_.get()); }

    // How the store does, as JSON; it may be asked each second.
    std::string health() const {
        strongroom_buffer *json = nullptr;
        bool *const is_good = nullptr;
        detail::call(strongroom_engine_health, engine_.get(), is_good, &json);
        return std::string(Value(json).view());
    }

    std::size_t open_tenants() const {
        std::size_t count = 0;
        detail::call(strongroom_engine_open_tenants, engine_.get(), &count);
        return count;
    }

    void accept_rollback(std::string_view tenant) {
        detail::call(strongroom_engine_accept_rollback, engine_.get(), detail::text(tenant), tenant.size());
    }

    // Opens a tenant with what can be read of its journal; how many changes are lost.
    std::uint64_t salvage(std::string_view tenant) {
        auto found = detail::initial<strongroom_salvage>(strongroom_salvage_init);
        detail::call(strongroom_engine_salvage, engine_.get(), detail::text(tenant), tenant.size(), &found);
        return found.changes_lost;
    }

    // Does what is due, for a store without a thread of its own.
    void tick() { detail::call(strongroom_engine_tick, engine_.get()); }

    void flush() { detail::call(strongroom_engine_flush, engine_.get()); }
    void checkpoint() { detail::call(strongroom_engine_checkpoint, engine_.get()); }
    void close() { detail::call(strongroom_engine_close, engine_.get()); }

private:
    explicit Store(strongroom_engine *engine) : engine_(engine) {}

    template <typename Function> static Store start(Function function, const Config &config) {
        strongroom_engine *engine = nullptr;
        detail::call(function, config.get_c(), &engine);
        return Store(engine);
    }

    detail::Owned<strongroom_engine, strongroom_engine_free> engine_;
};

} // namespace strongroom

#endif
