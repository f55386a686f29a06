// The C++ binding, everything of it once. The argument is an empty directory.
#include <thread>

#include "check.hpp"

using namespace strongroom;

static_assert(!std::is_copy_constructible_v<Store> && std::is_nothrow_move_constructible_v<Store>);
static_assert(!std::is_copy_constructible_v<Collection> && std::is_nothrow_move_assignable_v<Collection>);
static_assert(sizeof(Value) == sizeof(void *));

static void test_records(Tenant &tenant) {
    Collection c = tenant.collection("invoices");
    CHECK(c.name() == "invoices" && !c.get("a"));
    const Version first = c.put("a", "12.50", {});
    CHECK(c.get("a")->view() == "12.50");
    c.put(std::string_view("\0\xff", 2), std::string_view());
    CHECK(c.get(std::string_view("\0\xff", 2))->size() == 0);
    PutOptions options;
    options.if_absent = true;
    expect(Kind::conflict, [&] { c.put("a", "x", options); });
    options.if_absent = false;
    options.if_version = first;
    options.durability = Durability::buffered;
    options.written_ms = 1700000000000;
    options.ttl = std::chrono::hours(100'000);
    const Version second = c.put("a", "99.00", options);
    CHECK(first < second && second != first);
    const auto info = c.info("a");
    CHECK(info && info->version == second && info->value_size == 5 && info->written_ms == 1700000000000);
    CHECK(info->expires_ms == 1700000000000 + 360'000'000'000 && !c.info("none"));
    expect(Kind::conflict, [&] { c.erase("a", first); });
    CHECK(c.erase("a") && !c.erase("a"));
    expect(Kind::invalid_argument, [&] { c.put("", "x"); });
    expect(Kind::limit_exceeded, [&] { c.put(std::string(5000, 'k'), "x"); });
    expect(Kind::not_found, [&] { tenant.drop_collection("none"); });
    try {
        c.put("", "x");
    } catch (const std::exception &error) {
        CHECK(std::string_view(dynamic_cast<const Error &>(error).name()) == "InvalidArgument");
    }
}

static void test_batches_and_scans(Tenant &tenant) {
    const Collection c = tenant.collection("scanned");
    Batch batch = tenant.batch();
    for (int number = 0; number < 1000; number++) {
        char key[8];
        std::snprintf(key, sizeof key, "%04d", number);
        batch.put(c, key, std::to_string(number));
    }
    CHECK(batch.size() == 1000);
    batch.write();
    int expected = 0;
    for (const Record &record : c.scan()) {
        CHECK(record.value == std::to_string(expected++) && record.key.size() == 4);
    }
    CHECK(expected == 1000 && c.count() == 1000);
    ScanOptions options;
    options.prefix = "09";
    options.reverse = true;
    options.limit = 10;
    options.open_ahead = 4;
    Scan page = c.scan(options);
    CHECK(std::distance(page.begin(), page.end()) == 10);
    const auto cursor = page.cursor();
    CHECK(cursor);
    options.after = *cursor;
    for (const Record &record : c.scan(options)) {
        CHECK(record.key == "0989");
        break;
    }
    options.keys_only = true;
    for (const Record &record : c.scan(options)) {
        CHECK(!record.value && record.value_size == 3);
    }

    const Snapshot snapshot = tenant.snapshot();
    batch.erase(c, "0001").put(c, "0002", "changed").require(c, "none", std::nullopt);
    CHECK(batch.submit().get().sequence > 0);
    CHECK(!c.get("0001") && snapshot.get(c, "0002")->view() == "2");
    Scan before = snapshot.scan(c);
    // What was erased since is gone for it too.
    CHECK(std::distance(before.begin(), before.end()) == 999);
    auto refused = batch.require(c, "0002", Version{9, 9}).put(c, "x", "y").submit();
    expect(Kind::conflict, [&] { refused.get(); });

    std::vector<std::future<Version>> made;
    for (int number = 0; number < 100; number++) {
        made.push_back(batch.put(c, "many-" + std::to_string(number), "v").submit());
    }
    for (auto &future : made) {
        future.get();
    }
    Collection shared = tenant.collection("scanned");
    CHECK(shared.erase_prefix("many-").records == 100);
}

static void test_indexes_and_retention(Store &store, Tenant &tenant) {
    Collection people = tenant.collection("people");
    people.declare_index("email", true);
    PutOptions options;
    options.index = {{"email", "a@b"}};
    options.subject = "user-42";
    people.put("1", "Ada", options);
    expect(Kind::conflict, [&] { people.put("2", "Eve", options); });
    for (const Record &record : people.find("email", "a@b")) {
        CHECK(record.key == "1" && record.value == "Ada");
    }
    CHECK(tenant.erase_subject("user-42") && !people.get("1"));
    people.drop_index("email");
    people.set_policy({std::chrono::hours(1), std::chrono::hours(2)});
    CHECK(people.policy().maximum == std::chrono::hours(2));
    people.put("3", "x");
    const auto info = people.info("3");
    CHECK(info && info->expires_ms == info->written_ms + 3'600'000);
    CHECK(store.sweep().records == 0);
}

// Hides keys under a byte: for tests, not a cipher.
class Kms : public KeyProvider {
public:
    std::function<void()> fail;

    std::string wrap(std::string_view key, std::string_view belongs_to) override {
        if (fail) {
            fail();
        }
        std::string wrapped(key);
        for (char &byte : wrapped) {
            byte ^= 0x5a;
        }
        return wrapped.append(belongs_to);
    }

    std::string unwrap(std::string_view wrapped, std::string_view belongs_to) override {
        if (wrapped.substr(32) != belongs_to) {
            throw ProviderFailure(ProviderFailure::Why::denied, "another context");
        }
        return wrap(wrapped.substr(0, 32), "");
    }
};

static void test_provider(const std::string &directory) {
    const auto kms = std::make_shared<Kms>();
    {
        Config config(directory + "/provided");
        config.key_provider(kms).set([](auto &options) { options.cache_bytes = 1 << 20; });
        Store store = Store::create(config);
        store.create_tenant("acme");
        kms->fail = [] { throw ProviderFailure(ProviderFailure::Why::retryable, "no network"); };
        try {
            store.create_tenant("b");
            CHECK(!"it should have thrown");
        } catch (const Error &error) {
            CHECK(error.kind() == Kind::key_unavailable && error.retryable());
        }
        kms->fail = [] { throw 42; };
        expect(Kind::key_unavailable, [&] { store.create_tenant("b"); });
        store.close();
    }
    CHECK(kms.use_count() == 1);
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    const std::string directory = arguments[1];
    Config config(directory + "/data");
    config.key_file(directory + "/root-key");
    expect(Kind::unavailable, [&] { Store::open(config); });
    Store store = Store::create(config);
    expect(Kind::busy, [&] { Store::open(config); });
    Tenant tenant = store.create_tenant("acme");
    CHECK(tenant.id().size() == 32);
    test_records(tenant);
    test_batches_and_scans(tenant);
    test_indexes_and_retention(store, tenant);
    tenant.flush();
    tenant.checkpoint();
    std::uint64_t done = 0;
    const Report report = store.verify([&](std::uint64_t more) { done += more; });
    CHECK(report.is_good && report.problems.empty() && report.records > 0 && done > 0);
    bool thrown = false;
    try {
        store.verify([](std::uint64_t) { throw std::out_of_range("enough"); });
    } catch (const std::out_of_range &) {
        thrown = true;
    }
    CHECK(thrown);
    CHECK(tenant.rewrite([](std::uint64_t rows, std::uint64_t total) { CHECK(rows <= total); }));
    store.checkpoint();

    std::vector<std::thread> threads;
    for (int number = 0; number < 8; number++) {
        threads.emplace_back([&tenant, number] {
            Collection mine = tenant.collection("threads");
            PutOptions buffered;
            buffered.durability = Durability::buffered;
            for (int round = 0; round < 50; round++) {
                const std::string key = std::to_string(number) + "-" + std::to_string(round);
                mine.put(key, key, buffered);
                CHECK(mine.get(key)->view() == key);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    store.flush();
    CHECK(tenant.collection("threads").count() == 400);
    test_provider(directory);
    store.close();
    expect(Kind::poisoned, [&] { tenant.collection("c").get("a"); });
    return 0;
}
