// The C++ binding: large values, indexes over records that are there, quotas, data keys, settings. The argument is an empty
// directory.
#include <fstream>
#include <iterator>
#include <sstream>

#include "check.hpp"

using namespace strongroom;

static std::string large(std::size_t length) {
    std::string value(length, '\0');
    for (std::size_t index = 0; index < length; index++) {
        value[index] = static_cast<char>(index * 31 + (index >> 13));
    }
    return value;
}

static void test_streams(const Tenant &tenant) {
    Collection scans = tenant.collection("scans");
    const std::string value = large(3'000'000);
    std::istringstream source(value);
    CHECK(scans.put_stream("large", source).sequence > 0);
    auto reader = scans.get_reader("large");
    CHECK(reader && reader->size() == value.size() && !scans.get_reader("none"));
    char room[100];
    CHECK(reader->read_at(1'234'567, room, sizeof room) == 100 && value.compare(1'234'567, 100, room, 100) == 0);
    CHECK(reader->read_at(value.size() - 5, room, sizeof room) == 5);
    Stream stream(std::move(*reader));
    CHECK(std::string(std::istreambuf_iterator<char>(stream), {}) == value);
    stream.clear();
    stream.seekg(-7, std::ios::end);
    CHECK(stream.tellg() == static_cast<std::streamoff>(value.size()) - 7);
    CHECK(std::string(std::istreambuf_iterator<char>(stream), {}) == value.substr(value.size() - 7));
    stream.clear();
    stream.seekg(70'000);
    stream.seekg(10, std::ios::cur);
    CHECK(stream.get() == static_cast<unsigned char>(value[70'010]));
    stream.seekg(-1);
    CHECK(stream.fail());
    CHECK(scans.get_range("large", 65'530, 10)->view() == value.substr(65'530, 10) && !scans.get_range("none", 0, 1));

    // What a function throws is thrown on, and nothing is put.
    bool thrown = false;
    try {
        scans.put_reader("x", [](char *, std::size_t) -> std::size_t { throw std::out_of_range("enough"); });
    } catch (const std::out_of_range &) {
        thrown = true;
    }
    CHECK(thrown && !scans.get("x"));

    Upload upload = scans.begin_upload("upload");
    const UploadId id = upload.id();
    upload.write(std::string_view(value).substr(0, 2'000'000)).flush();
    expect(Kind::busy, [&] { scans.resume_upload(id); });
    upload = scans.begin_upload("other");
    upload.discard();
    upload = scans.resume_upload(id);
    const std::uint64_t durable = upload.durable_bytes();
    CHECK(durable == 2'000'000 && !scans.get("upload"));
    upload.write(std::string_view(value).substr(durable));
    const Snapshot before = tenant.snapshot();
    upload.publish();
    expect(Kind::invalid_argument, [&] { upload.write("x"); });
    CHECK(scans.get("upload")->view() == value && !before.get_reader(scans, "upload"));
    CHECK(before.get_reader(scans, "large")->size() == value.size() && before.count(scans) == 1);
    CHECK(before.info(scans, "large")->value_size == value.size());
}

static void test_building(const Tenant &tenant) {
    Collection people = tenant.collection("people");
    people.put("1", "Bonn");
    people.put("2", "Rome");
    people.put("3", "Bonn");
    people.declare_index("city");
    expect(Kind::unavailable, [&] { people.find("city", "Bonn"); });
    CHECK(!people.indexes().at(0).is_ready);
    bool thrown = false;
    try {
        people.build_index("city", [](const Record &) -> std::vector<std::string> { throw 42; });
    } catch (int) {
        thrown = true;
    }
    CHECK(thrown);
    std::uint64_t seen = 0;
    const auto city = [](const Record &record) { return std::vector<std::string>{std::string(*record.value)}; };
    CHECK(people.build_index("city", city, [&](std::uint64_t more) { seen += more; }) == 3 && seen == 3);
    std::string found;
    for (const Record &record : people.find("city", "Bonn")) {
        found += record.key;
    }
    ScanOptions after_b;
    after_b.from = "C";
    for (const Record &record : people.find_range("city", after_b)) {
        found += record.key;
    }
    CHECK(found == "132" && people.indexes().at(0).is_ready && people.indexes().at(0).name == "city");
    CHECK(people.erase_range("2", std::nullopt).records == 2);
}

static void test_quotas(Tenant &tenant) {
    Collection bounded = tenant.collection("bounded");
    bounded.set_quota({2, std::nullopt});
    bounded.put("a", "12");
    bounded.put("b", "34");
    expect(Kind::limit_exceeded, [&] { bounded.put("c", "5"); });
    CHECK(bounded.usage().records == 2 && bounded.usage().bytes == 6);
    CHECK(bounded.quota().records == 2 && !bounded.quota().bytes);
    bounded.set_quota({});
    tenant.set_quota({std::nullopt, 0});
    expect(Kind::limit_exceeded, [&] { bounded.put("c", "5"); });
    CHECK(tenant.quota().bytes == 0 && tenant.usage().records >= 2);
    tenant.set_quota({});
    bounded.put("c", "5");
    tenant.create_collection("made");
    tenant.rename_collection("made", "named");
    CHECK(tenant.collections() == (std::vector<std::string>{"bounded", "named", "people", "scans"}));
    tenant.drop_collection("named");
    // Values in chunks stay under their keys; with the checkpoint the dropped ones are gone from the file.
    tenant.drop_collection("scans");
    tenant.checkpoint();
}

static void test_removal(Tenant &tenant) {
    Collection c = tenant.collection("kept");
    c.set_policy({milliseconds(0), milliseconds(0), std::chrono::hours(1)});
    CHECK(c.policy().removal_window == std::chrono::hours(1));
    const Version first = c.put("a", "1");
    c.put("b", "2");
    expect(Kind::conflict, [&] { c.remove("a", Version{9, 9}); });
    CHECK(c.remove("a", first) && !c.remove("a") && !c.get("a"));
    CHECK(c.remove_range("b", std::nullopt) == 1 && c.restore_range("b", "c") == 1);
    CHECK(c.remove_prefix("b") == 1);
    ScanOptions page;
    page.limit = 1;
    const auto [removed, cursor] = c.removed(page);
    CHECK(removed.size() == 1 && removed[0].key == "a" && removed[0].info.version == first && cursor);
    CHECK(removed[0].erased_from_ms == removed[0].removed_ms + 3'600'000);
    CHECK(c.restore("a", first) && !c.restore("a") && c.restore_prefix("b") == 1);
    tenant.batch().remove(c, "a").put(c, "d", "3").write();
    CHECK(!c.get("a") && c.get("d"));
    tenant.batch().restore(c, "a").write();
    CHECK(c.get("a")->view() == "1");
    tenant.drop_collection("kept");
}

static void test_data_keys(Tenant &tenant) {
    const std::uint32_t first = tenant.data_keys().at(0).generation, second = tenant.rotate_data_key();
    CHECK(second > first && tenant.data_keys().at(0).state == DataKey::State::older);
    expect(Kind::conflict, [&] { tenant.retire_data_key(first); });
    CHECK(!tenant.rekey(1));
    CHECK(tenant.rekey(0, 0, [](std::uint64_t done, std::uint64_t total) { CHECK(done <= total); }));
    tenant.retire_data_key(first);
    CHECK(tenant.data_keys().at(0).state == DataKey::State::destroyed);
    CHECK(tenant.data_keys().at(1).state == DataKey::State::current);
    CHECK(tenant.collection("bounded").get("a")->view() == "12");
}

static void test_known(const std::string &directory) {
    Store store = Store::create(Config(directory + "/known").key_file(directory + "/known-key"));
    Tenant tenant = store.create_tenant("acme");
    Collection c = tenant.collection("c");
    const Version version = c.put("k", "value");
    CHECK(store.id().size() == 32 && tenant.name() == "acme" && release().size() >= 5);
    CHECK(store.tenant_info("acme").id == tenant.id() && store.tenants().size() == 1);
    expect(Kind::not_found, [&] { store.tenant_info("nobody"); });
    CHECK(tenant.stats().records == 1 && store.tenant_stats("acme").version == tenant.stats().version);
    CHECK(store.regions().size() == 1 && store.regions()[0].name == "default" && !store.regions()[0].problem);
    CHECK(!store.lanes().empty() && store.lanes()[0].segments > 0 && store.lanes()[0].damaged == 0);
    const Snapshot snapshot = tenant.snapshot();
    CHECK(!(snapshot.version() < version) && snapshot.collections() == std::vector<std::string>{"c"});
    char room[8];
    CHECK(c.get_into("k", room, sizeof room) == 5 && std::string_view(room, 5) == "value");
    CHECK(c.get_into("k", room, 2) == 5 && !c.get_into("none", room, sizeof room));
    store.close();
}

// Lines come from any thread, and what a function throws goes nowhere.
static void test_log(const std::string &directory) {
    std::mutex lock;
    std::string said;
    set_log(
        [&](LogLevel level, std::string_view target, std::string_view text) {
            const std::lock_guard<std::mutex> guard(lock);
            CHECK(level >= LogLevel::error && level <= LogLevel::trace && target.substr(0, 10) == "strongroom");
            (said += text) += '\n';
            throw 42;
        },
        LogLevel::trace);
    Store store = Store::create(Config(directory + "/logged").key_file(directory + "/logged-key"));
    Tenant tenant = store.create_tenant("acme");
    tenant.collection("c").put("a key", "a value");
    tenant.rewrite();
    store.close();
    set_log({});
    const std::lock_guard<std::mutex> guard(lock);
    CHECK(!said.empty() && said.find("acme") == std::string::npos && said.find("a key") == std::string::npos);
}

// What is to be under no older key, policies over records that are there, new section keys.
static void test_duties(Store &store) {
    Tenant tenant = store.create_tenant("duties");
    Collection c = tenant.collection("c");
    c.put("k", "v");
    const std::uint32_t first = tenant.data_keys().at(0).generation;
    CHECK(!tenant.rekey_deadline());
    tenant.rotate_data_key();
    tenant.set_rekey_deadline(first, 5'000);
    CHECK(tenant.rekey_deadline()->generation == first && tenant.rekey_deadline()->by_ms == 5'000);
    tenant.clear_rekey_deadline();
    CHECK(!tenant.rekey_deadline());
    Policy policy;
    policy.retention = std::chrono::hours(1);
    policy.zero_retention = false;
    c.set_policy(policy);
    CHECK(c.policy().zero_retention == false && tenant.policies_pending_since_ms() > 0);
    CHECK(tenant.apply_policies() == std::make_pair(std::uint64_t{1}, true) && tenant.policies_pending_since_ms() == 0);
    CHECK(c.info("k")->expires_ms > 0);
    store.renew_section_keys("duties");
    expect(Kind::poisoned, [&] { c.get("k"); });
    CHECK(store.tenant("duties").collection("c").get("k")->view() == "v");
}

// What it wraps is the key behind what it belongs to, whose last byte is the section.
struct Counting : KeyProvider {
    int content = 0;
    std::string wrap(std::string_view key, std::string_view belongs_to) override {
        return std::string(belongs_to).append(key);
    }
    std::string unwrap(std::string_view wrapped, std::string_view belongs_to) override {
        content += belongs_to.back() == 2;
        return std::string(wrapped.substr(belongs_to.size()));
    }
};

static void test_maintenance(const std::string &directory) {
    const auto kms = std::make_shared<Counting>();
    const auto config = [&] { return std::move(Config(directory + "/kept").key_provider(kms)); };
    expect(Kind::invalid_argument, [&] { Store::create(config().maintenance()); });
    {
        Store store = Store::create(config());
        store.create_tenant("acme").collection("c").put("k", "v");
        store.close();
    }
    kms->content = 0;
    {
        Store store = Store::open(config().maintenance());
        const std::string digest = store.tenants().at(0).name;
        CHECK(digest.size() == 33 && digest[0] == '~' && digest.find("acme") == std::string::npos);
        Tenant acme = store.tenant(digest);
        CHECK(acme.name() == digest && acme.id() == store.tenant("acme").id() && acme.collections().at(0)[0] == '~');
        expect(Kind::key_unavailable, [&] { acme.collection("c").get("k"); });
        expect(Kind::key_unavailable, [&] { acme.collection("c").put("k", "v"); });
        expect(Kind::key_unavailable, [&] { store.create_tenant("globex"); });
        store.checkpoint();
        CHECK(acme.rewrite());
        store.sweep();
        const Report report = store.verify();
        CHECK(report.is_good && report.records == 0 && report.records_unopened == 1);
        CHECK(store.tenant_stats(digest).records == 1 && kms->content == 0);
        store.close();
    }
    Store store = Store::open(config().maintenance(Names::shown));
    CHECK(store.tenants().at(0).name == "acme" && store.tenant("acme").collections().at(0) == "c");
    CHECK(kms->content == 0);
    store.close();
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    test_log(arguments[1]);
    test_known(arguments[1]);
    test_maintenance(arguments[1]);
    const std::string directory = arguments[1];
    Config config(directory + "/data");
    config.key_file(directory + "/root-key").key_store(directory + "/keys").region("eu", directory + "/eu");
    std::ofstream(directory + "/settings.toml") << "open_tenants = 7\n";
    config.read(directory + "/settings.toml");
    CHECK(config.to_toml().find("\nopen_tenants = 7") != std::string::npos);
    expect(Kind::not_found, [&] { config.published_health(); });
    Store store = Store::create(config);
    TenantOptions options;
    options.region = "eu";
    options.dedicated = true;
    options.policy.retention = std::chrono::hours(1);
    Tenant tenant = store.create_tenant("acme", options);
    CHECK(tenant.policy().retention == std::chrono::hours(1));
    tenant.set_policy({});
    const auto tenants = store.tenants();
    CHECK(tenants.size() == 1 && tenants[0].name == "acme" && tenants[0].region == "eu" && tenants[0].dedicated);
    CHECK(tenants[0].id == tenant.id() && store.open_tenants() == 1);
    test_streams(tenant);
    test_building(tenant);
    test_quotas(tenant);
    test_data_keys(tenant);
    test_removal(tenant);
    test_duties(store);
    store.confirm_clock();
    store.tick();
    CHECK(store.health().front() == '{' && store.verify({}, "acme").is_good && store.sweep("acme").records == 0);
    expect(Kind::not_found, [&] { store.verify({}, "nobody"); });
    CHECK(store.salvage("acme") == 0);
    store.accept_rollback("acme");
    store.close();
    return 0;
}
